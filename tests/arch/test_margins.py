"""Margins against the formulas of their papers in NumPy's float64, and where those have no finite gradient."""

import math

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import HEADS, margins
from ppcls_lite.arch.layers import unit
from ppcls_lite.arch.margins import ArcMargin, CircleMargin, CosMargin
from ppcls_lite.utils.errors import UserError

SIZE, CLASSES = 16, 7


def head_of(cls, weight, **options):
    head = cls(*weight.shape, **options)
    head.weight.set_value(weight)
    head.train()
    return head


def draw(seed=0, rows=12):
    """(features, weight, labels) with each identity's own cosine in all parts of -1 to 1."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1, (SIZE, CLASSES)).astype("float32")
    labels = np.arange(rows) % CLASSES
    angles = np.linspace(0.05, math.pi - 0.05, rows)
    features = []
    for label, angle in zip(labels, angles):
        own = weight[:, label] / np.linalg.norm(weight[:, label])
        other = rng.normal(0, 1, SIZE)
        other -= other @ own * own
        features.append(rng.uniform(0.1, 9) * (math.cos(angle) * own + math.sin(angle) * other / np.linalg.norm(other)))
    return np.array(features, "float32"), weight, labels


def angles_of(features, weight):
    """theta [N, C] in float64."""
    features, weight = features.astype(np.float64), weight.astype(np.float64)
    cosines = features @ weight / np.linalg.norm(features, axis=1, keepdims=True) / np.linalg.norm(weight, axis=0)
    return np.arccos(np.clip(cosines, -1, 1))


def arcface(theta, labels, margin, scale, easy_margin=False):
    """Equation 3 of ArcFace, with the authors' two ways to stay monotonic."""
    logits = np.cos(theta)
    for row, label in enumerate(labels):
        own = theta[row, label]
        if easy_margin:
            shifted = own < math.pi / 2
            logits[row, label] = math.cos(own + margin) if shifted else math.cos(own)
        else:
            shifted = own + margin < math.pi
            logits[row, label] = math.cos(own + margin) if shifted else math.cos(own) - margin * math.sin(margin)
    return scale * logits


def cosface(theta, labels, margin, scale):
    """Equation 4 of CosFace."""
    logits = np.cos(theta)
    logits[np.arange(len(labels)), labels] -= margin
    return scale * logits


def circle(theta, labels, margin, scale):
    """The exponents of the circle loss, with the optima and the two margins of its section 3.2."""
    cosines = np.cos(theta)
    logits = scale * np.maximum(cosines + margin, 0) * (cosines - margin)
    for row, label in enumerate(labels):
        own = cosines[row, label]
        logits[row, label] = scale * max(1 + margin - own, 0) * (own - (1 - margin))
    return logits


CASES = [
    (ArcMargin, arcface, {"margin": 0.5, "scale": 80.0}),
    (ArcMargin, arcface, {"margin": 0.15, "scale": 30.0, "easy_margin": True}),
    (ArcMargin, arcface, {"margin": 0.0, "scale": 1.0}),
    (CosMargin, cosface, {"margin": 0.35, "scale": 64.0}),
    (CircleMargin, circle, {"margin": 0.25, "scale": 64.0}),
]


@pytest.mark.parametrize(("cls", "formula", "options"), CASES)
def test_logits_are_those_of_the_paper(cls, formula, options):
    features, weight, labels = draw()
    theta = angles_of(features, weight)
    head = head_of(cls, weight, **options)
    found = head(paddle.to_tensor(features), paddle.to_tensor(labels)).numpy()
    assert np.abs(found - formula(theta, labels, **options)).max() < 3e-6 * options["scale"]
    column = head(paddle.to_tensor(features), paddle.to_tensor(labels.reshape(-1, 1))).numpy()
    assert (column == found).all()  # labels [N, 1] are PaddleClas's


def test_both_branches_of_the_angular_margin_are_in_those_cases():
    features, weight, labels = draw()
    own = angles_of(features, weight)[np.arange(len(labels)), labels]
    assert (own > math.pi - 0.5).any()
    assert (own < math.pi - 0.5).any()
    assert (own > math.pi / 2).any()
    assert (own < math.pi / 2).any()


@pytest.mark.parametrize(("cls", "formula", "options"), CASES)
def test_a_wrong_formula_is_seen(cls, formula, options, monkeypatch):
    """Each of these faults keeps all shapes: the margin on the wrong side, and left out of the identity."""
    features, weight, labels = draw()
    expected = formula(angles_of(features, weight), labels, **options)
    head = head_of(cls, weight, **options)
    right = head.with_margin
    for fault in (lambda cosines, own: right(cosines, 1 - own), lambda cosines, own: cosines):
        monkeypatch.setattr(head, "with_margin", fault)
        found = head(paddle.to_tensor(features), paddle.to_tensor(labels)).numpy()
        assert options["margin"] == 0 or np.abs(found - expected).max() > 1e-2 * options["scale"]


