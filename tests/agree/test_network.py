"""The network check: right exports of all kinds pass, and each fault is named."""

import re

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from tests.agree import zoo
from tests.helpers.recordings import run_layer

PLAIN = "bitwise equal for 6 images of evaluate and 3 images of predict"


@pytest.fixture(scope="module")
def network():
    return zoo.filled(zoo.Classifier())


def copy_of(network):
    copy = zoo.Classifier()
    copy.set_state_dict(network.state_dict())
    copy.eval()
    return copy


def merged_copy(network):
    merged = zoo.Merged(network)
    merged.eval()
    return merged


def lines(outcome):
    """{check: the rest of its line}"""
    pairs = (line.partition(": ") for line in outcome.out.splitlines())
    return {check: rest for check, _, rest in pairs}


def assert_only(outcome, check, *words, also=()):
    """Exactly this check disagrees, with those of `also`, and says these words."""
    found = lines(outcome)
    assert outcome.status == 1, outcome.out + outcome.err
    assert [name for name, rest in found.items() if "DISAGREES" in rest] == [check, *also], outcome.out
    for word in words:
        assert word in found[check]
    assert f"the {check} disagrees: " in outcome.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "behind", "note"),
    [
        ("plain", None, ""),
        ("softmax", F.softmax, " (softmax is behind the network in the export)"),
        ("sigmoid", F.sigmoid, " (sigmoid is behind the network in the export)"),
    ],
)
def test_right_export(steps, exports, network, name, behind, note):
    copy = copy_of(network)
    model = exports(name, lambda: zoo.Behind(copy, behind) if behind else copy)
    ran = steps(model, network)
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out + outcome.err
    assert outcome.out.splitlines()[:2] == [
        "preprocessing: bitwise equal for 3 of 3 images: agrees",
        f"network: {PLAIN}{note}: agrees",
    ]
    assert "3 images with the same top-5: agrees" in outcome.out.splitlines()[2]
    assert ran.saved["network"]["weights"] == {"state": "equal", "unknown": 0, "exported": 7}


def test_without_predict(project, exports, network):
    ran = project(exports("plain", lambda: copy_of(network)))
    ran.layer("evaluate", network, {"x": zoo.images(4)})
    ran.infer(zoo.images(3, seed=9))
    outcome = ran.agree()
    assert outcome.status == 0
    assert lines(outcome)["preprocessing"] == "not compared (nothing was observed of predict)"
    assert "4 images of evaluate" in lines(outcome)["network"]


def test_merged_export(steps, exports, network):
    outcome = steps(exports("merged", lambda: merged_copy(network)), network).agree()
    assert outcome.status == 0, outcome.out
    assert "(at most 1e-05 allowed)" in lines(outcome)["network"]
    assert "the export rewrote 2 of 4 tensors" in lines(outcome)["network"]


def test_merged_wrongly(steps, exports, network):
    def wrong():
        merged = merged_copy(network)
        merged.conv.bias.set_value(merged.conv.bias * 1.001)
        return merged

    outcome = steps(exports("merged_wrongly", wrong), network).agree()
    assert_only(outcome, "network", "2 of 4 weights", "a fault in merging")


def test_other_weights(steps, exports, network):
    def other():
        copy = copy_of(network)
        copy.fc.weight.set_value(copy.fc.weight * 1.000001)
        return copy

    outcome = steps(exports("other", other), network).agree()
    assert_only(outcome, "network", "1 of 7 weights of the exported model", "an export of other weights")


def test_softmax_missing_in_the_export(steps, exports, network):
    layer = zoo.Behind(copy_of(network), F.softmax)
    layer.eval()
    outcome = steps(exports("plain", lambda: copy_of(network)), layer).agree()
    assert_only(outcome, "network", "softmax is missing in the exported model")


