"""test_tipc/lib stands alone: copied elsewhere, its scripts run on the standard library.

Only what compares predictions needs more: agree.py, agree_onnx.py, their package, the observer and lite_*.py need NumPy
and Paddle; what writes numbers into a bundle needs NumPy; and what converts and runs files of ONNX or Paddle Lite needs
the packages for them.
"""

import ast
import json
import shutil
import subprocess
import sys

import pytest

from bundle_lineage import faults
from log_head import head_of, read_head
from tests.helpers.scripts import LIMIT, ROOT

LIB = ROOT / "test_tipc/lib"
FILES = sorted(path.relative_to(LIB).as_posix() for path in LIB.rglob("*.py"))
MODULES = [file[:-3] for file in FILES if "/" not in file]
WITH_PACKAGES = {"agree", "diagnose", "agree_onnx", "bundle_recordings", "bundle_rows", "convert_onnx"}
WITH_PACKAGES |= {name for name in MODULES if name.startswith("lite_")}
PACKAGES = {file.partition("/")[0] for file in FILES if "/" in file}
ALLOWED = {*MODULES, *PACKAGES, "numpy"} | {*getattr(sys, "stdlib_module_names", ())}
MORE = {
    "draw.py": {"matplotlib"},
    "agree.py": {"paddle"},
    "agree_onnx.py": {"paddle"},
    "convert_onnx.py": {"paddle", "paddle2onnx"},
    "diagnose.py": {"paddle"},
    "diagnosis/": {"paddle", "cv2", "PIL", "onnxruntime", "matplotlib", "observe"},  # most where they are installed
    "agreement/": {"paddle", "onnx", "onnxruntime", "openvino"},
    "observe/": {"paddle", "sitecustomize", "tipc_observe"},
    "lite/": {"paddle", "PIL"},
    "page/": {"PIL"},  # only where it is installed
    "lite_run.py": {"paddlelite"},
}


@pytest.mark.parametrize("name", sorted({*MODULES} - WITH_PACKAGES))
def test_it_runs_where_nothing_is_installed(tmp_path, name):
    shutil.copytree(LIB, tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-S", "-E", str(tmp_path / "lib" / f"{name}.py"), "--help"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_is_judged_where_nothing_is_installed(tmp_path):
    """The report of a run and the verdict on its loss, with a copy of the scripts and no package at all."""
    shutil.copytree(LIB, tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    line = "loss: {}, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.5 sec, avg_samples: 4, avg_ips: 8.0 images/sec\n"
    (tmp_path / "train.log").write_text("".join(line.format(2 - step / 200) for step in range(200)))
    (tmp_path / "steps.tsv").write_text(f"a\ttrain\tpassed\t1.0\t\t{tmp_path}/train.log\t\n")

    def run(name, *words):
        command = [sys.executable, "-S", "-E", str(tmp_path / "lib" / f"{name}.py"), *map(str, words)]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=LIMIT)

    done = run("convergence", tmp_path / "train.log")
    assert (done.returncode, done.stderr) == (0, "")
    assert "over 200 iterations: it fell" in done.stdout
    done = run("report", tmp_path, "--model", "net", "--mode", "lite", "--chain", "train")
    assert (done.returncode, done.stderr) == (0, "")
    assert faults(json.loads((tmp_path / "bundle.json").read_text()), tmp_path) == []
    assert "final loss 1.005" in done.stdout
    assert "passed: 1 step; the predictions were NOT compared" in done.stdout


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the list of standard modules needs Python 3.10")
@pytest.mark.parametrize("file", FILES)
def test_it_imports_nothing_of_the_library(file):
    more = next((names for place, names in MORE.items() if file.startswith(place)), set())
    assert imported(LIB / file) <= ALLOWED | more


def test_a_forbidden_import_would_be_seen(tmp_path):
    (tmp_path / "x.py").write_text("def f():\n    from ppcls_lite.utils import files\n    import tools.train\n")
    assert imported(tmp_path / "x.py") == {"ppcls_lite", "tools"}


def imported(path):
    """The outermost packages that a file imports, in functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


def test_every_bash_file_of_it_is_sourced_by_a_script():
    """A file that nobody sources would not be checked with the script that uses it."""
    scripts = [*LIB.parent.glob("*.sh")]
    text = "".join(script.read_text(encoding="utf-8") for script in scripts)
    assert {path.name for path in LIB.glob("*.sh") if f'/lib/{path.name}"' not in text} == set()


def test_the_head_of_a_log_ends_where_the_program_begins(tmp_path):
    lines = [
        "# command: python a.py -o x='# b: c'",
        "# started: now",
        "# started: later",
        "loss: 1",
        "# command: other",
    ]
    expected = {"command": "python a.py -o x='# b: c'", "started": "now"}
    assert head_of(lines) == expected
    (tmp_path / "log").write_text("\n".join(lines))
    assert read_head(tmp_path / "log") == expected
    assert head_of(["", *lines]) == {}
    assert [read_head(path) for path in (None, "", tmp_path, tmp_path / "none")] == [{}] * 4


def test_report_and_bundle_can_be_imported_in_any_order():
    for first in ("report", "bundle", "bundle_steps", "step_figures"):
        command = [sys.executable, "-c", f"import {first}, report, bundle"]
        done = subprocess.run(command, cwd=LIB, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