@pytest.mark.parametrize(("cls", "formula", "options"), CASES)
def test_gradients_are_those_of_the_paper(cls, formula, options):
    """Of a cross entropy, against differences of the formula in float64; those of circle with its weights held."""
    features, weight, labels = draw(3)
    head = head_of(cls, weight, **options)
    given = paddle.to_tensor(features, stop_gradient=False)
    logits = head(given, paddle.to_tensor(labels))
    paddle.nn.functional.cross_entropy(logits, paddle.to_tensor(labels)).backward()
    held = np.cos(angles_of(features, weight))

    def loss(features, weight):
        theta = angles_of(features, weight)
        logits = (
            held_circle(theta, held, labels, **options) if cls is CircleMargin else formula(theta, labels, **options)
        )
        logits = logits - logits.max(axis=1, keepdims=True)
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels])

    for found, which in ((given.grad.numpy(), 0), (head.weight.grad.numpy(), 1)):
        expected = differences(loss, [features.astype(np.float64), weight.astype(np.float64)], which)
        assert np.abs(found - expected).max() < 2e-4 * np.abs(expected).max() + 1e-7


def held_circle(theta, held, labels, margin, scale):
    """`circle` with the weights of the cosines `held`."""
    cosines = np.cos(theta)
    logits = scale * np.maximum(held + margin, 0) * (cosines - margin)
    rows = np.arange(len(labels))
    logits[rows, labels] = scale * np.maximum(1 + margin - held, 0)[rows, labels] * (cosines[rows, labels] - 1 + margin)
    return logits


