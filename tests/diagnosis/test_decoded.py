"""The decoded pixels: why two decoders part is named, and only where the network notices it."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from diagnosis.images.decoded import check_decoded
from diagnosis.stage import DIFFERS, NOT_COMPARED, SAME
from script import UserError
from tests.agree.conftest import exports, project  # noqa: F401 - fixtures
from tests.diagnosis import deep
from tests.diagnosis.deep import PHOTOS, normalised, ran, usual
from tests.diagnosis.test_network_input import PLANTED, scripts  # noqa: F401 - a fixture

PHOTO = Image.open(PHOTOS[0])


def colours(pixels):
    """What scripts make of grey, transparent and wide pixels."""
    pixels = pixels.astype(np.float32)
    pixels = np.repeat(pixels[:, :, None], 3, 2) if pixels.ndim == 2 else pixels[:, :, :3]
    return np.ascontiguousarray(normalised(pixels[:64, :64]))


def turned(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    PHOTO.save(folder / "x.jpg", exif=exif)
    return folder / "x.jpg"


def transparent(folder):
    part = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), 2)[None, : PHOTO.width].repeat(PHOTO.height, 0))
    image = PHOTO.copy()
    image.putalpha(part)
    image.save(folder / "x.png")
    return folder / "x.png"


def wide(folder):
    cv2.imwrite(str(folder / "x.png"), np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257)
    return folder / "x.png"


def plain(folder):
    return PHOTOS[0]


def laid_on_white(path):
    image = Image.open(path)
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def reader(flags):
    return lambda path: deep.opencv(path, flags)


def drafted(path):
    image = Image.open(path)
    image.draft("RGB", (image.width // 2, image.height // 2))
    return np.asarray(image)


# the file, what predict and infer decode it with, the mode of either, the cause, and words
PLANTS = {
    "exif": (turned, deep.pillow, reader(1), {}, "exif", "infer's image is predict's turned by 90 degrees clockwise"),
    "grey": (plain, deep.pillow, reader(0), {"infer": "L"}, "grey", "infer decodes the image as grey"),
    "grey in predict": (plain, reader(0), deep.pillow, {"predict": "L"}, "grey", "predict decodes the image as grey"),
    "half": (plain, deep.pillow, reader(17), {}, "reduced_size", "infer decodes the image at 1/2 of its size (300 x"),
    "draft": (plain, drafted, deep.pillow, {}, "reduced_size", "predict decodes the image at 1/2 of its size (150 x 2"),
    "16 bits": (wide, reader(2), reader(0), {"predict": "L", "infer": "L"}, "bit_depth", "predict has uint16"),
    "cut": (transparent, reader(-1), reader(1), {"predict": "RGBA"}, None, "in infer's image it is cut off"),
    "on white": (transparent, reader(-1), laid_on_white, {"predict": "RGBA"}, "alpha", "it is laid on white"),
    "rounding": (plain, deep.pillow, deep.rough, {}, "decoder", "the decoders round otherwise: PIL.open in predict"),
    "other": (plain, deep.pillow, lambda path: 255 - deep.pillow(path), {}, "unknown", "other pixels, PIL and cv2"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_every_difference_has_its_own_cause(scripts, tmp_path, name):  # noqa: F811
    """Transparency that is cut off has no effect on a script that cuts it off, too."""
    make, first, second, modes, cause, words = PLANTS[name]
    path, orientation = make(tmp_path), 6 if name == "exif" else 1
    subject = ran(scripts, colours, colours, [path], (first, second), ("PIL", "cv2"), orientation, **modes)
    stage = check_decoded(subject)
    assert words in stage.line, stage.line
    json.dumps(stage.as_dict(), allow_nan=False)
    if cause is None:
        assert stage.result == SAME
        assert "without an effect on the network's inputs" in stage.line
    else:
        assert (stage.result, stage.cause) == (DIFFERS, cause), stage.line
        assert stage.advice
        assert ", 1 of 1 image: " in stage.line


def test_the_same_pixels(scripts):  # noqa: F811
    stage = check_decoded(ran(scripts, usual, usual))
    assert stage.line == "decoded pixels: same, 3 images"


def test_the_real_decoders_agree(scripts):  # noqa: F811
    stage = check_decoded(ran(scripts, usual, usual, decoders=(deep.pillow, deep.opencv), libraries=("PIL", "cv2")))
    assert stage.result == SAME, stage.line


def test_levels_that_the_network_does_not_see(scripts):  # noqa: F811
    """The inputs are the same, whatever the decoders do: here the scripts threshold."""
    black = lambda pixels: normalised((pixels[:64, :64] > 1000).astype(np.uint8) + pixels[:1, :1])  # noqa: E731
    second = lambda path: np.concatenate([deep.pillow(path)[:1], deep.rough(path)[1:]])  # noqa: E731
    stage = check_decoded(ran(scripts, black, black, PHOTOS[:2], (deep.pillow, second), ("PIL", "cv2")))
    assert stage.result == SAME, stage.line
    assert stage.line.startswith("decoded pixels: same, 2 images, the decoders part by 2 levels at most in 2, without")
    assert "PIL.open in predict, cv2.imread in infer" in stage.line


def test_levels_are_not_blamed_for_another_fault(scripts):  # noqa: F811
    make, _, _ = PLANTED["short side"]
    stage = check_decoded(ran(scripts, usual, make, decoders=(deep.pillow, deep.rough), libraries=("PIL", "cv2")))
    assert stage.result == SAME, stage.line
    assert stage.more["levels"] == 2.0


def test_the_same_file_at_another_place(scripts, tmp_path):  # noqa: F811
    """Files are known by their bytes, else by their names."""
    copy = tmp_path / PHOTOS[0].name
    Image.open(PHOTOS[0]).save(copy, quality=95)
    for step, path, image in (("predict", PHOTOS[0], PHOTOS[0]), ("infer", copy, PHOTOS[0])):
        scripts.decoded(step, path, deep.pillow(image))
        getattr(scripts, step)(usual(deep.pillow(image)))
    assert check_decoded(scripts.subject()).line == "decoded pixels: same, 1 image"


@pytest.mark.parametrize("step", ["predict", "infer"])
def test_no_decoder_was_observed(scripts, step):  # noqa: F811
    for name in ("predict", "infer"):
        if name != step:
            scripts.decoded(name, PHOTOS[0], deep.pillow(PHOTOS[0]))
        getattr(scripts, name)(usual(deep.pillow(PHOTOS[0])))
    stage = check_decoded(scripts.subject())
    assert stage.result == NOT_COMPARED
    assert stage.why.startswith(f"no decoder was observed in {step}")


def test_no_image_of_the_same_file(scripts):  # noqa: F811
    for step, path in (("predict", PHOTOS[0]), ("infer", PHOTOS[1])):
        scripts.decoded(step, path, deep.pillow(path))
        getattr(scripts, step)(usual(deep.pillow(path)))
    assert check_decoded(scripts.subject()).why == "predict and infer decoded no image of the same file"


def test_a_step_that_was_not_observed(scripts):  # noqa: F811
    scripts.infer(usual(deep.pillow(PHOTOS[0])))
    assert check_decoded(scripts.subject()).result == NOT_COMPARED


BROKEN = {
    "a shape of one side": {"shape": [5]},
    "another folder": {"file": "../1_d0.npz"},
    "an orientation of 9": {"orientation": 9},
    "no source": {"source": None, "shape": None},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_line_is_an_error_of_one_line(scripts, name):  # noqa: F811
    recorder = scripts.project.recorder("predict")
    scripts.predict(usual(deep.pillow(PHOTOS[0])))
    line = {"event": "decoded", "number": 0, "library": "PIL", "call": "open", "path": None, "source": "0",
            "shape": [2, 2], "dtype": "uint8", "mode": "L", "orientation": 1, "hash": "0", "file": None}  # fmt: skip
    recorder.write(**{**line, **BROKEN[name]})
    with pytest.raises(UserError, match=r"predict/1\.jsonl:4: not a line of a recording"):
        scripts.subject()


def test_pixels_that_are_not_those_of_the_line(scripts):  # noqa: F811
    subject = ran(scripts, usual, usual, PHOTOS[:1], (deep.pillow, deep.rough))
    np.savez(scripts.project.folder / "infer/1_d0.npz", pixels=np.zeros((2, 2), np.uint8))
    with pytest.raises(
        UserError, match=r"1_d0\.npz: pixels is uint8 \[2, 2\], and the recording says uint8 \[300, 451"
    ):
        check_decoded(subject)
