"""The comparison of embeddings, which must see every planted fault."""

import copy

import numpy as np
import paddle
import pytest

from ppcls_lite.arch.rec_model import DeployedRecModel
from ppcls_lite.infer.compare.by_task import compare_batches, compare_task
from ppcls_lite.infer.compare.embeddings import EmbeddingAgreement, unit
from ppcls_lite.infer.export import export
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.paddle_version import export_format, number
from ppcls_lite.utils.schema import RECOGNITION
from tests.helpers.scripts import ROOT

PREDICTION = "deploy/configs/inference_rec.yaml"
COUNT, SIZE = 20, 16


def vectors(seed=1):
    """[COUNT, SIZE] float32 of length 1."""
    return unit(np.random.default_rng(seed).normal(size=(COUNT, SIZE))).astype(np.float32)


def compared(found, tolerance=1e-4, reference=None):
    """The agreement of two lists of embeddings, in batches of 8 as an engine gives them."""
    agreement = EmbeddingAgreement("engine", tolerance)
    reference = vectors() if reference is None else reference
    keys = list(map(str, range(COUNT)))
    for start in range(0, COUNT, 8):
        batch = slice(start, start + 8)
        agreement.add(reference[batch], found[batch], keys[batch])
    return agreement


def noise(size):
    return np.random.default_rng(2).normal(size=(COUNT, SIZE)).astype(np.float32) * np.float32(size)


def test_equal_embeddings_agree():
    agreement = compared(vectors(), 0.0)
    assert agreement.agrees
    assert str(agreement) == (
        "engine: largest difference 0 (bitwise equality required), 20 of 20 images bitwise equal, "
        "20 of 20 with the same 5 nearest neighbours: agrees"
    )
    assert agreement.as_dict()["topk_mismatches"] == agreement.as_dict()["top1_mismatches"] == 0


def test_one_bit_is_seen_in_strict_mode():
    found = vectors()
    found[11, 3] = np.nextafter(found[11, 3], np.float32(2))
    agreement = compared(found, 0.0)
    assert not agreement.agrees
    assert (agreement.bitwise_mismatches, agreement.images) == (1, 20)
    assert compared(found).agrees


def test_rounding_of_an_engine_agrees():
    agreement = compared(vectors() + noise(1e-7))
    assert agreement.agrees
    assert "1 - cosine" in str(agreement)
    assert agreement.angle < 1e-12


def _swapped(found):
    found[[3, 4]] = found[[4, 3]]
    return found


def _mixed(found):
    return (found + 0.1 * found.mean(axis=0)).astype(np.float32)


def _nan(found):
    found[7, 0] = np.nan
    return found


