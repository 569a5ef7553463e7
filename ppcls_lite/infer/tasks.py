"""What classification and detection do differently once a network is trained; a config's `Arch.name` chooses."""

import os
from pathlib import Path

import numpy as np

from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError


class Classification:
    """Top-k classes of whole images."""

    postprocess = "Topk"

    def read_shape(self, ops, probe):
        """The shape of what the transforms `ops` make of the picture `probe`."""
        from ppcls_lite.data.transforms import build_transforms

        return list(build_transforms(ops, "Infer.transforms")(probe).shape)

    def predictor(self, config):
        """A Predictor with the training engine."""
        from ppcls_lite.data.transforms import build_transforms
        from ppcls_lite.infer.engines.training import TrainingEngine
        from ppcls_lite.infer.model.postprocess import build_postprocess
        from ppcls_lite.infer.predict import Predictor

        transforms = build_transforms(require(config, "Infer.transforms"), "Infer.transforms")
        postprocess = build_postprocess(config["Infer"].get("PostProcess"))
        return Predictor(TrainingEngine(config), transforms, postprocess, config["Infer"].get("batch_size", 1))

    def record(self, result, path):
        """A prediction as tools/infer.py prints it."""
        from ppcls_lite.infer.model.postprocess import format_record

        return format_record(result, path)

    def labelled_images(self, config, source):
        """(paths, labels or None) of the images at `source`, or of the config's validation set."""
        from ppcls_lite.data.image_lists import is_image_name, list_images, read_list

        root = None
        if not source:
            source, root = (
                require(config, f"DataLoader.Eval.dataset.{key}") for key in ("cls_label_path", "image_root")
            )
        images, _ = list_images(source, root)
        if Path(source).is_dir() or is_image_name(source):
            return images, None
        try:
            return images, [line.label for line in read_list(source)]
        except UserError:  # a list without labels: there is no accuracy to count
            return images, None

    def compare(self, *arguments):
        """Agreements of the inference engines with the training engine, one after the other."""
        from ppcls_lite.infer.compare.classifiers import compare_engines

        return compare_engines(*arguments)


class Detection:
    """Boxes; the methods are those of Classification."""

    postprocess = "DetectionBoxes"

    def read_shape(self, ops, probe):
        from ppcls_lite.data.detection import build_det_transforms, new_sample

        return list(build_det_transforms(ops, "Infer.transforms")(new_sample(probe))["image"].shape)

    def predictor(self, config):
        from ppcls_lite.data.detection import build_det_transforms
        from ppcls_lite.infer.detect import DetectionPredictor, DetectionTrainingEngine
        from ppcls_lite.infer.model.postprocess import build_postprocess

        infer = config["Infer"]
        transforms = build_det_transforms(require(config, "Infer.transforms"), "Infer.transforms")
        postprocess = build_postprocess(infer.get("PostProcess"))
        engine = DetectionTrainingEngine(config)
        batch_size, output_dir = infer.get("batch_size", 1), infer.get("output_dir")
        return DetectionPredictor(engine, transforms, postprocess, batch_size, output_dir=output_dir)

    def record(self, result, path):
        from ppcls_lite.infer.detect import format_det_record

        return format_det_record(result, path)

    def labelled_images(self, config, source):
        from ppcls_lite.data.detection.coco_file import read_coco
        from ppcls_lite.data.image_lists import list_images

        if source:
            return list_images(source)[0], None
        folder, images, file = (
            require(config, f"DataLoader.Eval.dataset.{key}") for key in ("dataset_dir", "image_dir", "anno_path")
        )
        pictures = read_coco(os.path.join(folder, file), bad_boxes="skip").images
        return [os.path.join(folder, images, picture.file_name) for picture in pictures], None

    def compare(self, *arguments):
        from ppcls_lite.infer.compare.detectors import compare_detectors

        return compare_detectors(*arguments)


def task_of(config):
    """The task of a training config; UserError when its post-processing is that of another task."""
    from ppcls_lite.arch.registry import DETECTORS

    name = require(config, "Arch.name")
    task = Detection() if name in DETECTORS else Classification()
    post = (config.get("Infer") or {}).get("PostProcess") or {}
    stated = post.get("name", Classification.postprocess)
    if stated != task.postprocess:
        raise UserError(f"Infer.PostProcess.name: expected {task.postprocess} for {name}, found {stated!r}")
    return task


def probe_picture(image_shape):
    """A black picture somewhat larger than [3, height, width], for trying transforms."""
    return np.zeros((image_shape[-2] + 13, image_shape[-1] + 29, 3), dtype=np.uint8)
