"""The inputs of the network: every usual fault is named by its own cause and no other, a healthy pair is not blamed."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from diagnosis.images.network_input import check_network_input
from diagnosis.images.pipelines import find
from diagnosis.stage import DIFFERS, NOT_COMPARED, SAME
from script import UserError
from tests.agree import zoo
from tests.agree.conftest import exports, project  # noqa: F401 - fixtures
from tests.diagnosis import deep
from tests.diagnosis.deep import PHOTOS, cropped, normalised, resized, usual

ANY = ((None, 3, None, None), "float32", "x")


@pytest.fixture
def scripts(project, exports):  # noqa: F811
    model = exports("segmenter", lambda: zoo.filled(zoo.Segmenter()), ANY)
    return deep.Scripts(project(model), zoo.filled(zoo.Segmenter()))


def other_order(pixels):
    """BGR pixels with the numbers of RGB, as scripts do that read with OpenCV."""
    return normalised(cropped(resized(pixels))[:, :, ::-1])


def reshaped(pixels):
    image = usual(pixels)
    return np.ascontiguousarray(image.transpose(1, 2, 0)).reshape(image.shape)


HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
RESIZE = "predict resizes the short side to 36"
PLANTED = {
    "reversed": (lambda p: np.ascontiguousarray(usual(p)[::-1]), ["bgr"], "the channels are in reverse order"),
    "reversed pixels": (other_order, ["bgr"], "the channels are in reverse order (BGR for RGB)"),
    "half": (
        lambda p: normalised(cropped(resized(p)), **HALF),
        ["mean_std"],
        "predict has mean 0.485, 0.456, 0.406 and std 0.229, 0.224, 0.225 (ImageNet's), infer has mean 0.5 and std 0.5",
    ),
    "an unusual mean": (
        lambda p: normalised(cropped(resized(p)), (0.1, 0.2, 0.3)),
        ["mean_std"],
        "infer has mean 0.1, 0.2, 0.3 and std 0.229, 0.224, 0.225 of pixels from 0 to 1",
    ),
    "no mean": (
        lambda p: normalised(cropped(resized(p)), (0, 0, 0), (1, 1, 1)),
        ["mean_std"],
        "infer has pixels / 255",
    ),
    "reversed and half": (
        lambda p: normalised(cropped(resized(p))[:, :, ::-1], **HALF),
        ["bgr", "mean_std"],
        "(BGR for RGB), and another mean or standard deviation: predict has mean 0.485, 0.456, 0.406",
    ),
    "no 1/255": (lambda p: normalised(cropped(resized(p)), scale=1), ["scale_255"], "255 times predict's"),
    "1/255 twice": (lambda p: normalised(cropped(resized(p)), scale=1 / 65025), ["scale_255"], "1/255 of predict's"),
    "reshaped": (reshaped, ["layout"], "infer's image is reshaped from [H, W, C] to [C, H, W]"),
    "mirrored": (lambda p: np.ascontiguousarray(usual(p)[:, :, ::-1]), ["mirrored"], "the image is mirrored"),
    "mirrored and reversed": (lambda p: np.ascontiguousarray(usual(p)[::-1, :, ::-1]), ["bgr", "mirrored"], "mirrored"),
    "turned": (
        lambda p: np.ascontiguousarray(np.rot90(usual(p), -1, (1, 2))),
        ["rotated"],
        "infer's image is predict's turned by 90 degrees clockwise",
    ),
    "nearest": (
        lambda p: normalised(cropped(resized(p, way=0))),
        ["interpolation"],
        f"{RESIZE} (36 x 54) with PIL bilinear and crops the middle 32 x 32, infer resizes the short side to 36 "
        "(36 x 54) with PIL nearest and crops",
    ),
    "OpenCV": (
        lambda p: normalised(cropped(resized(p, library="cv2", way=cv2.INTER_LINEAR))),
        ["interpolation"],
        "with cv2 linear and crops",
    ),
    "short side": (
        lambda p: normalised(cropped(resized(p, 40))),
        ["resize"],
        "infer resizes the short side to 40 (40 x 60) with PIL bilinear and crops the middle 32 x 32",
    ),
    "no short side": (
        lambda p: normalised(np.asarray(Image.fromarray(p).resize((32, 32), 2))),
        ["resize"],
        "infer resizes to 32 x 32 with PIL bilinear",
    ),
    "a corner": (
        lambda p: normalised(resized(p)[:32, :32]),
        ["crop"],
        "2 pixels further up and 11 pixels further left",
    ),
    "a smaller crop": (lambda p: normalised(cropped(resized(p), 28)), ["crop"], "32 x 32 in predict, 28 x 28 in infer"),
    "another target": (
        lambda p: normalised(cropped(resized(p, 48), 40)),
        ["resize"],
        "infer resizes the short side to 48 (48 x 72) with PIL bilinear and crops the middle 40 x 40",
    ),
    "grey": (
        lambda p: usual(np.asarray(Image.fromarray(p).convert("L").convert("RGB"))),
        ["grey"],
        "infer's image is grey",
    ),
    "grey by OpenCV": (
        lambda p: usual(np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[:, :, None], 3, 2)),
        ["grey"],
        "infer's image is grey",
    ),
    "other pixels": (lambda p: usual(p) * usual(p), ["unknown"], "no usual fault reproduces the difference"),
    "short side and reversed": (
        lambda p: normalised(cropped(resized(p, 40))[:, :, ::-1]),
        ["resize", "bgr"],
        "short side to 40",
    ),
    "nearest and half": (
        lambda p: normalised(cropped(resized(p, way=0)), **HALF),
        ["interpolation", "mean_std"],
        "infer has mean 0.5 and std 0.5",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_every_fault_has_its_own_cause(scripts, fault):
    make, causes, words = PLANTED[fault]
    made = lambda pixels: make(pixels).astype(np.float32)  # noqa: E731
    stage = check_network_input(deep.ran(scripts, usual, made))
    assert stage.result == DIFFERS, stage.line
    assert sorted(stage.more["causes"]) == sorted(causes), stage.line
    assert stage.cause in causes
    assert words in stage.line
    assert stage.advice
    assert ", 3 of 3 images: " in stage.line
    json.dumps(stage.as_dict(), allow_nan=False)


@pytest.mark.parametrize("fault", ["reversed pixels", "half", "1/255 twice", "a corner", "reversed and half"])
def test_faults_that_the_inputs_show_need_no_decoded_images(scripts, fault):
    make, causes, words = PLANTED[fault]
    for path in PHOTOS:
        scripts.predict(usual(deep.pillow(path)))
        scripts.infer(make(deep.pillow(path)).astype(np.float32))
    stage = check_network_input(scripts.subject())
    assert sorted(stage.more["causes"]) == sorted(causes)
    assert words in stage.line


def test_without_decoded_images_a_resize_has_no_name(scripts):
    for path in PHOTOS:
        scripts.predict(usual(deep.pillow(path)))
        scripts.infer(PLANTED["short side"][0](deep.pillow(path)))
    stage = check_network_input(scripts.subject())
    assert (stage.cause, stage.why) == ("unknown", "other pixels: no usual fault reproduces the difference")


def test_another_size_that_nothing_explains(scripts):
    scripts.predict(usual(deep.pillow(PHOTOS[0])))
    scripts.infer(zoo.images(1, size=24)[0])
    stage = check_network_input(scripts.subject())
    assert (stage.cause, stage.why) == ("size", "another size: 32 x 32 in predict, 24 x 24 in infer")


def test_rows_and_columns_by_exif(scripts, tmp_path):
    """One script turns the image as its file says, the other does not; they decode it with one library."""
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(PHOTOS[0]).save(path, exif=exif)
    turned = lambda pixels: usual(np.rot90(pixels, -1))  # noqa: E731
    stage = check_network_input(deep.ran(scripts, usual, turned, [path], orientation=6))
    assert (stage.cause, stage.more["causes"]) == ("exif", ["exif"]), stage.line
    assert "the file states the EXIF orientation 6, and only infer turns it" in stage.why


def test_a_decoder_that_turns_the_image(scripts, tmp_path):
    """OpenCV turns it unless it is told not to, PIL does not."""
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.open(PHOTOS[1]).save(path, exif=exif)
    ways = {"decoders": (deep.pillow, deep.opencv), "libraries": ("PIL", "cv2"), "orientation": 8}
    stage = check_network_input(deep.ran(scripts, usual, usual, [path], **ways))
    assert (stage.cause, stage.more["causes"]) == ("exif", ["exif"]), stage.line
    assert "predict's turned by 90 degrees counterclockwise" in stage.why


def test_images_that_do_not_show_a_fault_add_no_words(scripts):
    paths = [PHOTOS[0], PHOTOS[1], deep.PHOTOS[0].with_name("camera.jpg")]
    colour = lambda path: np.asarray(Image.open(path).convert("RGB"))  # noqa: E731
    make, causes, _ = PLANTED["short side and reversed"]
    stage = check_network_input(deep.ran(scripts, usual, make, paths, decoders=(colour, colour)))
    assert stage.more["causes"] == causes
    assert "of others" not in stage.why


def padded(value):
    def make(pixels):
        whole = np.full((64, 64, 3), value, np.uint8)
        height = int(pixels.shape[0] * 64 / pixels.shape[1])
        whole[:height] = cv2.resize(pixels, (64, height), interpolation=cv2.INTER_LINEAR)
        return normalised(whole)

    return make


def test_other_values_in_the_padding(scripts):
    stage = check_network_input(deep.ran(scripts, padded(114), padded(0), PHOTOS[1:]))
    assert (stage.cause, stage.more["causes"]) == ("padding", ["padding"]), stage.line
    assert "with cv2 linear and pads it to 64 x 64" in stage.why


def other_sums(pixels):
    """The same numbers, normalised in another order."""
    pixels = cropped(resized(pixels)).astype(np.float32)
    image = (pixels - np.float32(deep.MEAN) * 255) * (np.float32(1 / 255) / np.float32(deep.STD))
    return np.ascontiguousarray(image.transpose(2, 0, 1).astype(np.float32))


HEALTHY = {
    "the same": (usual, deep.pillow),
    "normalised in another order": (other_sums, deep.pillow),
    "decoded by OpenCV": (usual, deep.opencv),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_pair_is_not_blamed(scripts, name):
    make, decode = HEALTHY[name]
    stage = check_network_input(deep.ran(scripts, usual, make, decoders=(deep.pillow, decode)))
    assert stage.result == SAME, stage.line
    assert stage.line.startswith("network input: same, 3 images, bitwise equal for ")


def test_one_image_of_three(scripts):
    first = deep.ran(scripts, usual, usual, PHOTOS[:2])
    assert check_network_input(first).result == SAME
    stage = check_network_input(deep.ran(scripts, usual, other_order, PHOTOS[2:]))
    assert (stage.cause, stage.words) == ("bgr", "1 of 3 images")


def test_another_decoder_whose_pixels_reach_the_network(scripts):
    stage = check_network_input(deep.ran(scripts, usual, usual, decoders=(deep.pillow, deep.rough)))
    assert (stage.cause, stage.more["causes"]) == ("decoder", ["decoder"])
    assert "the decoded pixels are others; both steps: resizes the short side to 36" in stage.why


class Taker(zoo.Detector):
    """A detector that has a scale beside the image."""


def detector_stage(project, exports, change):  # noqa: F811
    specs = ((None, 3, None, None), "float32", "image"), ((None, 2), "float32", "scale_factor")
    ran = project(exports("detector", lambda: zoo.filled(Taker()), *specs))
    network, scale = zoo.filled(Taker()), np.array([[0.5, 0.75]], np.float32)
    for image in zoo.images(3):
        ran.layer("predict", network, {"image": image[None], "scale_factor": scale})
        given = {"image": image[None], "scale_factor": np.ascontiguousarray(change(scale), np.float32)}
        ran.infer(*(given[name] for name in ran.model.inputs))
    return check_network_input(deep.Scripts(ran, network).subject())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda scale: scale[:, ::-1], "its numbers are in the other order: [0.5, 0.75] in predict, [0.75, 0.5] in"),
        (lambda scale: 1 / scale, "infer's are 1 / predict's: [0.5, 0.75] in predict, [2, 1.33333] in infer"),
        (lambda scale: 1 / scale[:, ::-1], "infer's are 1 / predict's in the other order"),
        (lambda scale: scale * 0 + 1, "[0.5, 0.75] in predict, [1, 1] in infer"),
    ],
)
def test_an_input_beside_the_image(project, exports, change, words):  # noqa: F811
    stage = detector_stage(project, exports, change)
    assert stage.cause == "other_input", stage.line
    assert f"the image is the same, and its scale_factor is not: {words}" in stage.why


def test_the_same_inputs_beside_the_image(project, exports):  # noqa: F811
    assert detector_stage(project, exports, lambda scale: scale).result == SAME


def test_numbers_of_a_type_that_the_model_does_not_take(scripts):
    image = usual(deep.pillow(PHOTOS[0]))
    scripts.predict(image)
    recorder = scripts.project.recorder("infer")
    wide = {"x": image[None].astype(np.float64)}
    recorder.call("predictor", recorder.predictor(scripts.project.model.files), wide, {"out": image[None]})
    stage = check_network_input(scripts.subject())
    assert (stage.result, stage.cause) == (DIFFERS, "dtype"), stage.line
    assert stage.why == "infer gives float64 as 'x', and the exported model takes float32"


def test_evaluate_takes_the_place_of_predict(scripts):
    for path in PHOTOS:
        scripts.predict(usual(deep.pillow(path)), step="evaluate")
        scripts.infer(other_order(deep.pillow(path)))
    stage = check_network_input(scripts.subject())
    assert (stage.cause, stage.more["reference"]) == ("bgr", "evaluate")


def test_evaluate_and_infer_had_other_images(scripts):
    scripts.predict(usual(deep.pillow(PHOTOS[0])), step="evaluate")
    scripts.infer(usual(deep.pillow(PHOTOS[1])))
    stage = check_network_input(scripts.subject())
    assert stage.result == NOT_COMPARED
    assert "infer computed none of evaluate's images" in stage.line


def test_nothing_to_compare(scripts):
    scripts.predict(usual(deep.pillow(PHOTOS[0])))
    scripts.project.recorder("infer")
    assert check_network_input(scripts.subject()).result == NOT_COMPARED


def test_a_damaged_file_is_an_error_of_one_line(scripts):
    subject = deep.ran(scripts, usual, PLANTED["short side"][0], PHOTOS[:1])
    file = scripts.project.folder / "predict/1_d0.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=r"predict/1_d0\.npz: not the arrays of a recorded image, or damaged"):
        check_network_input(subject)


SIZES = [(224, 256, "cv2"), (224, 224, "PIL"), (48, 55, "cv2")]


@pytest.mark.parametrize(("crop", "side", "library"), SIZES)
def test_the_pipeline_of_an_input(crop, side, library):
    """Both libraries, with the sizes that classifiers have; the numbers of the normalisation are read off the input."""
    pixels = deep.pillow(PHOTOS[1])
    image = normalised(cropped(resized(pixels, side, library, cv2.INTER_AREA if library == "cv2" else 3), crop))
    found = find(pixels, image)
    assert (found.geometry.side, found.geometry.size) == (side, (crop, crop))
    assert found.resizer.name == {"cv2": "cv2 area", "PIL": "PIL bicubic"}[library]
    assert found.normalisation.words == "mean 0.485, 0.456, 0.406 and std 0.229, 0.224, 0.225 (ImageNet's)"
    assert find(pixels, image + np.float32(0.05) * (np.arange(crop) % 7 == 0)) is None


def test_an_image_with_padding():
    pixels = deep.pillow(PHOTOS[2])
    height = int(pixels.shape[0] * 64 / pixels.shape[1])
    found = find(pixels, padded(114)(pixels))
    assert found.words == f"resizes the long side to 64 ({height} x 64) with cv2 linear and pads it to 64 x 64"
