"""Images for detection: cut-outs laid on backgrounds, with boxes from their alpha channel.

Training images vary more than validation images: their cut-outs are recoloured and sheared, and their backgrounds
recoloured, turned, and blended with others, since a training has only about a hundred cut-outs. Every image has a
`numpy.random.RandomState` of its own, whose draws are frozen: equal seeds give equal images.
"""

import cv2
import numpy as np

CANVASES = ((176, 144), (144, 176), (160, 160))  # width, height
OBJECTS = (2, 6)  # per image
TRIES = 24  # to place them
SIZES = (0.28, 0.62)  # an object's longer side as a share of the image's shorter one
SMALLEST_SIDE = 10  # pixels of a box
LEAST_VISIBLE = 0.7  # share of an object's pixels that others and the border do not hide
MOST_SHARED = 0.3  # of the smaller of two boxes lies within the other
TRUNCATED_SHARE = 0.12  # of the objects may reach beyond the border
PLAIN_SHARE, TEXTURE_SHARE = 0.15, 0.15  # of the backgrounds; the others are given images
TURNED = ("flower", "fruit_or_vegetable", "tool")  # lie and grow in any direction
HUES = {"flower": 180, "tool": 180, "vehicle": 180, "bird": 40}  # degrees by which training may turn them
USUAL_HUE = 12


# -------------------------------------------------------------------------------------------------- backgrounds


def draw_background(random, backgrounds, width, height, varied):
    """(height, width, 3) float32 BGR: a crop of a background, a computed texture, or a plain, softly lit colour."""
    kind = random.uniform()
    if kind < PLAIN_SHARE:
        return _plain(random, width, height)
    if kind < PLAIN_SHARE + TEXTURE_SHARE:
        return _texture(random, width, height)
    image = _crop(random, backgrounds, width, height, varied)
    if varied and random.uniform() < 0.3:
        share = random.uniform(0.3, 0.7)
        image = share * image + (1 - share) * _crop(random, backgrounds, width, height, varied)
    return image * random.uniform(0.75, 1.2)


def _plain(random, width, height):
    colour = random.randint(60, 235) + random.randint(-35, 36, size=3)  # muted, as walls and cloths are
    light = np.linspace(1.08, random.uniform(0.75, 0.95), height, dtype=np.float32)
    return light[:, None, None] * np.ones((1, width, 1), np.float32) * colour.astype(np.float32)