@pytest.mark.parametrize("same_in_all_calls", [False, True])
def test_dropout_left_on(steps, exports, network, same_in_all_calls):
    def training():
        copy = copy_of(network)
        share = (lambda x: paddle.full([8], 0.5)) if same_in_all_calls else (lambda x: paddle.full_like(x, 0.5))
        copy.drop.forward = lambda x: x * paddle.bernoulli(share(x)) * 2
        return copy

    model = exports(f"dropout_{same_in_all_calls}", training)
    outcome = steps(model, network).agree()
    assert outcome.status == 1
    assert re.search("its outputs change .*: dropout was left on in the export", lines(outcome)["network"])


def test_batch_norm_in_training_mode(steps, exports, network):
    class Normed(zoo.Classifier):
        def forward(self, x):
            x = self.conv(x)
            x = (x - x.mean([0, 2, 3], keepdim=True)) / (x.std([0, 2, 3], keepdim=True) + 1e-5)
            x = x * self.norm.weight.reshape([1, -1, 1, 1]) + self.norm.bias.reshape([1, -1, 1, 1])
            x = x + 0 * (self.norm._mean + self.norm._variance).reshape([1, -1, 1, 1])
            return self.fc(F.adaptive_avg_pool2d(F.relu(x), 1).flatten(1))

    def make():
        copy = Normed()
        copy.set_state_dict(network.state_dict())
        copy.eval()
        return copy

    outcome = steps(exports("batch_norm", make), network).agree()
    words = "batch norm was left in training mode in the export"
    assert_only(outcome, "network", words, also=["engine infer"])
    assert "the same image alone" in lines(outcome)["engine infer"]


def test_another_function_of_the_same_weights(steps, exports, network):
    class Shifted(zoo.Classifier):
        def forward(self, x):
            return self.logits(x * 1.01)

    def make():
        copy = Shifted()
        copy.set_state_dict(network.state_dict())
        copy.eval()
        return copy

    outcome = steps(exports("shifted", make), network).agree()
    assert_only(outcome, "network", "all 7 weights of the export are those that evaluate used")


def test_network_in_training_mode(project, exports, network):
    ran = project(exports("plain", lambda: copy_of(network)))
    ran.layer("evaluate", network, {"x": zoo.images(4)}, training=True)
    ran.infer(zoo.images(2))
    assert_only(ran.agree(), "network", "in evaluate the network was in training mode")


@pytest.mark.parametrize("given", ["best", "best.pdparams"])
def test_weights_that_were_not_loaded(project, exports, network, tmp_path, given):
    ran = project(exports("plain", lambda: copy_of(network)))
    ran.layer("evaluate", network, {"x": zoo.images(4)}, loaded=[(tmp_path / "best.pdparams", 7, 0)])
    ran.infer(zoo.images(2))
    assert_only(ran.agree("--weights", tmp_path / given), "network", "none of the 7 tensors of best")


@pytest.mark.parametrize(
    ("loaded", "note"),
    [
        (("best.pdparams", 9, 7), "7 of 9 tensors of best.pdparams are in it"),
        (("other.pdparams", 7, 0), "was not seen"),
    ],
)
def test_weights_that_were_loaded_in_part(project, exports, network, tmp_path, loaded, note):
    ran = project(exports("plain", lambda: copy_of(network)))
    ran.layer("evaluate", network, {"x": zoo.images(4)}, loaded=[(tmp_path / loaded[0], *loaded[1:])])
    ran.infer(zoo.images(2))
    outcome = ran.agree("--weights", tmp_path / "best.pdparams")
    assert outcome.status == 0
    assert note in lines(outcome)["network"]


@pytest.mark.parametrize("loads", [True, False])
def test_weights_that_nobody_saw_being_read(project, exports, network, tmp_path, loads):
    """A script that reads its weights without paddle.load, or does not read them at all."""
    kept = network if loads else zoo.filled(zoo.Classifier(), seed=11)
    paddle.save(kept.state_dict(), str(tmp_path / "best.pdparams"))
    ran = project(exports("plain", lambda: copy_of(network)))
    ran.layer("evaluate", network, {"x": zoo.images(4)})
    ran.infer(zoo.images(2))
    outcome = ran.agree("--weights", tmp_path / "best")
    if loads:
        assert outcome.status == 0, outcome.out
    else:
        assert_only(outcome, "network", "no tensor of the network that evaluate used, or of the export, is in best")


