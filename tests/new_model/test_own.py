"""new_model.sh for a network of one's own: all files or none, whatever name, fault or kill comes."""

import ast
import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ppcls_lite.utils import together
from ppcls_lite.utils.config import load_config, read_yaml
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT
from tests.helpers.shell import assert_one_error
from tests.new_model.conftest import content, new_model
from tools.model_names import Names
from tools.new_model import write_model

NEW = {
    "ppcls_lite/arch/my_net.py",
    "ppcls_lite/configs/MyNet.yaml",
    "docs/models/own/MyNet.md",
    "tests/arch/test_my_net.py",
    *(
        f"test_tipc/configs/MyNet/{name}.txt"
        for name in (
            "train_infer_python",
            "serving_infer_python",
            "serving_infer_cpp",
            "paddle2onnx_infer_python",
            "inference_cpp",
            "lite_arm_cpu_cpp",
            "model_linux_gpu_normal_normal_serving_python_linux_gpu_cpu",
        )
    ),
}
CHANGED = {"ppcls_lite/arch/__init__.py", "docs/models/series.yaml", "docs/models.md"}


def run(tree, *words, **environment):
    return new_model(tree, *words, place=tree.parent, **environment)


def files_of(tree):
    return {path: text for path, text in content(tree).items() if text is not None}


def test_all_files_are_written_and_named(tree):
    before = files_of(tree)
    done = run(tree, "MyNet")
    assert (done.status, done.err) == (0, "")
    after = files_of(tree)
    assert set(after) - set(before) == NEW
    assert {path for path in before if before[path] != after[path]} == CHANGED
    assert {line.strip() for line in done.out.splitlines() if line.strip() in NEW | CHANGED} == NEW | CHANGED
    assert len(done.out.partition("next:\n")[2].splitlines()) == 3
    assert not [path for path, text in after.items() if path in NEW and re.search(rb"\$\{?\w|ShuffleNet", text)]
    assert "    my_net,\n" in (tree / "ppcls_lite/arch/__init__.py").read_text()
    assert load_config(tree / "ppcls_lite/configs/MyNet.yaml")["Arch"] == {"name": "MyNet", "class_num": 6}
    assert next(iter(read_yaml(tree / "docs/models/series.yaml"))) == "MyNet"


@pytest.mark.parametrize(
    ("name", "module", "registered", "width"),
    [
        ("MyNet", "my_net", "class MyNet", 16),
        ("my_net", "my_net", "def my_net", 16),
        ("MyNet_x1_0", "my_net", "def MyNet_x1_0", 16),
        ("MyNet_x0_25", "my_net", "def MyNet_x0_25", 4),
        ("HTTPNetV2_B0", "http_net_v2_b0", "def HTTPNetV2_B0", 16),
        ("Class", "class_net", "class Class", 16),
        ("x", "x", "def x", 16),
    ],
)
def test_every_spelling_of_a_name_becomes_python(tree, name, module, registered, width):
    write_model(tree, name)
    text = (tree / f"ppcls_lite/arch/{module}.py").read_text()
    ast.parse(text)
    assert re.search(rf"^@ARCH.register\n{registered}\(", text, re.MULTILINE)
    assert re.search(rf"\b(width=)?{width}\b", text)
    assert Names.of(name).width == width
    for path in files_of(tree):
        if path.endswith(".py"):
            ast.parse((tree / path).read_text())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my-net", "'my-net' is not a name: expected letters, digits and _"),
        ("3net", "'3net' is not a name"),
        ("_net", "'_net' is not a name"),
        ("", "'' is not a name"),
        ("../../etc/x", "'../../etc/x' is not a name"),
        ("a" * 65, "is not a name"),
        ("Сеть", "is not a name"),
        ("My\nNet", r"'My\nNet' is not a name"),
        ("class", "'class' is a word of Python"),
        ("None", "'None' is a word of Python"),
        ("paddle", "'paddle' cannot be used: the file of the network needs ARCH, ConvBN"),
        ("ConvBN", "'ConvBN' cannot be used"),
        ("super", "'super' cannot be used: Python has that name already; try MySuper"),
        ("Warning", "'Warning' cannot be used"),
        ("MixNet_S", "MixNet_S: the network MixNet_S is there already: test_tipc/configs/MixNet_S"),
        ("mixnet_s", "mixnet_s: the network MixNet_S is there already"),
        ("CenterNet", "the network CenterNet is there already"),
        ("Registry", "ppcls_lite/arch/registry.py is there already; another width"),
        ("mobilenet_v3_small", "mobilenet_v3_small: test_tipc/configs/mobilenet_v3_small is there already"),
        ("lite_data", "lite_data: ppcls_lite/configs/lite_data.yaml is there already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tree, name, message):
    before = content(tree)
    with pytest.raises(UserError) as refused:
        write_model(tree, name)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert content(tree) == before


def test_a_second_run_says_what_is_there(tree):
    assert run(tree, "MyNet").status == 0
    before = content(tree)
    assert_one_error(run(tree, "MyNet"), "the network MyNet is there already: ppcls_lite/arch/my_net.py, ppcls_lite/")
    assert_one_error(run(tree, "MyNet_x0_5"), "my_net.py is there already; another width or depth of a network is reg")
    assert content(tree) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "usage: bash test_tipc/new_model.sh NAME"),
        (["A", "B"], "usage: bash test_tipc/new_model.sh NAME"),
        (["A", "--from"], "--from: expected the name of a network"),
        (["A", "--from", "MixNet_XL"], "--from: unknown network 'MixNet_XL' (did you mean 'MixNet_L'?)"),
        (["A", "--from", "CenterNet"], "--from: unknown network 'CenterNet'"),
        (["A", "--run_help"], "--run_help: is for --project"),
        (["A", "--project", ".", "--from", "MixNet_L"], "--from: is for a network of this repository"),
        (["A", "--force"], "unknown option '--force'"),
    ],
)
def test_wrong_command_lines_are_one_line(tree, words, message):
    before = content(tree)
    assert_one_error(run(tree, *words), message)
    assert content(tree) == before


