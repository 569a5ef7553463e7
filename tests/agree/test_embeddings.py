"""Recognisers that were observed: embeddings are judged by their direction and the nearest neighbours."""

import json

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from tests.agree import zoo
from tests.agree.test_network import assert_only, lines
from tests.helpers.recordings import run_layer

PIXELS = zoo.images(12)
FEATURES = 16


class Embedder(nn.Layer):
    """Images [N, 3, 16, 16] to features [N, 16] of any length."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2D(3, 8, 5, stride=4, padding=2), nn.Linear(8 * 16, FEATURES)

    def forward(self, x):
        return self.fc(F.tanh(self.conv(x)).flatten(1))


def normalized(features):
    return features / paddle.sqrt(paddle.sum(features * features, axis=-1, keepdim=True))


def otherwise(features):
    """The same length, computed in another way."""
    return F.normalize(features, axis=-1)


@pytest.fixture(scope="module")
def network():
    return zoo.filled(Embedder(), seed=2)


def copy_of(network, behind=None):
    copy = Embedder()
    copy.set_state_dict(network.state_dict())
    copy.eval()
    return zoo.Behind(copy, behind) if behind else copy


@pytest.fixture
def observed(project, exports, network):
    """`observed(name, layer, behind)`: a project whose export has `behind`, and whose evaluation called `layer`."""

    def run(name, layer=None, behind=normalized, make=None):
        ran = project(exports(name, make or (lambda: copy_of(network, behind))))
        layer = layer or network
        ran.layer("evaluate", layer, {"x": PIXELS[:8]})
        ran.layer("evaluate", layer, {"x": PIXELS[8:]})
        ran.layer("predict", layer, {"x": PIXELS[:8]})
        return ran

    return run


@pytest.mark.parametrize(
    ("behind", "layer", "note"),
    [
        (normalized, None, "normalize is behind the network in the export"),
        (normalized, normalized, ""),
        (None, None, ""),
    ],
)
def test_a_right_export(observed, network, behind, layer, note):
    ran = observed(f"embedder {behind is None}", layer and copy_of(network, layer), behind)
    ran.infer(PIXELS[:8])
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out + outcome.err
    found = lines(outcome)
    assert found["network"].startswith("bitwise equal for 12 images of evaluate and 8 images of predict")
    assert note in found["network"]
    if behind:
        assert "8 of 8 embeddings with the same 5 nearest neighbours, 8 images: agrees" in found["engine infer"]
        assert "top-5" not in found["engine infer"]
        assert ran.saved["engine"][0]["embeddings"] == {"images": 8, "angle": 0.0, "other_neighbours": 0} or (
            abs(ran.saved["engine"][0]["embeddings"]["angle"]) < 1e-12
        )


def test_a_length_that_is_computed_in_another_way(observed):
    ran = observed("normalized otherwise", behind=otherwise)
    ran.infer(PIXELS[:8])
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert "normalize is behind the network in the export" in lines(outcome)["network"]


def test_other_weights_behind_a_length(observed, network):
    def other():
        copy = copy_of(network)
        copy.fc.weight.set_value(copy.fc.weight * np.linspace(0.9, 1.1, FEATURES, dtype=np.float32))
        return zoo.Behind(copy, normalized)

    ran = observed("other embedder", make=other)
    assert_only(ran_with(ran), "network", "1 of 4 weights of the exported model")


def test_a_length_that_is_missing_in_the_export(observed, network):
    ran = observed("embedder True", copy_of(network, normalized), None)
    assert_only(ran_with(ran), "network", "normalize is missing in the exported model")


def ran_with(ran, *options, **more):
    ran.infer(PIXELS[:8], **more)
    return ran.agree(*options)


def _swapped(rows):
    return rows[[1, 0, *range(2, len(rows))]].copy()


ENGINE_FAULTS = {
    "two rows exchanged": (_swapped, "the largest difference is"),
    "rows mixed": (lambda rows: 0.9 * rows + 0.1 * rows.mean(0, keepdims=True), "the largest difference is"),
    "not normalised": (lambda rows: rows * 7, "the largest difference is"),
    "the same for all": (lambda rows: np.repeat(rows[:1], len(rows), 0), "they do not depend on the image"),
    "nan": (lambda rows: np.where(rows > 0.3, np.float32("nan"), rows), "the largest difference is inf"),
    "another size": (lambda rows: rows[:, :9].copy(), "an output is [8, 9], in strict mode [8, 16]"),
}


@pytest.mark.parametrize("fault", ENGINE_FAULTS)
def test_a_wrong_engine(observed, fault):
    change, words = ENGINE_FAULTS[fault]
    outcome = ran_with(observed("embedder False"), outputs=lambda rows: change(rows).astype(np.float32))
    assert_only(outcome, "engine infer", words)


def test_rounding_of_an_engine(observed):
    outcome = ran_with(observed("embedder False"), outputs=lambda rows: rows + np.float32(1e-6))
    assert outcome.status == 0, outcome.out
    assert "8 of 8 embeddings with the same 5 nearest neighbours" in lines(outcome)["engine infer"]


def test_what_is_no_length_of_one_is_told_by_the_script(observed):
    """insightface's networks give features of any length: without a word they are taken for scores."""
    ran = observed("embedder True", behind=None)
    ran.infer(PIXELS[:8])
    assert "with the same top-5" in lines(ran.agree())["engine infer"]
    told = lines(ran.agree("--embeddings"))["engine infer"]
    assert "8 of 8 embeddings with the same 5 nearest neighbours" in told
    assert "top-5" not in told


