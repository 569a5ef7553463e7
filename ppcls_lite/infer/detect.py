"""Prediction of boxes with any engine that runs detectors: reading, post-processing, formats and drawing."""

import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ppcls_lite.data.detection import new_sample
from ppcls_lite.data.detection.targets import MULTIPLE
from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.infer.engines.training import DygraphEngine
from ppcls_lite.infer.model.postprocess import read_label_names
from ppcls_lite.infer.predict import Predictor
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write

_INPUTS = ("image", "scale_factor")
_COLOURS = ((60, 60, 230), (60, 180, 60), (230, 130, 40), (40, 170, 240), (200, 60, 180), (190, 190, 40))  # BGR
JPEG_QUALITY = 92


class DetectionBoxes:
    """The boxes of each image that score at least `threshold`, best first, cut at the picture's border.

    `class_id_map_file` has a line `<id> <name>` for each class; without it no names are given.
    """

    def __init__(self, threshold=0.3, class_id_map_file=None):
        self.threshold = checks.real("PostProcess.threshold", threshold, 0, 1)
        self.names = read_label_names(class_id_map_file) if class_id_map_file else {}

    def __call__(self, boxes, sizes):
        """One dict an image: class_ids, scores (5 decimals), boxes (x1, y1, x2, y2 with 2 decimals), label_names.

        `boxes` is [N, K, 6] of (label, score, x1, y1, x2, y2), `sizes` has (width, height) of each picture.
        """
        return [self._of_image(rows, *size) for rows, size in zip(boxes, sizes)]

    def _of_image(self, rows, width, height):
        rows = rows[rows[:, 1] >= self.threshold]
        ids = rows[:, 0].astype(int).tolist()
        corners = np.clip(rows[:, 2:].astype(np.float64), 0, [width, height, width, height])
        return {
            "class_ids": ids,
            "scores": np.around(rows[:, 1].astype(np.float64), 5).tolist(),
            "boxes": np.around(corners, 2).tolist(),
            "label_names": [self.names.get(number, "") for number in ids] if self.names else [],
        }


def format_det_record(result, path):
    """A prediction as the training engine's script prints it (a dict), the file given in full."""
    return {**result, "file_name": str(path)}


def format_det_line(result, path):
    """A prediction as `predict_det.py` prints it, one line an image."""
    names = result["label_names"] or result["class_ids"]
    shown = [
        f"{name} {score:.2f} [{', '.join(f'{side:.1f}' for side in box)}]"
        for name, score, box in zip(names, result["scores"], result["boxes"])
    ]
    return f"{Path(path).name}: {len(shown)} box(es){': ' if shown else ''}{'; '.join(shown)}"


def draw_boxes(picture, result):
    """A copy of the BGR `picture` with a box, the name and the score of every detection."""
    drawn = picture.copy()
    names = result["label_names"] or [str(number) for number in result["class_ids"]]
    for number, name, score, box in zip(result["class_ids"], names, result["scores"], result["boxes"]):
        colour = _COLOURS[number % len(_COLOURS)]
        left, top, right, bottom = (int(round(side)) for side in box)
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, 1)
        text = f"{name} {score:.2f}"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.35, 1)
        below = max(top, height + 3)
        cv2.rectangle(drawn, (left, below - height - 3), (left + width, below), colour, -1)
        cv2.putText(drawn, text, (left, below - 2), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1, cv2.LINE_AA)
    return drawn


class DetectionTrainingEngine(DygraphEngine):
    """The deployed form of a training config's network with its weights, computed in dygraph mode."""

    takes_export = False

    def __init__(self, config, engine_options=None):
        super().__init__(config, engine_options)
        from ppcls_lite.arch.from_config import load_network

        self.layer = load_network(config).deployed()
        self.layer.eval()
        self.input_names = list(_INPUTS)


def create_detector(name, model_dir, engine_options=None):
    """As `create_engine`, for an exported detector; UserError for a model that is none."""
    engine_options = engine_options or EngineOptions()
    if "auto" in (name, engine_options.engine):
        raise UserError("engine auto: it tries classifiers only; name one of the others for a detector")
    engine = create_engine(name, model_dir, engine_options)
    if sorted(engine.input_names) != sorted(_INPUTS):
        raise UserError(
            f"{model_dir}: no detector: its inputs are {', '.join(engine.input_names)}, not {' and '.join(_INPUTS)}"
        )
    return engine


