"""Labelled images from a list file; a sample depends on (seed, epoch, index) and on nothing else."""

import os

import numpy as np

from ppcls_lite.data.image_lists import ListLine, list_images, read_list, read_logo_list
from ppcls_lite.data.transforms import Compose, build_transforms
from ppcls_lite.data.transforms.decoding import Unreadable
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError

__all__ = ["ImageNetDataset", "ListLine", "LogoDataset", "VeriWild", "list_images", "read_list"]


class ImageNetDataset:
    """Map-style data set of `image_root` and a list file of `<path> <label>` lines.

    `dataset[i]`, or `dataset[epoch, i]`, is (image [3, H, W] float32, label int64). `transform_ops` is a
    config's list or a Compose; after it, channels are moved first unless a transform did that. Without it
    the decoded image is returned. `relabel` renumbers the labels that occur 0, 1, ... in their order.
    The random transforms draw from `np.random.default_rng([seed, epoch, i])`: workers, resuming and
    restarting change no sample.

    Raises UserError on construction for faults of the list (see `read_list`), for missing images, for an image with
    two labels and, with `class_num`, for labels out of range; on access Unreadable for a file that is not a decodable
    image. `skip_unreadable: True` lets the loader of a training leave those out (see unreadable.py).
    With `cameras` the list may have a third column, which `cameras` holds then, [N] int64, and is None without one.
    `repeated` holds the `ListLine`s that name an image for the second time.
    """

    def __init__(
        self,
        image_root,
        cls_label_path,
        transform_ops=None,
        delimiter=None,
        relabel=False,
        seed=0,
        class_num=None,
        skip_unreadable=False,
        cameras=False,
    ):
        self.image_root = str(image_root)
        self.cls_label_path = str(cls_label_path)
        self.seed = seed
        self.skip_unreadable = checks.boolean("skip_unreadable", skip_unreadable)
        entries = self._read(delimiter or None, cameras)
        if relabel:
            order = {label: new for new, label in enumerate(sorted({entry.label for entry in entries}))}
            entries = [entry._replace(label=order[entry.label]) for entry in entries]
        self._check_labels(entries, class_num)
        self.repeated = self._check_repeated(entries)
        self.paths = [os.path.join(self.image_root, entry.path) for entry in entries]
        self._check_files(entries)
        self.labels = np.array([entry.label for entry in entries], np.int64)
        self.lines = np.array([entry.line for entry in entries], np.int64)
        self.cameras = None
        if entries[0].camera is not None:
            self.cameras = np.array([entry.camera for entry in entries], np.int64)
        if not isinstance(transform_ops, Compose):
            transform_ops = build_transforms(transform_ops or [], "transform_ops")
        self.transforms = transform_ops

    def _read(self, delimiter, cameras):
        return read_list(self.cls_label_path, delimiter, cameras)

    def _check_labels(self, entries, class_num):
        for entry in entries:
            if class_num is not None and entry.label >= class_num:
                raise UserError(
                    f"{self.cls_label_path}:{entry.line}: label {entry.label} is not below class_num {class_num}"
                )

    def _check_repeated(self, entries):
        """The lines with an image of a former line; one with two labels would be right whatever is predicted."""
        first, repeated = {}, []
        for entry in entries:
            other = first.setdefault(os.path.normpath(entry.path), entry)
            if other is not entry:
                repeated.append(entry)
            if other.label != entry.label:
                raise UserError(
                    f"{self.cls_label_path}:{entry.line}: {entry.path} has label {entry.label} here, and {other.label} "
                    f"in line {other.line}"
                )
        return repeated

    def _check_files(self, entries):
        if not os.path.isdir(self.image_root):
            raise UserError(f"{self.image_root}: no such folder (image_root of {self.cls_label_path})")
        missing = [index for index, path in enumerate(self.paths) if not os.path.isfile(path)]
        if missing:
            first = missing[0]
            raise UserError(
                f"{self.cls_label_path}:{entries[first].line}: {len(missing)} of {len(entries)} images are missing, "
                f"the first is {self.paths[first]}"
            )

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, key):
        epoch, index = key if isinstance(key, tuple) else (0, key)
        path = self.paths[index]
        place = f"{self.cls_label_path}:{self.lines[index]}: {path}"
        try:
            with open(path, "rb") as stream:
                data = stream.read()
            return self._transformed(data, epoch, index), self.labels[index]
        except OSError as error:
            raise Unreadable(f"{place}: cannot read: {error.strerror}") from error
        except UserError as error:
            raise type(error)(f"{place}: {error}") from error

    def _transformed(self, data, epoch, index):
        image = self.transforms(data, np.random.default_rng([self.seed, epoch, index]))
        if not self.transforms.makes_chw:
            image = image.transpose(2, 0, 1)
        return image.astype(np.float32) if image.dtype == np.uint8 else image


class VeriWild(ImageNetDataset):
    """The same where the list may have a third column in a training too, which makes no use of it."""

    def _read(self, delimiter, cameras):
        return read_list(self.cls_label_path, delimiter, cameras=True)


class LogoDataset(ImageNetDataset):
    """The same with a list in the form of PaddleClas's class of this name: see `read_logo_list`."""

    def _read(self, delimiter, cameras):
        return read_logo_list(self.cls_label_path)
