"""The table of ONNX files: both documents show the kept figures, and all networks agree."""

import json

import pytest

from ppcls_lite.arch import ARCH
from tests.helpers.scripts import ROOT, assert_one_line
from tools.tables import onnx_table
from tools.tables.series import is_own, read_series

DOCUMENT = ROOT / "test_tipc/docs/test_paddle2onnx.md"
KEPT = json.loads((ROOT / "docs/measured/onnx.json").read_text())


@pytest.mark.parametrize("language", onnx_table.LANGUAGES)
def test_the_document_shows_the_kept_figures(language):
    begin, end = onnx_table.begin_end(language)
    block = DOCUMENT.read_text().partition(f"{begin}\n")[2].partition(end)[0]
    expected = onnx_table.as_markdown(KEPT, list(KEPT["networks"]), language)
    assert block == expected, f"run: python tools/tables/onnx_table.py --update {DOCUMENT.relative_to(ROOT)}"


# with filled weights; both documents say so
OVER_THE_LIMIT = {("MobileNetV3_large_x0_35", "openvino_batchsize_1")}


def test_every_network_is_measured_and_agrees():
    series = read_series()
    official = {name for name in ARCH.names() if not is_own(name, series)}
    assert set(KEPT["networks"]) == set(onnx_table.all_networks()) > official
    over = set()
    for name, row in KEPT["networks"].items():
        assert len(row["engines"]) == 4, name
        for engine, figure in row["engines"].items():
            assert figure["largest"] <= 1e-4, (name, engine)
            if not figure["agrees"] or figure["largest"] > max(1e-5, 5 * row["last bit"]):
                over.add((name, engine))
    assert over == OVER_THE_LIMIT
    for name, _ in over:
        assert DOCUMENT.read_text().count(f"`{name}`") == 2  # once in each language


def test_wrong_input(run_here, tmp_path):
    outcome = run_here("tools/tables/onnx_table.py", "MixNet_X")
    assert_one_line(outcome, "onnx.json: has no MixNet_X; run --measure MixNet_X")
    (tmp_path / "page.md").write_text("no marks\n")
    outcome = run_here("tools/tables/onnx_table.py", "--update", tmp_path / "page.md")
    assert_one_line(outcome, "page.md", "onnx table zh: begin")
