"""Networks that are called as layers: each call of the outermost one is recorded, once."""

import hashlib

import numpy as np
import pytest

from tests.observe.conftest import run_script

SCRIPT = """
import collections, copy, io, pickle
import numpy as np
import paddle
from paddle import nn

Pair = collections.namedtuple("Pair", "left right")
paddle.seed(1)


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Linear(4, 5)

    def forward(self, image, extra=None, flag=True):
        x = self.bn(self.conv(image)).mean([2, 3])
        return self.fc(x)


class Dictionary(Net):
    def forward(self, data, *more, **named):
        x = Net.forward(self, data["image"])
        data["later"] = x
        return {"boxes": x, "list": [x, (x,)], "pair": Pair(x, 3), "text": "none"}


class InPlace(Net):
    def forward(self, image):
        image.zero_()
        return Net.forward(self, image)


def section(name):
    print(name)
    paddle.to_tensor([0.0])
    markers.append(name)
    nn.Linear(1, 1)(paddle.full([1, 1], len(markers)))  # a call that separates the sections


markers, x = [], paddle.arange(2 * 3 * 8 * 8, dtype="float32").reshape([2, 3, 8, 8]) / 128
saved = Net()
saved.bn._mean.set_value(paddle.arange(4, dtype="float32"))
saved.bn._variance.set_value(paddle.arange(4, dtype="float32") + 0.5)
paddle.save({"state_dict": saved.state_dict(), "epoch": 3}, "best.pdparams")
paddle.save(nn.Linear(2, 2).state_dict(), "other.pdparams")
paddle.load("other.pdparams")
paddle.save({name: tensor.astype("float16") for name, tensor in saved.state_dict().items()}, "half.pdparams")

section("before any preparation")
Net().forward(x)

section("call")
net = Net()
net.set_state_dict(paddle.load("best.pdparams")["state_dict"])
net.eval()
net(x, flag=False)
section("forward")
net.forward(image=x)
section("in a function that is called forward")
def forward(network, x):
    return network(x)
forward(net, x)
section("lists and keywords")
net(extra=[x, {"q": x[:1]}, None], image=x)
section("dictionary")
det = Dictionary()
det.eval()
det({"id": paddle.to_tensor([1, 2]), "image": x, "names": ["a", "b"]}, x + 1, scale=x + 2)
section("in place")
inplace = InPlace()
inplace.eval()
inplace(x + 0)
section("training")
trainee = copy.deepcopy(net)
trainee(x)
trainee.train()
trainee(x)
section("copies")
c = copy.deepcopy(det)
assert "forward" not in vars(c)
c.forward({"image": x})
section("losses")
nn.CrossEntropyLoss()(paddle.rand([2, 3]), paddle.to_tensor([1, 2]))
nn.Softmax()(x)
section("a network within a layer without parameters")
class Outer(nn.Layer):
    def __init__(self):
        super().__init__()
        self.hidden = [net]
    def forward(self, x):
        return self.hidden[0](x)
Outer().eval()
Outer()(x)
section("parallel")
paddle.DataParallel(net)(x)
section("fails")
for _ in range(2):
    try:
        net(x[:, :2])
    except Exception as error:
        print("failed")
section("after failing")
net(x)
section("high level")
class Single(Net):
    def forward(self, image):
        return Net.forward(self, image)
single = Single()
single.set_state_dict(net.state_dict())
model = paddle.Model(single)  # it reads the names of forward's values
model.prepare()
model.predict_batch([x.numpy()])
section("other weights")
net.fc.bias.set_value(paddle.ones([5]))
net.set_state_dict(net.state_dict())
net(x)
section("weights by hand")
net.fc.bias.set_value(paddle.full([5], 2.0))
net(x)
section("the same weights by hand")
net.fc.bias.set_value(paddle.full([5], 2.0))
net(x + 1)
section("half precision")
half = {name: tensor.astype("float32") for name, tensor in paddle.load("half.pdparams").items()}
net.set_state_dict(half)
net(x)
section("kinds of numbers")
class Kinds(nn.Layer):
    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([1])
    def forward(self, *values):
        return [value.astype("bfloat16") if value.dtype == paddle.float32 else value for value in values]
kinds = Kinds()
kinds.eval()
kinds(paddle.to_tensor([[1.5, -2.0]]), paddle.to_tensor(3.0), paddle.zeros([1, 0]), paddle.to_tensor([True]),
      paddle.to_tensor([1.0]).astype("float16"), paddle.to_tensor([1 + 2j]))
section("no elements at all")
kinds(paddle.zeros([0, 3]))
section("keywords with names of ours")
class Words(Net):
    def forward(self, x, method=None, layer=None, action=None, name=None, args=None, kwargs=None):
        return Net.forward(self, x) + method + layer + action + name + args + kwargs
words = Words()
words.eval()
one = paddle.ones([1])
for call in (words, words.forward):
    call(x, method=one, layer=one, action=one, name=one, args=one, kwargs=one)
section("end")
assert net.forward.__func__ is not Net.forward and Net.forward.__qualname__ == "Net.forward"
net.forward = lambda x: x * 2  # the script's own
print(net.forward(paddle.ones([1])).item(), type(pickle.dumps(Net)))
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return run_script(tmp_path_factory.mktemp("layers") / "run", SCRIPT, flags=["-W", "ignore"])


@pytest.fixture(scope="module")
def sections(recording):
    """{name of the section: its calls}."""
    assert recording.status == 0, recording.err.decode()
    names = [line for line in recording.out.decode().splitlines() if line not in ("failed",)]
    found, current = {}, None
    for call in recording.calls:
        if [entry["shape"] for entry in call["inputs"]] == [[1, 1]]:
            current = found.setdefault(names[len(found)], [])
        else:
            current.append(call)
    return found


def names_of(entries):
    return [entry["name"] for entry in entries]


def one(calls):
    assert len(calls) == 1, calls
    return calls[0]


def hash_of(array):
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


X = (np.arange(2 * 3 * 8 * 8, dtype=np.float32) / np.float32(128)).reshape(2, 3, 8, 8)


@pytest.mark.parametrize(
    "name", ["call", "forward", "in a function that is called forward", "parallel", "after failing", "other weights"]
)
def test_one_call(sections, name):
    call = one(sections[name])
    assert (call["kind"], call["training"], call["place"], call["batch"]) == ("layer", False, "cpu", 2)
    [image], [output] = call["inputs"], call["outputs"]
    assert (image["name"], image["shape"], image["dtype"]) == ("image", [2, 3, 8, 8], "float32")
    assert (output["name"], output["shape"]) == ("0", [2, 5])
    assert image["hash"] == hash_of(X)
    assert image["rows"] == [hash_of(X[0]), hash_of(X[1])]
    assert len(output["rows"]) == 2


def test_the_high_level_model(sections):
    assert one(sections["high level"])["outputs"] == one(sections["call"])["outputs"]


def test_arrays_are_kept(recording, sections):
    call = one(sections["call"])
    arrays = recording.arrays(call)
    assert sorted(arrays) == ["in0", "out0"]
    np.testing.assert_array_equal(arrays["in0"], X)
    assert hash_of(arrays["out0"]) == call["outputs"][0]["hash"]
    assert one(sections["forward"])["file"] is None, "the same images in the same network"


def test_names_of_nested_values(recording, sections):
    call = one(sections["lists and keywords"])
    assert names_of(call["inputs"]) == ["image", "extra.0", "q"]
    assert call["batch"] is None
    assert all(entry["rows"] is None for entry in call["inputs"] + call["outputs"])
    call = one(sections["dictionary"])
    assert names_of(call["inputs"]) == ["id", "image", "more.0", "scale"], "what forward adds is no input"
    assert names_of(call["outputs"]) == ["boxes", "list.0", "list.1.0", "left"]
    assert len(recording.arrays(call)) == 8


def test_keywords_of_any_name(sections):
    for call in sections["keywords with names of ours"]:
        assert names_of(call["inputs"]) == ["x", "method", "layer", "action", "name", "args", "kwargs"]
    assert len(sections["keywords with names of ours"]) == 2


def test_inputs_are_copied_before_the_call(recording, sections):
    np.testing.assert_array_equal(recording.arrays(one(sections["in place"]))["in0"], X)


def test_training_mode_is_recorded_as_such(recording, sections):
    before, call = sections["training"]
    assert (before["training"], call["training"]) == (False, True)
    assert call["file"] is not None, "another output than in evaluation mode"
    assert call["outputs"] != before["outputs"]


def test_a_copy_is_a_network_of_its_own(sections):
    assert one(sections["copies"])["network"] != one(sections["dictionary"])["network"]


@pytest.mark.parametrize("name", ["losses", "fails"])
def test_not_recorded(sections, name):
    assert sections[name] == []


def test_a_layer_without_parameters_hides_no_network(sections):
    assert one(sections["a network within a layer without parameters"])["network"] == one(sections["call"])["network"]


def test_a_direct_call_that_nothing_announced(recording, sections):
    """Its parts are not taken for networks; it is said."""
    assert sections["before any preparation"] == []
    assert [why for why in recording.lost if "forward of Net" in why] == recording.lost


def test_weights(recording, sections):
    lines = {line["network"]: line for line in recording.of("network")}
    line = lines[one(sections["call"])["network"]]
    assert line["class"] == "Net"
    assert line["weights"]["fc.weight"]["shape"] == [4, 5]
    assert {name for name, entry in line["weights"].items() if not entry["trained"]} == {"bn._mean", "bn._variance"}
    assert line["weights"]["bn._mean"]["hash"] == hash_of(np.arange(4, dtype=np.float32))
    assert lines[one(sections["parallel"])["network"]]["class"] == "Net"
    other = lines[one(sections["other weights"])["network"]]
    different = {name for name in other["weights"] if other["weights"][name] != line["weights"][name]}
    assert different == {"fc.bias"}
    bias = lines[one(sections["weights by hand"])["network"]]["weights"]["fc.bias"]
    assert bias["hash"] == hash_of(np.full(5, 2, np.float32))
    assert one(sections["the same weights by hand"])["network"] == one(sections["weights by hand"])["network"]


def test_loaded_files(recording, sections):
    lines = {line["network"]: line for line in recording.of("network")}
    other, best = lines[one(sections["call"])["network"]]["loaded"]
    assert best["path"] == str(recording.folder.parent / "best.pdparams")
    assert (best["tensors"], best["found"], best["trained"]) == (8, 8, 6)
    assert other["path"].endswith("other.pdparams")
    assert other["tensors"] == 2
    assert lines[one(sections["in place"])["network"]]["loaded"][1]["found"] < 8


def test_a_file_of_half_precision(recording, sections):
    lines = {line["network"]: line for line in recording.of("network")}
    half = lines[one(sections["half precision"])["network"]]["loaded"][-1]
    assert (half["tensors"], half["found"]) == (8, 8)


def test_kinds_of_numbers(recording, sections):
    call = one(sections["kinds of numbers"])
    shapes = [(entry["shape"], entry["dtype"]) for entry in call["inputs"]]
    assert shapes == [
        ([1, 2], "float32"),
        ([], "float32"),
        ([1, 0], "float32"),
        ([1], "bool"),
        ([1], "float16"),
        ([1], "complex64"),
    ]
    assert call["batch"] == 1
    assert [entry["dtype"] for entry in call["outputs"]][:2] == ["bfloat16", "bfloat16"]
    arrays = recording.arrays(call)
    assert (arrays["out0"].dtype, arrays["out0"].tolist()) == (np.float32, [[1.5, -2.0]])
    assert arrays["in1"].shape == ()
    assert one(sections["no elements at all"])["batch"] is None


def test_the_recording_is_complete(recording, sections):
    assert recording.out.decode().splitlines()[-1] == "2.0 <class 'bytes'>"
    assert recording.events[0]["event"] == "process"
    assert recording.events[-1] == {"event": "end", "calls": len(recording.calls)}
    assert [call["number"] for call in recording.calls] == list(range(len(recording.calls)))
