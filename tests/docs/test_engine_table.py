"""The table of engines: the document shows the kept figures, and a new measurement gives the same."""

import json
import subprocess
import sys

import pytest

from ppcls_lite.utils.config import read_yaml
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line

TABLE = "tools/tables/engine_table.py"
DOCUMENT = ROOT / "docs/models.md"
KEPT = json.loads((ROOT / "docs/measured/engines.json").read_text())
BEGIN, END = "<!-- engine table: begin -->\n", "<!-- engine table: end -->"


def run_python(text, *arguments):
    """Paddle decides once in a process which format it exports, so this needs one of its own."""
    done = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_document_shows_the_kept_figures(run_here):
    outcome = run_here(TABLE)
    assert outcome.status == 0
    block = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    assert block == outcome.out, "run: python tools/tables/engine_table.py --update docs/models.md"


def test_all_networks_are_bitwise_equal_in_strict_mode():
    networks = read_yaml(ROOT / "docs/measured/models.json")["networks"]
    assert list(KEPT["networks"]) == list(networks)
    for name, engines in KEPT["networks"].items():
        assert engines["strict"] == {"largest": 0.0, "agrees": True}, name


def test_no_engine_differs_by_more_than_the_network_explains():
    for name, engines in KEPT["networks"].items():
        for engine, figure in engines.items():
            assert figure["agrees"] or figure["largest"] < 5 * engines["last bit"]["largest"], (name, engine)


MEASURE = """
import json, sys
from ppcls_lite.utils.device import choose_export_format
from tools.tables.engine_table import measure
choose_export_format()
print(json.dumps(measure(sys.argv[1], ["paddle", "onednn"])))
"""


@pytest.mark.parametrize("name", ["MobileNetV3_small_x1_0", "MixNet_S"])
def test_kept_figures_are_measured_again(name):
    measured = run_python(MEASURE, name)
    assert measured["strict"] == {"largest": 0.0, "agrees": True}
    for engine in ("paddle", "onednn", "last bit"):  # other processors add in another order: not to the last digit
        kept = KEPT["networks"][name][engine]
        assert measured[engine]["agrees"] == kept["agrees"]
        assert kept["largest"] / 10 < measured[engine]["largest"] < 10 * kept["largest"]


LARGEST = """
import json, sys
import numpy as np
from ppcls_lite.benchmark.filled import export_filled
from ppcls_lite.utils.device import choose_export_format
choose_export_format()
from ppcls_lite.infer.engines.training import TrainingEngine
config = export_filled("MobileNetV3_small_x1_0", sys.argv[1] + "/model", sys.argv[1] + "/filled")
image = np.random.default_rng(1).standard_normal((1, *config["Global"]["image_shape"]), dtype=np.float32)
print(json.dumps(float(TrainingEngine(config).run(image).max())))
"""


def test_filled_weights_spread_the_logits(tmp_path):
    """Else every engine would seem to agree: with equal probabilities, or with one that is 1."""
    assert 0.1 < run_python(LARGEST, tmp_path) < 0.99


def test_wrong_input(run_here):
    assert_one_line(run_here(TABLE, "MixNet_X"), "MixNet_X: no such config under ppcls_lite/configs/ImageNet")
    assert_one_line(run_here(TABLE, "PPHGNetV2_B7"), "PPHGNetV2_B7: no such config")
