"""Write a detection set in COCO's format: cut-out images set on other images, textures and plain colours.

Made from tools/data/materials/, whose stamps and backgrounds are divided into training and validation. Two to six
objects per image at random scales, turned, mirrored, brighter or darker, partly behind one another and now and then
beyond the border, as tools/data/sources/stamp_images.py draws them. A box is around the visible part of an object's
alpha channel. Equal inputs, seed and OpenCV give equal bytes. A complete set is left alone; a missing or damaged one is
made again.

Usage:
    python tools/data/make_det_data.py --output dataset/det_stamps
    python tools/data/make_det_data.py --output lite_data_det --train 96 --val 32     the small one of this repository

Exit codes: 0 the set is complete; 1 it could not be made (one line says why); 2 wrong options.
"""

import argparse
import hashlib
import json
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO
from tools.data.sources.image_folder import replace_folder, write_text
from tools.data.sources.stamp_images import render

MATERIALS = REPO / "tools/data/materials"
TRAIN_IMAGES, VAL_IMAGES, SEED = 6000, 300, 2022
VERSION = 1  # of the code that makes the images: raise it with every change of an image or a box
JPEG_QUALITY = 90
ENTRIES = frozenset(["train", "val", "annotations", "label_list.txt", "manifest.json", "SOURCES.md"])


# ---------------------------------------------------------------------------------------------------- materials


def read_materials(folder, split):
    """({class: [(h, w, 4) uint8 BGRA]}, [(h, w, 3) uint8 BGR]) of one split; UserError for missing files."""
    folder = Path(folder) / split
    stamps = {path.name: _read_all(path, "*.webp", 4) for path in sorted((folder / "stamps").glob("*/"))}
    if not stamps:
        raise UserError(f"{folder}/stamps: no folders of stamps; tools/data/collect_det_materials.py makes them")
    return stamps, _read_all(folder / "backgrounds", "*.jpg", 3)


def _read_all(folder, pattern, channels):
    images = []
    for path in sorted(folder.glob(pattern)):
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != channels:
            raise UserError(f"{path}: expected an image of {channels} channels")
        images.append(image)
    if not images:
        raise UserError(f"{folder}: no {pattern} in it; tools/data/collect_det_materials.py makes them")
    return images


# -------------------------------------------------------------------------------------------------- the data set


def generator(seed, key):
    """Random numbers for one image: it does not change with the number of images."""
    return np.random.RandomState(zlib.crc32(f"{seed}/{key}".encode()))


def coco_split(folder, split, count, seed, materials):
    """Write `count` images to folder/split and return COCO's content for them."""
    stamps, backgrounds = read_materials(materials, split)
    names = list(stamps)
    images, annotations = [], []
    (folder / split).mkdir()
    for number in range(1, count + 1):
        file = f"{number:05d}.jpg"
        image, objects = render(generator(seed, f"{split}/{file}"), stamps, backgrounds, varied=split == "train")
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        (folder / split / file).write_bytes(data.tobytes())
        height, width = image.shape[:2]
        images.append({"id": number, "file_name": file, "width": width, "height": height})
        for name, box, area in objects:
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": names.index(name) + 1}
            annotations.append({**ids, "bbox": box, "area": area, "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def inventory(folder):
    """The content of `folder`: images and bytes of each split, and the SHA-256 of every other file."""
    folder = Path(folder)
    found = {}
    for split in ("train", "val"):
        sizes = [path.stat().st_size for path in (folder / split).glob("*.jpg")]
        found[split] = {"images": len(sizes), "bytes": sum(sizes)}
    for name in ("annotations/instances_train.json", "annotations/instances_val.json", "label_list.txt"):
        path = folder / name
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return found


def source_hash(materials):
    """A hash of the materials and of VERSION, which together with the numbers of a recipe decide the images."""
    digest = hashlib.sha256(str(VERSION).encode())
    for path in sorted(path for path in Path(materials).rglob("*") if path.is_file()):
        digest.update(path.relative_to(materials).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def is_complete(folder, recipe):
    """True if `folder` still has the content that its manifest.json lists, and was made from `recipe`."""
    try:
        manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return manifest == {**inventory(folder), "recipe": recipe}


def build(folder, recipe, materials):
    """Make the whole set in a temporary folder and put it in the place of `folder`."""
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


def sources(recipe):
    """Text of SOURCES.md."""
    return f"""# Sources of this detection set

{recipe["train"]} training and {recipe["val"]} validation images in COCO's format, made by
`tools/data/make_det_data.py` with seed {recipe["seed"]} from the cut-outs and backgrounds in
`tools/data/materials`. Its `SOURCES.md` names the source and the licence of each. Training and validation share neither
cut-outs nor background images.

The images combine works under GPL-2 (or later), CC BY-SA, CC BY and CC0: they are under GPL-2 or later, and where a
cut-out under a Creative Commons licence is in them, under that one too.
"""


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder to make, for example dataset/det_stamps")
    parser.add_argument("--train", type=int, default=TRAIN_IMAGES, help="number of training images")
    parser.add_argument("--val", type=int, default=VAL_IMAGES, help="number of validation images")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--materials", default=MATERIALS, help="folder made by tools/data/collect_det_materials.py")
    options = parser.parse_args(arguments)
    for option, value, low in (("--train", options.train, 1), ("--val", options.val, 1), ("--seed", options.seed, 0)):
        checks.whole(option, value, low)
    source = source_hash(options.materials)
    recipe = {"train": options.train, "val": options.val, "seed": options.seed, "source": source}
    if is_complete(options.output, recipe):
        print(f"{options.output}: complete, left alone")
        return
    build(options.output, recipe, Path(options.materials))
    print(f"{options.output}: {options.train} training and {options.val} validation images")


if __name__ == "__main__":
    run_main(main)
