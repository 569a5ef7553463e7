"""Every entry script: quick help without Paddle, and one line instead of a traceback for each bad input.

Entry scripts are found by their last lines, so that none can be forgotten.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ppcls_lite.utils import errors
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line, run_process, with_library

CONFIG_SCRIPTS = ["tools/train.py", "tools/eval.py", "tools/infer.py", "tools/export_model.py"]
CONFIG_SCRIPTS += ["deploy/python/predict_cls.py", "deploy/python/predict_det.py", "deploy/python/predict_rec.py"]
CONFIG_SCRIPTS += ["deploy/python/build_gallery.py", "tools/compare_engines.py"]
DEPLOY_CONFIGS = {
    "deploy/python/predict_cls.py": ROOT / "deploy/configs/inference_cls.yaml",
    "deploy/python/predict_det.py": ROOT / "deploy/configs/inference_det.yaml",
    "deploy/python/predict_rec.py": ROOT / "deploy/configs/inference_rec.yaml",
    "deploy/python/build_gallery.py": ROOT / "deploy/configs/build_gallery.yaml",
}
WITH_PADDLE_LITE = ("test_tipc/lib/lite_opt.py", "test_tipc/lib/lite_run.py")  # in an environment of its own
INTERNAL = ["ppcls_lite/benchmark/worker.py"]  # started by the benchmark only, with JSON on standard input
INTERNAL += [
    "test_tipc/lib/diagnosis/network/program.py",
    "test_tipc/lib/diagnosis/engines/worker_child.py",
]  # by diagnose.py
HEAVY = {"paddle", "matplotlib", "PIL", "scipy"}


def entry_scripts():
    """All scripts of the repository that a user starts, as paths from its root."""
    folders = ("tools", "deploy", "test_tipc/lib", "ppcls_lite")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    files += (ROOT / "test_tipc").glob("*.py")
    ends = '\nif __name__ == "__main__":'
    scripts = [str(path.relative_to(ROOT)) for path in files if ends in path.read_text(encoding="utf-8")]
    return sorted(set(scripts) - set(INTERNAL))


def words_of(script):
    """The arguments of Python that start a script from the root."""
    if script.startswith("ppcls_lite/"):
        return ["-m", script[: -len(".py")].removesuffix("/__main__").replace("/", ".")]
    return [script]


def shown_words(script):
    """The words with which the script's own help shows how to start it."""
    if script in DEPLOY_CONFIGS:  # run from the folder deploy, as in PaddleClas
        return "python3 " + script[len("deploy/") :]
    if script == "ppcls_lite/__main__.py":  # the command that the package installs
        return "ppcls_lite"
    return " ".join([".venv-lite/bin/python" if script in WITH_PADDLE_LITE else "python", *words_of(script)])


