"""What a loader gives to a training or an evaluation: a `Batch` of images and their target, every part by its name.

On its way through Paddle's DataLoader, which knows no named tuples, a batch is a flat dict: see `pack` and `unpack`.
"""

from typing import Any, NamedTuple

import numpy as np


class Mixed(NamedTuple):
    """The target of images that Mixup or CutMix has mixed: the loss is
    `share * loss(labels) + (1 - share) * loss(others)`."""

    labels: Any  # [N] int64
    others: Any  # [N] int64, of the images that were mixed in
    share: Any  # [1] float32, from 0 to 1


class DetectionTarget(NamedTuple):
    """The target of one image with boxes, or of a batch with N in front: `detection.Targets`, and where it is from.

    K is the largest number of objects per image.
    """

    heat: Any  # [C, h, w] float32, 1 at every centre and Gaussian around it
    cells: Any  # [K] int64, row * w + column of each centre
    sizes: Any  # [K, 2] float32, width and height in cells
    offsets: Any  # [K, 2] float32, where in its cell the centre is, x and y
    valid: Any  # [K] float32, 1 for objects, 0 for the unused rest of the arrays
    number: Any  # [] int64, index of the image in its data set
    scale: Any  # [2] float32, pixels of the image per pixel of its file, y and x


class Batch(NamedTuple):
    """Images [N, 3, H, W] float32 with their target: labels [N] int64, a `Mixed`, or a `DetectionTarget`."""

    images: Any
    target: Any


_KINDS = {kind.__name__: kind for kind in (Mixed, DetectionTarget)}
_LABELS = "labels"  # the kind, and the only part, of a target without a named tuple


def stack(images, targets):
    """The `Batch` of arrays from lists of samples' images and targets; images of one shape."""
    kind = type(targets[0])
    if kind is DetectionTarget:
        return Batch(np.stack(images), kind(*map(np.stack, zip(*targets))))
    return Batch(np.stack(images), np.stack(targets))


def pack(batch):
    """`batch` as a flat dict of arrays and the name of its target's kind."""
    if type(batch.target) in _KINDS.values():
        return {"kind": type(batch.target).__name__, "images": batch.images, **batch.target._asdict()}
    return {"kind": _LABELS, "images": batch.images, _LABELS: batch.target}


def unpack(parts):
    """The `Batch` from which `pack` made `parts`."""
    values = dict(parts)
    kind, images = values.pop("kind"), values.pop("images")
    return Batch(images, _KINDS[kind](**values) if kind in _KINDS else values[_LABELS])
