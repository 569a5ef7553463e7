"""Weights files: nothing in them is run, and whatever does not fit is named."""

import builtins
import collections
import io
import os
import pickle
import subprocess
import zipfile

import numpy as np
import paddle
import pytest

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays, load_plain, set_weights, with_suffix
from tests.helpers.configs import random_weights, save_arrays


class Call:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class Forged:
    """Pickles as an array whose bytes are declared to be the addresses of Python objects.

    `dtype_state` is what NumPy's dtype takes without a look: its last number says whether there are objects inside.
    """

    def __init__(self, *dtype_state):
        self.dtype_state = dtype_state

    def __reduce__(self):
        kind = Stated(np.dtype, ("V8", False, True), self.dtype_state)
        return Stated(BUILD_ARRAY, (np.ndarray, (0,), b"b"), (1, (1,), kind, False, b"ADDRESS!")).__reduce__()


class Stated:
    """Pickles as a call, and a state that the result is given."""

    def __init__(self, function, arguments, state):
        self.reduced = function, arguments, state

    def __reduce__(self):
        return self.reduced


BUILD_ARRAY = np.zeros(1).__reduce__()[0]  # NumPy's own, wherever this version keeps it
FLOAT = Stated(np.dtype, ("f4", False, True), (3, "<", None, None, None, -1, -1, 0))


def _array(*state):
    return pickle.dumps({"w": Stated(BUILD_ARRAY, (np.ndarray, (0,), b"b"), state)})


class Persistent(pickle.Pickler):
    def persistent_id(self, thing):
        return "number one" if thing == "persistent" else None


def _persistent():
    stream = io.BytesIO()
    Persistent(stream).dump({"w": "persistent"})
    return stream.getvalue()


def _torch_zip():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return stream.getvalue()


def _renamed(module):
    """An array's pickle in which NumPy's module has another name (of the same length where lengths are coded)."""
    text = pickle.dumps({"w": np.arange(3, dtype=np.float32)}, protocol=0)
    return text.replace(b"numpy._core.multiarray", module).replace(b"numpy.core.multiarray", module)


MARK = "ran.txt"
HOSTILE = {
    "os.system": (pickle.dumps({"w": Call(os.system, f"touch {MARK}")}), "refused: .*system"),
    "popen": (pickle.dumps({"w": Call(subprocess.Popen, ["touch", MARK])}), "refused: .*subprocess.Popen"),
    "eval": (pickle.dumps({"w": Call(builtins.eval, f"open('{MARK}', 'w')")}), "refused: .*builtins.eval"),
    "exec": (pickle.dumps(Call(builtins.exec, f"open('{MARK}', 'w')"), protocol=2), "refused: .*exec"),
    "getattr": (pickle.dumps(Call(builtins.getattr, np.ndarray, "tofile")), "refused: .*builtins.getattr"),
    "dotted name": (b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", "refused: .*numpy.ndarray.__class__"),
    "numpy loader": (b"cnumpy\nload\n.", "refused: .*numpy.load"),
    "runstring": (b"cnumpy.testing._private.utils\nrunstring\n.", "refused"),
    "codec": (pickle.dumps(Call(__import__("_codecs").encode, "x", "zip"), protocol=2), "refused: .*_codecs.encode"),
    "instance": (b"(S'touch " + MARK.encode() + b"'\nios\nsystem\n.", "refused: .*os.system"),
    "extension": (b"\x80\x02\x82\x01.", "damaged one .*extension code 1"),
    "persistent id": (_persistent(), "damaged one .*persistent"),
    "torch": (_torch_zip(), "not a Paddle weights file"),
    "text": (b"these are not the weights\n", "not a Paddle weights file"),
    "empty": (b"", "not a Paddle weights file"),
    "truncated": (pickle.dumps({"w": np.zeros(100)})[:-50], "not a Paddle weights file"),
    "objects in a field": (
        pickle.dumps({"w": Forged(3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)}),
        "refused: .*numpy.dtype",
    ),
    "objects in a subarray": (
        pickle.dumps({"w": Forged(3, "|", (np.dtype("O"), (1,)), None, None, 8, 1, 0)}),
        "refused: .*numpy.dtype",
    ),
    "numbers declared as objects": (
        pickle.dumps(Stated(np.dtype, ("f8", False, True), (3, "<", None, ("a",), {"a": ("O", 0)}, 8, 1, 0))),
        "refused: .*numpy.dtype.__setstate__",
    ),
    "array of objects": (pickle.dumps({"w": np.array([{}, None], dtype=object)}), "refused: .*numpy.dtype"),
    "negative sides": (_array(1, (-2, -2), FLOAT, False, bytes(16)), "an array of shape"),
    "too few bytes": (_array(1, (5,), FLOAT, False, bytes(16)), r"an array of shape \(5,\) in 16 bytes"),
    "too many bytes": (_array(1, (2**62, 4), FLOAT, False, b""), "an array of shape"),
    "dtype by its name": (_array(1, (2,), "O", False, bytes(16)), "other things than numbers"),
    "attributes for a dict": (
        pickle.dumps(Stated(collections.OrderedDict, (), {"items": 1}), protocol=2),
        "not a Paddle weights file",
    ),
    "claims 8 TB": (b"\x80\x04\x8e\x00\x00\x00\x00\x00\x08\x00\x00.", "not a Paddle weights file"),
    "huge array": (pickle.dumps(Call(np.ndarray, (10**13,))), "not a Paddle weights file"),
    "cycle": (b"\x80\x02}q\x00h\x00h\x00s.", "not a Paddle weights file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_and_not_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    path = tmp_path / "w.pdparams"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        load_arrays(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / MARK).exists()


def test_the_planted_call_would_have_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(HOSTILE["os.system"][0])
    assert (tmp_path / MARK).exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected named arrays, found list"),
        ({"w": "text"}, r"entry 'w' is not an array of numbers \(str\)"),
        ({"w": {"x": np.zeros(1)}}, r"entry 'w' is not an array of numbers \(dict\)"),
        ({"w": ("name", "text")}, r"entry 'w' is not an array of numbers \(str\)"),
    ],
)
def test_plain_but_no_weights(tmp_path, content, message):
    path = tmp_path / "w.pdparams"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=message):
        load_arrays(path)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"none.pdparams: no such weights file"):
        load_arrays(tmp_path / "none")
    with pytest.raises(UserError, match="no such weights file"):
        load_plain(tmp_path)
    assert str(with_suffix("a/best_model", ".pdparams")) == str(with_suffix("a/best_model.pdparams", ".pdparams"))


