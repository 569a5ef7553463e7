"""The verdict on a training's loss: what fell passes, and noise, divergence and a damaged log do not."""

import numpy as np
import pytest

from convergence import NOT_JUDGED, judge
from tests.helpers.scripts import ROOT, assert_one_line

EVIDENCE = sorted((ROOT / "test_log").glob("**/log_train.txt"))
UNTRAINED = [
    [float(word) for word in line.split()]
    for line in (ROOT / "tests/fixtures/losses/learning_rate_0.txt").read_text().splitlines()
    if not line.startswith("#")
]
LINE = "[Train][Epoch 1/1][Iter: {}/{}] loss: {}, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.5 sec\n"
NOISE = np.random.default_rng(5).standard_normal(40)
RISE_AND_FALL = np.concatenate([np.linspace(0, 1, 8), np.linspace(1, 0, 32)])  # an explosion, and the way back


@pytest.fixture
def verdict(tmp_path, run_here):
    def run(losses, every=10):
        path = tmp_path / "log_train.txt"
        path.write_text("".join(LINE.format(every * i, every * len(losses), loss) for i, loss in enumerate(losses, 1)))
        return run_here("test_tipc/lib/convergence.py", path)

    return run


@pytest.mark.parametrize(
    "losses",
    [
        np.linspace(2, 1, 20),
        np.linspace(2, 1, 10),  # with few points
        2 * np.exp(-np.arange(40) / 10) + 0.05 * NOISE,
        1.8 + 3 * RISE_AND_FALL - np.linspace(0, 1, 40),  # exploded on the way, and fell
        [2.0, 9.0, *np.linspace(1.9, 1.0, 38)],
    ],
)
def test_a_loss_that_fell(verdict, losses):
    outcome = verdict(losses)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("loss: ")
    assert ": it fell (by " in outcome.out
    assert "trend z -" in outcome.out


@pytest.mark.parametrize(
    "losses",
    [
        np.linspace(1, 2, 20),
        [1.0] * 20,
        1.8 + 0.05 * NOISE,
        1.8 - 1e-5 * np.linspace(0, 1, 40),  # falls, and by nothing
        1.8 - np.linspace(0, 0.04, 40) + 0.05 * NOISE,  # falls by less than its noise
        2.3 + 50 * RISE_AND_FALL,  # exploded, and came back to where it began
        2.3 + 50 * RISE_AND_FALL + np.linspace(0, 0.1, 40),
        [*np.linspace(9, 1, 20), *np.linspace(1, 9, 20)],  # fell, and was lost again
    ],
)
def test_a_loss_that_did_not_fall(verdict, losses):
    assert_one_line(verdict(losses), "it did not fall", "trend z", "needed")


@pytest.mark.parametrize("losses", UNTRAINED)
def test_a_learning_rate_of_0_is_seen(verdict, losses):
    """Real trainings that could not learn: with the means of the first and last tenth, they all passed."""
    assert_one_line(verdict(losses, every=3), "over 108 iterations: it did not fall")


def test_noise_hardly_ever_falls():
    rng = np.random.default_rng(0)
    logs = [list(1.8 + 0.05 * rng.standard_normal(36)) for _ in range(1000)]
    assert sum(judge(losses)[0] for losses in logs) <= 5


@pytest.mark.parametrize("loss", ["nan", "inf", "-inf", "Infinity", "NaN"])
@pytest.mark.parametrize("place", [0, 20, 39])
def test_a_loss_that_is_no_number_names_its_iteration(verdict, loss, place):
    losses = list(np.linspace(2, 1, 40))
    losses[place] = loss
    assert_one_line(verdict(losses), f"the loss is {float(loss)} at iteration {10 * (place + 1)}")


@pytest.mark.parametrize(
    ("losses", "every", "said"),
    [
        (
            [2, 1, 0.5],
            4,
            "too short to judge: 12 iterations in 3 points (at least 100 iterations in 8 points are needed)",
        ),
        ([1.7], 1, "too short to judge: 1 iteration in 1 point "),
        (np.linspace(2, 1, 7), 100, "too short to judge: 700 iterations in 7 points"),
        (np.linspace(2, 1, 49), 2, "too short to judge: 98 iterations in 49 points"),
    ],
)
def test_too_short_to_judge_is_neither_passed_nor_failed(verdict, losses, every, said):
    outcome = verdict(losses, every)
    assert (outcome.status, outcome.err, NOT_JUDGED) == (77, "", 77)
    assert outcome.out.splitlines()[-1].startswith(said)


@pytest.mark.parametrize("loss", ["1e", "--", "1.2.3", "tensor", "1_0"])
def test_a_figure_that_is_no_number_names_file_and_line(verdict, loss):
    losses = list(np.linspace(2, 1, 40))
    losses[6] = loss
    assert_one_line(verdict(losses), "log_train.txt:7: loss: expected a number", repr(loss))


@pytest.mark.parametrize("path", EVIDENCE, ids=lambda path: str(path.parent.relative_to(ROOT / "test_log")))
def test_the_trainings_of_this_repository(run_here, path):
    outcome = run_here("test_tipc/lib/convergence.py", path)
    assert (outcome.status, outcome.err) == (0, "")
