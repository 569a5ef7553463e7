"""The losses and the accuracy of a distillation, each against plain NumPy, and what they refuse."""

import numpy as np
import paddle
import pytest

from ppcls_lite.data.batch import Mixed
from ppcls_lite.train.distillation import DistillationTopkAcc, needs_labels
from ppcls_lite.train.losses import LOSSES, WeightedLosses
from ppcls_lite.utils.errors import UserError

PAIRS = [["Student", "Teacher"]]
IMAGES, CLASSES = 5, 7
rng = np.random.default_rng(3)
LOGITS = {name: rng.normal(0, 3, (IMAGES, CLASSES)) for name in ("Teacher", "Student", "Other")}
LABELS = np.array([0, 6, 3, 3, 1])
OUTPUTS = {name: paddle.to_tensor(logits.astype("float32")) for name, logits in LOGITS.items()}
TARGET = paddle.to_tensor(LABELS)


def softmax(x, temperature=1.0):
    e = np.exp(x / temperature - (x / temperature).max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def kl(p, q):
    """Divergence of q from p, by image."""
    return (p * np.log(p / q)).sum(axis=1)


def cross_entropy(student, soft):
    return -(soft * np.log(softmax(student))).sum(axis=1).mean()


def dml(student, teacher, act, over_classes=False):
    p, q = act(student), act(teacher)
    terms = CLASSES * (q * np.log(q / p) + p * np.log(p / q)) / 2
    return terms.sum(axis=1).mean() if over_classes else terms.mean()


def dkd(student, teacher, labels, temperature=1.0, alpha=1.0, beta=1.0):
    p, q = softmax(student, temperature), softmax(teacher, temperature)
    chosen = np.eye(CLASSES, dtype=bool)[labels]
    two_p, two_q = (np.stack([x[chosen], 1 - x[chosen]], axis=1) for x in (p, q))
    rest_p, rest_q = (x[~chosen].reshape(IMAGES, -1) / (1 - x[chosen])[:, None] for x in (p, q))
    return temperature**2 * (alpha * kl(two_q, two_p).mean() + beta * kl(rest_q, rest_p).mean())


def smooth_l1(difference):
    size = np.abs(difference)
    return np.where(size < 1, size**2 / 2, size - 0.5).mean()


def soft_entropy(student, teacher, temperature):
    return -(softmax(teacher, temperature) * np.log(softmax(student, temperature))).sum(axis=1)


def wsl(student, teacher, temperature):
    own, given = (-np.log(softmax(x)[np.arange(IMAGES), LABELS]) for x in (student, teacher))
    return temperature**2 * ((1 - np.exp(-own / given)) * soft_entropy(student, teacher, temperature)).mean()


def skd(student, teacher, labels, multiplier=2, alpha=0.9, temperature=1):
    student, teacher = (
        multiplier * (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True) for x in (student, teacher)
    )
    hard = cross_entropy(student, np.eye(CLASSES)[labels])
    return alpha * temperature**2 * soft_entropy(student, teacher, temperature).mean() + (1 - alpha) * hard


def dist(student, teacher, beta=1, gamma=1):
    p, q = softmax(student), softmax(teacher)

    def distance(p, q):
        return 1 - np.mean([np.corrcoef(one, other)[0, 1] for one, other in zip(p, q)])

    return beta * distance(p, q) + gamma * distance(p.T, q.T)


S, T = LOGITS["Student"], LOGITS["Teacher"]
HOT = np.eye(CLASSES)[LABELS]
EXPECTED = [
    ("DistillationCELoss", {}, cross_entropy(S, softmax(T))),
    ("DistillationKLDivLoss", {}, 16 * kl(softmax(T, 4), softmax(S, 4)).mean()),
    ("DistillationKLDivLoss", {"temperature": 1}, kl(softmax(T), softmax(S)).mean()),
    ("DistillationDMLLoss", {}, dml(S, T, softmax)),
    ("DistillationDMLLoss", {"act": "softmax", "sum_across_class_dim": True}, dml(S, T, softmax, True)),
    ("DistillationDMLLoss", {"act": "sigmoid"}, dml(S, T, sigmoid)),
    ("DistillationDistanceLoss", {}, ((S - T) ** 2).mean()),
    ("DistillationDistanceLoss", {"mode": "l1"}, np.abs(S - T).mean()),
    ("DistillationDistanceLoss", {"mode": "smooth_l1", "act": "softmax"}, smooth_l1(softmax(S) - softmax(T))),
    ("DistillationDKDLoss", {"temperature": 1}, dkd(S, T, LABELS)),
    ("DistillationDKDLoss", {"temperature": 2, "alpha": 0.5, "beta": 3}, dkd(S, T, LABELS, 2, 0.5, 3)),
    ("DistillationDKDLoss", {"use_target_as_gt": True}, dkd(S, T, T.argmax(axis=1))),
    ("DistillationWSLLoss", {}, wsl(S, T, 2)),
    ("DistillationWSLLoss", {"temperature": 3}, wsl(S, T, 3)),
    ("DistillationSKDLoss", {}, skd(S, T, LABELS)),
    ("DistillationSKDLoss", {"temperature": 2, "multiplier": 3, "alpha": 0.4}, skd(S, T, LABELS, 3, 0.4, 2)),
    ("DistillationSKDLoss", {"use_target_as_gt": True}, skd(S, T, T.argmax(axis=1))),
    ("DistillationDISTLoss", {}, dist(S, T)),
    ("DistillationDISTLoss", {"beta": 2, "gamma": 0.5}, dist(S, T, 2, 0.5)),
]


@pytest.mark.parametrize(("name", "options", "expected"), EXPECTED, ids=[f"{n}-{o}" for n, o, _ in EXPECTED])
def test_loss_is_that_of_numpy(name, options, expected):
    loss = LOSSES.build(name, {"model_name_pairs": PAIRS, **options})
    assert float(loss(OUTPUTS, TARGET)) == pytest.approx(expected, rel=2e-5)


def test_loss_with_labels_is_that_of_numpy():
    loss = LOSSES.build("DistillationGTCELoss", {"model_names": ["Student", "Other"]})
    expected = cross_entropy(S, HOT) + cross_entropy(LOGITS["Other"], HOT)
    assert float(loss(OUTPUTS, TARGET)) == pytest.approx(expected, rel=1e-5)
    smooth = LOSSES.build("DistillationGTCELoss", {"model_names": ["Student"], "epsilon": 0.1})
    assert float(smooth(OUTPUTS, TARGET)) == pytest.approx(cross_entropy(S, 0.9 * HOT + 0.1 / CLASSES), rel=1e-5)
    # an evaluation has the student's logits alone
    assert float(smooth(OUTPUTS["Student"], TARGET)) == float(smooth(OUTPUTS, TARGET))


@pytest.mark.parametrize("name", sorted({name for name, _, _ in EXPECTED}))
def test_pairs_are_summed_and_their_order_counts(name):
    def of(*pairs):
        return float(LOSSES.build(name, {"model_name_pairs": list(pairs), "key": "logits"})(OUTPUTS, TARGET))

    first, second = ["Student", "Teacher"], ["Other", "Teacher"]
    assert of(first, second) == pytest.approx(of(first) + of(second), rel=1e-5)
    assert of(first) != of(second)  # the wrong output would be seen
    symmetric = name in ("DistillationDMLLoss", "DistillationDistanceLoss", "DistillationDISTLoss")
    assert (of(first) == pytest.approx(of(first[::-1]), rel=1e-5)) == symmetric


def test_only_the_student_gets_a_gradient_of_a_fixed_teacher():
    student = paddle.to_tensor(S.astype("float32"), stop_gradient=False)
    loss = LOSSES.build("DistillationCELoss", {"model_name_pairs": PAIRS})({**OUTPUTS, "Student": student}, TARGET)
    loss.backward()
    assert np.allclose(student.grad.numpy(), (softmax(S) - softmax(T)) / IMAGES, atol=1e-6)


def test_sum_of_a_config_and_its_parts():
    losses = WeightedLosses(
        [
            {"DistillationGTCELoss": {"weight": 0.5, "model_names": ["Student"]}},
            {"DistillationDMLLoss": {"weight": 2.0, "model_name_pairs": PAIRS, "name": "loss_dml"}},
        ],
        "Loss.Train",
    )
    expected = 0.5 * cross_entropy(S, HOT) + 2 * dml(S, T, softmax)
    assert float(losses(OUTPUTS, TARGET)) == pytest.approx(expected, rel=1e-5)
    assert set(losses.parts) == {"DistillationGTCELoss", "DistillationDMLLoss"}
    assert needs_labels(losses)


def test_which_losses_need_labels():
    def of(name, **options):
        return needs_labels(WeightedLosses([{name: options}], "Loss.Train"))

    assert not of("DistillationCELoss", model_name_pairs=PAIRS)
    assert not of("DistillationDISTLoss", model_name_pairs=PAIRS)
    for name in ("DistillationDKDLoss", "DistillationSKDLoss"):
        assert not of(name, model_name_pairs=PAIRS, use_target_as_gt=True)
        assert of(name, model_name_pairs=PAIRS)
    assert of("DistillationWSLLoss", model_name_pairs=PAIRS)
    assert of("DistillationGTCELoss", model_names=["Student"])
    assert of("CELoss")


def test_accuracy_is_that_of_the_named_network():
    metric = DistillationTopkAcc(model_key="Student", topk=[1, 2])
    metric.update({name: logits.numpy() for name, logits in OUTPUTS.items()}, LABELS)
    best = np.argsort(-S, axis=1)
    assert metric.values() == {
        "top1": (best[:, 0] == LABELS).mean(),
        "top2": (best[:, :2] == LABELS[:, None]).any(axis=1).mean(),
    }
    alone = DistillationTopkAcc(model_key="Student", topk=[1, 2])
    alone.update(OUTPUTS["Student"].numpy(), LABELS)
    assert alone.values() == metric.values()
    with pytest.raises(
        UserError, match=r"model_key: expected one of Teacher, Student, Other, found 'Studen'.*did you mean 'Student'"
    ):
        DistillationTopkAcc("Studen").update(OUTPUTS, LABELS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("DistillationCELoss", {"model_name_pairs": []}, "expected a list of pairs"),
        ("DistillationCELoss", {"model_name_pairs": ["Student", "Teacher"]}, "expected a list of pairs"),
        ("DistillationCELoss", {}, "model_name_pairs"),
        ("DistillationCELoss", {"model_name_pairs": PAIRS, "epsilon": 0.1}, "soft labels are smooth already"),
        (
            "DistillationKLDivLoss",
            {"model_name_pairs": PAIRS, "temperature": 0},
            "temperature: expected a number above",
        ),
        ("DistillationDMLLoss", {"model_name_pairs": PAIRS, "act": "relu"}, "expected one of 'softmax', 'sigmoid'"),
        ("DistillationDMLLoss", {"model_name_pairs": PAIRS, "key": "blocks5"}, "expected null or 'logits'"),
        ("DistillationDMLLoss", {"model_name_pairs": PAIRS, "weight_ratio": True}, "several labels"),
        ("DistillationDistanceLoss", {"model_name_pairs": PAIRS, "mode": "l3"}, "expected one of 'l1', 'l2'"),
        ("DistillationGTCELoss", {"model_names": "Student"}, "expected a list such as"),
    ],
)
def test_wrong_options_are_named(name, options, message):
    with pytest.raises(UserError, match=message):
        LOSSES.build(name, options)


@pytest.mark.parametrize(
    ("outputs", "target", "message"),
    [
        (OUTPUTS["Student"], TARGET, "needs the outputs of several networks"),
        ({"Student": OUTPUTS["Student"]}, TARGET, "expected one of Student, found 'Teacher'"),
        (OUTPUTS, Mixed(TARGET, TARGET, paddle.to_tensor([0.5])), "needs one label per image"),
    ],
)
def test_wrong_outputs_and_targets_are_named(outputs, target, message):
    with pytest.raises(UserError, match=message):
        LOSSES.build("DistillationDKDLoss", {"model_name_pairs": PAIRS})(outputs, target)