# ---- the parts


def test_probabilities_are_no_embeddings():
    from agreement.embeddings import is_embeddings

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 20)).astype(np.float32)
    powers = np.exp(logits * 40)
    unit = logits / np.linalg.norm(logits, axis=1, keepdims=True)
    assert is_embeddings(unit)
    assert is_embeddings(np.abs(unit))  # behind ReLU
    assert not is_embeddings(logits)
    assert is_embeddings(logits, declared=True)
    assert not is_embeddings(powers / powers.sum(1, keepdims=True))
    assert not is_embeddings(np.eye(20, dtype=np.float32))  # one class for certain
    assert not is_embeddings(unit[:, :4] / np.linalg.norm(unit[:, :4], axis=1, keepdims=True))
    assert not is_embeddings(unit[None])


def compared(reference, found, tolerance=1e-4):
    from agreement.embeddings import Embeddings

    vectors = Embeddings(tolerance)
    vectors.add(list(range(len(reference))), reference, found)
    return vectors


def test_a_turn_is_seen_whatever_the_length():
    reference = np.random.default_rng(3).normal(size=(12, 16)).astype(np.float32)
    assert compared(reference, reference * 9).fault == ""
    found = reference.copy()
    found[4, 0] += np.float32(0.02)
    assert compared(reference, found).fault.startswith("1 - cosine of an image's embeddings is ")
    assert compared(reference, found[:, :9]).fault == "embeddings [12, 9], expected [12, 16]"


def test_other_neighbours_are_seen_beside_nearly_the_same_embeddings():
    """Two cosines change their order, and are more apart than the tolerance."""
    reference = np.eye(12, dtype=np.float32)
    reference[0, 1:3] = 6e-4, 2e-4
    found = reference.copy()
    found[0, 1:3] = 2e-4, 6e-4
    vectors = compared(reference, found)
    assert vectors.angle < 1e-6
    assert vectors.fault == "1 images have other nearest neighbours"
    assert compared(reference, found, 1e-3).fault == ""


# ---- what is printed


def logs_of(ran, network, predict, infer, start=""):
    rows = run_layer(network, {"x": PIXELS[:8]})["0"]
    paths = []
    for name, make in (("predict.log", predict), ("infer.log", infer)):
        paths.append(ran.folder / name)
        text = "".join(f"{start}{number}.jpg:\t{json.dumps(make(row).tolist())}\n" for number, row in enumerate(rows))
        paths[-1].write_text(f"2026-11-26 batch 1 of 3\n{text}time 12.345 ms\n")
    return ["--predict_log", paths[0], "--infer_log", paths[1]]


def as_it_is(row):
    return row


def of_length_one(row):
    return row / np.linalg.norm(row)


def in_a_list(row):
    return row[None]


@pytest.mark.parametrize(
    ("predict", "infer", "result", "words"),
    [
        (as_it_is, as_it_is, "the same", ""),
        (in_a_list, in_a_list, "the same", ""),
        (of_length_one, of_length_one, "the same", ""),
        (lambda row: of_length_one(row).round(4), of_length_one, "the same", ""),
        (of_length_one, as_it_is, "different", "they are not normalised behind the exported model"),
        (as_it_is, of_length_one, "different", "they are normalised in one of the two only"),
        (np.zeros_like, as_it_is, "printed embeddings were not recognised", ""),
    ],
)
def test_printed_embeddings(observed, network, predict, infer, result, words):
    ran = observed("embedder True", behind=None)
    ran.infer(PIXELS[:8])
    outcome = ran.agree("--embeddings", *logs_of(ran, network, predict, infer, "folder/"))
    assert ran.saved["network"]["printed"]["engine infer"]["result"] == result
    if words:
        assert_only(outcome, "network", words)
    else:
        assert outcome.status == 0, outcome.out
