"""Printed scores: softmax in Python is behind the boundary of Paddle, and is found in the logs."""

import numpy as np
import paddle
import pytest

from tests.agree import zoo
from tests.agree.test_network import assert_only, copy_of, lines, network  # noqa: F401 - a fixture

PIXELS = zoo.images(6)


def softmax(row):
    powers = np.exp(row.astype(np.float64) - row.max())
    return powers / powers.sum()


@pytest.fixture
def ran(steps, exports, network):  # noqa: F811
    return steps(exports("plain", lambda: copy_of(network)), network)


def line(row, behind=lambda row: row, form="class_id: {}, prob: {}", digits=6):
    top = int(np.argmax(row))
    return form.format(top, f"{behind(row)[top]:.{digits}f}")


def compare(ran, network, predict, infer):  # noqa: F811
    """The outcome with the lines that these functions make of the logits of each image as logs."""
    from tests.helpers.recordings import run_layer

    rows = run_layer(network, {"x": PIXELS[:3]})["0"]
    logs = []
    for name, make in (("predict.log", predict), ("infer.log", infer)):
        path = ran.folder / name
        text = "".join(f"{make(row)}\n" for row in rows)
        path.write_text(f"2026-11-26 02:15:33 batch 1 of 3\n{text}time 12.345 ms, ips 103.21\n")
        logs.append(path)
    return ran.agree("--predict_log", logs[0], "--infer_log", logs[1])


def printed(ran):
    return ran.saved["network"]["printed"]["engine infer"]["result"]


@pytest.mark.parametrize("digits", [3, 6, 12])
def test_the_same(ran, network, digits):  # noqa: F811
    both = lambda row: line(row, softmax, digits=digits)  # noqa: E731
    outcome = compare(ran, network, both, both)
    assert outcome.status == 0, outcome.out
    assert printed(ran) == "the same"


def test_an_engine_with_other_last_digits(project, exports, network):  # noqa: F811
    ran = project(exports("plain", lambda: copy_of(network)))
    inputs = {"x": PIXELS[:3]}
    ran.layer("evaluate", network, inputs)
    own = ran.layer("predict", network, inputs)["0"]
    (found,) = ran.infer(PIXELS[:3], outputs=lambda array: array + np.linspace(0, 3e-4, 8, dtype=np.float32)).values()
    logs = ran.folder / "predict.log", ran.folder / "infer.log"
    for path, rows in zip(logs, (own, found)):
        path.write_text("".join(f"{line(row, softmax, digits=9)}\n" for row in rows))
    outcome = ran.agree("--predict_log", logs[0], "--infer_log", logs[1])
    assert outcome.status == 0, outcome.out
    assert printed(ran) == "the same"


def test_logits_in_both(ran, network):  # noqa: F811
    assert compare(ran, network, line, line).status == 0
    assert printed(ran) == "the same"


@pytest.mark.parametrize("digits", [3, 6])
def test_softmax_missing_beside_names(ran, network, digits):  # noqa: F811
    """Scripts print names instead of class ids."""
    form = "tabby score {1}"
    predict, infer = (
        lambda row, behind=behind: line(row, behind, form, digits) for behind in (softmax, lambda row: row)
    )
    assert_only(compare(ran, network, predict, infer), "network", "softmax is missing behind the exported model")


@pytest.mark.parametrize("digits", [3, 6])
def test_softmax_missing_in_infer(ran, network, digits):  # noqa: F811
    outcome = compare(ran, network, lambda row: line(row, softmax, digits=digits), lambda row: line(row, digits=digits))
    assert_only(outcome, "network", "which is softmax of its output; infer printed", "softmax is missing behind")


def test_softmax_in_the_export_and_in_the_script(steps, exports, network):  # noqa: F811
    ran = steps(exports("softmax", lambda: zoo.Behind(copy_of(network), paddle.nn.functional.softmax)), network)
    twice = lambda row: softmax(softmax(row))  # noqa: E731
    outcome = compare(ran, network, lambda row: line(row, softmax), lambda row: line(row, twice))
    assert_only(outcome, "network", "softmax is applied twice")


def test_logits_in_predict_only(steps, exports, network):  # noqa: F811
    """The export has softmax, the network has none, and both scripts print what they get: nothing is missing."""
    ran = steps(exports("softmax", lambda: zoo.Behind(copy_of(network), paddle.nn.functional.softmax)), network)
    assert compare(ran, network, line, lambda row: line(row, softmax)).status == 0
    assert printed(ran) == "predict printed its output as it is, infer something else"


def test_softmax_behind_probabilities(steps, exports, network):  # noqa: F811
    layer = zoo.Behind(copy_of(network), paddle.nn.functional.softmax)
    layer.eval()
    ran = steps(exports("softmax", lambda: zoo.Behind(copy_of(network), paddle.nn.functional.softmax)), layer)
    twice = lambda row: softmax(softmax(row))  # noqa: E731
    outcome = compare(ran, network, lambda row: line(row, softmax), lambda row: line(row, twice))
    assert_only(outcome, "network", "its output as it is; infer printed", "softmax is applied twice")


def test_softmax_twice(ran, network):  # noqa: F811
    twice = lambda row: softmax(softmax(row))  # noqa: E731
    outcome = compare(ran, network, lambda row: line(row, softmax), lambda row: line(row, twice))
    assert outcome.status == 0  # it is none of the candidates: nothing is claimed
    assert printed(ran) == "printed scores were not recognised"


@pytest.mark.parametrize(
    "infer",
    [
        lambda row: "no number at all",
        lambda row: line(row, digits=1),  # too few digits
        lambda row: line(row, form="{1}", digits=3),  # not beside its class
        lambda row: line(row) + " " + line(row, softmax),  # both of them
        lambda row: "class_id: 1, prob: 0.12345",
    ],
)
def test_not_recognised(ran, network, infer):  # noqa: F811
    assert compare(ran, network, lambda row: line(row, softmax), infer).status == 0
    assert printed(ran) == "printed scores were not recognised"


def test_percent(ran, network):  # noqa: F811
    outcome = compare(ran, network, lambda row: line(row, softmax), lambda row: line(100 * softmax(row), form="{} {}%"))
    assert outcome.status == 0
    assert printed(ran) == "the same"