def imported_by(script, *options):
    """The outermost packages that a script imports until it ends, and how it ended."""
    command = [sys.executable, "-X", "importtime", *words_of(script), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    names = re.findall(r"^import time: .*\| +([\w.]+)$", done.stderr, re.MULTILINE)
    return {name.partition(".")[0] for name in names}, done


def test_the_scripts_are_found():
    scripts = entry_scripts()
    assert set(scripts) > set(CONFIG_SCRIPTS)
    assert {Path(script).parent.as_posix() for script in scripts} == {
        "deploy/cpp",
        "deploy/lite",
        "deploy/onnx_python",
        "deploy/paddle2onnx",
        "deploy/paddleserving",
        "deploy/python",
        "deploy/slim",
        "ppcls_lite",
        "ppcls_lite/benchmark",
        "test_tipc",
        "test_tipc/lib",
        "test_tipc/lib/page",
        "tools",
        "tools/data",
        "tools/infer",
        "tools/insightface",
        "tools/tables",
    }


@pytest.mark.parametrize("script", entry_scripts())
def test_help_needs_no_paddle(script):
    packages, done = imported_by(script, "--help")
    assert done.returncode == 0, done.stderr
    assert "argparse" in packages  # the names were read
    assert not packages & HEAVY
    line_to_copy = re.compile(rf"^ +{re.escape(shown_words(script))}( |$)", re.MULTILINE)
    assert line_to_copy.search(done.stdout), done.stdout
    assert re.search(r"\bExit codes?: 0\b", done.stdout), done.stdout


def options_for(script):
    """Options that the script requires beside a config."""
    return ["--inference_model_dir", "x"] if script == "tools/compare_engines.py" else []


@pytest.mark.parametrize("script", CONFIG_SCRIPTS)
def test_wrong_config_is_reported_before_paddle_is_imported(script, tmp_path):
    packages, done = imported_by(script, "-c", str(tmp_path / "none.yaml"), *options_for(script))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: {tmp_path}/none.yaml: no such config file"
    assert not packages & HEAVY


BAD_FILES = {
    "empty": (b"", "found an empty file"),
    "latin-1": (b"Global:\n  x: \xe9\n", ":2: not UTF-8 text"),
    "syntax": (b"Global: [\n", "not valid YAML"),
    "twice": (b"Global: {}\nGlobal: {}\n", ":2: not valid YAML: key 'Global' occurs twice"),
    "no Global": (b"Arch: {}\n", "'Global' is missing"),
    "list": (b"- Global\n", "found list"),
}
BAD_FILES_OF_DEPLOY = {**BAD_FILES, "no Global": (b"PostProcess: {}\n", "'Global' is missing")}


@pytest.mark.parametrize("bad", BAD_FILES)
@pytest.mark.parametrize("script", CONFIG_SCRIPTS)
def test_bad_config_file(script, bad, tmp_path, run_here):
    content, message = (BAD_FILES_OF_DEPLOY if script in DEPLOY_CONFIGS else BAD_FILES)[bad]
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    outcome = run_here(script, "-c", path, *options_for(script))
    assert_one_line(outcome, str(path), message)
    outcome = run_here(script, "-c", tmp_path, *options_for(script))
    assert_one_line(outcome, f"{tmp_path}: expected a YAML file, found a folder")


@pytest.mark.parametrize("script", CONFIG_SCRIPTS)
def test_bad_override(script, run_here, exported):
    path = DEPLOY_CONFIGS.get(script, exported.config)
    for override, message in [
        ("Global.divice=cpu", "-o Global.divice: unknown key 'divice' in Global"),
        ("Global", "-o Global: expected KEY=VALUE"),
        ("Nowhere.key=1", "unknown key 'Nowhere'"),
    ]:
        assert_one_line(run_here(script, "-c", path, "-o", override, *options_for(script)), message)


@pytest.mark.parametrize("script", ["tools/infer.py", "tools/export_model.py", "tools/eval.py"])
def test_hostile_weights_are_refused(script, run_here, exported, tmp_path):
    path = tmp_path / "w.pdparams"
    path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    options = ["-c", exported.config, "-o", f"Global.pretrained_model={path}"]
    assert_one_line(run_here(script, *options), f"{path}: refused: the file asks to load 'os.system'")
    assert not Path("ran").exists()


def test_no_section_of_architecture(run_here, write_config, config):
    arch, config["Arch"] = config["Arch"], None
    path = write_config(config)
    for script in ("tools/eval.py", "tools/infer.py", "tools/export_model.py"):
        assert_one_line(run_here(script, "-c", path), "'Arch' is missing")
    config["Arch"] = arch
    del config["Infer"]
    assert_one_line(run_here("tools/infer.py", "-c", write_config(config)), "'Infer.infer_imgs' is missing")


def test_a_process_ends_with_one_line_and_status_one(exported):
    outcome = run_process("tools/eval.py", "-c", exported.config, "-o", "Global.pretrained_model=no/such")
    assert outcome.status == 1
    assert outcome.err == "error: no/such.pdparams: no such weights file\n"


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (errors.UserError("file:3: wrong"), 1, "error: file:3: wrong\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (OSError(28, "Full", "a.json"), 1, "error: a.json: cannot be written (Full)\n"),
        (None, 0, ""),
        (3, 3, ""),
    ],
)
def test_how_scripts_end(capsys, monkeypatch, raised, status, said):
    monkeypatch.setattr(errors, "leave", sys.exit)

    def main():
        if isinstance(raised, BaseException):
            raise raised
        return raised

    with pytest.raises(SystemExit) as ended:
        errors.run_main(main)
    assert ended.value.code == status
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("fault", [ZeroDivisionError(), OSError(9, "Bad file descriptor")])
def test_our_own_faults_keep_their_traceback(fault):
    def main():
        raise fault

    with pytest.raises(type(fault)):
        errors.run_main(main)


def test_output_to_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "tools/print_features.py", "-m", "MobileNetV3_small_x0_35", "--size", "32"]
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    assert done.returncode == 1
    assert done.stderr == "error: the output: cannot be written (No space left on device)\n"


def test_a_process_that_is_ended_says_nothing():
    """Paddle's handler of SIGTERM would print a C++ traceback, at each Ctrl-C of a chain."""
    program = (
        "import os, signal, time\nfrom ppcls_lite.utils.errors import quick_import\n"
        "with quick_import():\n    import paddle\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stdout, done.stderr) == (-15, "", "")


# ---- standard output that takes nothing


WITHOUT_RESULT = [
    ["tools/infer.py", "-c", "{config}", "-o", "Global.pretrained_model={weights}"],
    ["deploy/python/predict_cls.py", "-c", "deploy/configs/inference_cls.yaml", "-o"],
    ["test_tipc/lib/convergence.py", "test_log/MobileNetV3_small_x1_0/log_train.txt"],
    ["test_tipc/lib/versions.py"],
]
WITHOUT_RESULT[1] += ["Global.inference_model_dir={model}", "-o", "Global.infer_imgs=test_images"]


@pytest.mark.parametrize("words", WITHOUT_RESULT, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("place", "message"),
    [("&-", "error: standard output is closed: expected "), ("/dev/full", "No space left on device")],
)
def test_results_that_cannot_be_printed(exported, words, place, message):
    """A closed output gives status 1 and no results; a full disk is noticed also when the process ends."""
    words = [word.format(config=exported.config, weights=exported.weights, model=exported.model) for word in words]
    command = f"exec {sys.executable} {shlex.join(words)} >{place}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert message in lines[0]
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_what_was_printed_before_an_error_arrives(tmp_path):
    """The process ends without Python's own clean-up, which would have written it."""
    script = tmp_path / "late.py"
    script.write_text(
        "import paddle\nfrom ppcls_lite.utils.errors import UserError, run_main\n"
        "def main():\n    print('the first result')\n    raise UserError('the second')\nrun_main(main)\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=with_library(), capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stdout) == (1, "the first result\n")
