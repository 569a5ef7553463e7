"""Every entry script: quick help without Paddle, and one line instead of a traceback for each bad input."""

import re
import subprocess
import sys

import pytest

from ppcls_lite.utils import errors
from tests.helpers.scripts import ROOT, assert_one_line, run_process

CONFIG_SCRIPTS = ["tools/train.py", "tools/eval.py", "tools/infer.py", "tools/export_model.py"]
CONFIG_SCRIPTS += ["deploy/python/predict_cls.py", "tools/compare_engines.py"]
OTHERS = ["test_tipc/lib/convergence.py", "test_tipc/lib/report.py", "test_tipc/lib/evidence.py"]
SERVING = ["convert", "classification_web_service", "pipeline_http_client", "pipeline_rpc_client", "benchmark"]
OTHERS += ["tools/compare_serving.py", *(f"deploy/paddleserving/{name}.py" for name in SERVING)]
OTHERS += ["tools/infer/predict.py", "tools/infer/infer.py", "tools/infer/py_infer.py"]
OTHERS += ["deploy/python/benchmark.py"]
HEAVY = ("paddle", "matplotlib", "PIL", "scipy")


def imported_by(script, *options):
    """The outermost packages that a script imports until it ends, and how it ended."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / script), *options], capture_output=True, text=True, timeout=60
    )
    names = re.findall(r"^import time: .*\| +([\w.]+)$", done.stderr, re.MULTILINE)
    return {name.partition(".")[0] for name in names}, done


@pytest.mark.parametrize("script", [*CONFIG_SCRIPTS, *OTHERS])
def test_help_needs_no_paddle(script):
    packages, done = imported_by(script, "--help")
    assert done.returncode == 0
    assert "argparse" in packages  # the names were read
    assert not packages & set(HEAVY)
    assert f"python {script}" in done.stdout or "predict_cls.py" in done.stdout  # a real line to copy
    assert "Exit code: 0" in done.stdout


@pytest.mark.parametrize("script", CONFIG_SCRIPTS)
def test_wrong_config_is_said_before_paddle_is_imported(script, tmp_path):
    options = ["-c", str(tmp_path / "none.yaml"), *(["--inference_model_dir", "x"] if "compare" in script else [])]
    packages, done = imported_by(script, *options)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: {tmp_path}/none.yaml: no such config file"
    assert not packages & set(HEAVY)


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
    content, message = (BAD_FILES_OF_DEPLOY if "predict" in script else BAD_FILES)[bad]
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    options = ["--inference_model_dir", "x"] if "compare" in script else []
    assert_one_line(run_here(script, "-c", path, *options), str(path), message)
    assert_one_line(run_here(script, "-c", tmp_path, *options), "expected a YAML file, found a folder")


@pytest.mark.parametrize("script", CONFIG_SCRIPTS)
def test_bad_override(script, run_here, exported):
    path = ROOT / "deploy/configs/inference_cls.yaml" if "predict" in script else exported.config
    options = ["--inference_model_dir", "x"] if "compare" in script else []
    for override, message in [
        ("Global.divice=cpu", "-o Global.divice: unknown key 'divice' in Global"),
        ("Global", "-o Global: expected KEY=VALUE"),
        ("Nowhere.key=1", "unknown key 'Nowhere'"),
    ]:
        assert_one_line(run_here(script, "-c", path, "-o", override, *options), message)


@pytest.mark.parametrize("script", ["tools/infer.py", "tools/export_model.py", "tools/eval.py"])
def test_hostile_weights_are_refused(script, run_here, exported, tmp_path):
    path = tmp_path / "w.pdparams"
    path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    options = ["-c", exported.config, "-o", f"Global.pretrained_model={path}"]
    assert_one_line(run_here(script, *options), "refused: the file asks to load 'os.system'")


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
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "error: the output: cannot be written (No space left on device)\n"


def test_a_process_that_is_ended_says_nothing():
    """Paddle's handler of SIGTERM would print a C++ traceback, at each Ctrl-C of a chain."""
    program = (
        "import os, signal, time\nfrom ppcls_lite.utils.errors import quick_import\n"
        "with quick_import():\n    import paddle\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-15, "", "")
