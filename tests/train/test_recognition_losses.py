"""The triplet and the centre loss against plain NumPy, their slopes, and what they refuse."""

import numpy as np
import paddle
import pytest

from ppcls_lite.train import recognition_losses
from ppcls_lite.train.losses import CELoss, WeightedLosses
from ppcls_lite.train.recognition_losses import CenterLoss, TripletLossV2
from ppcls_lite.utils.errors import UserError

RNG = np.random.default_rng(4)
FEATURES = RNG.normal(size=(9, 5)).astype(np.float32)
UNEQUAL = np.array([2, 0, 2, 1, 0, 2, 2, 5, 1])  # four, two, two and one image of an identity
EQUAL = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])


def triplet(features, labels, margin=0.5, normalize=True):
    """The loss image by image, in float64."""
    features = features.astype(np.float64)
    if normalize:
        features = features / np.linalg.norm(features, axis=1, keepdims=True)
    terms = []
    for number, (image, label) in enumerate(zip(features, labels)):
        distances = [np.linalg.norm(image - other) for other in features]
        own = [d for other, d in enumerate(distances) if labels[other] == label and other != number]
        others = [d for other, d in enumerate(distances) if labels[other] != label]
        if own and others:
            terms.append(max(0.0, margin + max(own) - min(others)))
    return np.mean(terms)


def centre(features, labels, centres):
    return np.mean([((f - centres[label]) ** 2).sum() for f, label in zip(features.astype(np.float64), labels)])


