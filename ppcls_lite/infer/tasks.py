"""What classification, detection and recognition do differently once a network is trained; `Arch.name` chooses."""

import os
from pathlib import Path

import numpy as np

from ppcls_lite.arch.from_config import class_count
from ppcls_lite.arch.registry import DETECTORS, RECOGNIZERS
from ppcls_lite.data.dataset import ImageNetDataset
from ppcls_lite.data.detection import build_det_transforms, new_sample
from ppcls_lite.data.detection.coco_file import read_coco
from ppcls_lite.data.image_lists import is_image_name, list_images, read_list
from ppcls_lite.data.loader import build_loader, evaluation_sections
from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.infer.detect import DetectionPredictor
from ppcls_lite.infer.engines.training import DetectorTrainingEngine, RecognizerTrainingEngine, TrainingEngine
from ppcls_lite.infer.model.boxes import format_det_record
from ppcls_lite.infer.model.embedding import format_rec_record
from ppcls_lite.infer.model.postprocess import build_postprocess, format_record
from ppcls_lite.infer.predict import Predictor
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.recognition import POSTPROCESS


class Task:
    """What the tasks do alike; a subclass has the rest.

    Class attributes:
        postprocess: names of the post-processings that belong to the task, the usual one first.
        build_transforms: from a list of transforms and its place in the config to a callable.
        record: a prediction and its path to what tools/infer.py prints.
    """

    postprocess = ()
    build_transforms = record = None

    def read_shape(self, ops, probe):
        """The shape of what the transforms `ops` make of the image `probe`."""
        return list(self.transformed(self.build_transforms(ops, "Infer.transforms"), probe).shape)

    def transformed(self, transforms, image):
        """The network's input of an image, an HWC uint8 RGB array."""
        raise NotImplementedError

    def predictor(self, config):
        """A Predictor with the training engine."""
        transforms = self.build_transforms(require(config, "Infer.transforms"), "Infer.transforms")
        postprocess = build_postprocess(config["Infer"].get("PostProcess"))
        return self.create_predictor(config, transforms, postprocess, config["Infer"].get("batch_size", 1))

    def create_predictor(self, config, transforms, postprocess, batch_size):
        """The task's Predictor with its training engine and these parts."""
        raise NotImplementedError

    def labelled_images(self, config, source):
        """(paths, labels or None) of the images at `source`, or of the config's validation set."""
        return self.given_images(source) if source else self.validation_images(config)

    def given_images(self, source, root=None):
        """(paths, labels or None) of the images at `source`: an image, a folder, or a list of paths below `root`."""
        return list_images(source, root)[0], None

    def validation_images(self, config):
        """(paths, labels or None) of the config's validation set."""
        raise NotImplementedError


class Classification(Task):
    """Classes of whole images."""

    postprocess = ("Topk", "ThreshOutput")
    build_transforms = staticmethod(build_transforms)
    record = staticmethod(format_record)

    def transformed(self, transforms, image):
        return transforms(image)

    def create_predictor(self, config, transforms, postprocess, batch_size):
        return Predictor(TrainingEngine(config), transforms, postprocess, batch_size)

    def given_images(self, source, root=None):
        images, _ = list_images(source, root)
        if Path(source).is_dir() or is_image_name(source):
            return images, None
        try:
            return images, [line.label for line in read_list(source)]
        except UserError:  # a list without labels: there is no accuracy to count
            return images, None

    def validation_images(self, config):
        names, root = _of_validation_set(config, "cls_label_path", "image_root")
        section = config["DataLoader"]["Eval"]["dataset"]
        dataset = ImageNetDataset(root, names, None, section.get("delimiter"), section.get("relabel") or False)
        return dataset.paths, dataset.labels.tolist()


class Detection(Task):
    """Boxes of objects."""

    postprocess = ("DetectionBoxes",)
    build_transforms = staticmethod(build_det_transforms)
    record = staticmethod(format_det_record)

    def transformed(self, transforms, image):
        return transforms(new_sample(image))["image"]

    def create_predictor(self, config, transforms, postprocess, batch_size):
        engine, output_dir = DetectorTrainingEngine(config), config["Infer"].get("output_dir")
        return DetectionPredictor(engine, transforms, postprocess, batch_size, output_dir=output_dir)

    def validation_images(self, config):
        folder, images, file = _of_validation_set(config, "dataset_dir", "image_dir", "anno_path")
        found = read_coco(os.path.join(folder, file), bad_boxes="skip").images
        return [os.path.join(folder, images, image.file_name) for image in found], None


class Recognition(Task):
    """Embeddings of whole images: those of one identity are near to each other."""

    postprocess = (POSTPROCESS,)
    build_transforms = staticmethod(build_transforms)
    record = staticmethod(format_rec_record)

    def transformed(self, transforms, image):
        return transforms(image)

    def create_predictor(self, config, transforms, postprocess, batch_size):
        return Predictor(RecognizerTrainingEngine(config), transforms, postprocess, batch_size)

    def datasets(self, config):
        """The data sets of the evaluation: those of the queries and of the gallery, or one that is both."""
        sections = evaluation_sections(config)
        return [build_loader(section, "Eval", seed=0, where=place, cameras=True).dataset for section, place in sections]

    def validation_images(self, config):
        """(paths, labels) of the queries, and then of the gallery's images that are not among them."""
        images = {}
        for dataset in self.datasets(config):
            for path, label in zip(dataset.paths, dataset.labels.tolist()):
                images.setdefault(os.path.abspath(path), (path, label))
        return [path for path, _ in images.values()], [label for _, label in images.values()]


def task_of(config):
    """The task of a training config; UserError when its post-processing is that of another task or network."""
    name = require(config, "Arch.name")
    task = Detection() if name in DETECTORS else Recognition() if name in RECOGNIZERS else Classification()
    post = (config.get("Infer") or {}).get("PostProcess") or {}
    stated = post.get("name", Classification.postprocess[0])
    if stated not in task.postprocess:
        expected = " or ".join(task.postprocess)
        raise UserError(f"Infer.PostProcess.name: expected {expected} for {name}, found {stated!r}")
    build_postprocess(post).check_classes(class_count(config))
    return task


def probe_image(image_shape):
    """A black image somewhat larger than [3, height, width], for trying transforms."""
    return np.zeros((image_shape[-2] + 13, image_shape[-1] + 29, 3), dtype=np.uint8)


def _of_validation_set(config, *keys):
    """The values of these keys of the config's validation set; UserError for one that is missing."""
    return [require(config, f"DataLoader.Eval.dataset.{key}") for key in keys]
