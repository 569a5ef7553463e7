"""The comparison with several batch sizes, and of a batch with its images alone."""

import json

import paddle
import pytest

import ppcls_lite.infer.export as export_module
from ppcls_lite.infer.compare.by_task import compare_batches
from ppcls_lite.infer.compare.detections import DetectionComparison
from ppcls_lite.infer.compare.engines import compare_rows
from ppcls_lite.infer.compare.scores import ScoreComparison
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.paddle_version import export_format, number
from ppcls_lite.utils.schema import DEPLOY
from tests.helpers.scripts import ROOT, assert_one_line

PREDICTION = "deploy/configs/inference_cls.yaml"


class Mixed(export_module._WithSoftmax):
    """Each answer depends on the other images of the batch, as with batch norm that was left in training mode."""

    def forward(self, x):
        scores = self.softmax(self.network(x))
        return 0.5 * scores + 0.5 * scores.mean(0, keepdim=True)


class Fixed(export_module._WithSoftmax):
    """The size of a traced batch became a constant."""

    def forward(self, x):
        return paddle.reshape(self.softmax(self.network(x)), [7, 3])


@pytest.fixture
def planted(exported, tmp_path, monkeypatch):
    """`planted(layer)`: the folder of an export of the same weights with the layer around the network."""

    def make(layer):
        monkeypatch.setattr(export_module, "_WithSoftmax", layer)
        config = load_config(exported.config)
        config["Global"]["save_inference_dir"] = str(tmp_path / "planted")
        usual = "json" if number() >= (3, 0) else "pdmodel"  # of a Paddle that is imported already
        return export_module.export(config, chosen=export_format(usual))

    return make


def given(exported, model):
    config = load_config(exported.config)
    images, labels = task_of(config).labelled_images(config, None)
    return config, model, load_config(ROOT / PREDICTION, schema=DEPLOY), images, labels


def rows_of(exported, model, size=8):
    _, *more, images, _ = given(exported, model)
    return compare_rows(ScoreComparison(images), *more, size)


def test_every_size_is_compared(exported, run_here, tmp_path):
    options = ["-c", exported.config, "--inference_model_dir", exported.model, "--save", tmp_path / "agree.json"]
    outcome = run_here("tools/compare_engines.py", *options, "--batch_size", 1, 3)
    assert outcome.status == 0, outcome
    found = json.loads((tmp_path / "agree.json").read_text())
    sizes = [f"{name}_batchsize_{size}" for size in (1, 3) for name in ("strict", "usual_onednn")]
    assert [one["engine"] for one in found] == [*sizes, "rows_batchsize_7"]  # there are seven images
    assert all(one["agrees"] and one["images"] == 7 for one in found)
    assert found[0]["largest"] == found[2]["largest"] == 0
    assert found[-1]["largest"] < 1e-4


def test_one_size_keeps_its_names(exported):
    config, model, prediction, images, labels = given(exported, exported.model)
    agreements = compare_batches(task_of(config), config, model, prediction, images, [1], ("usual",), labels)
    assert [one.engine for one in agreements] == ["strict", "usual_onednn", "rows_batchsize_7"]


def test_an_export_that_mixes_the_rows_of_a_batch(exported, planted, run_here):
    agreement = rows_of(exported, planted(Mixed))
    assert not agreement.agrees
    assert agreement.largest > 0.01
    assert rows_of(exported, exported.model).agrees
    # with batches of one image it gives the network's answers bit by bit, and still it does not pass
    options = ["-c", exported.config, "--inference_model_dir", planted(Mixed), "--batch_size", 1]
    outcome = run_here("tools/compare_engines.py", *options)
    assert_one_line(outcome, "its predictions are not those of the trained network")
    verdicts = {line.partition(":")[0]: line.rpartition(" ")[2] for line in outcome.out.splitlines() if ": l" in line}
    assert verdicts == {"strict": "agrees", "usual_onednn": "agrees", "rows_batchsize_7": "DISAGREES"}


def test_an_export_for_one_size_of_batch(exported, planted):
    with pytest.raises(UserError, match="engine paddle cannot run it with this batch: InvalidArgumentError: "):
        rows_of(exported, planted(Fixed))


def test_one_image_is_no_batch(exported):
    _, model, prediction, images, _ = given(exported, exported.model)
    assert compare_rows(ScoreComparison(images[:1]), model, prediction, 8) is None


def test_boxes_of_a_batch(exported_detector):
    path, model = exported_detector
    config = load_config(path)
    images, _ = task_of(config).labelled_images(config, None)
    prediction = load_config(ROOT / "deploy/configs/inference_det.yaml", schema=DEPLOY)
    agreement = compare_rows(DetectionComparison(images), model, prediction, 3)
    assert agreement.agrees, agreement
    assert (agreement.images, agreement.engine) == (3, "rows_batchsize_3")