def slope(function, features, step=1e-5):
    """d function / d features by differences, in float64."""
    found = np.zeros(features.shape)
    for place in np.ndindex(features.shape):
        moved = [features.astype(np.float64) for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        found[place] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return found


def computed(loss, features, labels, source="features"):
    """(value, its slope by `features`) as Paddle computes them."""
    tensor = paddle.to_tensor(features, stop_gradient=False)
    value = loss({"logits": tensor, "backbone": tensor * 0, "features": tensor * 0, source: tensor}, labels)
    value.backward()
    return float(value), tensor.grad.numpy()


@pytest.mark.parametrize("source", ["features", "backbone"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("labels", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize("margin", [0.5, 0.05])
def test_triplet_loss(labels, normalize, margin, source):
    loss = TripletLossV2(margin=margin, normalize_feature=normalize, feature_from=source)
    value, found = computed(loss, FEATURES, paddle.to_tensor(labels), source)
    expected = triplet(FEATURES, labels, margin, normalize)
    assert value == pytest.approx(expected, rel=1e-5)
    assert expected > 0
    wanted = slope(lambda features: triplet(features, labels, margin, normalize), FEATURES)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.abs(wanted).max() > 0.01


def test_triplets_of_far_identities_cost_nothing():
    features = np.repeat(np.eye(3, 5, dtype=np.float32), 3, axis=0)
    labels = paddle.to_tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    value, found = computed(TripletLossV2(), features, labels)
    assert value == 0
    assert not found.any()


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("kind", ["all equal", "pairs", "zeros"])
def test_slopes_of_equal_images_are_finite(kind, normalize):
    """The root of a distance has no finite slope at 0, and a feature of zeros no direction."""
    features = {
        "all equal": np.ones((6, 4)),
        "pairs": np.repeat(RNG.normal(size=(3, 4)), 2, axis=0),
        "zeros": np.zeros((6, 4)),
    }[kind].astype(np.float32)
    labels = np.array([0, 0, 1, 1, 2, 2])
    value, found = computed(TripletLossV2(normalize_feature=normalize), features, paddle.to_tensor(labels))
    assert np.isfinite(found).all()
    if kind != "pairs":
        assert value == pytest.approx(0.5, abs=1e-5)  # the margin, at distances of 0


def test_the_slope_of_a_plain_root_would_be_seen(monkeypatch):
    monkeypatch.setattr(recognition_losses, "_SMALLEST", 0.0)
    _, found = computed(TripletLossV2(), np.ones((6, 4), np.float32), paddle.to_tensor([0, 0, 1, 1, 2, 2]))
    assert not np.isfinite(found).all()


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [7, 7, 7, 7]], ids=["no pair", "one identity"])
def test_a_batch_without_triplets_is_warned_of_once(labels, caplog, monkeypatch):
    monkeypatch.setattr(recognition_losses.logger, "propagate", True)
    loss = TripletLossV2()
    for _ in range(3):
        value, found = computed(loss, FEATURES[:4], paddle.to_tensor(labels))
        assert value == 0
        assert not found.any()
    (message,) = [record.getMessage() for record in caplog.records]
    assert "no two images of one identity" in message
    assert "PKSampler or DistributedRandomIdentitySampler" in message


@pytest.mark.parametrize("source", ["features", "backbone"])
def test_centre_loss(source):
    paddle.seed(3)
    loss = CenterLoss(num_classes=6, feat_dim=5, feature_from=source)
    centres = loss.centers.numpy().astype(np.float64)
    value, found = computed(loss, FEATURES, paddle.to_tensor(UNEQUAL), source)
    assert value == pytest.approx(centre(FEATURES, UNEQUAL, centres), rel=1e-5)
    np.testing.assert_allclose(found, slope(lambda f: centre(f, UNEQUAL, centres), FEATURES), atol=1e-5)
    by_centres = slope(lambda moved: centre(FEATURES, UNEQUAL, moved), centres)
    np.testing.assert_allclose(loss.centers.grad.numpy(), by_centres, atol=1e-5)
    assert not by_centres[[3, 4]].any()  # of identities that are not in the batch
    assert 0.3 < centres.std() < 2
    assert abs(centres.mean()) < 0.7


def test_centres_move_to_their_images():
    loss = CenterLoss(num_classes=6, feat_dim=5)
    optimizer = paddle.optimizer.SGD(0.5, parameters=loss.parameters())
    for _ in range(200):
        loss({"features": paddle.to_tensor(FEATURES)}, paddle.to_tensor(UNEQUAL)).backward()
        optimizer.step()
        optimizer.clear_grad()
    for label in np.unique(UNEQUAL):
        np.testing.assert_allclose(loss.centers.numpy()[label], FEATURES[label == UNEQUAL].mean(axis=0), atol=1e-4)


def test_several_losses_add_up():
    losses = WeightedLosses(
        [
            {"CELoss": {"weight": 1.0}},
            {"TripletLossV2": {"weight": 2.0, "margin": 0.3}},
            {"CenterLoss": {"weight": 0.5, "num_classes": 6, "feat_dim": 5}},
        ],
        "Loss.Train",
    )
    outputs = {"features": paddle.to_tensor(FEATURES), "logits": paddle.to_tensor(RNG.normal(size=(9, 6)))}
    labels = paddle.to_tensor(UNEQUAL)
    total = float(losses(outputs, labels))
    parts = {name: float(part) for name, part in losses.parts.items()}
    assert list(parts) == ["CELoss", "TripletLossV2", "CenterLoss"]
    assert parts["CELoss"] == pytest.approx(float(CELoss()(outputs["logits"], labels)))
    assert parts["TripletLossV2"] == pytest.approx(triplet(FEATURES, UNEQUAL, 0.3), rel=1e-5)
    assert total == pytest.approx(parts["CELoss"] + 2 * parts["TripletLossV2"] + 0.5 * parts["CenterLoss"])
    assert [name for name, _ in losses.layers.named_parameters()] == ["CenterLoss.centers"]
    assert losses.layers.parameters()[0].name == "center_loss_0.w_0"  # in every process


LABELS = paddle.to_tensor(UNEQUAL)
OF_FEATURES = {"features": paddle.to_tensor(FEATURES)}


@pytest.mark.parametrize(
    ("build", "outputs", "target", "message"),
    [
        (lambda: TripletLossV2(margin=-1), None, None, r"TripletLossV2.margin: expected a number of at least 0"),
        (lambda: TripletLossV2(normalize_feature=1), None, None, "normalize_feature: expected True or False"),
        (
            lambda: TripletLossV2(feature_from="neck"),
            None,
            None,
            "feature_from: expected one of 'features', 'backbone'",
        ),
        (lambda: CenterLoss(0, 5), None, None, "CenterLoss.num_classes: expected a whole number of at least 1"),
        (lambda: CenterLoss(6, 4), OF_FEATURES, LABELS, r"feat_dim: expected 5, the length of outputs\['features'\]"),
        (TripletLossV2, paddle.to_tensor(FEATURES), LABELS, "TripletLossV2: needs the features of a recognition"),
        (TripletLossV2, {"Student": LABELS}, LABELS, "TripletLossV2: needs the features of a recognition"),
        (TripletLossV2, OF_FEATURES, (LABELS, LABELS), "needs one label per image, not mixed ones"),
        (CELoss, OF_FEATURES, LABELS, "CELoss: needs scores of classes, and the network has no Arch.Head"),
    ],
)
def test_what_is_refused(build, outputs, target, message):
    with pytest.raises(UserError, match=message):
        build()(outputs, target)


def test_two_losses_of_one_name_with_parameters():
    with pytest.raises(UserError, match=r"Loss.Train\[1\]: CenterLoss occurs twice"):
        WeightedLosses([{"CenterLoss": {"num_classes": 2, "feat_dim": 3}}] * 2, "Loss.Train")
