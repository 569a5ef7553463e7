"""The table of the document is that of the figures that were kept, and every network is in it."""

import pytest

from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import ROOT
from tools.tables import lite_table

DOCUMENT = ROOT / "test_tipc/docs/test_lite_arm_cpu_cpp.md"


def test_the_table_is_up_to_date():
    measured = lite_table.kept()
    assert list(measured["networks"]) == list(lite_table.NETWORKS)
    text = DOCUMENT.read_text(encoding="utf-8")
    block = text.partition(lite_table.BEGIN + "\n")[2].partition(lite_table.END)[0]
    command = "python tools/tables/lite_table.py --update test_tipc/docs/test_lite_arm_cpu_cpp.md"
    assert block == lite_table.as_markdown(measured, list(measured["networks"])), f"run: {command}"


def test_the_measured_differences_are_those_that_the_chain_allows():
    for name, figures in lite_table.kept()["networks"].items():
        assert figures["largest"] <= max(1e-5, 10 * figures["last_bit"]), name


def test_a_step_that_fails_is_one_line():
    with pytest.raises(UserError, match="no folder of an exported model"):
        lite_table.run(lite_table.sys.executable, lite_table.LIB / "lite_program.py", "nowhere", "--output", "nowhere")
