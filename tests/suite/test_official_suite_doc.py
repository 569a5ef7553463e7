"""docs/official_suite.md: its commands, word for word, for a network that is registered in a copy of the repository."""

import re
import shutil
import subprocess

import pytest

from tests.helpers.documents import examples_of, python_on_path
from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import copy_tree
from tests.suite.paddleclas import changes_of, make_checkout
from tools.suite.architecture import write_architecture

ENGLISH, CHINESE = ((ROOT / f"docs/official_suite{end}.md").read_text(encoding="utf-8") for end in ("", "_ch"))
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
MAKE, KNOWN = examples_of(ENGLISH)
(TRY,) = [body for kind, body in BLOCK.findall(ENGLISH) if "--dry_run" in body]
OWN_MODEL = "MobileNetV3_small_x1_0"
# what PaddleClas's files import of it, in miniature: enough to build their networks, as the real checkout does
PACKAGE = {
    "ppcls/arch/backbone/__init__.py": "from .legendary_models.pp_hgnet_v2 import PPHGNetV2_B0\n"
    "from .model_zoo.mixnet import MixNet_S\n",
    "ppcls/utils/save_load.py": "load_dygraph_pretrain = None\n",
}


def test_both_languages_show_the_same():
    assert BLOCK.findall(CHINESE) == BLOCK.findall(ENGLISH)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """(a copy of the repository with MyNet in it, a checkout beside it)"""
    folder = tmp_path_factory.mktemp("merge")
    tree = copy_tree(folder)
    shutil.copy(ROOT / "tests/suite/my_net.py", tree / "ppcls_lite/arch")
    package = tree / "ppcls_lite/arch/__init__.py"
    package.write_text(package.read_text().replace("    mixnet,\n", "    mixnet,\n    my_net,\n", 1))
    configs = tree / "test_tipc/configs"
    (configs / "MyNet_x1_0").mkdir()
    for name in ("train_infer_python.txt", "serving_infer_python.txt"):
        text = (configs / OWN_MODEL / name).read_text()
        (configs / "MyNet_x1_0" / name).write_text(text.replace(OWN_MODEL, "MyNet_x1_0"))
    written = {"legendary_models/pp_hgnet_v2.py": "PPHGNetV2_B0", "model_zoo/mixnet.py": "MixNet_S"}
    files = {f"ppcls/arch/backbone/{file}": write_architecture({name: ""}).text for file, name in written.items()}
    return tree, make_checkout(folder / "PaddleClas", {**PACKAGE, **files})


@pytest.fixture(scope="module")
def run(ground):
    """`run(command)`: the completed process of a command of the document."""
    tree, _ = ground
    environment = python_on_path(tree.parent)

    def start(command):
        return subprocess.run(
            ["bash", "-e", "-c", command], cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT
        )

    return start


@pytest.fixture(scope="module")
def made(run):
    return run(MAKE.command)


def test_the_files_are_made_as_the_document_shows(ground, made):
    assert made.returncode == 0, made.stderr
    assert made.stdout == MAKE.output
    changes = changes_of(ground[1])
    edited = {path for path, how in changes.items() if how == "M"}
    assert edited == {"ppcls/arch/backbone/__init__.py", "docs/zh_CN/models/ImageNet1k/README.md"} | {
        "docs/en/models/index.rst"
    }
    assert len(changes) == 9
    assert "from .model_zoo.my_net import MyNet_x1_0\n" in (ground[1] / "ppcls/arch/backbone/__init__.py").read_text()


def test_again_nothing_changes(ground, made, run):
    before = changes_of(ground[1])
    again = run(MAKE.command)
    assert again.returncode == 0, again.stderr
    assert "written: " not in again.stdout
    assert "my_net.py: all 27 entries have the same names and shapes" in again.stdout
    assert changes_of(ground[1]) == before


def test_what_is_known_is_compared(made, run):
    done = run(KNOWN.command)
    assert done.returncode == 0, done.stderr
    assert set(KNOWN.output.splitlines()) <= set(done.stdout.splitlines())


def test_the_chain_here_reads_what_was_made(made, run):
    done = run(TRY)
    assert done.returncode == 0, done.stderr
    assert "# dialect paddleclas, model MyNet_x1_0, mode lite_train_lite_infer" in done.stdout
    assert "train: (in .) " in done.stdout


def test_another_file_in_the_way_is_left_and_nothing_is_written(ground, made, run, tmp_path):
    checkout = make_checkout(tmp_path / "PaddleClas", {"ppcls/arch/backbone/model_zoo/my_net.py": "# mine\n"})
    done = run(MAKE.command.replace("../PaddleClas", f"'{checkout}'"))
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert "my_net.py: is there already, with another content; nothing was written" in done.stderr
    assert changes_of(checkout) == {}
