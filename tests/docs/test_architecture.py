"""Who knows whom: the drawing is the current one, no arrow runs upward, and planted faults are found."""

import shutil

import pytest

from tests.helpers.scripts import ROOT
from tools.tables import architecture
from tools.tables.graph import find_circles, without_shortcuts
from tools.tables.references import ROOTS, read_references

SCRIPT = "tools/tables/architecture.py"
DOCUMENT = ROOT / "docs/architecture.md"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A copy of all that is read."""
    copy = tmp_path_factory.mktemp("copy")
    for path in (path for folder in ROOTS for path in (ROOT / folder).rglob("*")):
        name = path.relative_to(ROOT)
        if path.suffix in (".py", ".sh", ".txt") and not {"output", "models"} & set(name.parts):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy / name)
    return copy


@pytest.fixture
def tree(pristine, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(pristine, tmp_path / "tree")


@pytest.fixture(scope="module")
def known_faults(pristine):
    return architecture.find_faults(pristine)


@pytest.fixture
def new_faults(tree, known_faults):
    """`new_faults(file, text)` appends `text` to a file of the copy: what is found wrong with it then, and where."""

    def plant(name, text):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        with open(tree / name, "a+", encoding="utf-8") as stream:
            stream.seek(0)
            line = len(stream.readlines()) + 1
            stream.write(text)
        return [fault for fault in architecture.find_faults(tree) if fault not in known_faults], line

    return plant


def test_no_arrow_runs_upward():
    assert architecture.find_faults(ROOT) == []


def test_the_drawing_in_the_document_is_the_current_one(run_here):
    drawn = run_here(SCRIPT).out
    block = DOCUMENT.read_text().partition(architecture.BEGIN + "\n")[2].partition(architecture.END)[0]
    assert block == drawn, "run: python tools/tables/architecture.py --update docs/architecture.md"


def test_the_drawing_is_plain_mermaid(run_here):
    drawing = run_here(SCRIPT).out.partition("```mermaid\n")[2].partition("```")[0].splitlines()
    nodes = {line.strip().partition("[")[0] for line in drawing if line.endswith('"]') and "subgraph" not in line}
    arrows = [line.split() for line in drawing if "->" in line]
    assert drawing[0] == "flowchart TD"
    assert all(node.isidentifier() for node in nodes)
    assert arrows
    assert {arrow for _, arrow, _ in arrows} == {"-->", "-.->"}
    assert {node for source, _, target in arrows for node in (source, target)} == nodes


@pytest.mark.parametrize(
    ("file", "text", "target"),
    [
        ("ppcls_lite/utils/log.py", "from ppcls_lite.data import loader\n", "ppcls_lite/data/loader.py"),
        ("ppcls_lite/arch/layers.py", "import ppcls_lite.train.loop as loop\n", "ppcls_lite/train/loop.py"),
        ("ppcls_lite/infer/predict.py", "from ppcls_lite.train.loop import train\n", "ppcls_lite/train/loop.py"),
        ("ppcls_lite/infer/model/files.py", "from .. import predict\n", "ppcls_lite/infer/predict.py"),
        ("ppcls_lite/benchmark/rows.py", "from tools import train\n", "tools/train.py"),
        ("deploy/python/predict_cls.py", "from ppcls_lite.train.loop import train\n", "ppcls_lite/train/loop.py"),
        ("test_tipc/lib/steps.py", "from ppcls_lite.utils.errors import UserError\n", "ppcls_lite/utils/errors.py"),
    ],
)
def test_an_upward_import_is_found(new_faults, file, text, target):
    faults, line = new_faults(file, text)
    assert faults[0].startswith(f"{file}:{line}: imports {target}, but ")


def test_an_import_inside_a_function_counts(new_faults):
    text = "\n\ndef f():\n    if f:\n        from ppcls_lite.infer.predict import Predictor\n"
    faults, line = new_faults("ppcls_lite/data/loader.py", text)
    assert len(faults) == 1
    assert faults[0].startswith(f"ppcls_lite/data/loader.py:{line + 4}: imports ppcls_lite/infer/predict.py, but ")
    assert faults[0].endswith("ppcls_lite/data may import only ppcls_lite/utils")


def test_a_file_that_is_named_counts(new_faults, tree):
    faults, line = new_faults("ppcls_lite/benchmark/rows.py", 'TOOL = "tools/train.py"\n"""tools/eval.py"""\n')
    assert faults == [
        f"ppcls_lite/benchmark/rows.py:{line}: names tools/train.py, but ppcls_lite/benchmark may name no other folder"
    ]


@pytest.mark.parametrize(
    "line", ["python tools/train.py", '"${RUN[python]}" "$ROOT/tools/data/$1"', "bash tools/tables/train_centernets.sh"]
)
def test_a_command_of_the_shared_scripts_counts(new_faults, line):
    """`test_tipc/lib` works in any repository: what a chain runs of ours is said in the chain."""
    faults, number = new_faults("test_tipc/lib/lock.sh", f"# python tools/eval.py\n{line}\n")
    assert len(faults) == 1
    assert faults[0].startswith(f"test_tipc/lib/lock.sh:{number + 1}: names tools/")


def test_only_the_training_engine_knows_the_networks(new_faults):
    faults, line = new_faults("ppcls_lite/infer/predict.py", "from ppcls_lite.arch import build_model\n")
    place = f"ppcls_lite/infer/predict.py:{line}: imports ppcls_lite/arch/__init__.py"
    assert faults[0].startswith(f"{place}, but in ppcls_lite/infer only ")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from tools import nothing\n", "tools.nothing"),
        ("import ppcls_lite.utils.nothing\n", "ppcls_lite.utils.nothing"),
        ("from ppcls_lite.utils.nothing import thing\n", "ppcls_lite.utils.nothing.thing"),
    ],
)
def test_a_module_that_does_not_exist_is_found(new_faults, text, name):
    faults, line = new_faults("tools/train.py", text)
    assert faults == [f"tools/train.py:{line}: imports {name}, which does not exist"]


def test_a_circle_is_found(new_faults):
    new_faults("ppcls_lite/data/first.py", "from ppcls_lite.data.second import thing\n")
    new_faults("ppcls_lite/data/second.py", "\nfrom ppcls_lite.data import third\n")
    faults, _ = new_faults("ppcls_lite/data/third.py", "def f():\n    import ppcls_lite.data.first\n")
    way = "ppcls_lite/data/first.py:1 -> ppcls_lite/data/second.py:2 -> ppcls_lite/data/third.py:2"
    assert faults == [
        f"ppcls_lite/data/first.py:1: a circle of imports: {way} -> ppcls_lite/data/first.py",
    ]


@pytest.mark.parametrize("folder", ["ppcls_lite/extra", "ppcls_lite/infer/extra", "tools/extra"])
def test_a_new_folder_needs_a_layer(new_faults, folder):
    faults, _ = new_faults(f"{folder}/thing.py", "import os\n")
    assert faults == [f"{folder}/thing.py: the folder {folder} is not in FOLDERS of tools/tables/architecture.py"]


def test_a_subfolder_belongs_to_its_folder(new_faults):
    assert new_faults("ppcls_lite/data/extra/thing.py", "import ppcls_lite.utils.errors\n")[0] == []


def test_update_replaces_the_block_and_faults_end_with_one(run_here, tree, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n{architecture.BEGIN}\nold\n{architecture.END}\nbelow\n")
    with open(tree / "ppcls_lite/utils/log.py", "a") as stream:
        stream.write("import ppcls_lite.train.loop\n")
    outcome = run_here(SCRIPT, "--root", tree, "--update", page)
    assert outcome.status == 1
    assert "error: ppcls_lite/utils/log.py:" in outcome.err
    before, _, rest = page.read_text().partition(architecture.BEGIN + "\n")
    block, _, after = rest.partition(architecture.END)
    assert (before, after) == ("above\n", "\nbelow\n")
    assert block == architecture.draw(architecture.find_arrows(read_references(tree)))


def test_every_folder_that_is_stated_exists():
    words = {word for folder in architecture.FOLDERS.values() for word in f"{folder.imports} {folder.runs}".split()}
    names = {architecture.full_name(word) for word in words}
    assert names - {"docs"} <= set(architecture.FOLDERS)
    assert all((ROOT / name).is_dir() for name in {*architecture.FOLDERS, *architecture.PART_OF, *names})
    for (folder, _), files in architecture.ONLY_IN.items():
        assert all((ROOT / folder / file).is_file() for file in files)


def test_arithmetic_of_graphs():
    assert find_circles({"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": ["d"]}) == [["a", "b", "c", "a"], ["d", "d"]]
    assert find_circles({"a": ["b", "c"], "b": ["c"]}) == []
    assert without_shortcuts({("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}) == {("a", "b"), ("b", "c"), ("a", "d")}
    assert without_shortcuts({("a", "b"), ("b", "a")}) == {("a", "b"), ("b", "a")}