def _texture(random, width, height):
    """Noise of several sizes in a few colours, like plaster, foliage or gravel."""
    image = _plain(random, width, height)
    strength = random.uniform(10, 45)
    for _ in range(3):
        cell = int(random.choice((2, 4, 8, 16, 32)))
        coarse = random.normal(size=(height // cell + 2, width // cell + 2, 1)) + 0.4 * random.normal(
            size=(height // cell + 2, width // cell + 2, 3)
        )
        fine = cv2.resize(coarse.astype(np.float32), None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
        image += strength * fine[:height, :width]
        strength *= random.uniform(0.4, 1.0)
    return np.clip(image, 0, 255)


def _crop(random, backgrounds, width, height, varied):
    background = backgrounds[random.randint(len(backgrounds))]
    if varied:
        background = np.rot90(background, random.randint(4))
    side = random.uniform(0.3 if varied else 0.5, 1.0) * min(background.shape[1] / width, background.shape[0] / height)
    crop_width, crop_height = int(side * width), int(side * height)
    x = random.randint(0, background.shape[1] - crop_width + 1)
    y = random.randint(0, background.shape[0] - crop_height + 1)
    crop = np.ascontiguousarray(background[y : y + crop_height, x : x + crop_width])
    crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA if side > 1 else cv2.INTER_LINEAR)
    if varied and random.randint(2):
        crop = recolour(random, crop, 180)
    return (crop[:, ::-1] if random.randint(2) else crop).astype(np.float32)


# ------------------------------------------------------------------------------------------------------ objects


def recolour(random, image, hue):
    """The BGR uint8 `image` with its hue turned by up to `hue` degrees, another saturation and another contrast."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + random.uniform(-hue, hue) / 2) % 180
    hsv[..., 1] *= random.uniform(0.5, 1.3)
    hsv[..., 2] = 255 * (hsv[..., 2] / 255) ** np.exp(random.uniform(-0.4, 0.4))
    return cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)


def draw_object(random, stamp, name, side, varied):
    """A cut-out of the class `name` as (h, w, 4) float32, colours weighted by alpha 0 to 1, its longer side `side` px.

    `stamp` is (h, w, 4) uint8 BGRA. It is turned and mirrored; when `varied`, also recoloured, sheared and stretched.
    """
    if varied:
        stamp = np.dstack([recolour(random, stamp[..., :3], HUES.get(name, USUAL_HUE)), stamp[..., 3]])
    image = stamp.astype(np.float32)
    image[..., 3:] /= 255
    image[..., :3] *= image[..., 3:] * random.uniform(0.7, 1.25)
    if random.randint(2):
        image = np.ascontiguousarray(image[:, ::-1])
    turn = random.uniform(-180, 180) if name in TURNED and random.randint(2) else random.uniform(-12, 12)
    shape = rotation(turn)
    if varied:
        stretch = np.exp(random.uniform(-0.2, 0.2))
        shape = shape @ np.array([[stretch, random.uniform(-0.2, 0.2)], [0, 1 / stretch]])
    return _warp(image, shape, side)


def rotation(degrees):
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _warp(image, shape, side):
    """`image` under the 2x2 matrix `shape`, scaled so that its longer side is `side` pixels."""
    scale = side / extent(image, shape).max()
    if scale < 0.5:  # the warp reads four pixels: a much larger image would show grains
        image = cv2.resize(image, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        scale = side / extent(image, shape).max()
    size = np.maximum(np.ceil(extent(image, shape) * scale), 1).astype(int)
    middle = (np.array(image.shape[1::-1]) - 1) / 2
    matrix = np.column_stack([scale * shape, (size - 1) / 2 - scale * shape @ middle])
    return cv2.warpAffine(image, matrix, tuple(size.tolist()), flags=cv2.INTER_LINEAR)


def extent(image, shape):
    """Width and height of the image's frame under `shape`."""
    return np.abs(shape) @ np.array(image.shape[1::-1])


def draw_place(random, shape, height, width):
    """(x, y) of the upper left corner; now and then up to half of the object is beyond the border."""
    rows, columns = shape
    beyond = 0.5 if random.uniform() < TRUNCATED_SHARE else 0.0
    x = random.uniform(-beyond * columns, width - columns + beyond * columns)
    y = random.uniform(-beyond * rows, height - rows + beyond * rows)
    return int(round(x)), int(round(y))


# -------------------------------------------------------------------------------------------------------- boxes


def lay(mask, x, y, height, width):
    """The boolean `mask` of an object at (x, y) as a mask of the image, and (rows, columns) slices of both."""
    rows, columns = mask.shape
    inside = slice(max(y, 0), min(y + rows, height)), slice(max(x, 0), min(x + columns, width))
    part = slice(inside[0].start - y, inside[0].stop - y), slice(inside[1].start - x, inside[1].stop - x)
    laid = np.zeros((height, width), bool)
    laid[inside] = mask[part]
    return laid, inside, part


def bounding_box(mask):
    """[x, y, width, height] in pixels of the true cells of `mask`."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def is_seen(mask, whole):
    """Whether enough is visible of an object of `whole` pixels for a box."""
    count = int(mask.sum())
    return count > 0 and count >= LEAST_VISIBLE * whole and min(bounding_box(mask)[2:]) >= SMALLEST_SIDE


def shared(box, other):
    """What share of the smaller of two boxes [x, y, w, h] lies within the other."""
    sides = [min(box[i] + box[i + 2], other[i] + other[i + 2]) - max(box[i], other[i]) for i in (0, 1)]
    return max(sides[0], 0) * max(sides[1], 0) / min(box[2] * box[3], other[2] * other[3])


def render(random, stamps, backgrounds, varied):
    """One image: (uint8 BGR, [(class, box [x, y, w, h], visible pixels)]).

    `stamps` maps classes to cut-outs, `backgrounds` is a list of images; `varied` is for training.
    """
    width, height = CANVASES[random.randint(len(CANVASES))]
    image = draw_background(random, backgrounds, width, height, varied)
    placed = []  # (class, visible mask, pixels of the whole object)
    names = list(stamps)
    required = random.randint(OBJECTS[0], OBJECTS[1] + 1)
    for _ in range(TRIES):
        if len(placed) == required:
            break
        name = names[random.randint(len(names))]
        stamp = stamps[name][random.randint(len(stamps[name]))]
        side = min(width, height) * np.exp(random.uniform(*np.log(SIZES)))
        cutout = draw_object(random, stamp, name, side, varied)
        x, y = draw_place(random, cutout.shape[:2], height, width)
        solid = cutout[..., 3] > 0.5
        mask, inside, part = lay(solid, x, y, height, width)
        left = [(label, seen & ~mask, whole) for label, seen, whole in placed]
        left.append((name, mask, int(solid.sum())))
        if not all(is_seen(seen, whole) for _, seen, whole in left):
            continue  # an object would be hidden
        box = bounding_box(mask)
        if any(shared(box, bounding_box(seen)) > MOST_SHARED for _, seen, _ in left[:-1]):
            continue
        image[inside] = cutout[part][..., :3] + image[inside] * (1 - cutout[part][..., 3:])
        placed = left
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return image, [(name, bounding_box(mask), int(mask.sum())) for name, mask, _ in placed]
