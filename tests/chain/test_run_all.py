"""test_tipc/run_all.sh and its table, on a copy of the scripts with networks that train in no time."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

import matrix
from tests.helpers.scripts import LIMIT, ROOT, Outcome, assert_one_line

MODE = "lite_train_lite_infer"
# replaces training, export and inference; `fails` and `sleeps` are planted by the tests
SCRIPT = '''
import pathlib, sys, time
options = dict(word.split("=", 1) for word in sys.argv if "=" in word)
if "fails" in sys.argv:
    sys.exit("planted failure")
if "sleeps" in sys.argv:
    time.sleep(300)
if "output" in options:
    folder = pathlib.Path(options["output"])
    folder.mkdir(parents=True, exist_ok=True)
    line = "[Train][Epoch 1/1][Iter: {}/2] lr: 0.1, loss: 0.50000, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.2 sec"
    start = "[2022/01/01 00:00:00] ppcls_lite INFO: "
    text = "".join(start + line.format(n) + ", avg_samples: 8, avg_ips: 40 images/sec\\n" for n in (1, 2))
    (folder / "log_train.txt").write_text(text)
    print(text)
    (folder / "latest.pdparams").write_text("weights")
if "save" in options:
    folder = pathlib.Path(options["save"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inference.pdmodel").write_text("model")
'''
CONFIG = """===train_params===
model_name:{name}
python:python3
gpu_list:-1
null:null
epochs:1
output:./out
null:null
null:null
train_model_name:latest
null:null
##
trainer:norm_train
norm_train:fake.py {train}
##
===eval_params===
eval:fake.py
##
===infer_params===
save:./inference
weights:
norm_export:fake.py {export}
##
train_model:null
infer_export:null
##
inference:fake.py
--use_gpu:False
--batch_size:1
--model_dir:./inference
--image:x.jpg
--benchmark:False
"""


class Copy(NamedTuple):
    """A copy of the scripts: its folder, and how to run its run_all.sh."""

    root: Path

    def add(self, name, train="", export=""):
        folder = self.root / "test_tipc/configs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train_infer_python.txt").write_text(CONFIG.format(name=name, train=train, export=export))

    def command(self, *words):
        return ["bash", str(self.root / "test_tipc/run_all.sh"), *words]

    @property
    def environment(self):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TIPC_")}
        return {**inherited, "TIPC_PYTHON": sys.executable}

    def run(self, *words, cwd=None, **more):
        environment = {**self.environment, **more}
        done = subprocess.run(
            self.command(*words), cwd=cwd or self.root, env=environment, capture_output=True, text=True, timeout=LIMIT
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    @property
    def matrix(self):
        return json.loads((self.root / "test_tipc/output/matrix.json").read_text())

    @property
    def rows(self):
        return {row["model"]: row for row in self.matrix["models"]}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """What a copy consists of, made once: in a git repository of its own, as people have it."""
    root = tmp_path_factory.mktemp("scripts")
    shutil.copytree(ROOT / "test_tipc", root / "test_tipc", ignore=shutil.ignore_patterns("output", "configs", "docs"))
    for folder in ("tools", "ppcls_lite", "deploy/configs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "configs"))
    for folder in ("dataset/ILSVRC2012", "lite_data", "test_images", "deploy/python"):
        (root / folder).mkdir(parents=True)
        (root / folder / "kept").write_text("")
    shutil.copy(ROOT / "requirements.txt", root)
    (root / "fake.py").write_text(SCRIPT)
    (root / ".gitignore").write_text("/test_tipc/output/\n/test_log/\n__pycache__/\n")
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "copy"], check=True)
    return root


@pytest.fixture
def copy(scripts, tmp_path):
    return Copy(shutil.copytree(scripts, tmp_path / "copy of it", symlinks=True))


def test_goes_on_after_a_failure_and_shows_it(copy):
    copy.add("a_good")
    copy.add("b_no_training", train="fails")
    copy.add("c_no_export", export="fails")
    copy.add("d_broken")
    broken = copy.root / "test_tipc/configs/d_broken/train_infer_python.txt"
    broken.write_text(broken.read_text().replace("trainer:norm_train\n", ""))
    outcome = copy.run(MODE)
    assert outcome.status == 1
    rows = copy.rows
    assert [row["result"] for row in rows.values()] == ["passed", "failed", "failed", "failed"]
    assert [rows["a_good"][step] for step in ("train", "evaluate", "export", "infer")] == ["passed"] * 4
    assert rows["a_good"]["loss"] == "0.50000"
    assert (rows["b_no_training"]["train"], rows["b_no_training"]["export"]) == ("failed", "not run")
    assert (rows["c_no_export"]["train"], rows["c_no_export"]["export"]) == ("passed", "failed")
    assert rows["c_no_export"]["infer"] == "not run"
    assert rows["d_broken"]["train"] == "-"  # its config was refused
    assert not copy.matrix["passed"]
    sentence = "FAILED: 1 of 4 models passed; predictions NOT compared: a_good; not: "
    sentence += "b_no_training, c_no_export, d_broken"
    text = (copy.root / "test_tipc/output/matrix.txt").read_text()
    assert text.splitlines()[-1] == sentence
    assert text in outcome.out
    markdown = (copy.root / "test_tipc/output/matrix.md").read_text()
    assert sentence in markdown
    assert markdown.splitlines()[5].split(" | ")[:4] == ["| b_no_training", "FAILED", "passed", "FAILED"]
    assert "planted failure" in (copy.root / "test_tipc/output/.run_all/c_no_export.log").read_text()


def test_certifies_once_for_the_same_ground(copy):
    copy.add("model")
    code = copy.root / "ppcls_lite/utils/files.py"  # which no step of these chains imports
    first = copy.run(MODE)
    assert first.status == 0, first.out + first.err
    assert "==== train ====" in first.out

    again = copy.run(MODE)
    assert again.status == 0
    assert "passed before" in again.out
    assert "==== train ====" not in again.out
    assert copy.rows["model"]["train"] == "passed"
    assert copy.matrix["verdict"] == "passed: 1 model, 1 of them before; predictions NOT compared: model"

    unrelated_files = ("notes.md", "all.log", "nohup.out", "tests/test_new.py")
    for unrelated in (*unrelated_files, "test_tipc/configs/other/train_infer_python.txt"):
        (copy.root / unrelated).parent.mkdir(parents=True, exist_ok=True)
        (copy.root / unrelated).write_text("nothing\n")
    assert "passed before" in copy.run(MODE).out
    assert "==== train ====" in copy.run(MODE, "--again").out

    code.write_text(code.read_text() + "# changed\n")
    assert "==== train ====" in copy.run(MODE).out
    (copy.root / "ppcls_lite/new.py").write_text("# not yet known to git\n")
    assert "==== train ====" in copy.run(MODE).out
    code.rename(copy.root / "ppcls_lite/utils/moved.py")
    assert "==== train ====" in copy.run(MODE).out
    moved = copy.root / "ppcls_lite/utils/moved.py"
    moved.write_text(moved.read_text() + "# changed where it is now\n")
    assert "==== train ====" in copy.run(MODE).out
    fake = copy.root / "fake.py"  # which the config names
    fake.write_text(SCRIPT + "# changed\n")
    assert "==== train ====" in copy.run(MODE).out
    copy.add("model", train="--more")
    assert "==== train ====" in copy.run(MODE).out
    assert "passed before" in copy.run(MODE).out


def test_what_a_config_names_belongs_to_the_certificate(copy, tmp_path):
    """However it is spelt: quoted, glued to its option, without a suffix, in a YAML, or as a folder."""
    data = tmp_path / "my data"
    (data / "images").mkdir(parents=True)
    for name in ("quoted name.yaml", "glued.yaml", "weights.pdparams", "labels.txt", "images/one.jpg", "named.txt"):
        (data / name).write_text("first\n")
    (data / "glued.yaml").write_text(f"Infer:\n  class_id_map_file: '{data}/labels.txt'  # a comment\n")
    (copy.root / "mine").symlink_to(data)
    train = f"-c 'mine/quoted name.yaml' -cmine/glued.yaml -o Global.pretrained_model={data.parent}/x:1"
    copy.add("model", train=train)
    config = copy.root / "test_tipc/configs/model/train_infer_python.txt"
    text = config.read_text().replace("--image:x.jpg", "--image:mine/images")
    config.write_text(text.replace("null:null\ntrain_model_name", "weights:mine/weights\ntrain_model_name"))
    assert copy.run(MODE).status == 0
    assert "passed before" in copy.run(MODE).out
    for name in ("quoted name.yaml", "glued.yaml", "weights.pdparams", "images/one.jpg"):
        with (data / name).open("a") as stream:
            stream.write("# more\n")
        outcome = copy.run(MODE)
        assert f"run again: test_tipc/output/model/{MODE}: code, config, data or versions have" in outcome.out, name
        assert outcome.status == 0
    (data / "images/two.jpg").write_text("new")
    assert "==== train ====" in copy.run(MODE).out
    (data / "named.txt").write_text("nobody names it")
    assert "passed before" in copy.run(MODE).out


def test_a_copy_inside_another_repository_is_hashed_itself(copy, tmp_path):
    """Its files are not those of the repository around it, nor is that one's commit its own."""
    shutil.rmtree(copy.root / ".git")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "another"], check=True)
    copy.add("model")
    assert copy.run(MODE).status == 0
    assert copy.matrix["commit"] == "none (no git repository)"
    assert "passed before" in copy.run(MODE).out
    (copy.root / "ppcls_lite/new.py").write_text("# new code\n")
    assert "==== train ====" in copy.run(MODE).out