def run_detector(engine, pictures):
    """The deployed network's outputs for a list of `Picture`s: boxes [N, K, 6], their numbers, and the raw maps.

    UserError when the pictures' images differ in size, or have one that does not fit the network.
    """
    shapes = sorted({picture.image.shape for picture in pictures})
    if len(shapes) > 1:
        raise UserError(f"images of one batch differ in shape, {shapes[0]} and {shapes[1]}: is DetResize missing?")
    if any(side % MULTIPLE for side in shapes[0][1:]):
        raise UserError(f"the transforms make {list(shapes[0])}: expected multiples of {MULTIPLE} pixels")
    images = np.stack([picture.image for picture in pictures])
    scales = np.stack([picture.scale_factor for picture in pictures])
    boxes, *others = engine.run_all(dict(zip(_INPUTS, (images, scales))))
    return [boxes.reshape(len(pictures), -1, 6), *others]


class Picture(NamedTuple):
    """What a detector needs of one picture."""

    image: np.ndarray  # [3, H, W] float32
    scale_factor: np.ndarray  # [2] float32, y and x
    size: tuple  # width and height of the picture, in pixels


def read_picture(path, transforms):
    """The `Picture` in the file at `path`; UserError names a file that is none."""
    try:
        sample = new_sample(Path(path).read_bytes())
        height, width = sample["image"].shape[:2]
        sample = transforms(sample)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    image = sample["image"]
    if not sample["chw"] or image.dtype != np.float32:
        raise UserError(
            f"{path}: the transforms make {list(image.shape)} {image.dtype}, and a network takes [3, H, W] float32: "
            "is NormalizeImage or ToCHWImage missing?"
        )
    return Picture(np.ascontiguousarray(image), sample["scale_factor"], (width, height))


class DetectionPredictor(Predictor):
    """A Predictor of boxes; writes pictures with the boxes to the folder `output_dir` if it is given.

    They are JPEG files, named and in folders as the images are.
    """

    def __init__(self, engine, transforms, postprocess, batch_size=1, workers=None, output_dir=None):
        super().__init__(engine, transforms, postprocess, batch_size, workers)
        self.output_dir = Path(output_dir) if output_dir else None

    def read(self, path):
        return read_picture(path, self.transforms)

    def compute(self, inputs):
        return run_detector(self.engine, inputs)[0]

    def finish(self, found, inputs):
        return self.postprocess(found, [picture.size for picture in inputs])

    def predict_all(self, paths):
        targets = drawing_paths(paths, self.output_dir) if self.output_dir else {}
        for batch in super().predict_all(paths):
            for path, result in batch:
                if path in targets and not isinstance(result, UserError):
                    picture = cv2.cvtColor(new_sample(Path(path).read_bytes())["image"], cv2.COLOR_RGB2BGR)
                    write_picture(draw_boxes(picture, result), targets[path])
            yield batch


def drawing_paths(paths, folder):
    """{path: where its drawing goes below `folder`}; UserError when that would be one of the images themselves.

    A drawing has its image's place below the folder that all have in common. Of several images that differ in their
    suffix alone, the first keeps the plain name.
    """
    images = {path: Path(path).resolve() for path in paths}
    originals = set(images.values())
    common = os.path.commonpath([image.parent for image in originals]) if originals else ""
    targets, taken = {}, set()
    for path, image in images.items():
        target = Path(folder, image.relative_to(common).with_suffix(".jpg"))
        if target in taken:
            target = target.with_name(f"{image.name}.jpg")
        if target.resolve() in originals:
            raise UserError(f"{folder}: the drawing of {path} would replace an image; choose another output_dir")
        taken.add(target)
        targets[path] = target
    return targets


def write_picture(picture, path):
    """Write the BGR `picture` as a JPEG, whole or not at all; UserError when it cannot be written."""
    try:
        written, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    except cv2.error:
        written = False
    if not written:  # more than 65,500 pixels a side
        raise UserError(f"{path}: a picture of {picture.shape[1]}x{picture.shape[0]} pixels cannot be a JPEG file")
    try:
        with atomic_write(path, "wb") as stream:
            stream.write(data.tobytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
