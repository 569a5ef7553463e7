"""What is printed is rounded, and was computed with a network's noise: equal within both, and no more."""

import pytest

from audit.answers import NOISE, _is_printed_of
from audit.pairing import Pair
from figures import Printed
from predictions import Prediction


def box(score, *corners):
    return ["flower", Printed(score), *map(Printed, corners)]


def pair(expected, found):
    made = object.__new__(Pair)
    made.limit, made.tops = 0.0, 0
    made.expected, made.found = ({"a.jpg": Prediction("boxes", [row])} for row in (expected, found))
    return made._printed_fault("a.jpg")


@pytest.mark.parametrize(
    ("first", "score", "is_equal"),
    [("44.5", "0.16", True), ("44.4", "0.16", True), ("44.6", "0.16", False), ("44.5", "0.17", False)],
)
def test_a_corner_may_be_rounded_to_the_other_side(first, score, is_equal):
    """44.444 and 44.450 are engines apart by 0.006 pixels of 180; a digit more is another box."""
    fault = pair(box("0.16333", "44.44", "83.89", "101.24", "180.0"), box(score, first, "83.9", "101.2", "180.0"))
    assert (fault == "") == is_equal


@pytest.mark.parametrize(("most", "is_equal"), [(17.5, True), (1.0, False)])
def test_scores_of_large_outputs_have_their_noise(most, is_equal):
    """A softmax of outputs around 17 shows their last bits in its fifth decimal, and that of small ones does not."""
    row = {5: 0.5738675, 1: 0.4260154, 3: 0.0001171}
    printed = Prediction("classes", [[5, 0.57385], [1, 0.42603], [3, 0.00012]])
    assert _is_printed_of(printed, row, most) == is_equal
    other = Prediction("classes", [[5, 0.57385 + 4 * NOISE * 17.5], [1, 0.42603], [3, 0.00012]])
    assert not _is_printed_of(other, row, most)
