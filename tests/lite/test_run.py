"""Running a .nb file: only one for this machine, a whole one, and with the inputs that it has."""

import numpy as np
import pytest


@pytest.fixture
def run(run_lite, converted, tmp_path):
    """`run(model)` computes the images with a .nb file; the outputs are in `tmp_path/o.npz`."""

    def call(model, *words):
        inputs = converted.program / "inputs.npz"
        return run_lite("lite_run.py", model, "--inputs", inputs, "--save", tmp_path / "o.npz", *words)

    return call


def outputs(path):
    with np.load(path) as content:
        return {name: content[name] for name in content.files}


def test_the_twin_is_run_with_every_batch_size(run, converted, tmp_path):
    assert run(converted.x86).status == 0
    ((name, first),) = outputs(tmp_path / "o.npz").items()
    assert first.shape == (5, 1, 3)
    done = run(converted.x86, "--batch_size", 4)
    assert done.status == 0
    assert "ran 5 images, batch size 4, " in done.out
    second = outputs(tmp_path / "o.npz")[name]
    assert np.abs(first - second).max() < 1e-6


def test_an_arm_model_given_as_the_twin_is_refused(run, converted, tmp_path):
    """Paddle Lite itself would load it, and return stray memory."""
    done = run(converted.arm)
    assert done.status == 1
    assert done.err.endswith("Paddle Lite would load it without an error and return stray memory\n")
    assert "net.nb: optimised for arm; this machine is x86" in done.err
    assert not (tmp_path / "o.npz").exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
def test_a_cut_model_is_refused(run, converted, tmp_path, share):
    content = converted.x86.read_bytes()
    (tmp_path / "cut.nb").write_bytes(content[: int(share * len(content))])
    done = run(tmp_path / "cut.nb")
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"error: {tmp_path}/cut.nb: ")


def test_other_inputs_are_named(run_lite, converted, tmp_path):
    np.savez(tmp_path / "two.npz", a=np.zeros((1, 3, 32, 32), np.float32), b=np.zeros(1, np.float32))
    done = run_lite("lite_run.py", converted.x86, "--inputs", tmp_path / "two.npz", "--save", tmp_path / "o.npz")
    assert done.status == 1
    assert "expected arrays of the inputs ['x'], found ['a', 'b']" in done.err
