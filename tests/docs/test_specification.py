"""The audit of the documents: its rows are whole and name what is there, and each fault of a row is found."""

import copy
import shlex

import pytest

from ppcls_lite.utils.config import read_yaml
from tests.helpers.scripts import ROOT
from tests.helpers.shell import DRIVER, dry_run
from tools.tables import specification

CONTENT = read_yaml(ROOT / specification.ROWS)
HEADINGS = read_yaml(ROOT / specification.HEADINGS)
COMMANDS = sorted(
    {shown for row in CONTENT["rows"] for shown in row.get("shows", []) if not shown.startswith("tests/")}
)
CHAINS = [command for command in COMMANDS if command.startswith(f"bash {DRIVER} ")]
TEST = "tests/docs/test_specification.py::test_nothing_is_wrong"


def test_nothing_is_wrong():
    assert specification.find_faults(CONTENT, HEADINGS) == []


def test_the_document_has_the_rows():
    block = (ROOT / "docs/specification.md").read_text(encoding="utf-8").partition(specification.BEGIN + "\n")[2]
    update = "run: python tools/tables/specification.py --update docs/specification.md"
    assert block.partition(specification.END)[0] == specification.tables(CONTENT), update


def test_every_document_and_every_state_is_there():
    rows = CONTENT["rows"]
    assert {row["document"] for row in rows} == set(CONTENT["documents"])
    assert {row["state"] for row in rows} <= set(specification.STATES)
    assert {row["section"] for row in rows if row["document"] == "points"} == {str(number) for number in range(1, 13)}
    assert set(HEADINGS) < set(CONTENT["documents"])


@pytest.mark.parametrize("command", CHAINS)
def test_a_chain_of_the_rows_can_be_planned(command):
    config, *rest = shlex.split(command)[2:]
    run = dry_run(config, *rest)
    assert (run.status, run.err) == (0, "")


FAULTS = {
    "a file": ({"where": ["docs/none.md"]}, "no file docs/none.md"),
    "a file of a test": ({"shows": ["tests/docs/test_none.py::test_it"]}, "no file tests/docs/test_none.py"),
    "a test": ({"shows": [TEST.replace("nothing", "all")]}, "no test 'test_all_is_wrong' in tests/docs"),
    "the beginning of a test": ({"shows": [TEST[:-4]]}, "no test 'test_nothing_is_w'"),
    "a file without a test": ({"shows": [TEST.partition("::")[0]]}, "no test ''"),
    "a program": ({"shows": ["sh test_tipc/prepare.sh"]}, "expected bash, python or a test, found 'sh'"),
    "a script": ({"shows": ["python tools/trian.py"]}, "no script tools/trian.py"),
    "a config": (
        {"shows": ["python tools/train.py -c ppcls_lite/configs/x.yaml"]},
        "no file ppcls_lite/configs/x.yaml",
    ),
    "a file behind =": ({"shows": ["python tools/infer/predict.py -i=test_images/x.jpg"]}, "no file test_images/x.jpg"),
    "an option": ({"shows": ["python tools/train.py --confg x"]}, "tools/train.py has no option --confg"),
    "the beginning of an option": ({"shows": ["bash tests/run.sh --gpu"]}, "tests/run.sh has no option --gpu"),
    "an option of a shell script": ({"shows": [f"bash {DRIVER} --dry"]}, f"{DRIVER} has no option --dry"),
    "a document": ({"document": "seventh"}, "the document is not in the list"),
    "a state": ({"state": "Done"}, "state: expected one of done, partly, not yet, cannot, found 'Done'"),
    "no place": ({"where": []}, "a row that is done says where"),
    "no proof": ({"shows": []}, "a row that is done says where, and what shows it"),
    "no reason": ({"state": "partly"}, "a row that is 'partly' says why in its note"),
    "no text": ({"asks": ""}, "'asks': expected a text, found ''"),
    "a number": ({"section": 1}, "'section': expected a text, found 1"),
    "a key": ({"shown": []}, "unknown key 'shown'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_row_is_found(fault):
    change, expected = FAULTS[fault]
    good = {"document": "guide", "section": "9", "asks": "it", "state": "done", "where": ["docs"], "shows": [TEST]}
    content = {"documents": CONTENT["documents"], "rows": [good]}
    assert specification.find_faults(content, {}) == []
    found = specification.find_faults({**content, "rows": [{**good, **change}]}, {})
    assert len(found) == 1
    assert expected in found[0]


def test_a_section_without_a_row_and_a_row_that_is_there_twice_are_found():
    content = copy.deepcopy(CONTENT)
    rows = content["rows"]
    content["rows"] = [row for row in rows if (row["document"], row["section"]) != ("mixnet", "4.5")] + [rows[0]]
    faults = specification.find_faults(content, HEADINGS)
    assert [fault.partition(": ")[2] for fault in faults] == [
        "mixnet 4.5 端侧部署: has no row",
        f"guide 1: two rows for '{rows[0]['asks']}'",
    ]


def test_what_a_cell_holds_does_not_break_the_table():
    row = {"document": "guide", "section": "9", "asks": "a | b", "state": "cannot", "note": "c | d"}
    assert specification.line_of(row) == "| 9 | a \\| b | - | - | cannot: c \\| d |"
