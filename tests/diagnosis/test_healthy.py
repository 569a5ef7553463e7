"""Sound models in each engine: no stage is blamed, whatever the engine rounds."""

import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.helpers.trials import make_trial

pytestmark = pytest.mark.skipif(number() >= NO_PDMODEL, reason="the scripts are told to write .pdmodel")
# {network or project: {name: more words of its inference command}}; each of them is a combination that is judged
ENGINES = {
    "paddle": ("-o", "Global.engine=paddle"),
    "onednn": ("-o", "Global.engine=onednn"),
    "openvino": ("-o", "Global.engine=openvino"),
    "onednn_4": ("-o", "Global.engine=onednn", "-o", "Global.batch_size=4", "-o", "Global.cpu_num_threads=1"),
}
COMBINATIONS = {
    "classifier": {"batch_4": ("--batch-size=4",)},
    "detector": {"onednn": ("--enable_mkldnn=True",), "threads": ("--cpu_threads=2", "--batch_size=1")},
    "MobileNetV3_small_x0_35": ENGINES,
    "ShuffleNetV2_x0_25": {name: ENGINES[name] for name in ("paddle", "onednn", "openvino")},
    "PPHGNetV2_B0": {"openvino": ENGINES["openvino"], "onednn": ENGINES["onednn"]},
    "MixNet_M": {"onednn": ENGINES["onednn"], "openvino": ENGINES["openvino"]},
    "MixNet_L": {"onednn": ENGINES["onednn"], "openvino": ENGINES["openvino"]},
}
LEAST = 20


@pytest.mark.parametrize("where", COMBINATIONS)
def test_a_sound_model_is_not_blamed(tmp_path, warm, where):
    trial = make_trial(where, tmp_path / "sound", warm)
    for name, words in COMBINATIONS[where].items():
        trial.infer_as(name, *words)
    found = trial.diagnose()
    assert found.first == (None, None), found.out
    assert found.status == 0
    stages = {stage["name"]: stage["result"] for stage in found.saved["stages"]}
    assert {stages[name] for name in ("network input", "weights", "network", "IR passes", "oneDNN")} == {"same"}, (
        found.out
    )


def test_the_combinations_are_many():
    assert sum(len(more) + 1 for more in COMBINATIONS.values()) >= LEAST