def test_two_threads(project, exports, network):
    """Sums of two threads have other last bits; the export computes the same with two threads."""
    wide = zoo.filled(zoo.Wide())
    ran = project(exports("wide", lambda: zoo.filled(zoo.Wide())))
    inputs = {"x": zoo.images(4)}
    one = run_layer(wide, inputs)["0"]
    paddle.base.core.set_num_threads(2)
    outputs = run_layer(wide, inputs)
    if np.array_equal(one, outputs["0"]):
        pytest.skip("this machine computes the same with two threads")
    ran.layer("evaluate", wide, inputs, outputs=outputs)
    ran.infer(zoo.images(2))
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert "bitwise equal for 4 images of evaluate (with 2 threads, as they computed it): agrees" in outcome.out


def test_other_weights_behind_argmax(project, exports, network):
    """The same classes for a few images are no proof of the weights."""

    def other():
        copy = copy_of(network)
        copy.fc.weight.set_value(copy.fc.weight * 1.000001)
        return zoo.Behind(copy, lambda x: paddle.argmax(x, -1))

    ran = project(exports("argmax_other", other))
    ran.layer("evaluate", network, {"x": zoo.images(4)})
    ran.infer(zoo.images(2))
    assert_only(ran.agree(), "network", "1 of 7 weights of the exported model", "an export of other weights")


def test_a_network_that_is_called_in_parts(project, exports, network):
    """The backbone gets the image, and gives something that no output of the export is: nothing is proven by it."""
    ran = project(exports("plain", lambda: copy_of(network)))
    ran.layer("evaluate", network, {"x": zoo.images(4)})
    backbone = zoo.filled(paddle.nn.Conv2D(3, 8, 3))
    ran.layer("predict", backbone, {"x": zoo.images(2)})
    ran.infer(zoo.images(2))
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    note = "no network of predict that gets the image has the outputs of the exported model"
    assert lines(outcome)["network"] == f"bitwise equal for 4 images of evaluate ({note}): agrees"


@pytest.mark.parametrize("predicts", [True, False])
def test_an_evaluation_with_another_size(project, exports, network, predicts):
    """The export takes one size only; predict has it, and evaluate another one."""

    class Sized(zoo.Classifier):
        def forward(self, x):
            return self.logits(x.reshape([-1, 3, 16, 16]))

    def make():
        copy = Sized()
        copy.set_state_dict(network.state_dict())
        copy.eval()
        return copy

    ran = project(exports("sized", make))
    ran.layer("evaluate", network, {"x": zoo.images(4, size=20)})
    if predicts:
        ran.layer("predict", network, {"x": zoo.images(2)})
    ran.infer(zoo.images(2))
    outcome = ran.agree()
    if predicts:
        assert outcome.status == 0, outcome.out
        note = "the exported model cannot take the images of evaluate, which have another size"
        assert lines(outcome)["network"] == f"bitwise equal for 2 images of predict ({note}): agrees"
    else:
        assert outcome.status == 77
        assert "not compared (the exported model cannot take the recorded inputs" in lines(outcome)["network"]


def test_only_constants_of_the_file_are_in_the_network(project, exports, network, tmp_path):
    """A table of positions is in the file and in every network, whether its weights were loaded or not."""
    ran = project(exports("plain", lambda: copy_of(network)))
    file = tmp_path / "best.pdparams"
    ran.layer("evaluate", network, {"x": zoo.images(4)}, loaded=[(file, 8, 1, 0)])
    ran.infer(zoo.images(2))
    assert_only(ran.agree("--weights", file), "network", "none of the 8 tensors of best.pdparams")


