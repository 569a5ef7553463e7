"""The table of ONNX files: both documents show the kept figures, and all networks agree."""

import json

import pytest

from ppcls_lite.arch import ARCH
from tests.helpers.scripts import ROOT, assert_one_line
from tools.tables import onnx_table

DOCUMENT = ROOT / "test_tipc/docs/test_paddle2onnx.md"
KEPT = json.loads((ROOT / "docs/measured/onnx.json").read_text())


@pytest.mark.parametrize("language", onnx_table.LANGUAGES)
def test_the_document_shows_the_kept_figures(language):
    begin, end = onnx_table.begin_end(language)
    block = DOCUMENT.read_text().partition(f"{begin}\n")[2].partition(end)[0]
    expected = onnx_table.as_markdown(KEPT, list(KEPT["networks"]), language)
    assert block == expected, f"run: python tools/tables/onnx_table.py --update {DOCUMENT.relative_to(ROOT)}"


def test_every_network_is_measured_and_agrees():
    assert set(KEPT["networks"]) == set(onnx_table.all_networks()) > set(ARCH.names())
    for name, row in KEPT["networks"].items():
        for engine, figure in row["engines"].items():
            assert figure["agrees"], (name, engine)
            assert figure["largest"] <= max(1e-5, 5 * row["last bit"]), (name, engine)
        assert len(row["engines"]) == 4


def test_wrong_input(run_here, tmp_path):
    outcome = run_here("tools/tables/onnx_table.py", "MixNet_X")
    assert_one_line(outcome, "onnx.json: has no MixNet_X; run --measure MixNet_X")
    (tmp_path / "page.md").write_text("no marks\n")
    outcome = run_here("tools/tables/onnx_table.py", "--update", tmp_path / "page.md")
    assert_one_line(outcome, "page.md", "onnx table zh: begin")
