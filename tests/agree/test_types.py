"""Types and shapes of tensors that networks of other fields have."""

import numpy as np
import paddle
import pytest
from paddle import nn

from tests.agree import zoo
from tests.agree.test_network import assert_only, lines


class Tokens(nn.Layer):
    """Token ids [N, L] int64 and their mask [N, L] bool to scores [N, 3]."""

    def __init__(self):
        super().__init__()
        self.table, self.fc = nn.Embedding(20, 6), nn.Linear(6, 3)

    def forward(self, ids, mask):
        kept = self.table(ids) * mask.astype("float32").unsqueeze(-1)
        return self.fc(kept.sum(1))


class Scalar(nn.Layer):
    """An image [3, 16, 16] without a batch and a number [] to a number []."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 1)

    def forward(self, image, factor):
        return self.fc(image).sum() * factor


class Twins(nn.Layer):
    """Two images of the same shape to scores [N, 4], in another order than the export has them."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, left, right):
        return self.fc(left.mean([2, 3]) - 2 * right.mean([2, 3]))


class Swapped(nn.Layer):
    def __init__(self, twins):
        super().__init__()
        self.twins = twins

    def forward(self, b, a):
        return self.twins(a, b)


def both(project, exports, make, name, inputs, *specs, order=None):
    """A project where evaluate, predict and infer saw the same inputs."""
    ran = project(exports(name, make, *specs))
    layer = make()
    ran.layer("evaluate", layer, inputs)
    ran.layer("predict", layer, inputs)
    named = dict(zip(inputs, inputs.values()))
    ran.infer(*(named[(order or {}).get(key, key)] for key in ran.model.inputs))
    return ran


def tokens():
    rng = np.random.default_rng(2)
    return {"ids": rng.integers(0, 20, (5, 7)), "mask": rng.random((5, 7)) > 0.3}


def test_tokens(project, exports):
    specs = ((None, None), "int64", "ids"), ((None, None), "bool", "mask")
    outcome = both(project, exports, lambda: zoo.filled(Tokens()), "tokens", tokens(), *specs).agree()
    assert outcome.status == 0, outcome.out + outcome.err
    assert lines(outcome)["preprocessing"] == "bitwise equal for 5 of 5 images: agrees"


def test_other_tokens(project, exports):
    specs = ((None, None), "int64", "ids"), ((None, None), "bool", "mask")
    ran = project(exports("tokens", lambda: zoo.filled(Tokens()), *specs))
    inputs, other = tokens(), tokens()
    other["ids"][2, 3] += 1
    for step in ("evaluate", "predict"):
        ran.layer(step, zoo.filled(Tokens()), inputs)
    ran.infer(*(other[name] for name in ran.model.inputs))
    assert_only(ran.agree(), "preprocessing", "1 has no equal in infer")


def test_without_batch(project, exports):
    specs = ((3, 16, 16), "float32", "image"), ((), "float32", "factor")
    inputs = {"image": zoo.images(1)[0], "factor": np.array(1.5, np.float32)}
    outcome = both(project, exports, lambda: zoo.filled(Scalar()), "scalar", inputs, *specs).agree()
    assert outcome.status == 0, outcome.out + outcome.err
    assert lines(outcome)["network"] == "bitwise equal for 1 image of evaluate and 1 image of predict: agrees"


def test_inputs_of_one_shape_without_names(project, exports):
    shape = (None, 3, 16, 16)
    inputs = {"left": zoo.images(2), "right": zoo.images(2, seed=4)}
    model = exports("swapped", lambda: Swapped(zoo.filled(Twins())), (shape, "float32", "b"), (shape, "float32", "a"))
    ran = project(model)
    layer = zoo.filled(Twins())
    ran.layer("evaluate", layer, inputs)
    ran.layer("predict", layer, inputs)
    named = {"a": inputs["left"], "b": inputs["right"]}
    ran.infer(*(named[name] for name in ran.model.inputs))
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out + outcome.err
    assert lines(outcome)["preprocessing"] == "bitwise equal for 2 of 2 images: agrees"


class Halves(nn.Layer):
    """Images [N, 3, 16, 16] to float16 and float64 numbers, a flag, and a list that may be empty."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        y = self.fc(x).mean([1, 2])
        return y.astype("float16"), y.astype("float64"), y > 0, paddle.masked_select(y, y > 1e6)


@pytest.mark.parametrize("wrong", [False, True])
def test_outputs_of_other_types(project, exports, wrong):
    ran = project(exports("halves", lambda: zoo.filled(Halves()), ((None, 3, 16, 16), "float32", "x")))
    ran.layer("evaluate", zoo.filled(Halves()), {"x": zoo.images(3)})
    ran.infer(zoo.images(3), outputs=lambda array: ~array if wrong and array.dtype == bool else array)
    outcome = ran.agree()
    if wrong:
        assert_only(outcome, "engine infer", "12 of 12 elements of an integer output differ")
    else:
        assert outcome.status == 0, outcome.out + outcome.err
        assert lines(outcome)["network"] == "bitwise equal for 3 images of evaluate: agrees"