def test_another_output(project, exports, network):
    class Features(zoo.Classifier):
        def forward(self, x):
            return self.fc.weight.sum() + self.norm(self.conv(x)).mean([2, 3])[:, :5] + self.fc.bias.sum()

    def make():
        copy = Features()
        copy.set_state_dict(network.state_dict())
        copy.eval()
        return copy

    ran = project(exports("features", make))
    ran.layer("evaluate", network, {"x": zoo.images(4)})
    ran.infer(zoo.images(2))
    outcome = ran.agree()
    assert outcome.status == 77, outcome.out
    assert "no output of the export has the shape of one of the network's: [4, 5], and [4, 8]" in outcome.out


def test_evaluation_with_another_network(project, exports, network):
    """A detector's evaluation may call another form of it than its prediction."""
    ran = project(exports("plain", lambda: copy_of(network)))
    ran.layer("evaluate", zoo.filled(paddle.nn.Linear(3, 2)), {"input": zoo.images(4)[:, :, 0, 0].copy()})
    ran.layer("predict", network, {"x": zoo.images(2)})
    ran.infer(zoo.images(2))
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert "2 images of predict (no network of evaluate has the inputs of the exported model): agrees" in outcome.out


def test_a_change_of_one_bit(project, exports, network):
    ran = project(exports("plain", lambda: copy_of(network)))
    inputs = {"x": zoo.images(4)}
    outputs = run_layer(network, inputs)
    outputs["0"].view(np.int32)[2, 3] += 1
    ran.layer("evaluate", network, inputs, outputs=outputs)
    ran.infer(zoo.images(2))
    outcome = ran.agree()
    assert_only(outcome, "network", "no number of threads explains the rounding")
    assert "3 bitwise equal" in lines(outcome)["network"]


def dead(network):
    copy = copy_of(network)
    copy.fc.weight.set_value(copy.fc.weight * 0)
    return copy


@pytest.mark.parametrize("count", [1, 4])
def test_dead_network(project, exports, network, count):
    ran = project(exports("dead", lambda: dead(network)))
    ran.layer("evaluate", dead(network), {"x": zoo.images(count)})
    ran.infer(zoo.images(1))
    assert_only(ran.agree(), "network", "the same outputs" if count == 1 else "do not depend on the image")


@pytest.mark.parametrize("right", [True, False])
def test_one_list_of_words(project, exports, right):
    """The order of the words does not matter to their mean, and that is no fault."""

    class Words(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.table, self.fc, self.share = paddle.nn.Embedding(20, 4), paddle.nn.Linear(4, 3), int(right)

        def forward(self, ids):
            return self.fc(self.table(ids * self.share).mean(1))

    ran = project(exports(f"words_{right}", lambda: zoo.filled(Words()), ((None, 6), "int64", "ids")))
    ids = np.arange(12, dtype=np.int64).reshape(2, 6)
    ran.layer("evaluate", zoo.filled(Words()), {"ids": ids[: 1 if right else 2]})
    ran.infer(ids[:1])
    outcome = ran.agree()
    if right:
        assert outcome.status == 0, outcome.out
    else:
        assert_only(outcome, "network", "they do not depend on the image")


def test_fixed_batch(steps, exports, network):
    class Baked(zoo.Classifier):
        def forward(self, x):
            return self.logits(x).reshape([1, zoo.CLASSES])

    def make():
        copy = Baked()
        copy.set_state_dict(network.state_dict())
        copy.eval()
        return copy

    model = exports("fixed", make, ((1, 3, 16, 16), "float32", "image"))
    ran = steps(model, network, inferred=zoo.images(1))
    outcome = ran.agree()
    assert "image by image, since the batch of the export is fixed" in lines(outcome)["network"]
    assert lines(outcome)["network"].endswith(": agrees")


def test_gpu(project, exports, network):
    ran = project(exports("plain", lambda: copy_of(network)))
    inputs = {"x": zoo.images(4)}
    logits = run_layer(network, inputs)["0"]
    ran.layer("evaluate", network, inputs, place="gpu", outputs={"0": logits * np.float32(1.00002)})
    ran.infer(zoo.images(2))
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert "(at most 0.0001 allowed)" in lines(outcome)["network"]
    assert "they ran on a GPU" in lines(outcome)["network"]