def test_a_failure_is_no_certificate(copy):
    copy.add("model")
    assert copy.run(MODE).status == 0
    copy.add("model", train="fails")
    for _ in range(2):
        outcome = copy.run(MODE)
        assert outcome.status == 1
        assert "passed before" not in outcome.out
    assert copy.rows["model"]["train"] == "failed"
    copy.add("model")
    # the files of the passed run were replaced: it counts no more
    assert "==== train ====" in copy.run(MODE).out


def test_any_run_in_the_folder_ends_the_certificate(copy):
    copy.add("model")
    config = "test_tipc/configs/model/train_infer_python.txt"
    driver = ["bash", "test_tipc/test_train_inference_python.sh", config, MODE]

    def drive(*options):
        environment = {**copy.environment, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([*driver, *options], cwd=copy.root, env=environment, capture_output=True, timeout=LIMIT)

    assert copy.run(MODE).status == 0
    assert drive("--stage", "5").returncode == 0  # a run that passes as a whole is one, too
    assert "passed before" in copy.run(MODE).out
    assert drive("--stop_stage", "2").returncode == 0  # one that leaves steps out is not
    outcome = copy.run(MODE)
    assert "run again: test_tipc/output/model/lite_train_lite_infer: its last run: passed: 3 steps" in outcome.out
    model = next((copy.root / "test_tipc/output/model").rglob("inference.pdmodel"))
    model.write_text("mODEL")
    outcome = copy.run(MODE)
    assert f"{model.relative_to(copy.root)} is not what the run left" in outcome.out
    assert "==== train ====" in outcome.out
    summary = copy.root / "test_tipc/output/model" / MODE / "summary.json"
    content = json.loads(summary.read_text())
    summary.write_text(json.dumps({**content, "passed": False, "verdict": "FAILED: planted"}))
    assert "its last run: FAILED: planted" in copy.run(MODE).out


def test_a_model_name_for_each_mode(copy):
    copy.add("model")
    config = copy.root / "test_tipc/configs/model/train_infer_python.txt"
    config.write_text(config.read_text().replace("model_name:model", "model_name:lite_train=abc|whole=def"))
    outcome = copy.run(MODE)
    assert outcome.status == 0, outcome.out + outcome.err
    assert copy.rows["abc"]["train"] == "passed"


def test_runs_only_what_is_named(copy, tmp_path):
    for name in ("a", "b"):
        copy.add(name)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "own.txt").write_text(CONFIG.format(name="own", train="", export=""))
    outcome = copy.run(MODE, "b", "own.txt", cwd=other)
    assert outcome.status == 0, outcome.out + outcome.err
    assert list(copy.rows) == ["b", "own"]


