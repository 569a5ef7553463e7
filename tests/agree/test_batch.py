"""An image of a batch must get the answer that it gets alone, from the exported model and from the engine."""

import paddle
import pytest

from tests.agree import zoo
from tests.agree.test_network import assert_only, lines


def mixed(scores):
    """What batch norm does that was left in training mode: the answer depends on the other images."""
    return scores - scores.mean(0, keepdim=True)


def as_three(scores):
    """A size of batch that became a constant, as `reshape([x.shape[0], -1])` of a traced batch does."""
    return scores.reshape([3, zoo.CLASSES])


def network(behind=None):
    classifier = zoo.filled(zoo.Classifier())
    made = zoo.Behind(classifier, behind) if behind else classifier
    made.eval()
    return made


def observed(project, model, layer):
    """Recordings of three images at a time, in all steps."""
    pixels, made = zoo.images(6), project(model)
    made.layer("evaluate", layer, {"x": pixels[:3]})
    made.layer("evaluate", layer, {"x": pixels[3:]})
    made.layer("predict", layer, {"x": pixels[:3]})
    made.infer(pixels[:3])
    made.infer(pixels[3:])
    return made


def test_a_batch_is_compared_with_its_images_alone(project, exports):
    ran = observed(project, exports("batch", network), network())
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out + outcome.err
    assert ran.saved["engine"][0]["batch"] == 3


@pytest.mark.parametrize(
    ("behind", "words"),
    [
        (mixed, "image 1 of a batch of 3 differs by "),
        (as_three, "an image of its batch of 3 cannot be computed alone: "),
    ],
)
def test_rows_that_depend_on_the_batch(project, exports, behind, words):
    """The network itself does so: its export is equal bit by bit, and every engine agrees for the same batch."""
    ran = observed(project, exports(behind.__name__, lambda: network(behind)), network(behind))
    assert_only(ran.agree(), "engine infer", words)


def test_images_one_by_one_say_nothing_of_a_batch(project, exports):
    """Such a network is used rightly with one image at a time."""
    model, layer = exports("mixed", lambda: network(mixed)), network(mixed)
    pixels, ran = zoo.images(2), project(model)
    for row in range(2):
        ran.layer("evaluate", layer, {"x": pixels[row : row + 1] + 1})
        ran.infer(pixels[row : row + 1])
    assert "batch of" not in lines(ran.agree())["engine infer"]
    assert ran.saved["engine"][0]["batch"] == 0


def test_answers_about_pairs_of_images_cannot_be_cut(project, exports):
    """A matrix [N, N] of a batch has other sides for one image, which is no fault."""

    class Pairs(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.network = zoo.filled(zoo.Classifier())

        def forward(self, x):
            return paddle.matmul(self.network(x), self.network(x), transpose_y=True)

    def made():
        layer = Pairs()
        layer.eval()
        return layer

    outcome = observed(project, exports("pairs", made), made()).agree()
    assert outcome.status == 0, outcome.out + outcome.err
