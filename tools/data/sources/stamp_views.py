"""Views of one object for recognition: a cut-out under another angle, light and background, part of it out of sight.

A view is turned, stretched, mirrored where that shows the same object, and seen in a mild perspective; colours, light,
focus, noise and the quality of the JPEG file differ. Every image has a `numpy.random.RandomState` of its own, whose
draws are frozen: equal seeds give equal images.
"""

import cv2
import numpy as np

from tools.data.sources.stamp_images import draw_background, extent, recolour, rotation

SIDE = 64  # pixels of a view
SIZES = (0.8, 1.15)  # the object's longer side as a share of the image's
TURN = 25  # degrees to either side
STRETCH = 0.15  # of the logarithm of the ratio of the sides
PERSPECTIVE = 0.1  # of the object's sides, by which a corner may move
BEYOND = 0.08  # of the image's side, by which the object's frame may be beyond the border
HUE = 8  # degrees
LIGHT, SLOPE, CAST = (0.7, 1.25), 0.3, 0.06  # brightness, its change across the image, and that of one colour
BLURRED_SHARE, BLUR = 0.35, (0.5, 1.3)  # of the images; pixels
NOISE = 8  # grey values
QUALITY = (50, 93)


def render_view(random, stamp, backgrounds, mirror, varied):
    """One view as the bytes of a JPEG file of 64x64 pixels.

    Args:
        stamp: (h, w, 4) uint8 BGRA, the cut-out.
        backgrounds: list of (h, w, 3) uint8 BGR images.
        mirror: whether half of the views may be mirrored.
        varied: whether backgrounds are also recoloured, turned and blended, as for training.
    """
    ground = draw_background(random, backgrounds, SIDE, SIDE, varied)
    cutout = _warp(random, _prepare(random, stamp, mirror))
    image = cutout[..., :3] + ground * (1 - cutout[..., 3:])
    image = _light(random, image)
    if random.uniform() < BLURRED_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), random.uniform(*BLUR))
    image = image + random.normal(size=image.shape) * random.uniform(0, NOISE)
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.randint(*QUALITY))]
    return cv2.imencode(".jpg", image, quality)[1].tobytes()


def _prepare(random, stamp, mirror):
    """The cut-out as float32, recoloured, colours weighted by alpha 0 to 1."""
    image = np.dstack([recolour(random, stamp[..., :3], HUE), stamp[..., 3]]).astype(np.float32)
    image[..., 3:] /= 255
    image[..., :3] *= image[..., 3:]
    return np.ascontiguousarray(image[:, ::-1]) if random.randint(2) and mirror else image


def _warp(random, image):
    """`image` (h, w, 4) on an empty canvas: turned, stretched, in perspective, at a random size and place."""
    stretch = np.exp(random.uniform(-STRETCH, STRETCH))
    shape = rotation(random.uniform(-TURN, TURN)) @ np.diag([stretch, 1 / stretch])
    side = SIDE * random.uniform(*SIZES)
    scale = side / extent(image, shape).max()
    if scale < 0.5:  # the warp reads four pixels: a much larger image would show grains
        image = cv2.resize(image, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        scale = side / extent(image, shape).max()
    frame = scale * extent(image, shape)
    space = np.maximum((SIDE - frame) / 2, 0) + BEYOND * SIDE * random.uniform()
    middle = SIDE / 2 + space * random.uniform(-1, 1, size=2)
    height, width = image.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    offset = corners - (width / 2, height / 2)
    moved = offset * (1 + PERSPECTIVE * random.uniform(-1, 1, size=offset.shape))
    target = middle + scale * moved @ shape.T
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target.astype(np.float32))
    return cv2.warpPerspective(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)


def _light(random, image):
    """`image` brighter or darker, towards one side more than the other, with a cast of a colour."""
    angle, slope = random.uniform(0, 2 * np.pi), random.uniform(0, SLOPE)
    places = np.linspace(-1, 1, SIDE)
    plane = slope * (np.cos(angle) * places[None, :] + np.sin(angle) * places[:, None])
    colour = 1 + CAST * random.uniform(-1, 1, size=3)
    return image * (random.uniform(*LIGHT) * (1 + plane))[..., None] * colour
