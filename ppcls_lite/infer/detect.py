"""Prediction of boxes: post-processing, formats, drawing, and the two engines that exist for detectors."""

import sys
import time
from pathlib import Path

import cv2
import numpy as np

from ppcls_lite.data.detection import new_sample
from ppcls_lite.data.image_lists import list_images
from ppcls_lite.data.transforms import options
from ppcls_lite.infer.paddle_engine import PaddleEngine
from ppcls_lite.infer.postprocess import read_label_names
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

_COLOURS = ((60, 60, 230), (60, 180, 60), (230, 130, 40), (40, 170, 240), (200, 60, 180), (190, 190, 40))  # BGR
JPEG_QUALITY = 92


class DetectionBoxes:
    """The boxes of each image that score at least `threshold`, best first, cut at the picture's border.

    `class_id_map_file` has a line `<id> <name>` for each class; without it no names are given.
    """

    def __init__(self, threshold=0.3, class_id_map_file=None):
        self.threshold = options.real("PostProcess.threshold", threshold, 0, 1)
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


class DetectionTrainingEngine:
    """Images [N, 3, H, W] and scales [N, 2] to the deployed network's outputs, computed in dygraph mode."""

    def __init__(self, config):
        from ppcls_lite.arch.from_config import load_network

        self.model = load_network(config).deployed()
        self.model.eval()

    def run(self, images, scales):
        """The outputs as NumPy arrays: boxes [N, K, 6], numbers of boxes, heat-map, size, offset."""
        import paddle

        with paddle.no_grad():
            outputs = self.model(paddle.to_tensor(images), paddle.to_tensor(scales))
        return _by_image([output.numpy() for output in outputs], len(images))


class DetectionEngine(PaddleEngine):
    """Paddle Inference on an exported detector; the same inputs and outputs as DetectionTrainingEngine."""

    def __init__(self, model_dir, engine_options=None):
        super().__init__(model_dir, engine_options)
        names = self._predictor.get_input_names()
        if sorted(names) != ["image", "scale_factor"]:
            raise UserError(f"{model_dir}: no detector: its inputs are {', '.join(names)}, not image and scale_factor")

    def run(self, images, scales):
        for name, array in (("image", images), ("scale_factor", scales)):
            self._predictor.get_input_handle(name).copy_from_cpu(array)
        self._predictor.run()
        handles = [self._predictor.get_output_handle(name) for name in self._predictor.get_output_names()]
        return _by_image([handle.copy_to_cpu() for handle in handles], len(images))


def _by_image(outputs, count):
    """The outputs with the boxes as [N, K, 6]."""
    return [outputs[0].reshape(count, -1, 6), *outputs[1:]]


def read_picture(path, transforms):
    """(sample, (width, height)) of the file at `path`; UserError names a file that is no picture."""
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
    return sample, (width, height)


def stack_samples(samples):
    """(images [N, 3, H, W], scales [N, 2]) of one batch; UserError when the sizes differ."""
    shapes = sorted({sample["image"].shape for sample in samples})
    if len(shapes) > 1:
        raise UserError(f"images of one batch differ in shape, {shapes[0]} and {shapes[1]}: is DetResize missing?")
    return np.stack([s["image"] for s in samples]), np.stack([s["scale_factor"] for s in samples])


class DetectionPredictor:
    """An engine with its transforms and post-processing; writes pictures with boxes to `output_dir` if given."""

    def __init__(self, engine, transforms, postprocess, batch_size=1, output_dir=None):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f"batch_size: expected a whole number of at least 1, found {batch_size!r}")
        self.engine, self.transforms, self.postprocess = engine, transforms, postprocess
        self.batch_size = batch_size
        self.output_dir = Path(output_dir) if output_dir else None
        self.images = 0
        self.failed = []
        self.seconds = {"preprocess": 0.0, "inference": 0.0, "postprocess": 0.0}

    def predict(self, source):
        """Yield a list of (path, result) for each batch of the images at `source` (file, folder or list file).

        A file that is no picture is reported on standard error, kept in `self.failed`, and does not end the run.
        """
        paths, skipped = list_images(source)
        if skipped:
            logger.info(f"{source}: skipped what is no image: {skipped}")
        for start in range(0, len(paths), self.batch_size):
            clock = time.perf_counter()
            kept = self._read(paths[start : start + self.batch_size])
            clock = self._lap("preprocess", clock)
            if not kept:
                continue
            boxes, *_ = self.engine.run(*stack_samples([sample for _, sample, _ in kept]))
            clock = self._lap("inference", clock)
            results = self.postprocess(boxes, [size for _, _, size in kept])
            self._lap("postprocess", clock)
            self.images += len(kept)
            batch = [(path, result) for (path, _, _), result in zip(kept, results)]
            if self.output_dir:
                self._draw(batch)
            yield batch

    def _read(self, paths):
        kept = []
        for path in paths:
            try:
                kept.append((path, *read_picture(path, self.transforms)))
            except UserError as error:
                self.failed.append(path)
                print(f"error: {error}", file=sys.stderr)
        return kept

    def _draw(self, batch):
        for path, result in batch:
            target = self.output_dir / f"{Path(path).stem}.jpg"
            picture = cv2.cvtColor(new_sample(Path(path).read_bytes())["image"], cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", draw_boxes(picture, result), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            try:
                self.output_dir.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data.tobytes())
            except OSError as error:
                raise UserError(f"{target}: cannot be written ({error.strerror})") from error

    def _lap(self, part, since):
        now = time.perf_counter()
        self.seconds[part] += now - since
        return now

    def timing(self):
        """One line: milliseconds an image for each part."""
        parts = ", ".join(f"{part} {1000 * spent / max(self.images, 1):.2f}" for part, spent in self.seconds.items())
        return f"{self.images} images, batch size {self.batch_size}, milliseconds an image: {parts}"
