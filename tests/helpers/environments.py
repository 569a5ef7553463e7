"""A Python that makes environments in no time, and chains that end at once: ground for what tries many versions.

The program stands for python3.11: `-m venv` copies it, and `-m pip` writes down its words. Files in the folder of the
test decide: `no_wheel` and `no_network` make an installation of ours fail, `no_serving` that of Paddle Serving.
"""

import json
import shutil
import stat
import sys

from tests.helpers.pairs import STEPS
from tests.helpers.scripts import ROOT

PROGRAM = """#!{python}
import pathlib, shutil, sys
ground, words = pathlib.Path({ground!r}), sys.argv[1:]
text = " ".join(words)
if words[:1] == ["-V"]:
    print("Python 3.11.7")
elif words[:2] == ["-m", "venv"]:
    target = pathlib.Path(words[2]) / "bin"
    target.mkdir(parents=True)
    shutil.copy(__file__, target / "python")
elif words[:4] == ["-m", "pip", "index", "versions"]:
    others = (ground / "no_gpu_wheel").exists() and words[words.index("--python-version") + 1] == "3.12"
    print("Available versions: 2.6.1, 2.5.2" if others else "Available versions: 2.6.2, 2.6.1")
elif words[:2] == ["-m", "pytest"]:
    with open(ground / "pytest", "a") as calls:
        print(text, file=calls)
    sys.exit((ground / "options_fail").exists())
elif words[:3] == ["-m", "pip", "list"]:
    print("numpy==2.4.6", "paddlepaddle==3.1.1", "protobuf==7.1", sep=chr(10))
elif words[:2] == ["-m", "pip"]:
    with open(ground / "pip", "a") as calls:
        print(text, file=calls)
    if (ground / "no_wheel").exists():
        print("ERROR: Could not find a version that satisfies the requirement paddlepaddle (from versions: 3.0.0)")
        sys.exit("ERROR: No matching distribution found for paddlepaddle==3.1.1")
    if (ground / "no_network").exists():
        print("WARNING: Retrying: Failed to establish a new connection: [Errno 101]")
        sys.exit("ERROR: No matching distribution found for paddlepaddle")
elif words[:1] == ["tools/compare_engines.py"]:
    pathlib.Path(words[words.index("--save") + 1]).write_text('[{{"engine": "strict", "largest": 0, "agrees": true}}]')
elif words[:1] in (["tools/tables/versions_table.py"], ["tests/known_failures.py"]):
    with open(ground / pathlib.Path(words[0]).stem, "a") as calls:
        print(text, file=calls)
    sys.exit("known" in words[0] and (ground / "judge_fails").exists())
"""
CHAIN = """#!/usr/bin/env bash
# a chain that ends at once: {part}
echo {part} >>'{ground}/chains'
[[ ! -e '{ground}/stop' ]] || sleep 300
mkdir -p "$TIPC_OUTPUT/{place}/norm_train_gpus_-1_autocast_null_nodes_1/inference"
touch "$TIPC_OUTPUT/{place}/norm_train_gpus_-1_autocast_null_nodes_1/inference/inference.pdmodel"
cp '{ground}/{part}.json' "$TIPC_OUTPUT/{place}/summary.json"
[[ ! -e '{ground}/{part}.fails' ]]
"""
SELECT = """#!/usr/bin/env bash
case $1 in *CenterNet*) exec bash '{ground}/detector.sh' ;; *) exec bash '{ground}/classifier.sh' ;; esac
"""


def make_ground(tmp_path):
    """(folder of the test, a copy of the scripts, the environment in which they find the program above)."""
    ground, tree, programs = tmp_path / "ground", tmp_path / "tree", tmp_path / "bin"
    for folder in (ground, programs, tree / "tools/tables", tree / "tests"):
        folder.mkdir(parents=True)
    shutil.copytree(ROOT / "test_tipc", tree / "test_tipc", ignore=shutil.ignore_patterns("output", "__pycache__"))
    for name in ("tools/tables/pair.sh", "tools/tables/versions.sh", "tests/lanes.sh"):
        shutil.copy(ROOT / name, tree / name)
    for path in ROOT.glob("requirements*.txt"):
        shutil.copy(path, tree)
    for path in (ROOT / "tests").glob("requirements*.txt"):
        shutil.copy(path, tree / "tests")
    for part, (place, _) in STEPS.items():
        (ground / f"{part}.sh").write_text(CHAIN.format(part=part, ground=ground, place=place))
        summary = {"passed": True, "compared": True, "whole": True, "verdict": f"passed: {part}", "steps": []}
        (ground / f"{part}.json").write_text(json.dumps(summary))
    scripts = tree / "test_tipc"
    (scripts / "test_train_inference_python.sh").write_text(SELECT.format(ground=ground))
    shutil.copy(ground / "serving.sh", scripts / "test_serving.sh")
    fails = f"[[ ! -e '{ground}/no_serving' ]] || {{ echo 'error: no grpcio'; exit 1; }}\n"
    (scripts / "install_serving.sh").write_text(fails)
    program = programs / "python3.11"
    program.write_text(PROGRAM.format(python=sys.executable, ground=str(ground)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tree / ".venv/bin").mkdir(parents=True)
    shutil.copy(program, tree / ".venv/bin/python")
    path = f"{programs}:/usr/bin:/bin"
    return ground, tree, {"PATH": path, "PYENV_ROOT": str(tmp_path / "none"), "TIPC_PYTHON": str(program)}


def calls(ground, name):
    """The lines that programs wrote down."""
    path = ground / name
    return path.read_text().splitlines() if path.exists() else []
