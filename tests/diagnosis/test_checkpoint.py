"""Weights files are read without Paddle: all that it saves is read, and hostile and damaged files are one line."""

import os
import pickle
import subprocess

import numpy as np
import paddle
import pytest

from diagnosis.weights.checkpoint import read_arrays, read_checkpoint
from script import UserError
from tests.diagnosis import models as made


class Run:
    def __init__(self, function, *values):
        self.made = function, values

    def __reduce__(self):
        return self.made


def hostile_pickles():
    yield "os.system", pickle.dumps({"w": Run(os.system, "touch hacked")})
    yield "subprocess", pickle.dumps(Run(subprocess.Popen, ["touch", "hacked"]))
    yield "eval of other text", pickle.dumps({"w": Run(eval, "open('hacked', 'w')", {})})
    yield (
        "eval of a function",
        b"\x80\x04cbuiltins\neval\n(X\x04\x00\x00\x00data}X\x04\x00\x00\x00datacos\nsystem\nstR.",
    )
    yield "getattr", pickle.dumps(Run(getattr, {}, "clear"))
    yield "numpy.load", pickle.dumps(Run(np.load, "x"))
    yield "objects in an array", pickle.dumps({"w": np.array([Run(os.system, "touch hacked")], dtype=object)})
    yield "a state of a function", b"\x80\x04cnumpy\nndarray\n}X\x04\x00\x00\x00makeX\x01\x00\x00\x00xsb."
    yield "slots of a function", b"\x80\x04cnumpy\ndtype\n(N}X\x04\x00\x00\x00makeX\x01\x00\x00\x00xstb."
    yield "an extension", b"\x80\x04\x82\x01."
    yield "itself", b"\x80\x04]\x94h\x00a."
    yield (
        "a billion lists",
        b"\x80\x04]\x94" + b"".join(b"]\x94(" + b"h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(60)) + b".",
    )


def state_of_bytes_as_objects():
    """NumPy believes an array's type that declares bytes to be Python objects."""
    text = pickle.dumps(np.zeros(8, np.int64), protocol=2)
    return text.replace(b"X\x02\x00\x00\x00i8", b"X\x02\x00\x00\x00O8")


def refusal(path):
    """The line that a file is refused with; "" where it is read."""
    try:
        read_arrays(path)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("what", "content"), [*hostile_pickles(), ("bytes as objects", state_of_bytes_as_objects())])
def test_a_hostile_file_is_refused(tmp_path, monkeypatch, what, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pdparams"
    path.write_bytes(content)
    error = refusal(path)
    assert error.startswith(f"{path}: ")
    assert "\n" not in error
    assert [one.name for one in tmp_path.iterdir()] == ["hostile.pdparams"]


def test_each_cut_or_damaged_file_is_one_line(models, tmp_path):
    whole, path = (models / "checkpoints/latest.pdparams").read_bytes(), tmp_path / "a.pdparams"
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        assert refusal(path).startswith(f"{path}: ")
    rng = np.random.default_rng(0)
    for _ in range(300):  # most of them are damaged numbers, which nobody can see
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged)
        assert "\n" not in refusal(path)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({}), pickle.dumps({"epoch": 3})])
def test_a_file_without_tensors(tmp_path, content):
    path = tmp_path / "a.pdparams"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.pdparams: expected a file of trained weights"):
        read_arrays(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_arrays(tmp_path)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves(tmp_path, protocol):
    state = made.trained().state_dict()
    paddle.save(state, str(tmp_path / "a.pdparams"), protocol=protocol)
    found = read_checkpoint(tmp_path / "a.pdparams")
    assert list(found.arrays) == list(state)
    assert all((found.arrays[name] == state[name].numpy()).all() for name in state)
    assert found.internal == {name: tensor.name for name, tensor in state.items()}


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_of_all_kinds(tmp_path, protocol):
    rng = np.random.default_rng(0)
    kinds = "float16 float32 float64 int8 uint8 int16 int32 int64 bool complex64 >f4"
    arrays = {kind: rng.uniform(0, 9, (3, 4)).astype(kind) for kind in kinds.split()}
    arrays.update(fortran=np.asfortranarray(arrays["float32"]), empty=np.zeros((0, 3)), number=np.array(3.5))
    arrays["pair"] = arrays["int8"]
    content = {**arrays, "pair": ("linear_0.w_0", arrays["pair"]), "lr": 0.1, "last": np.float32(3)}
    (tmp_path / "a.pdparams").write_bytes(pickle.dumps(content, protocol))
    found = read_arrays(tmp_path / "a.pdparams")
    assert found.pop("last") == 3
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert (found[name] == array).all()


def test_tensors_that_were_cut(tmp_path):
    """As paddle.save of protocol 2 does with those over a gigabyte."""
    whole = np.arange(12, dtype="float32").reshape(3, 4)
    parts = {f"w@@.{at}": whole.reshape(-1)[at * 5 : at * 5 + 5] for at in range(3)}
    table = {"w": {"OriginShape": (3, 4), "slices": list(parts)}}
    path = tmp_path / "a.pdparams"
    path.write_bytes(pickle.dumps({"b": whole[0], **parts, "UnpackBigParamInfor@@": table}, 2))
    assert {name: array.shape for name, array in read_arrays(path).items()} == {"b": (4,), "w": (3, 4)}
    assert (read_arrays(path)["w"] == whole).all()
    for wrong in ({"OriginShape": (3, 5), "slices": list(parts)}, {"OriginShape": (3, 4), "slices": ["x"]}, {}, 3):
        path.write_bytes(pickle.dumps({"b": whole[0], **parts, "UnpackBigParamInfor@@": {"w": wrong}}, 2))
        with pytest.raises(UserError, match="the table of its cut tensors does not fit"):
            read_arrays(path)


def test_tensors_of_a_static_program(tmp_path):
    """Paddle pickles them as a call of eval, which is not made."""
    (tmp_path / "a.pdparams").write_bytes(pickle.dumps({"w": Run(eval, "data", {"data": np.ones(3, "float32")})}))
    assert (read_arrays(tmp_path / "a.pdparams")["w"] == 1).all()
