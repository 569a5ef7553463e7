"""lint_config.sh as it is called: what is printed, what --fix writes, and that nothing is run."""

import os
import shutil
import subprocess

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.lint.conftest import PROJECT, findings, lint

CONFIG = PROJECT / "test_tipc/configs/MiniNet/train_infer_python.txt"


@pytest.fixture
def config(tmp_path):
    """A config without faults, outside of any project, whose scripts are those of --project."""
    path = tmp_path / "train_infer_python.txt"
    shutil.copy(CONFIG, path)
    return path


def edit(path, *pairs):
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_bytes(text.encode("utf-8"))
    return path


def test_a_finding_names_its_line(config, classifier):
    edit(config, ("--batch-size:1", "--batch_size:1"), ("gpu_list:-1", "gpu_list: -1 "))
    done = lint("--project", classifier, config)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{config}:4: warning: gpu_list: blanks behind the value; expected none; --fix takes them away [blank]",
        f"{config}:30: error: --batch_size: deploy/infer.py has no option --batch_size; did you mean --batch-size?"
        " [option]",
        "1 file: 1 error, 1 warning; --fix mends 1",
    ]


def test_warnings_alone_are_no_failure(config, classifier):
    done = lint("--project", classifier, edit(config, ("benchmark:False", "benchmark:False ")))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 file: 0 errors, 1 warning; --fix mends 1")


def test_what_needs_no_person_is_mended(config, classifier):
    before = config.read_bytes()
    edit(config, ("--epochs:lite_train_lite_infer", "--epochs:\tlite_train_lite_infr"))
    edit(config, ("use-gpu:True|True", "use-gpu\uff1aTure|True "), ("--benchmark:False", "--benchmark:Fasle"))
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes().replace(b"\n", b"\r\n"))
    config.chmod(0o640)
    done = lint("--fix", "--project", classifier, config)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("1 file: 0 errors, 0 warnings; ")
    assert config.read_bytes() == before.replace(b"--epochs:lite", b"--epochs: lite")
    assert sorted(path.name for path in config.parent.iterdir()) == [config.name]


def test_what_needs_a_person_is_left(config, classifier):
    edit(config, ("--batch-size:1", "--batch_size:1"), ("--benchmark:False", "--benchmark:Fasle"))
    done = lint("--fix", "--project", classifier, config)
    assert done.returncode == 1
    assert "--batch_size:1\n" in config.read_text()
    assert done.stdout.splitlines()[-1] == "1 file: 1 error, 0 warnings; 1 finding mended"


def test_a_file_without_faults_is_not_touched(config, classifier):
    before = os.stat(config)
    assert lint("--fix", "--project", classifier, config).returncode == 0
    after = os.stat(config)
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_a_link_stays_one(config, classifier, tmp_path):
    link = tmp_path / "link_train_infer_python.txt"
    link.symlink_to(config.name)
    edit(config, ("--benchmark:False", "--benchmark:Fasle"))
    lint("--fix", "--project", classifier, link)
    assert link.is_symlink()
    assert "Fasle" not in config.read_text()


def test_scripts_are_not_run(config, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    mark = tmp_path / "was run"
    for script in project.rglob("*.py"):
        script.write_text(f"open({str(mark)!r}, 'w')\n" + script.read_text())
    edit(config, ("deploy/infer.py", f"deploy/infer.py; touch '{mark}'; $(touch {mark})"))
    lint("--project", project, config)
    assert not mark.exists()


def test_the_project_of_a_config_is_the_folder_of_its_test_tipc(tmp_path):
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    path = project / "test_tipc/configs/MiniNet/train_infer_python.txt"
    assert findings(path)[path] == []
    (project / "train.py").unlink()
    kinds = {(one["line"], one["check"]) for one in findings(path)[path]}
    assert kinds == {(14, "missing"), (17, "missing")}


def test_what_is_left_to_do_in_a_new_config_is_no_fault(tmp_path):
    """The last section that new_model.sh --project writes: sentences for a person."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__", "test_tipc"))
    command = ["bash", str(ROOT / "test_tipc/new_model.sh"), "--project", str(project), "MiniNet"]
    subprocess.run(command, capture_output=True, timeout=LIMIT, check=True)
    path = project / "test_tipc/configs/MiniNet/train_infer_python.txt"
    title = "===left_to_do==="
    assert f"{title}\nline_" in path.read_text().replace("=" * 24, "")
    count = len(path.read_text().rpartition(title)[2].split("\n")) - 2
    assert f"note: {path}: {count} things left to do: see its section left_to_do" in lint(path).stdout.splitlines()
    path.write_text(f"{path.read_text()}project:say Fasle|, or whole_infr=/path/to/it \nproject\n")
    assert findings(path)[path] == []
    edit(path, ("left_to_do", "left_todo"))
    assert {one["check"] for one in findings(path)[path]} >= {"title", "typing", "colon"}


def test_without_scripts_they_are_not_checked(tmp_path):
    path = tmp_path / "test_tipc/configs/MiniNet/train_infer_python.txt"
    path.parent.mkdir(parents=True)
    shutil.copy(CONFIG, path)
    done = lint(path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"note: scripts and their options were not checked for 1 file: no scripts in {tmp_path}",
        "1 file: 0 errors, 0 warnings",
    ]


def test_what_no_chain_reads_is_said(tmp_path):
    path = tmp_path / "serving_infer_python.txt"
    path.write_text("===serving_infer_python_params===\nmodel_name:x\npython:python3 \n")
    first, second, last = lint(path).stdout.splitlines()
    assert (
        first == f"note: {path}: the Python service of PaddleDetection, which no chain runs: only its text was checked"
    )
    assert "[blank]" in second
    assert last.startswith("1 file: 0 errors, 1 warning")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), "usage: bash test_tipc/lint_config.sh FILE... (see --help)"),
        (("/no/file.txt",), "/no/file.txt: no such file or folder"),
        (("--project", "/no/folder", CONFIG), "--project: expected a folder, found '/no/folder'"),
        (("--all",), "unknown option '--all'; see --help"),
    ],
)
def test_bad_calls_are_one_line(words, error):
    done = lint(*words)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {error}\n")


def test_a_folder_without_configs(tmp_path):
    done = lint(tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {tmp_path}: expected a folder with configs (*.txt), found none\n",
    )


def test_paths_are_those_of_the_caller(tmp_path):
    """Relative to the working folder, and printed as they were given."""
    shutil.copy(CONFIG, tmp_path / "a b_train_infer_python.txt")
    command = ["bash", str(ROOT / "test_tipc/lint_config.sh"), "a b_train_infer_python.txt", "--project", str(PROJECT)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "1 file: 0 errors, 0 warnings\n")