def test_a_relative_output_folder_stands_in_the_working_folder(copy, tmp_path):
    copy.add("a")
    outcome = copy.run(MODE, "a", cwd=tmp_path, TIPC_OUTPUT="mine")
    assert outcome.status == 0, outcome.out + outcome.err
    assert (tmp_path / "mine/matrix.md").is_file()
    assert (tmp_path / "mine/a" / MODE / "summary.json").is_file()
    assert not (copy.root / "mine").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "usage: bash test_tipc/run_all.sh MODE"),
        (("lite",), "unknown mode 'lite'"),
        ((MODE, "c"), "unknown model 'c'; known: a b"),
        ((MODE, "--agin"), "unknown option '--agin'"),
        ((MODE, "a", "a"), "its model_name 'a' is that of"),
    ],
)
def test_wrong_arguments_are_one_line(copy, words, message):
    for name in ("a", "b"):
        copy.add(name)
    outcome = copy.run(*words)
    assert outcome.status == 1
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("results", "shown"),
    [
        (["skipped", "passed"], "passed"),  # no GPU, but the CPU was tried
        (["skipped", "skipped"], "skipped"),
        (["passed", "failed", "not run"], "failed"),
        (["passed", "not run"], "not run"),
        ([], "-"),
    ],
)
def test_table_shows_the_worst_of_several(results, shown):
    steps = [{"name": f"infer cpu {number}", "result": result} for number, result in enumerate(results)]
    assert matrix.worst(steps, "infer") == shown
    assert matrix.worst(steps, "agree") == "-"


