"""Inputs for an exported model whose outputs are compared: recorded ones of real images, or seeded random ones."""

import numpy as np

from agreement.engine import Engine
from agreement.recording import Recording
from agreement.rows import model_inputs
from script import UserError

USUAL_SIDE = 224  # pixels, where the model takes any
RANDOM = 8  # images
_PIXELS = 16  # per wave of a random image, about: an image is smooth, and white noise is none
_LENGTHS = {"im_shape": USUAL_SIDE, "scale_factor": 1.0}  # inputs of PaddleDetection's exports that are no images


def recorded_images(exported, folders):
    """[inputs of one image] of the calls of the exported model in the recordings in `folders`, each one once.

    The inputs are an array for each feed; those that have a batch keep it, with a length of 1.
    """
    images, seen = [], set()
    for folder in folders:
        for call, order in Engine(Recording(folder), exported).calls:
            if not call.file:
                continue
            arrays, batched = model_inputs(call, order)
            for row in range(call.images):
                inputs = [array[row : row + 1] if cut else array for array, cut in zip(arrays, batched)]
                key = tuple((array.shape, array.tobytes()) for array in inputs)
                if key not in seen:
                    seen.add(key)
                    images.append(inputs)
    return images


def random_images(exported, count=RANDOM):
    """[inputs of one image]: smooth random images as a normalisation leaves them, or bytes from 0 to 255.

    The same in every run. UserError for an input whose meaning is not known.
    """
    rng = np.random.default_rng(20221)
    images = [[_random(rng, feed) for feed in exported.feeds] for _ in range(count)]
    return images


def _random(rng, feed):
    if feed.shape is None:
        raise UserError(f"the input '{feed.name}' states no shape: inputs for it cannot be made")
    batch = feed.shape[0] if feed.shape and feed.shape[0] > 0 else 1
    if len(feed.shape) < 3:
        return _numbers(rng, feed, (batch, *feed.shape[1:]))
    shape = (batch, *(side if side > 0 else USUAL_SIDE for side in feed.shape[1:]))
    array = _smooth(rng, shape)
    if np.dtype(feed.dtype).kind in "iu":
        return np.clip(128 + 50 * array, 0, 255).astype(feed.dtype)
    return array.astype(feed.dtype)


def _numbers(rng, feed, shape):
    """Numbers beside an image: its size, or what it was scaled by; words of a text where they are integers."""
    if -1 in shape:
        raise UserError(f"the input '{feed.name}' {list(feed.shape)} is no image: inputs for it cannot be made")
    if np.dtype(feed.dtype).kind == "f":
        return np.full(shape, _LENGTHS.get(feed.name, 1.0), dtype=feed.dtype)
    return rng.integers(0, 2, shape).astype(feed.dtype)


def _smooth(rng, shape):
    """Standard normal values on a coarse grid, between which is interpolated, and a little noise."""
    *others, height, width = shape
    grid = rng.standard_normal((*others, height // _PIXELS + 2, width // _PIXELS + 2))
    for axis, side in ((-2, height), (-1, width)):
        grid = np.moveaxis(grid, axis, -1)
        at = np.arange(side) / _PIXELS
        low = at.astype(int)
        part = at - low
        grid = np.moveaxis(grid[..., low] * (1 - part) + grid[..., low + 1] * part, -1, axis)
    return grid + 0.1 * rng.standard_normal(shape)


def batches(images, size):
    """[inputs] with up to `size` images each, in their order; images of another shape begin a new batch.

    An input that has no batch (no image side first) is that of the first image.
    """
    groups = []
    for image in images:
        shapes = [array.shape for array in image]
        if not groups or len(groups[-1]) == size or [array.shape for array in groups[-1][0]] != shapes:
            groups.append([])
        groups[-1].append(image)
    return [[np.concatenate(parts) for parts in zip(*group)] for group in groups]
