"""Write a detection set in COCO's format: cut-out photographs set on photographs, textures and plain colours.

Made from lite_data_det/materials/, whose stamps and backgrounds are divided into training and validation. Two to six
objects a picture at random scales, turned, mirrored, brighter or darker, partly behind one another and now and then
beyond the border. A box is what is visible of an object's alpha channel. Equal inputs, seed and OpenCV give equal
bytes. A complete set is left alone; a missing or damaged one is made again.

Usage:
    python tools/make_det_data.py --output dataset/det_stamps
    python tools/make_det_data.py --output lite_data_det --train 96 --val 32     the small one of this repository

Exit codes: 0 the set is complete; 1 it could not be made (one line says why); 2 wrong options.
"""

import argparse
import hashlib
import json
import shutil
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.data.sources.image_folder import replace_folder, write_text
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO

MATERIALS = REPO / "lite_data_det/materials"
TRAIN_IMAGES, VAL_IMAGES, SEED = 2400, 240, 2022
CANVASES = ((176, 144), (144, 176), (160, 160))  # width, height
OBJECTS = (2, 6)  # a picture
SIZES = (0.28, 0.62)  # an object's longer side as a share of the picture's shorter one
SMALLEST_SIDE = 10  # pixels of a box
LEAST_VISIBLE = 0.7  # share of an object's pixels that others and the border leave
TURNED = ("flower", "fruit_or_vegetable", "tool")  # lie and grow in any direction
MOST_SHARED = 0.3  # of the smaller of two boxes lies within the other
PLAIN_SHARE = 0.25  # of the backgrounds
TRUNCATED_SHARE = 0.12  # of the objects may reach beyond the border
TRIES = 24
JPEG_QUALITY = 90
ENTRIES = frozenset(
    ["train", "val", "annotations", "materials", "label_list.txt", "manifest.json", "SOURCES.md", "README.md"]
)


# ---------------------------------------------------------------------------------------------------- materials


def read_materials(folder, split):
    """({class: [(h, w, 4) uint8 BGRA]}, [(h, w, 3) uint8 BGR]) of one split; UserError for what is not there."""
    folder = Path(folder) / split
    stamps = {path.name: _read_all(path, "*.webp", 4) for path in sorted((folder / "stamps").glob("*/"))}
    if not stamps:
        raise UserError(f"{folder}/stamps: no folders of stamps; tools/collect_det_materials.py makes them")
    return stamps, _read_all(folder / "backgrounds", "*.jpg", 3)


def _read_all(folder, pattern, channels):
    images = []
    for path in sorted(folder.glob(pattern)):
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != channels:
            raise UserError(f"{path}: expected a picture of {channels} channels")
        images.append(image)
    if not images:
        raise UserError(f"{folder}: no {pattern} in it; tools/collect_det_materials.py makes them")
    return images


# ----------------------------------------------------------------------------------------------------- pictures


def draw_background(random, photos, width, height):
    """(height, width, 3) float32: a random crop of a photograph, or a plain, softly lit colour."""
    if random.uniform() < PLAIN_SHARE:
        colour = random.randint(60, 235) + random.randint(-35, 36, size=3)  # muted, as walls and cloths are
        light = np.linspace(1.08, random.uniform(0.75, 0.95), height, dtype=np.float32)
        return light[:, None, None] * np.ones((1, width, 1), np.float32) * colour.astype(np.float32)
    photo = photos[random.randint(len(photos))]
    side = random.uniform(0.5, 1.0) * min(photo.shape[1] / width, photo.shape[0] / height)
    crop_width, crop_height = int(side * width), int(side * height)
    x = random.randint(0, photo.shape[1] - crop_width + 1)
    y = random.randint(0, photo.shape[0] - crop_height + 1)
    crop = cv2.resize(photo[y : y + crop_height, x : x + crop_width], (width, height), interpolation=cv2.INTER_AREA)
    return (crop[:, ::-1] if random.randint(2) else crop).astype(np.float32) * random.uniform(0.75, 1.2)


