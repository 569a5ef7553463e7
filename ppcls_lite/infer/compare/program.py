"""Does another program, such as that of deploy/cpp, prepare, compute and print what Python does?

The program has left a folder for each of its runs: `inputs.npy` [N, 3, H, W], what it gave to the network for all
images that it could read, in their order; and `output_0.npy` and so on, all that came out. Beside the folder is a log
with the same name and `.log` at its end: what it printed.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcls_lite.infer.compare.detections import DetectionAgreement
from ppcls_lite.infer.compare.exact import STRICT, box_rows, class_rows
from ppcls_lite.infer.detect import create_detector, run_detector
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.agreement import Agreement
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.spread import key_of
from ppcls_lite.infer.images import read_detector_image, read_image, stack_images
from ppcls_lite.infer.model.boxes import DetectionBoxes, format_det_line
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.postprocess import format_line
from ppcls_lite.utils.errors import UserError

TOLERANCE = 1e-5
_INPUTS, _OUTPUT = "inputs.npy", "output_{}.npy"
_PREDICTION = re.compile(r": class id\(s\): |: \d+ box\(es\)")


class Expected(NamedTuple):
    """What Python makes of the images, with Paddle Inference and no optimisation at all."""

    paths: list  # of the images that can be read
    inputs: list  # [3, H, W] float32 each
    sizes: list  # width and height of each image in its file
    outputs: list  # [N, ...] each
    postprocess: object

    @property
    def is_detector(self):
        return isinstance(self.postprocess, DetectionBoxes)


def predict_strictly(model_dir, images):
    """The `Expected` of the images `images` (paths); UserError where none of them can be read."""
    transforms, postprocess = build_processing(model_dir)
    if isinstance(postprocess, DetectionBoxes):
        read, create, run = read_detector_image, create_detector, run_detector
    else:
        read, create = read_image, create_engine

        def run(engine, batch):
            return engine.run_all({engine.input_names[0]: stack_images(batch)})

    kept = []
    for path in images:
        try:
            kept.append((path, read(path, transforms)))
        except UserError:
            continue  # the program reports it too: `compare_run` counts the lines
    if not kept:
        raise UserError(f"none of the {len(images)} images can be read")
    with create(None, model_dir, EngineOptions().strict()) as engine:
        found = [run(engine, [image]) for _, image in kept]
    outputs = [np.concatenate(arrays) for arrays in zip(*found)]
    arrays = [getattr(image, "image", image) for _, image in kept]
    sizes = [getattr(image, "size", None) for _, image in kept]
    return Expected([path for path, _ in kept], arrays, sizes, outputs, postprocess)


def compare_run(name, folder, expected, tolerance=TOLERANCE, exact=None):
    """The agreement of the program's run in `folder` with `expected`, by `Agreement` or `DetectionAgreement`.

    UserError, one line that names the image and both values, where inputs differ in a bit, where scores differ by more
    than `tolerance`, and where a line was not printed, or not as Python prints the program's own numbers. `exact`, an
    `ExactPredictions` of the images, gets what both computed.
    """
    folder = Path(folder)
    _check_inputs(name, _load(folder / _INPUTS, len(expected.paths)), expected)
    outputs = [_load(folder / _OUTPUT.format(number), None) for number in range(len(expected.outputs))]
    outputs = [_as(array, like, name) for array, like in zip(outputs, expected.outputs)]
    keys = [key_of(image) for image in expected.inputs]
    if exact:
        _keep(exact, name, outputs, expected, tolerance)
    if expected.is_detector:
        agreement = DetectionAgreement(name, tolerance)
        agreement.add(expected.outputs, outputs, [max(size) for size in expected.sizes], keys)
    else:
        _check_scores(name, outputs[0], expected, tolerance)
        agreement = Agreement(name, tolerance)
        agreement.add(expected.outputs[0], outputs[0], None, keys)
    _check_lines(name, folder.with_name(f"{folder.name}.log"), outputs[0], expected)
    return agreement


def _keep(exact, name, outputs, expected, tolerance):
    """Note what the program computed, and what Python did."""
    everything = slice(0, len(expected.paths))
    exact.add(STRICT, everything, _entries(expected.outputs, expected))
    exact.add(name, everything, _entries(outputs, expected))
    exact.describe(name, f"C++ program, {name.replace('_', ' ')}")
    exact.compare(name, STRICT, tolerance)


def _entries(outputs, expected):
    if not expected.is_detector:
        return map(class_rows, outputs[0])
    boxes = outputs[0].reshape(len(expected.paths), -1, 6)
    return [box_rows(rows, max(size)) for rows, size in zip(boxes, expected.sizes)]


def _load(path, rows):
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: expected an array that the program saved ({error})") from None
    if array.dtype != np.float32 or (rows is not None and len(array) != rows):
        raise UserError(f"{path}: expected float32 of {rows} images, found {len(array)} of {array.dtype}")
    return array


def _as(array, like, name):
    """`array` in the type of `like`: the program saves whole numbers as float32, too."""
    if array.shape[-1] == like.shape[-1] and array.size == like.size:  # a detector's boxes are one list for the batch
        array = array.reshape(like.shape)
    if array.shape != like.shape:
        raise UserError(f"{name}: an output is {list(array.shape)}, and Python's is {list(like.shape)}")
    return array.astype(like.dtype)


def _check_inputs(name, inputs, expected):
    for path, found, wanted in zip(expected.paths, inputs, expected.inputs):
        if found.shape != wanted.shape:
            raise UserError(f"{name}: {path}: its input is {list(found.shape)}, and Python's is {list(wanted.shape)}")
        if key_of(found) != key_of(wanted):
            place = tuple(map(int, np.argwhere(found.view(np.uint32) != wanted.view(np.uint32))[0]))
            raise UserError(
                f"{name}: {path}: its input differs from Python's first at {list(place)}: {found[place]:.9g}, and "
                f"{wanted[place]:.9g} in Python: is it decoded, resized and normalised alike?"
            )


def _check_scores(name, scores, expected, tolerance):
    for path, found, wanted in zip(expected.paths, scores, expected.outputs[0]):
        difference = np.nan_to_num(np.abs(found.astype(np.float64) - wanted), nan=np.inf)
        label = int(difference.argmax())
        if difference[label] > tolerance:
            raise UserError(
                f"{name}: {path}: class {label} scores {found[label]:.9g}, and {wanted[label]:.9g} in Python: "
                f"at most {tolerance:g} allowed"
            )


def _check_lines(name, log, outputs, expected):
    """Each line is what Python prints of the program's own outputs."""
    if expected.is_detector:
        rows = outputs.reshape(len(expected.paths), -1, 6)
        results, line = expected.postprocess(rows, expected.sizes), format_det_line
    else:
        results, line = expected.postprocess(outputs), format_line
    wanted = [line(result, path) for path, result in zip(expected.paths, results)]
    found = _printed(log)
    for number, (ours, theirs) in enumerate(zip(found, wanted)):
        if ours != theirs:
            raise UserError(f"{name}: line {number + 1} is {ours!r:.300}, and {theirs!r:.300} in Python")
    if len(found) != len(wanted):
        raise UserError(f"{name}: {len(found)} predictions are printed, and Python prints {len(wanted)}")


def _printed(log):
    try:
        text = Path(log).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{log}: expected what the program printed ({error})") from None
    return [line for line in text.split("\n") if _PREDICTION.search(line)]