FAULTS = {
    "two rows exchanged": (_swapped, "10 of 20 with the same 5"),
    "rows mixed": (_mixed, "largest difference"),
    "not normalised": (lambda found: found * 3, "largest difference"),
    "turned a little": (lambda found: found + noise(1e-4), "1 - cosine"),
    "rounded to two decimals": (lambda found: found.round(2), "largest difference"),
    "another model": (lambda _: vectors(9), "0 of 20 images bitwise equal"),
    "nan": (_nan, "largest difference inf"),
    "zeros": (lambda found: found * 0, "1 - cosine inf"),
    "other numbers": (lambda found: found[:, :8].copy(), "0 of 20 with the same 5"),
    "double precision": (lambda found: found.astype(np.float64), "0 of 20 images bitwise equal"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_an_engine_is_seen(fault):
    change, words = FAULTS[fault]
    agreement = compared(change(vectors()))
    assert not agreement.agrees
    assert str(agreement).endswith(": DISAGREES")
    assert words in str(agreement)


def test_the_same_embedding_for_all_images_does_not_pass():
    """A little rounding does not make it depend on the image, nor do numbers near 0."""
    constant = np.repeat(vectors()[:1], COUNT, axis=0)
    constant[:, 5] = 1e-9
    found = constant + noise(1e-8)
    agreement = compared(found, reference=found)
    assert not agreement.agrees
    assert "the embeddings of 20 different images differ by at most" in str(agreement)
    assert "the answers do not depend on the image" in str(agreement)


def test_neighbours_may_change_places_in_a_tie_only():
    """The cosines of the first two others are 2e-5, or 2e-3, apart."""
    for apart, agrees in ((2e-5, True), (2e-3, False)):
        reference = np.eye(COUNT, dtype=np.float32)
        reference[0, :3] = unit(np.array([[1, 0.3, 0.3 + apart]]))[0]
        found = reference.copy()
        found[0, [1, 2]] = reference[0, [2, 1]]
        agreement = compared(found, 1e-2, reference)
        agreement.tolerance = 1e-4
        assert (agreement.top1_mismatches == 0) is agrees
        assert (agreement.topk_mismatches == 0) is agrees


def test_no_images_prove_nothing():
    assert not EmbeddingAgreement("engine", 0.0).agrees


# ---- exports with faults


class Planted(paddle.nn.Layer):
    """An export with something behind the embeddings."""

    change = staticmethod(lambda features: features)
    input_specs = staticmethod(DeployedRecModel.input_specs)

    def __init__(self, network):
        super().__init__()
        self.network = DeployedRecModel(network)

    def forward(self, x):
        return self.change(self.network(x))


class NotNormalised(DeployedRecModel):
    def forward(self, x):
        return self.neck(self.backbone(x))


def behind(function):
    return type("Behind", (Planted,), {"change": staticmethod(function)})


def _rounded(features):
    return paddle.round(features * 1000) / 1000


EXPORTS = {
    "rows mixed": behind(lambda features: 0.9 * features + 0.1 * features.mean(0, keepdim=True)),
    "rows the other way round": behind(lambda features: paddle.flip(features, [0])),
    "rounded": behind(_rounded),
    "constant": behind(lambda features: features * 0 + 0.25),
    "not normalised": NotNormalised,
}


@pytest.fixture
def planted(exported_recognizer, tmp_path, monkeypatch):
    """`planted(layer)`: (config, folder) of an export by a faulty layer of the same weights."""

    def make(layer):
        config = load_config(exported_recognizer[0])
        changed = copy.deepcopy(config)
        changed["Global"]["save_inference_dir"] = str(tmp_path / "planted")
        with monkeypatch.context() as patch:
            patch.setattr("ppcls_lite.arch.rec_model.DeployedRecModel", layer)
            export(changed, chosen=export_format("json" if number() >= (3, 0) else "pdmodel"))
        return config, tmp_path / "planted"

    return make


def agreements(config, model, compare=compare_task, size=4):
    task = task_of(config)
    images, labels = task.labelled_images(config, None)
    inference = load_config(ROOT / PREDICTION, schema=RECOGNITION)
    return list(compare(task, config, model, inference, images, size, ["usual"], labels))


def test_a_good_export_agrees(exported_recognizer):
    config, model = load_config(exported_recognizer[0]), exported_recognizer[1]
    strict, usual, rows = agreements(config, model, compare_batches, [4])
    assert strict.agrees
    assert (strict.largest, strict.bitwise_mismatches, strict.images) == (0.0, 0, 16)
    assert usual.agrees
    assert 0 <= usual.largest <= 1e-5
    assert rows.agrees


@pytest.mark.parametrize("fault", EXPORTS)
def test_a_fault_of_an_export_is_seen(planted, fault):
    strict, _ = agreements(*planted(EXPORTS[fault]))
    assert not strict.agrees, str(strict)


def test_a_batch_whose_rows_are_mixed_is_seen_without_the_training_engine(planted):
    *_, rows = agreements(*planted(EXPORTS["rows mixed"]), compare_batches, [4])
    assert rows.engine == "rows_batchsize_8"
    assert not rows.agrees


def test_other_transforms_are_seen_in_the_numbers(exported_recognizer):
    config = load_config(exported_recognizer[0])
    config["Infer"]["transforms"][2]["NormalizeImage"]["mean"] = [0.486, 0.456, 0.406]
    strict, usual = agreements(config, exported_recognizer[1])
    assert (strict.agrees, usual.agrees) == (False, True)
