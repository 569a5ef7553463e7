"""Images with boxes from a COCO annotation file; a sample depends on (seed, epoch, index) and on nothing else."""

import os

import numpy as np

from ppcls_lite.data.batch import DetectionTarget
from ppcls_lite.data.detection.coco_file import read_coco
from ppcls_lite.data.detection.transforms import DetCompose, build_det_transforms, new_sample
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


class COCODataSet:
    """Map-style data set; paths as in PaddleDetection: `dataset_dir`/`image_dir` and `dataset_dir`/`anno_path`.

    `dataset[i]`, or `dataset[epoch, i]`, is (image [3, H, W] float32, `DetectionTarget`), whose `number` is i.
    `bad_boxes: skip` leaves out boxes without area or outside their image, and says how many, instead of raising.
    `allow_empty: True` keeps images without a box, as an evaluation should. The random transforms draw from
    `np.random.default_rng([seed, epoch, i])`: workers, resuming and restarting change no sample.

    Raises UserError on construction for faults of the annotation file, missing images, images without boxes, and a
    number of categories that is not `class_num`; on access for an image that cannot be decoded or has another size
    than the file says.
    """

    def __init__(
        self,
        dataset_dir,
        image_dir,
        anno_path,
        transform_ops=None,
        allow_empty=False,
        bad_boxes="error",
        seed=0,
        class_num=None,
    ):
        self.anno_path = os.path.join(str(dataset_dir), str(anno_path))
        self.image_dir = os.path.join(str(dataset_dir), str(image_dir))
        self.seed = seed
        self.bad_boxes = checks.choice("bad_boxes", bad_boxes, ("error", "skip"))
        found = read_coco(self.anno_path, self.bad_boxes)
        self.names, self.category_ids, self.images = found.names, found.category_ids, found.images
        if found.skipped:
            logger.warning(f"{len(found.skipped)} boxes left out, the first is {found.skipped[0]}")
        if class_num is not None and len(self.names) != class_num:
            raise UserError(f"{self.anno_path}: {len(self.names)} categories, but Arch.class_num is {class_num}")
        if not checks.boolean("allow_empty", allow_empty):
            self._check_boxes()
        self._check_files()
        if not isinstance(transform_ops, DetCompose):
            transform_ops = build_det_transforms(transform_ops or [], "transform_ops")
        if not transform_ops.makes_targets:
            raise UserError(f"transform_ops of {self.anno_path}: Gt2CenterNetTarget is missing")
        self.transforms = transform_ops

    def _check_boxes(self):
        empty = [entry.file_name for entry in self.images if not len(entry.boxes)]
        if empty:
            raise UserError(
                f"{self.anno_path}: {len(empty)} of {len(self.images)} images have no box, the first is {empty[0]}; "
                "allow_empty: True takes them as images without objects"
            )

    def _check_files(self):
        if not os.path.isdir(self.image_dir):
            raise UserError(f"{self.image_dir}: no such folder (image_dir of {self.anno_path})")
        missing = [entry.file_name for entry in self.images if not os.path.isfile(self.path(entry))]
        if missing:
            raise UserError(
                f"{self.anno_path}: {len(missing)} of {len(self.images)} images are missing, the first is "
                f"{os.path.join(self.image_dir, missing[0])}"
            )

    def path(self, entry):
        """The file of `entry`, one of `images`."""
        return os.path.join(self.image_dir, entry.file_name)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, key):
        epoch, index = key if isinstance(key, tuple) else (0, key)
        entry = self.images[index]
        path = self.path(entry)
        try:
            with open(path, "rb") as stream:
                sample = new_sample(stream.read(), entry.boxes.copy(), entry.labels.copy(), len(self.names))
            self._check_size(sample["image"], entry)
            sample = self.transforms(sample, np.random.default_rng([self.seed, epoch, index]))
        except OSError as error:
            raise UserError(f"{path}: cannot read: {error.strerror}") from error
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        image = sample["image"] if sample["chw"] else sample["image"].transpose(2, 0, 1)
        if image.dtype != np.float32:
            raise UserError(f"transform_ops of {self.anno_path}: the image is {image.dtype}: NormalizeImage is missing")
        target = DetectionTarget(*sample["targets"], np.int64(index), sample["scale_factor"])
        return np.ascontiguousarray(image), target

    def _check_size(self, image, entry):
        height, width = image.shape[:2]
        if (width, height) != (entry.width, entry.height):
            raise UserError(
                f"the image is {width}x{height}, and {self.anno_path} says {entry.width}x{entry.height}: its "
                "boxes would be elsewhere"
            )