# ---- a network to begin with


@pytest.mark.parametrize("source", ["ResNet50_vd", "MobileNetV3_small_x1_0", "PPHGNetV2_B0", "ResNet18"])
def test_a_copy_registers_one_network(tree, source):
    write_model(tree, "MyNet", source)
    text = (tree / "ppcls_lite/arch/my_net.py").read_text()
    assert re.findall(r"@ARCH.register\n(?:def|class) (\w+)", text) == ["MyNet"]
    assert text.startswith(f'"""MyNet, begun as {source}. ')
    assert re.findall(r"weights_folder = (\S+)", text) == ["None"]
    assert "ssld_only" not in text


def test_copies_are_the_networks_that_they_were(tree):
    sources = {"CopyA": "MobileNetV3_small_x0_35", "CopyB": "ResNet18_vd", "CopyC": "MixNet_S"}
    for name, source in sources.items():
        write_model(tree, name, source)
    program = (
        "import sys\nfrom ppcls_lite.arch import build_model\n"
        "for pair in sys.argv[1:]:\n    a, b = [build_model(name, class_num=6) for name in pair.split(':')]\n"
        "    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (a, b)]\n"
        "    assert shapes[0] == shapes[1] and a.weights_folder is None, pair\n"
    )
    pairs = [f"{name}:{source}" for name, source in sources.items()]
    done = subprocess.run([sys.executable, "-c", program, *pairs], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_copy_is_trained_as_the_chain_of_its_source(tree):
    write_model(tree, "MyNet", "ResNet50_vd")
    source, own = (
        (tree / f"test_tipc/configs/{name}/train_infer_python.txt").read_text() for name in ("ResNet50_vd", "MyNet")
    )
    for pattern in (r"^-o Global.epochs:lite_train=(\d+)", r"batch_size:lite_train=(\d+)"):
        assert re.search(pattern, own, re.MULTILINE)[1] == re.search(pattern, source, re.MULTILINE)[1]


# ---- all or nothing


class Planted(OSError):
    """What a full disk says."""

    def __init__(self, name):
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC), str(name))


@pytest.mark.parametrize(("call", "count"), [("link", len(NEW)), ("replace", len(CHANGED))])
def test_a_disk_that_fills_up_at_any_file_leaves_nothing(tree, monkeypatch, call, count):
    before, original = content(tree), getattr(os, call)
    for number in range(count):
        left = [number]

        def fail(source, target, left=left):
            if "to_write" in str(source) and together.WAITING not in str(target):  # it is put into its place
                left[0] -= 1
                if left[0] < 0:
                    raise Planted(target)
            return original(source, target)

        monkeypatch.setattr(os, call, fail)
        with pytest.raises(UserError, match=r"cannot be written .No space left on device.; nothing was changed$"):
            write_model(tree, "MyNet")
        monkeypatch.setattr(os, call, original)
        assert content(tree) == before, number
    write_model(tree, "MyNet")


