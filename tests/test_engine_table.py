"""The table of engines: what the document says is what was kept, and what was kept is what is measured."""

import json

import numpy as np
import pytest
from conftest import ROOT, assert_one_line

TABLE = "tools/engine_table.py"
DOCUMENT = ROOT / "docs/models.md"
KEPT = json.loads((ROOT / "docs/engines.measured.json").read_text())
BEGIN, END = "<!-- engine table: begin -->\n", "<!-- engine table: end -->"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from tools import engine_table

    return engine_table


def test_document_has_what_was_kept(run_here):
    outcome = run_here(TABLE)
    assert outcome.status == 0
    block = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    assert block == outcome.out, "run: python tools/engine_table.py --update docs/models.md"


def test_all_networks_are_bitwise_equal_in_strict_mode(table):
    assert list(KEPT["networks"]) == list(table.NETWORKS)
    for name, engines in KEPT["networks"].items():
        assert engines["strict"] == {"largest": 0.0, "agrees": True}, name


@pytest.mark.parametrize("name", ["MobileNetV3_small_x1_0", "MixNet_S"])
def test_kept_is_what_is_measured(table, name):
    measured = table.measure(name, ["paddle", "onednn"])
    assert measured["strict"] == {"largest": 0.0, "agrees": True}
    for engine in ("paddle", "onednn"):  # other processors add in another order, so not to the last digit
        kept = KEPT["networks"][name][engine]
        assert measured[engine]["agrees"] == kept["agrees"]
        assert kept["largest"] / 10 < measured[engine]["largest"] < 10 * kept["largest"]


def test_filled_weights_spread_the_logits(table, tmp_path):
    """Else every engine would seem to agree: with equal probabilities, or with one that is 1."""
    from ppcls_lite.infer.training_engine import TrainingEngine

    config = table.export_filled("MobileNetV3_small_x1_0", tmp_path / "model", tmp_path / "filled")
    image = np.random.default_rng(1).standard_normal((1, *config["Global"]["image_shape"]), dtype=np.float32)
    assert 0.1 < TrainingEngine(config).run(image).max() < 0.99


def test_wrong_input(run_here, table, monkeypatch, tmp_path):
    assert_one_line(run_here(TABLE, "MixNet_X"), "MixNet_X: no such config under ppcls_lite/configs/ImageNet")
    monkeypatch.setattr(table, "MEASURED", tmp_path / "none.json")
    with pytest.raises(table.UserError, match=r"none.json: cannot be read .*; run --measure"):
        table.kept()