def draw_object(random, stamp, turned, side):
    """A cut-out (h, w, 4) float32, colours weighted by alpha 0 to 1: turned, mirrored, its longer side `side` px."""
    angle = random.uniform(-180, 180) if turned and random.randint(2) else random.uniform(-12, 12)
    image = stamp.astype(np.float32)
    image[..., 3:] /= 255
    image[..., :3] *= image[..., 3:] * random.uniform(0.7, 1.25)
    if random.randint(2):
        image = image[:, ::-1]
    height, width = image.shape[:2]
    cos, sin = abs(np.cos(np.radians(angle))), abs(np.sin(np.radians(angle)))
    size = np.array([width * cos + height * sin, width * sin + height * cos])
    scale = side / size.max()
    if scale < 0.5:  # the warp below reads four pixels: what is much larger would show grains
        image = cv2.resize(image, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        height, width, scale = *image.shape[:2], 0.5
        size = np.array([width * cos + height * sin, width * sin + height * cos])
    size = np.maximum(np.ceil(size * scale), 1).astype(int)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    matrix[:, 2] += (size - 1) / 2 - np.array([(width - 1) / 2, (height - 1) / 2])
    return cv2.warpAffine(np.ascontiguousarray(image), matrix, tuple(size.tolist()), flags=cv2.INTER_LINEAR)


def draw_place(random, shape, height, width):
    """(x, y) of the upper left corner; now and then up to half of the object is beyond the border."""
    rows, columns = shape
    beyond = 0.5 if random.uniform() < TRUNCATED_SHARE else 0.0
    x = random.uniform(-beyond * columns, width - columns + beyond * columns)
    y = random.uniform(-beyond * rows, height - rows + beyond * rows)
    return int(round(x)), int(round(y))


def lay(mask, x, y, height, width):
    """The boolean `mask` of an object at (x, y) as a mask of the picture, and (rows, columns) slices of both."""
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
    return count >= LEAST_VISIBLE * whole and min(bounding_box(mask)[2:]) >= SMALLEST_SIDE


def shared(box, other):
    """What share of the smaller of two boxes [x, y, w, h] lies within the other."""
    sides = [min(box[i] + box[i + 2], other[i] + other[i + 2]) - max(box[i], other[i]) for i in (0, 1)]
    return max(sides[0], 0) * max(sides[1], 0) / min(box[2] * box[3], other[2] * other[3])


def render(key, seed, stamps, photos):
    """(uint8 BGR picture, [(class, box [x, y, w, h], visible pixels)]); each picture has a generator of its own."""
    random = np.random.RandomState(zlib.crc32(f"{seed}/{key}".encode()))
    width, height = CANVASES[random.randint(len(CANVASES))]
    picture = draw_background(random, photos, width, height)
    placed = []  # (class, visible mask, pixels of the whole object)
    names = list(stamps)
    wanted = random.randint(OBJECTS[0], OBJECTS[1] + 1)
    for _ in range(TRIES):
        if len(placed) == wanted:
            break
        name = names[random.randint(len(names))]
        stamp = stamps[name][random.randint(len(stamps[name]))]
        side = min(width, height) * np.exp(random.uniform(*np.log(SIZES)))
        cutout = draw_object(random, stamp, name in TURNED, side)
        x, y = draw_place(random, cutout.shape[:2], height, width)
        solid = cutout[..., 3] > 0.5
        mask, inside, part = lay(solid, x, y, height, width)
        left = [(label, seen & ~mask, whole) for label, seen, whole in placed]
        left.append((name, mask, int(solid.sum())))
        if not all(is_seen(seen, whole) for _, seen, whole in left):
            continue  # somebody would be hidden
        box = bounding_box(mask)
        if any(shared(box, bounding_box(seen)) > MOST_SHARED for _, seen, _ in left[:-1]):
            continue
        picture[inside] = cutout[part][..., :3] + picture[inside] * (1 - cutout[part][..., 3:])
        placed = left
    picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return picture, [(name, bounding_box(mask), int(mask.sum())) for name, mask, _ in placed]


# -------------------------------------------------------------------------------------------------- the data set


def coco_split(folder, split, count, seed, materials):
    """Write `count` pictures to folder/split and return COCO's content for them."""
    stamps, photos = read_materials(materials, split)
    names = list(stamps)
    images, annotations = [], []
    (folder / split).mkdir()
    for number in range(1, count + 1):
        file = f"{number:05d}.jpg"
        picture, objects = render(f"{split}/{file}", seed, stamps, photos)
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        (folder / split / file).write_bytes(data.tobytes())
        height, width = picture.shape[:2]
        images.append({"id": number, "file_name": file, "width": width, "height": height})
        for name, box, area in objects:
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": names.index(name) + 1}
            annotations.append({**ids, "bbox": box, "area": area, "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def inventory(folder):
    """What is in `folder`: images and bytes of each split, and the SHA-256 of every other file."""
    folder = Path(folder)
    found = {}
    for split in ("train", "val"):
        sizes = [path.stat().st_size for path in (folder / split).glob("*.jpg")]
        found[split] = {"images": len(sizes), "bytes": sum(sizes)}
    for name in ("annotations/instances_train.json", "annotations/instances_val.json", "label_list.txt"):
        path = folder / name
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return found


def ground(materials):
    """A hash of all that the pictures come from beside the numbers asked for: this script and the materials."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(path for path in Path(materials).rglob("*") if path.is_file()):
        digest.update(path.relative_to(materials).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def is_complete(folder, recipe):
    """True if `folder` still is what its manifest.json says, and was made as `recipe` asks."""
    try:
        manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return manifest == {**inventory(folder), "recipe": recipe}


def build(folder, recipe, materials):
    """Make the whole set in a temporary folder and put it in the place of `folder`; keeps materials that lie there."""
    kept = Path(folder) / "materials"
    with replace_folder(folder, entries=ENTRIES) as fresh:
        (fresh / "annotations").mkdir()
        for split in ("train", "val"):
            content = coco_split(fresh, split, recipe[split], recipe["seed"], materials)
            write_text(fresh / f"annotations/instances_{split}.json", json.dumps(content) + "\n")
        names = [category["name"] for category in content["categories"]]
        write_text(fresh / "label_list.txt", "".join(f"{number} {name}\n" for number, name in enumerate(names)))
        write_text(fresh / "SOURCES.md", sources(recipe))
        manifest = {**inventory(fresh), "recipe": recipe}
        write_text(fresh / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        if kept.is_dir():
            shutil.copytree(kept, fresh / "materials")


def sources(recipe):
    """Text of SOURCES.md."""
    return f"""# Sources of this detection set

{recipe["train"]} training and {recipe["val"]} validation pictures in COCO's format, made by `tools/make_det_data.py`
with seed {recipe["seed"]} from the cut-outs and backgrounds in `lite_data_det/materials`. Its `SOURCES.md` names the
source and the licence of each. Training and validation share neither cut-outs nor photographed backgrounds.

The pictures combine works under GPL-2 (or later), CC BY-SA, CC BY and CC0: they are under GPL-2 or later, and where a
cut-out under a Creative Commons licence is in them, under that one too.
"""


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder to make, for example dataset/det_stamps")
    parser.add_argument("--train", type=int, default=TRAIN_IMAGES, help="training pictures")
    parser.add_argument("--val", type=int, default=VAL_IMAGES, help="validation pictures")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--materials", default=MATERIALS, help="what tools/collect_det_materials.py made")
    options = parser.parse_args(arguments)
    if min(options.train, options.val) < 1 or options.seed < 0:
        raise UserError("--train and --val: expected at least 1; --seed: expected at least 0")
    recipe = {"train": options.train, "val": options.val, "seed": options.seed, "ground": ground(options.materials)}
    if is_complete(options.output, recipe):
        print(f"{options.output}: complete, left alone")
        return
    build(options.output, recipe, Path(options.materials))
    print(f"{options.output}: {options.train} training and {options.val} validation images")


if __name__ == "__main__":
    run_main(main)