def test_a_file_system_without_hard_links(tree, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted", str(source))

    monkeypatch.setattr(os, "link", refuse)
    write_model(tree, "MyNet")
    assert set(files_of(tree)) >= NEW
    with pytest.raises(UserError, match="is there already"):
        together.write_together(tree, {"docs/models.md": "x"}, {})
    assert not (tree / together.WAITING).exists()


KILLED = """
import os, signal, sys
sys.path.insert(0, {tree!r})
original, left = os.link, {number}
def link(source, target):
    global left
    original(source, target)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.{signal})
os.link = link
replace = os.replace
def replaced(source, target, **more):
    global left
    replace(source, target, **more)
    if "series.yaml" in str(target) and "before" not in str(source) and {number} > 11:
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.{signal})
os.replace = replaced
from tools.new_model import write_model
write_model({tree!r}, "MyNet")
"""


@pytest.mark.parametrize("number", [1, 6, 11, 12])
def test_after_a_kill_the_next_run_takes_everything_back(tree, number):
    before = content(tree)
    program = KILLED.format(tree=str(tree), number=number, signal="SIGKILL")
    assert subprocess.run([sys.executable, "-c", program], timeout=LIMIT).returncode == -signal.SIGKILL
    assert content(tree) != before
    assert together.take_back_interrupted(tree)
    assert content(tree) == before
    assert not together.take_back_interrupted(tree)


def test_the_command_itself_takes_back_and_writes(tree):
    program = KILLED.format(tree=str(tree), number=5, signal="SIGKILL")
    subprocess.run([sys.executable, "-c", program], timeout=LIMIT)
    done = run(tree, "OtherNet")
    assert done.status == 0, done.err
    assert done.out.startswith("note: what an interrupted run had begun was taken back\n")
    assert not (tree / "ppcls_lite/arch/my_net.py").exists()
    assert (tree / "ppcls_lite/arch/other_net.py").exists()


def test_what_was_edited_after_a_kill_stays(tree):
    program = KILLED.format(tree=str(tree), number=5, signal="SIGKILL")
    subprocess.run([sys.executable, "-c", program], timeout=LIMIT)
    (tree / "ppcls_lite/arch/my_net.py").write_text("# mine\n")
    assert together.take_back_interrupted(tree)
    assert (tree / "ppcls_lite/arch/my_net.py").read_text() == "# mine\n"
    assert not (tree / "ppcls_lite/configs/MyNet.yaml").exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_leaves_nothing(tree, name):
    before = content(tree)
    program = KILLED.format(tree=str(tree), number=4, signal=name)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=LIMIT)
    assert done.returncode != 0
    assert content(tree) == before


READ_ONLY = """
import os, sys
sys.path.insert(0, os.getcwd())
from ppcls_lite.utils.errors import UserError
from tools.new_model import write_model
if os.getuid() == 0:
    os.seteuid(65534)  # root writes everywhere
try:
    write_model(".", "MyNet")
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize("folder", ["docs/models", "test_tipc/configs", "."])
def test_folders_that_cannot_be_written(pristine, folder):
    with tempfile.TemporaryDirectory() as place:  # someone else may not enter the folders of the other tests
        os.chmod(place, 0o755)
        refused_there(shutil.copytree(pristine, Path(place, "tree")), folder)


def refused_there(tree, folder):
    for path in (tree, *(tree / name for name, text in content(tree).items() if text is None)):
        path.chmod(0o777)
    (tree / folder).chmod(0o555)
    before = content(tree)
    done = subprocess.run([sys.executable, "-B", "-c", READ_ONLY], cwd=tree, capture_output=True, text=True)
    assert re.fullmatch(r"\S+: cannot be written \(Permission denied\); nothing was changed\n", done.stdout), done
    assert content(tree) == before


def test_two_at_once(tree):
    folder = os.open(tree, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    assert_one_error(run(tree, "MyNet"), "another process writes here: wait for its end")
    os.close(folder)


def test_a_repository_that_is_not_whole(tree):
    (tree / "docs/models.md").write_text("no marks\n")
    before = content(tree)
    assert_one_error(run(tree, "MyNet"), "docs/models.md: expected one line <!-- own networks: end -->")
    (tree / "docs/models.md").unlink()
    assert_one_error(run(tree, "MyNet"), "docs/models.md: cannot be read")
    del before["docs/models.md"]
    assert content(tree) == before
