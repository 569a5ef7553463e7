"""The pages of the families: fresh tables, one page a network, and commands that are as they must be."""

import json
import re
import shlex

import pytest

from ppcls_lite.utils.config import load_config, read_yaml
from ppcls_lite.utils.errors import UserError
from tests.helpers.documents import Document
from tests.helpers.scripts import ROOT, assert_one_line
from tools.tables import family_pages
from tools.tables.bilingual import Writer, find_blocks
from tools.tables.model_table import ALL
from tools.tables.series import read_series, series_of

SCRIPT = "tools/tables/family_pages.py"
PAGES = sorted((ROOT / "docs/models").glob("*.md"))
NAMES = [path.stem for path in PAGES]
COMMANDS = re.compile(r"^python3? (tools/\w+\.py|(?:deploy/)?python/predict_cls\.py) (.*)$", re.MULTILINE)
ELSEWHERE = re.compile(r"distributed\.launch|pip install|test_tipc/test_\w+\.sh")  # not for a test
PREPARE = re.compile(r"^(?:bash test_tipc/prepare\.sh|source) .*\n", re.MULTILINE)


def commands_of(text):
    """The bash blocks of a document, each with its lines joined."""
    return [block.replace("\\\n", "") for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_the_tables_are_up_to_date(path):
    text, facts = path.read_text(encoding="utf-8"), family_pages.Facts(path.stem)
    blocks = find_blocks(path, family_pages.KIND, family_pages.TABLES)
    assert len(blocks) == 2 * len(family_pages.TABLES)
    for begin, end, table, language in blocks:
        shown = text.partition(begin + "\n")[2].partition(end)[0]
        written = table(facts, Writer(family_pages.WORDS, language, path.parent))
        assert shown == written, f"run: python {SCRIPT} --update docs/models/*.md"


def test_every_network_has_a_page():
    all_series = read_series()
    assert {series_of(name, all_series).page for name in ALL} == set(NAMES)


@pytest.fixture
def facts(monkeypatch, tmp_path):
    """The facts of MixNet, from copies of the kept figures that a test may spoil."""
    for path in family_pages.MEASURED.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(family_pages, "MEASURED", tmp_path)
    return lambda: family_pages.Facts("MixNet")


def write(table, facts):
    return table(facts(), Writer(family_pages.WORDS, "en", ROOT / "docs/models"))


def test_quoted_and_measured_figures_are_told_by_their_headings(facts):
    heading, _, small, *_ = write(family_pages.figures, facts).splitlines()
    quoted = read_yaml(ROOT / "docs/measured/quoted.yaml")["networks"]["MixNet_S"]
    cells = dict(zip(heading.split("|")[1:-1], small.split("|")[1:-1]))
    cells = {name.strip(): cell.strip() for name, cell in cells.items()}
    assert cells["*Reference top1* (%)<br>quoted"] == str(quoted["reference_top1"]) == "75.8"
    assert cells["top-1 (%)<br>quoted"] == str(quoted["top1"])
    measured = json.loads((ROOT / "docs/measured/models.json").read_text())["networks"]["MixNet_S"]
    assert cells["parameters (M)<br>measured"] == f"{measured['params_m']:.3f}"


def test_a_changed_figure_makes_another_table(facts, tmp_path):
    before = write(family_pages.latency, facts)
    kept = json.loads((tmp_path / "benchmark.json").read_text())
    row = next(row for row in kept["rows"] if row["network"] == "MixNet_S" and row["engine"] == "openvino")
    row["median_ms"] = 1234.5
    (tmp_path / "benchmark.json").write_text(json.dumps(kept))
    assert "1234.50" in write(family_pages.latency, facts)
    assert "1234.50" not in before
    kept["rows"] = []
    (tmp_path / "benchmark.json").write_text(json.dumps(kept))
    assert write(family_pages.latency, facts) == "Nothing was measured.\n"
    (tmp_path / "benchmark.json").write_text("{")
    with pytest.raises(UserError, match=r"benchmark.json: cannot be read"):
        facts()


def test_evidence_that_failed_is_not_shown(facts, monkeypatch):
    assert "[log](../../test_log/MixNet_S)" in write(family_pages.evidence, facts)
    runs = family_pages.read_runs
    monkeypatch.setattr(family_pages, "read_runs", lambda folder: [run._replace(passed=False) for run in runs(folder)])
    assert "test_log" not in write(family_pages.evidence, facts)


def test_an_unknown_page_is_one_line(run_here):
    assert_one_line(run_here(SCRIPT, "NoNet"), "NoNet: no network has this page; expected one of MobileNet, ")


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_every_command_can_be_read(path):
    """The config of each command is there, and knows every option that the command sets."""
    text = path.read_text(encoding="utf-8")
    found = [match for block in commands_of(text) for match in COMMANDS.findall(block)]
    assert len(found) >= 10  # of both languages
    for script, words in found:
        words = shlex.split(words)
        config = words[words.index("-c") + 1]
        options = [words[number + 1] for number, word in enumerate(words) if word == "-o"]
        if "predict_cls" in script:
            folder = ROOT if script.startswith("deploy/") else ROOT / "deploy"
            sections = read_yaml(folder / config)
            assert {option.partition("=")[0].split(".")[1] for option in options} <= set(sections["Global"]), words
        else:
            load_config(ROOT / config, options)


def test_a_wrong_option_would_be_seen():
    with pytest.raises(UserError, match="did you mean"):
        load_config(ROOT / "ppcls_lite/configs/lite_data.yaml", ["Global.output_dri=x"])


def test_the_commands_of_a_page_run_as_they_are_printed(tmp_path):
    document = Document([], tmp_path)
    text = (ROOT / "docs/models/MobileNet.md").read_text(encoding="utf-8").partition("\n---\n")[0]
    printed = []
    for block in commands_of(text):
        if ELSEWHERE.search(block):
            continue
        command = PREPARE.sub("", block).replace("tools/train.py", "tools/train.py -o Global.epochs=1")
        done = document.run(command)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert len(printed) == 4
    trained, evaluated, _, inferred = printed
    (prediction,) = re.findall(r"^\[\{'class_ids': \[(.*?)\]", trained, re.MULTILINE)
    assert "[Eval][Avg]" in evaluated
    assert f"chelsea.jpg: class id(s): [{prediction}]" in inferred  # both engines predict the same
