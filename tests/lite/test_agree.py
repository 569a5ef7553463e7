"""When a deployed model agrees: the limits, each planted fault, and the weights of the two .nb files."""

import json

import numpy as np
import pytest

import lite_agree
from lite.nb import read_nb
from lite_agree import compare_outputs, compare_weights
from script import UserError


def scores(seed=0, images=6, classes=8):
    logits = np.random.default_rng(seed).normal(size=(images, 1, classes)) * 3
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (exponents / exponents.sum(axis=-1, keepdims=True)).astype(np.float32)


def expected_of(array, last_bit=0.0):
    return {"out": array, "~out": array + np.float32(last_bit)}


def test_equal_outputs_agree(capsys):
    compare_outputs("x86", expected_of(scores()), {"out": scores()})
    assert capsys.readouterr().out == (
        "x86: largest difference 0 (at most 1e-05 allowed), 6 of 6 images with the same top-5: agrees\n"
    )


def test_both_outputs_are_kept(run_here, tmp_path):
    np.savez(tmp_path / "expected.npz", **expected_of(scores()))
    np.savez(tmp_path / "found.npz", out=scores())
    options = ["--expected", tmp_path / "expected.npz", "--found", tmp_path / "found.npz", "--save", tmp_path / "saved"]
    assert run_here("test_tipc/lib/lite_agree.py", "outputs", "x86", *options).status == 0
    expected, found = (json.loads((tmp_path / f"saved/{name}.json").read_text()) for name in ("strict", "x86"))
    assert expected["rows"] == found["rows"]
    assert (found["against"], found["limit"], found["count"]) == ("strict.json", 1e-5, 6)
    assert np.array_equal(np.float32(found["rows"]["image 3"]), scores()[3, 0])


def test_outputs_of_other_names_are_taken_in_their_order(capsys):
    first, second = scores(1), scores(2)
    expected = {**expected_of(first), "two": second, "~two": second}
    compare_outputs("x86", expected, {"a": first, "b": second})
    with pytest.raises(UserError, match="largest difference"):
        compare_outputs("x86", expected, {"a": second, "b": first})


def test_a_difference_above_the_limit_names_image_class_and_both_values():
    found = scores()
    found[3, 0, 5] += np.float32(2e-5)
    with pytest.raises(
        UserError, match=r"largest difference 2e-05 .*: image 3, class 5: Paddle [\d.e-]+, here [\d.e-]+$"
    ):
        compare_outputs("x86", expected_of(scores()), {"out": found})


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_disagree(number):
    found = scores()
    found[2, 0, 1] = number
    with pytest.raises(UserError, match="image 2, class 1"):
        compare_outputs("x86", expected_of(scores()), {"out": found})


def test_what_the_last_bit_of_the_inputs_makes_is_allowed(capsys):
    found = scores() + np.float32(4e-5)
    compare_outputs("x86", expected_of(scores(), 5e-6), {"out": found})
    assert "10 times what the last bit of the inputs makes in Paddle" in capsys.readouterr().out
    with pytest.raises(UserError):
        compare_outputs("x86", expected_of(scores(), 3e-6), {"out": found})


def test_no_limit_is_wider_than_what_images_differ_by():
    """Or the outputs of one image would agree with those of another one."""
    array = np.float32([[[0.5, 0.5]], [[0.501, 0.499]]])
    with pytest.raises(UserError, match="half of what two images differ by"):
        compare_outputs("x86", expected_of(array, 0.1), {"out": array[::-1]})


def test_another_best_class_disagrees_within_the_limit():
    array = np.float32([[[0.3050, 0.3035, 0.39]], [[0.9, 0.05, 0.05]]])
    found = array.copy()
    found[0, 0, :2] = [0.3041, 0.3044]
    with pytest.raises(
        UserError, match=r"image 0: place 2 is class 1 \(0\.3044\) instead of class 0 \(0\.305 in Paddle"
    ):
        compare_outputs("x86", expected_of(array, 1e-4), {"out": found})


def test_constant_outputs_never_agree():
    array = np.repeat(scores()[:1], 6, axis=0)
    with pytest.raises(UserError, match="do not depend on the image"):
        compare_outputs("x86", expected_of(array), {"out": array})


def test_one_constant_output_of_several_may_be(capsys):
    count = np.full((6, 1), 50, np.float32)
    compare_outputs("x86", {**expected_of(scores()), "n": count, "~n": count}, {"out": scores(), "n": count})
    assert "x86 n: largest difference 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    "found", [{"out": scores()[:5]}, {"out": scores()[:, :, :7]}, {"out": scores(), "b": scores()}]
)
def test_another_shape_or_number_of_outputs_disagrees(found):
    with pytest.raises(UserError, match="expected"):
        compare_outputs("x86", expected_of(scores()), found)


def test_scores_of_a_device_are_read_as_they_were_written(tmp_path, capsys):
    (tmp_path / "scores.bin").write_bytes(scores().tobytes())
    np.savez(tmp_path / "expected.npz", **expected_of(scores()))
    found = lite_agree.read_found(tmp_path / "scores.bin", lite_agree.read_arrays(tmp_path / "expected.npz"))
    assert np.array_equal(found["out"], scores())
    (tmp_path / "scores.bin").write_bytes(scores().tobytes()[:-4])
    with pytest.raises(UserError, match="expected 48 numbers, found 47"):
        lite_agree.read_found(tmp_path / "scores.bin", lite_agree.read_arrays(tmp_path / "expected.npz"))


def test_the_weights_of_one_program_are_the_same(converted, capsys):
    compare_weights(converted.arm, converted.x86, converted.program / "model.pdiparams")
    out = capsys.readouterr().out
    assert out.startswith("weights: all ")
    assert out.endswith("The ARM model was not run for this\n")


def test_files_for_the_wrong_processor_are_refused(converted):
    params = converted.program / "model.pdiparams"
    with pytest.raises(UserError, match="optimised for x86, expected arm"):
        compare_weights(converted.x86, converted.x86, params)
    with pytest.raises(UserError, match="optimised for arm, expected x86"):
        compare_weights(converted.arm, converted.arm, params)


def test_one_other_weight_is_seen(converted, tmp_path):
    content = bytearray(converted.arm.read_bytes())
    weight = max(read_nb(converted.arm).weights.values(), key=lambda array: array.size).tobytes()
    content[content.index(weight) + 40] ^= 1
    changed = tmp_path / "changed.nb"
    changed.write_bytes(content)
    with pytest.raises(UserError, match=r"changed\.nb: the weight \S+ \[.*\] is not that of"):
        compare_weights(changed, converted.x86, converted.program / "model.pdiparams")
