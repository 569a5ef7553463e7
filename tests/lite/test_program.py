"""The copy of a program that Paddle Lite can read, and what opt says of programs that it cannot."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lite.program import with_xshape
from ppcls_lite.utils import paddle_version
from script import UserError
from tests.lite.conftest import run_python

SIDE = 32
# In a process of its own: which format Paddle 3 exports is decided when it is imported.
EXPORT = """
import sys
import paddle
from paddle import nn

class Flattened(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3, stride=2, padding=1)
        self.linear = nn.Linear(1024, 5)

    def forward(self, x):
        return nn.functional.softmax(self.linear(paddle.flatten(nn.functional.relu(self.conv(x)), 1)))

class Unknown(Flattened):
    def forward(self, x):
        return paddle.erfinv(paddle.tanh(self.conv(x))).mean([2, 3])

for network in (Flattened, Unknown):
    paddle.seed(4)
    made = network()
    made.eval()
    spec = [paddle.static.InputSpec([None, 3, 32, 32], "float32", name="x")]
    made = paddle.jit.to_static(made, input_spec=spec, full_graph=True)
    paddle.jit.save(made, f"{sys.argv[1]}/{network.__name__}/inference")
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """The folder of two exported networks: one with `flatten`, and one with an operator that Paddle Lite has not."""
    if paddle_version.number() >= paddle_version.NO_PDMODEL:
        pytest.skip("this Paddle writes no .pdmodel")
    folder = tmp_path_factory.mktemp("networks")
    environment = {**os.environ, "FLAGS_enable_pir_api": "0"}
    (folder / "export.py").write_text(EXPORT)  # Paddle reads the source of what it exports
    words = [sys.executable, str(folder / "export.py"), str(folder)]
    subprocess.run(words, env=environment, check=True, capture_output=True)
    return folder


@pytest.fixture
def flattened(networks):
    return networks / "Flattened"


def test_flatten_gets_the_output_and_nothing_else_changes(flattened):
    from paddle.base import core

    content = (flattened / "inference.pdmodel").read_bytes()
    copy, added = with_xshape(content)
    assert added == 1
    assert with_xshape(copy) == (copy, 0)
    programs = [core.ProgramDesc(one) for one in (content, copy)]  # kept: Paddle frees their parts with them
    operators = [[program.block(0).op(n) for n in range(program.block(0).op_size())] for program in programs]
    assert [op.type() for op in operators[0]] == [op.type() for op in operators[1]]
    for first, second in zip(*operators):
        assert first.input_arg_names() == second.input_arg_names()
        assert set(first.output_arg_names()) <= set(second.output_arg_names())
        for name in first.attr_names():
            assert first.attr(name) == second.attr(name)
    (flatten,) = [op for op in operators[1] if op.type() == "flatten_contiguous_range"]
    (name,) = flatten.output("XShape")
    assert list(programs[1].block(0).find_var(name.encode()).shape()) == [0, -1, 4, SIDE // 2, SIDE // 2]


@pytest.mark.parametrize("content", [b"no program", b"\x0a\xff\xff\xff"])
def test_other_bytes_are_refused(content):
    with pytest.raises(UserError, match="not a Paddle program"):
        with_xshape(content)


def test_the_copy_runs_as_x86_twin_and_the_model_is_only_read(flattened, run_lite, tmp_path):
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in flattened.iterdir()}
    images = np.random.default_rng(1).normal(size=(4, 3, SIDE, SIDE)).astype(np.float32)
    np.savez(tmp_path / "images.npz", x=images)
    program = tmp_path / "program"
    done = run_python(
        sys.executable, "lite_program.py", flattened, "--inputs", tmp_path / "images.npz", "--output", program
    )
    assert done.status == 0, done.err
    assert "(1 output XShape added) computes the same for 4 images, bit by bit" in done.out
    assert run_lite("lite_opt.py", program, "--target", "x86", "--output", tmp_path / "x.nb").status == 0
    done = run_lite(
        "lite_run.py",
        tmp_path / "x.nb",
        "--inputs",
        program / "inputs.npz",
        "--batch_size",
        3,
        "--save",
        tmp_path / "o.npz",
    )
    assert done.status == 0, done.err
    done = run_python(
        sys.executable,
        "lite_agree.py",
        "outputs",
        "x86",
        "--expected",
        program / "expected.npz",
        "--found",
        tmp_path / "o.npz",
    )
    assert done.status == 0, done.err
    assert done.out.endswith("4 of 4 images with the same top-5: agrees\n")
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in flattened.iterdir()} == before


def test_without_the_output_opt_ends_with_a_line_of_error(flattened, run_lite, tmp_path):
    """The fault that the copy is for; if a later Paddle Lite does not have it, the copy is not needed."""
    for suffix in ("pdmodel", "pdiparams"):
        (tmp_path / f"model.{suffix}").write_bytes((flattened / f"inference.{suffix}").read_bytes())
    done = run_lite("lite_opt.py", tmp_path, "--target", "x86", "--output", tmp_path / "x.nb")
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert "Paddle Lite's opt was ended by SIGSEGV for x86" in done.err
    assert not list(tmp_path.glob("*.nb"))


def test_an_operator_that_paddle_lite_does_not_have_is_named(networks, run_lite, tmp_path):
    program = tmp_path / "program"
    np.savez(tmp_path / "images.npz", x=np.zeros((2, 3, SIDE, SIDE), np.float32))
    done = run_python(
        sys.executable,
        "lite_program.py",
        networks / "Unknown",
        "--inputs",
        tmp_path / "images.npz",
        "--output",
        program,
    )
    assert done.status == 0, done.err
    for target in ("arm", "x86"):
        done = run_lite("lite_opt.py", program, "--target", target, "--output", tmp_path / "x.nb")
        assert done.status == 1
        words = f"Paddle Lite has no operator 'erfinv' for {target}, which the model needs"
        assert done.err == f"error: {program}/model.pdmodel: {words}\n"
    assert not list(tmp_path.glob("*.nb"))
