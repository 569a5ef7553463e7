"""Documents in Chinese and English: both halves have the same commands, tables and sections."""

import re

import pytest

from tests.helpers.scripts import ROOT

BETWEEN = "\n---\n"
ALWAYS = {"README.md", "any_project.md", "bundle.md", "configs.md", "faq.md"}
ALWAYS |= {"run_all.md", "test_train_inference_python.md"}
ALWAYS |= {f"test_{chain}.md" for chain in ("inference_cpp", "lite_arm_cpu_cpp", "paddle2onnx", "serving_infer_cpp")}
ALWAYS |= {"check_submission.md", "doctor.md", "lint_config.md", "report.md"}
PATHS = [ROOT / "test_tipc/README.md", *sorted((ROOT / "test_tipc/docs").glob("*.md"))]
PATHS = [path for path in PATHS if path.name in ALWAYS] + sorted((ROOT / "docs/models").glob("*.md"))
PATHS += [ROOT / "docs/diagnose.md"]
PATHS += [ROOT / "deploy" / folder / "README.md" for folder in ("cpp", "docker", "lite", "paddle2onnx")]
NAMES = [path.relative_to(ROOT).as_posix() for path in PATHS]
TREE = re.compile(r"<!-- layout: begin -->\n```text\n(.*?)```\n<!-- layout: end -->\n", re.DOTALL)
# tables that are there once, for both halves
FIGURES = re.compile(
    r"<!-- (lite table: begin|planted faults) -->.*?<!-- (lite table: end|end of planted faults) -->\n", re.DOTALL
)
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def halves(path):
    chinese, *english = FIGURES.sub("", TREE.sub("", path.read_text(encoding="utf-8"))).split(BETWEEN)
    assert len(english) == 1, f"{path}: expected one line --- between Chinese and English"
    return chinese, english[0]


def shape(text):
    """What both halves share: code without remarks, levels of headings, columns and lines of tables."""
    code = [re.sub(r" *#.*", "", block) for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)]
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#+(?= )", text, re.MULTILINE)
    tables = [
        (len(table.splitlines()), table.splitlines()[1]) for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    ]
    return code, headings, tables


def test_the_documents_of_the_chains_are_in_both_languages():
    assert {path.name for path in PATHS} > ALWAYS


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_both_halves_have_the_same_shape(path):
    chinese, english = map(shape, halves(path))
    assert chinese == english


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_each_half_is_in_its_language(path):
    chinese, english = halves(path)
    assert len(CHINESE.findall(chinese)) > 200
    assert f"[English below](#{anchor(english)})" in chinese
    # a few words stay: a title that must be typed, the name of an anchor
    assert len(CHINESE.findall(english)) < 20


def anchor(english):
    heading = re.search(r"^# (.+)$", english, re.MULTILINE)[1]
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_a_difference_would_be_seen():
    text = "# T\n\n```bash\nrun it # now\n```\n\n| a |\n|---|\n| b |\n"
    assert shape(text) == shape(text.replace("# now", "# later").replace("| b |", "| c |"))
    for old, new in (("run it", "run that"), ("# T", "## T"), ("| b |\n", ""), ("|---|", "|---:|")):
        assert shape(text) != shape(text.replace(old, new)), new


def test_the_tree_in_the_overview_is_the_folder():
    (tree,) = TREE.findall((ROOT / "test_tipc/README.md").read_text(encoding="utf-8"))
    named = re.findall(r"^[├└]── (\S+)", tree, re.MULTILINE)
    named = {name.split("/")[0] for name in named}
    there = {path.name for path in (ROOT / "test_tipc").iterdir() if path.name not in ("output", "__pycache__")}
    assert named == there
    configs = set(re.findall(r"^│   [├└]── (\S+)", tree, re.MULTILINE))
    assert configs <= {path.name for path in (ROOT / "test_tipc/configs").glob("*/*.txt")}
