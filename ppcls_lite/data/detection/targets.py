"""The targets that CenterNet learns: boxes as Gaussian peaks with a size and an offset (https://arxiv.org/abs/1904.07850)."""

from typing import NamedTuple

import numpy as np

from ppcls_lite.data.detection.transforms import DET_TRANSFORMS
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.grid import MULTIPLE, STRIDE


class Targets(NamedTuple):
    """Arrays of one image; K is the largest number of objects per image. See also `DetectionTarget`."""

    heat: np.ndarray  # [C, h, w] float32, 1 at every centre and Gaussian around it
    cells: np.ndarray  # [K] int64, row * w + column of each centre
    sizes: np.ndarray  # [K, 2] float32, width and height in cells
    offsets: np.ndarray  # [K, 2] float32, where in its cell the centre is, x and y
    valid: np.ndarray  # [K] float32, 1 for objects, 0 for the unused rest of the arrays


def gaussian_radius(widths, heights, min_overlap=0.3):
    """How far both corners may be off, in cells, so that a box still overlaps its object by `min_overlap` (IoU).

    The rule of CornerNet (https://arxiv.org/abs/1808.01244), section 3.2, which CenterNet took over. Of the three
    cases (both corners inside, both outside, one in and one out) the smallest radius counts. CenterNet's published
    code divides by 2 where the quadratic formula says 2a; with its min_overlap of 0.7 it comes to about the radius
    that CornerNet's own 0.3 gives here. Arrays in, an array out.
    """
    total, area = widths + heights, widths * heights
    shifted = (total - np.sqrt(total**2 - 4 * area * (1 - min_overlap) / (1 + min_overlap))) / 2
    shrunk = (total - np.sqrt(total**2 - 4 * area * (1 - min_overlap))) / 4
    slack = min_overlap * total
    grown = (np.sqrt(slack**2 + 4 * min_overlap * area * (1 - min_overlap)) - slack) / (4 * min_overlap)
    return np.minimum(np.minimum(shifted, shrunk), grown)


def draw_gaussians(heat, labels, columns, rows, radii):
    """Raise `heat` [C, h, w] to the peaks of all objects, given as arrays [n] of whole cells; the highest counts.

    A peak is 1 in its cell, falls with a deviation of a sixth of the diameter, and ends at the radius.
    """
    height, width = heat.shape[1:]
    across, down = (_profile(length, at, radii) for length, at in ((width, columns), (height, rows)))
    peaks = down[:, :, None] * across[:, None, :]
    for label in np.unique(labels):
        np.maximum(heat[label], peaks[labels == label].max(axis=0), out=heat[label])


def _profile(length, at, radii):
    """[n, length]: one line through each Gaussian, 0 beyond its radius."""
    distance = np.abs(np.arange(length)[None] - at[:, None])
    deviation = (2 * radii + 1)[:, None] / 6
    return np.where(distance <= radii[:, None], np.exp(-0.5 * (distance / deviation) ** 2), 0).astype(np.float32)


@DET_TRANSFORMS.register
class Gt2CenterNetTarget:
    """Adds `targets` to a sample whose image has its final size, a multiple of 32 pixels.

    `max_objs` objects at most, the largest first. The name and its options are PaddleDetection's: `down_ratio` can only
    be 4 here, the stride of CenterNet's maps; `min_overlap` goes to `gaussian_radius`.
    """

    needs_boxes = True

    def __init__(self, down_ratio=4, max_objs=128, min_overlap=0.3):
        if down_ratio != STRIDE:
            raise UserError(f"down_ratio: expected {STRIDE}, the stride of CenterNet's maps, found {down_ratio!r}")
        self.most = checks.whole("max_objs", max_objs)
        self.min_overlap = checks.real("min_overlap", min_overlap, 0.01, 0.99)

    def __call__(self, sample, rng=None):
        height, width = sample["image"].shape[-2:] if sample["chw"] else sample["image"].shape[:2]
        if height % MULTIPLE or width % MULTIPLE:
            raise UserError(f"Gt2CenterNetTarget: the image is {width}x{height}, not a multiple of {MULTIPLE} pixels")
        grid = height // STRIDE, width // STRIDE
        sample["targets"] = self.make(sample["boxes"] / STRIDE, sample["labels"], sample["class_num"], grid)
        return sample

    def make(self, boxes, labels, class_num, grid):
        """`Targets` for boxes [n, 4] (x1, y1, x2, y2 in cells) and labels [n] on a grid of (rows, columns)."""
        heat = np.zeros((class_num, *grid), np.float32)
        cells, valid = np.zeros(self.most, np.int64), np.zeros(self.most, np.float32)
        sizes, offsets = np.zeros((self.most, 2), np.float32), np.zeros((self.most, 2), np.float32)
        boxes = np.clip(boxes, 0, [grid[1], grid[0], grid[1], grid[0]])
        spans = boxes[:, 2:] - boxes[:, :2]
        order = np.argsort(-spans.prod(axis=1), kind="stable")
        order = order[(spans[order] > 0).all(axis=1)][: self.most]
        count = len(order)
        if count:
            boxes, spans, labels = boxes[order], spans[order], labels[order]
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2
            places = np.minimum(centres.astype(np.int64), [grid[1] - 1, grid[0] - 1])
            radii = np.floor(gaussian_radius(spans[:, 0], spans[:, 1], self.min_overlap)).clip(0)
            draw_gaussians(heat, labels, places[:, 0], places[:, 1], radii)
            cells[:count] = places[:, 1] * grid[1] + places[:, 0]
            sizes[:count], offsets[:count], valid[:count] = spans, centres - places, 1
        return Targets(heat, cells, sizes, offsets, valid)