def differences(function, arguments, which, step=1e-6):
    """The gradient of `function` for one of its arguments, by central differences."""
    gradient = np.zeros_like(arguments[which])
    for index in np.ndindex(gradient.shape):
        ends = []
        for sign in (1, -1):
            moved = [argument.copy() for argument in arguments]
            moved[which][index] += sign * step
            ends.append(function(*moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


# ---- where a plain formula gives nan


def results(head, features, label):
    """(logits, gradient of the features, gradient of the weight)."""
    given = paddle.to_tensor(features, stop_gradient=False)
    logits = head(given, paddle.to_tensor([label] * len(features)))
    paddle.nn.functional.cross_entropy(logits, paddle.to_tensor([label] * len(features))).backward()
    return logits.numpy(), given.grad.numpy(), head.weight.grad.numpy()


@pytest.mark.parametrize(("cls", "formula", "options"), CASES)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_exact_hit_is_finite_and_exact(cls, formula, options, sign):
    """A feature along its identity's vector, or against it: cos = 1 and -1, or the next number beyond."""
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 1, (SIZE, CLASSES)).astype("float32")
    features = np.stack([sign * factor * weight[:, 2] for factor in (1, 3, 1e-3, 1e4)]).astype("float32")
    found = results(head_of(cls, weight, **options), features, 2)
    assert all(np.isfinite(part).all() for part in found)
    assert all(np.abs(part).max() < 1e7 for part in found)
    expected = formula(angles_of(features, weight), np.full(4, 2), **options)
    assert np.abs(found[0] - expected).max() < 1e-3 * options["scale"]


@pytest.mark.parametrize(("cls", "formula", "options"), CASES)
def test_a_feature_of_zeros_has_cosines_of_zero(cls, formula, options):
    _, weight, _ = draw()
    features = np.zeros((2, SIZE), "float32")
    features[1, 0] = 2.0
    head = head_of(cls, weight, **options)
    logits, gradient, of_weight = results(head, features, 1)
    assert np.isfinite(logits).all()
    assert np.isfinite(of_weight).all()
    assert (gradient[0] == 0).all()
    assert np.isfinite(gradient[1]).all()
    assert (gradient[1] != 0).any()
    head.eval()
    assert (head(paddle.to_tensor(features)).numpy()[0] == 0).all()


def test_the_plain_root_is_what_is_guarded_against(monkeypatch):
    monkeypatch.setattr(margins, "sine_of", lambda cosines: paddle.sqrt(1 - cosines * cosines))
    weight = np.eye(SIZE, CLASSES, dtype="float32")
    _, gradient, _ = results(head_of(ArcMargin, weight), weight[:, :1].T.copy(), 0)
    assert not np.isfinite(gradient).all()
    assert not np.isfinite((paddle.zeros([1, 4]) / paddle.zeros([1, 4]).norm(axis=1, keepdim=True)).numpy()).all()


def test_sine_is_exact_at_its_ends_and_bounded_in_slope():
    cosines = paddle.to_tensor([1.0, -1.0, 1 + 2**-22, 0.0, 0.6, 0.9999999], stop_gradient=False)
    sine = margins.sine_of(cosines)
    sine.sum().backward()
    assert (sine.numpy()[:2] == 0).all()
    assert abs(float(sine[2])) < 1e-3
    assert np.allclose(sine.numpy()[3:5], [1.0, 0.8], atol=1e-6)
    assert np.abs(cosines.grad.numpy()).max() <= 2001


def test_unit_keeps_zeros():
    x = paddle.to_tensor([[3.0, 4.0], [0.0, 0.0]], stop_gradient=False)
    y = unit(x, 1)
    y.sum().backward()
    assert np.allclose(y.numpy(), [[0.6, 0.8], [0, 0]])
    assert np.isfinite(x.grad.numpy()).all()


# ---- use


@pytest.mark.parametrize(("cls", "formula", "options"), CASES)
def test_evaluation_and_unlabelled_images_give_plain_cosines(cls, formula, options):
    features, weight, labels = draw()
    head = head_of(cls, weight, **options)
    expected = np.cos(angles_of(features, weight))
    assert np.abs(head(paddle.to_tensor(features)).numpy() - expected).max() < 1e-6
    head.eval()
    assert np.abs(head(paddle.to_tensor(features), paddle.to_tensor(labels)).numpy() - expected).max() < 1e-6


def test_features_and_weights_of_half_precision_give_logits_of_float32():
    features, weight, labels = (paddle.to_tensor(part) for part in draw())
    features = features.astype("bfloat16")
    head = head_of(ArcMargin, weight.astype("bfloat16").astype("float32").numpy())
    expected = head(features.astype("float32"), labels).numpy()
    head.to(dtype="bfloat16")
    found = head(features, labels)
    assert head.weight.dtype == paddle.bfloat16
    assert found.dtype == paddle.float32
    assert (found.numpy() == expected).all()


def test_a_traced_head_gives_the_same():
    features, weight, labels = (paddle.to_tensor(part) for part in draw())
    head = head_of(ArcMargin, weight.numpy())
    expected = head(features, labels).numpy()
    traced = paddle.jit.to_static(head)
    assert np.abs(traced(features, labels).numpy() - expected).max() < 1e-5


@pytest.mark.parametrize(("label", "found"), [(CLASSES, CLASSES), (-1, -1), (99, 99)])
def test_a_label_out_of_range_is_refused(label, found):
    features, weight, labels = draw()
    labels[3] = label
    message = rf"Arch.Head.class_num: expected labels from 0 to 6, found {found}$"
    with pytest.raises(UserError, match=message):
        head_of(CosMargin, weight)(paddle.to_tensor(features), paddle.to_tensor(labels))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ArcMargin", {"margin": -0.3}, r"margin: expected a number from 0 to pi/2 \(1.5708\), found -0.3"),
        ("ArcMargin", {"margin": 3.2}, r"margin: expected a number from 0 to pi/2 \(1.5708\), found 3.2"),
        ("CosMargin", {"margin": 3.2}, "margin: expected a number from 0 to 1, found 3.2"),
        ("CosMargin", {"scale": 0}, "scale: expected a number above 0, found 0"),
        ("ArcMargin", {"easy_margin": "Fasle"}, "easy_margin: expected True or False, found 'Fasle'"),
        ("ArcMargin", {"easy_margn": True}, r"ArcMargin: no option 'easy_margn' \(did you mean 'easy_margin'\?\)"),
        ("CosMargin", {"easy_margin": True}, "CosMargin: no option 'easy_margin'"),
        ("CircleMargin", {"scale": 32}, "CircleMargin: .*missing.*margin"),
        ("CosMargin", {"class_num": 0}, "class_num: expected a whole number of at least 2, found 0"),
        ("CosMargin", {"class_num": 1}, "class_num: expected a whole number of at least 2, found 1"),
    ],
)
def test_wrong_options(name, options, message):
    with pytest.raises(UserError, match=message):
        HEADS.build(name, {"embedding_size": 4, "class_num": 3, **options}, "Arch.Head")


def test_weights_begin_as_paddleclas_has_them():
    """[embedding_size, class_num], of Xavier's normal distribution; the usual margins and scales."""
    paddle.seed(0)
    head = HEADS.build("ArcMargin", {"embedding_size": 300, "class_num": 200})
    assert list(head.state_dict()) == ["weight"]
    assert head.weight.shape == [300, 200]
    assert abs(float(head.weight.std()) / math.sqrt(2 / 500) - 1) < 0.02
    assert (head.margin, head.scale, head.easy_margin) == (0.5, 80.0, False)
    head = HEADS.build("CosMargin", {"embedding_size": 3, "class_num": 2})
    assert (head.margin, head.scale) == (0.35, 64.0)
