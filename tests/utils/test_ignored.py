"""Keys of PaddleClas that change nothing here: whoever switches one on is told so, once."""

import pytest

from ppcls_lite.utils.ignored import IGNORED
from ppcls_lite.utils.schema import DEPLOY, TRAIN
from tests.helpers.scripts import ROOT

KEYS = [(section, key) for section, keys in IGNORED.items() for key in keys]
TRAINING = [(section, key) for section, key in KEYS if key in TRAIN[section]]


def test_every_key_is_accepted():
    assert all(key in {**TRAIN.get(section, {}), **DEPLOY.get(section, {})} for section, key in KEYS)
    assert {key for _, key in TRAINING} == {"use_dali"}


@pytest.fixture
def one_epoch(config, write_config):
    config["Global"]["epochs"] = 1
    config["AMP"] = {"use_amp": True}
    return write_config(config)


def test_a_training_says_which_keys_it_ignores(one_epoch, run_here):
    options = [word for section, key in TRAINING for word in ("-o", f"{section}.{key}=True")]
    outcome = run_here("tools/train.py", "-c", one_epoch, *options)
    assert outcome.status == 0, outcome
    for section, key in TRAINING:
        assert outcome.out.count(f"{section}.{key}") == 1
        assert f"WARNING: {section}.{key}=True is ignored: {IGNORED[section][key]}" in outcome.out
    quiet = run_here("tools/train.py", "-c", one_epoch, *[word.replace("True", "False") for word in options])
    assert quiet.status == 0
    assert "is ignored" not in quiet.out


def test_so_does_an_evaluation(exported, run_here):
    outcome = run_here("tools/eval.py", "-c", exported.config, "-o", "Global.use_dali=True")
    assert outcome.out.count("WARNING: Global.use_dali=True is ignored: NVIDIA DALI is not used") == 1


def test_so_does_a_prediction(exported, run_here):
    options = ["-c", ROOT / "deploy/configs/inference_cls.yaml", "-o", f"Global.inference_model_dir={exported.model}"]
    options += ["-o", f"Global.infer_imgs={ROOT}/test_images"]
    for value, times in (("True", 1), ("False", 0)):
        outcome = run_here("deploy/python/predict_cls.py", *options, "-o", f"Global.enable_profile={value}")
        assert outcome.status == 0, outcome
        assert outcome.err.count("WARNING: Global.enable_profile=True is ignored: no profile is made") == times


def test_a_summary_is_printed_where_the_command_line_demands_it(exported, run_here):
    """PaddleClas's configs have `enable_benchmark: True`, which its own predict_cls.py does not read."""
    options = ["-c", ROOT / "tests/fixtures/paddleclas/inference_cls_2022_08_31.yaml"]
    options += ["-o", f"Global.inference_model_dir={exported.model}", "-o", f"Global.infer_imgs={ROOT}/test_images"]
    options += ["-o", f"PostProcess.class_id_map_file={exported.model}/label_list.txt"]
    for more, printed in (
        ([], False),
        (["-o", "Global.enable_benchmark=True"], True),
        (["-o", "Global.benchmark=True"], True),
    ):
        outcome = run_here("deploy/python/predict_cls.py", *options, *more)
        assert outcome.status == 0, outcome
        assert ("- Perf info -" in outcome.out) is printed
