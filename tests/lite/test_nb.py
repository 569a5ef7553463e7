"""Reading .nb files: what is in them, and that a damaged one is said to be damaged."""

import numpy as np
import pytest

from lite.nb import read_nb
from script import UserError


def test_what_is_in_the_two_files_of_one_program(converted):
    arm, x86 = read_nb(converted.arm), read_nb(converted.x86)
    assert (arm.targets, x86.targets) == (["arm"], ["x86"])
    assert arm.version == "v2.13-rc"
    assert {kernel.operator for kernel in arm.kernels} >= {"feed", "conv2d", "softmax", "fetch"}
    assert {kernel.target for kernel in arm.kernels} == {"arm", "host"}
    assert list(arm.weights) == list(x86.weights)
    for name, array in arm.weights.items():
        assert np.isfinite(array).all()
        assert array.tobytes() == x86.weights[name].tobytes()


def test_a_cut_file_is_refused_wherever_it_was_cut(converted, tmp_path):
    content = converted.x86.read_bytes()
    path = tmp_path / "cut.nb"
    for length in {2, 17, 25, 26, 40, *range(0, len(content), len(content) // 40), len(content) - 1} - {0}:
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"cut\.nb: (damaged or cut|expected a model)"):
            read_nb(path)


def test_more_bytes_at_the_end_are_refused(converted, tmp_path):
    path = tmp_path / "more.nb"
    path.write_bytes(converted.x86.read_bytes() + b"\0")
    with pytest.raises(UserError, match="damaged or cut"):
        read_nb(path)


def test_changed_bytes_of_the_structure_raise_no_other_error(converted, tmp_path):
    content = bytearray(converted.x86.read_bytes())
    end = 26 + int.from_bytes(content[18:26], "little")
    rng = np.random.default_rng(3)
    path = tmp_path / "changed.nb"
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(18, end, 4):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read_nb(path)
        except UserError:
            continue


@pytest.mark.parametrize("content", [b"", b"\2", b"PK\3\4" + bytes(100), bytes(200)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.nb").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.nb: expected a model that Paddle Lite's opt wrote"):
        read_nb(tmp_path / "x.nb")