# ---- files that must load


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves(tmp_path, protocol):
    layer = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4))
    path = tmp_path / "w.pdparams"
    paddle.save(layer.state_dict(), str(path), protocol=protocol)
    arrays = load_arrays(tmp_path / "w")
    assert list(arrays) == list(layer.state_dict())
    assert all((arrays[name] == tensor.numpy()).all() for name, tensor in layer.state_dict().items())


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_both_homes_of_numpys_array_builder(tmp_path, module):
    path = tmp_path / "w.pdparams"
    path.write_bytes(_renamed(module))
    assert load_arrays(path)["w"].tolist() == [0, 1, 2]


def test_plain_containers_and_numpy_numbers(tmp_path):
    content = {
        "ordered": collections.OrderedDict(a=1),
        "numbers": [1, 2.5, True, None, "text", b"bytes", (1, 2)],
        "scalar": np.float64(0.25),
        "bits": np.array([1, 2], dtype=np.uint16),
        "other order": np.array([1, 2], dtype=">f4"),
        "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "no dimension": np.array(7),
    }
    path = tmp_path / "x.pdstates"
    for protocol in range(pickle.HIGHEST_PROTOCOL):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        loaded = load_plain(path)
        assert loaded["ordered"] == content["ordered"]
        assert loaded["numbers"] == content["numbers"]
        assert loaded["scalar"] == 0.25
        for name in ("bits", "other order", "columns first", "no dimension"):
            assert loaded[name].dtype.str[1:] == content[name].dtype.str[1:]  # NumPy may turn the bytes round
            assert loaded[name].shape == content[name].shape
            assert loaded[name].tolist() == content[name].tolist()


def test_name_table_and_named_pairs_of_older_files(tmp_path):
    path = tmp_path / "w.pdparams"
    content = {"w": ("linear_0.w_0", np.ones(2, np.float32)), "StructuredToParameterName@@": {"w": "linear_0.w_0"}}
    path.write_bytes(pickle.dumps(content, protocol=2))
    assert {name: array.tolist() for name, array in load_arrays(path).items()} == {"w": [1, 1]}


# ---- what does not fit


def test_of_many_misfits_the_first_are_named():
    model = paddle.nn.Sequential(*(paddle.nn.Linear(2, 2) for _ in range(200)))
    with pytest.raises(UserError) as raised:
        set_weights(model, {}, "w.pdparams", "Arch.name Wide")
    named = "missing 0.weight [2, 2]; missing 0.bias [2]; missing 1.weight [2, 2]; and 397 more"
    hint = "are they of another network than Arch.name Wide?"
    assert str(raised.value) == f"w.pdparams: does not fit the network, 400 entries: {named}; {hint}"
    with pytest.raises(UserError, match=r"; and 397 more$"):
        set_weights(model, {}, "w.pdparams")
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    del arrays["7.bias"]
    with pytest.raises(UserError, match=r"1 entries: missing 7.bias \[2\]$"):  # not a sign of another network
        set_weights(model, arrays, "w.pdparams", "Arch.name Wide")


def test_every_misfit_is_named():
    model = paddle.nn.Sequential(paddle.nn.Linear(2, 3), paddle.nn.Linear(3, 4))
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    arrays = {name: np.zeros_like(array) for name, array in before.items()}
    del arrays["0.bias"]
    arrays["head.weight"] = np.zeros((5, 6), np.float32)
    arrays["1.weight"] = np.zeros((4, 3), np.float32)
    with pytest.raises(UserError) as raised:
        set_weights(model, arrays, "w.pdparams")
    message = str(raised.value)
    assert message.startswith("w.pdparams: does not fit the network, 3 entries: ")
    for part in ("missing 0.bias [3]", "unexpected head.weight [5, 6]", "1.weight is [4, 3], expected [3, 4]"):
        assert part in message
    assert all((model.state_dict()[name].numpy() == array).all() for name, array in before.items())


def test_fitting_weights_are_set(tmp_path):
    from ppcls_lite.arch import build_model

    arrays = random_weights()
    model = build_model("MobileNetV3_small_x0_35", class_num=3)
    set_weights(model, load_arrays(save_arrays(arrays, tmp_path / "w.pdparams")), "w")
    assert all((tensor.numpy() == arrays[name]).all() for name, tensor in model.state_dict().items())