def test_table_refuses_what_it_cannot_read(run_here, tmp_path):
    (tmp_path / ".run_all").mkdir()
    steps = tmp_path / ".run_all/steps.tsv"
    steps.write_text("\tmodel\tpassed\n")
    command = ["test_tipc/lib/matrix.py", tmp_path, "--mode", MODE, "model"]
    assert_one_line(run_here(*command), f"{steps}:1", "between tabs")
    steps.write_text("\tmodel\tpassed\t1.0\t\tlog\t\n")
    (tmp_path / "model" / MODE).mkdir(parents=True)
    (tmp_path / "model" / MODE / "summary.json").write_text("{}")
    assert_one_line(run_here(*command), "summary.json", "not the summary of a chain")


def running(text):
    """The command lines of all processes that hold `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if text in line]


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_everything(copy, sent, status):
    copy.add("a_sleeper", train="sleeps")
    copy.add("b_never")
    mark = f"output={copy.root}/o"  # on the training's command line
    environment = {**copy.environment, "TIPC_OUTPUT": str(copy.root / "o")}
    process = subprocess.Popen(
        copy.command(MODE),
        cwd=copy.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not running(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert running(mark)
        os.killpg(process.pid, sent)  # what a terminal does
        output = process.communicate(timeout=LIMIT)[0]
    finally:
        process.kill()
    assert process.returncode == status, output
    deadline = time.monotonic() + 10
    while running(str(copy.root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(str(copy.root))
    assert (copy.root / "o/matrix.json").is_file(), output
    matrix = json.loads((copy.root / "o/matrix.json").read_text())
    assert [(row["result"], row["reason"]) for row in matrix["models"]] == [
        ("failed", "interrupted"),
        ("not run", "interrupted"),
    ]
