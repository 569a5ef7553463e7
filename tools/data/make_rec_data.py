"""Write a recognition set: each object an identity with many views, none of them in both training and test.

Made from the cut-out photographs that tools/data/materials_rec/identities.json lists, on the backgrounds of
tools/data/materials, as tools/data/sources/stamp_views.py draws them; tests have backgrounds that training has not. The
lists name `path label`: train_list.txt, query_list.txt and gallery_list.txt; a query's identity is in the gallery with
other views. label_list.txt has `id name`: training's identities, then those of the test. gallery_names.txt has
`path<TAB>name` for build_gallery.py. Equal inputs, seed and OpenCV give equal bytes. A complete set is left alone; a
missing or damaged one is made again.

Usage:
    python tools/data/make_rec_data.py --output dataset/rec_stamps
    python tools/data/make_rec_data.py --output lite_data_rec --small     the small one of this repository

Exit codes: 0 the set is complete; 1 it could not be made (one line says why); 2 wrong options.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO
from tools.data.make_det_data import generator, source_hash
from tools.data.make_det_data import read_materials as read_detection_materials
from tools.data.sources.image_folder import replace_folder, write_text
from tools.data.sources.likeness import refuse_alike
from tools.data.sources.stamp_views import SIDE, render_view

MATERIALS = REPO / "tools/data"
FOLDERS = ("materials", "materials_rec")
SEED = 2022
VERSION = 1  # of the code that makes the images: raise it with every change of an image
# identities (None: all) and views of each, of training and test
LARGE = {"train": None, "test": None, "views": 20, "gallery": 5, "query": 5}
SMALL = {"train": 100, "test": 24, "views": 5, "gallery": 3, "query": 3}
LISTS = ("train_list.txt", "query_list.txt", "gallery_list.txt", "gallery_names.txt", "label_list.txt", "SOURCES.md")
ENTRIES = frozenset(["train", "test", "manifest.json", *LISTS])

SOURCES = """# Sources of this recognition set

Views of {side}x{side} pixels that `tools/data/make_rec_data.py` made with seed {seed}: {views} of each of {identities}
identities for training, and of {others} others for tests, {gallery} in the gallery and {query} as queries. An identity
is one cut-out photograph, and its views are computed from that one photograph; no photograph is in both parts.

The cut-outs are of Debian's package `tuxpaint-stamps-default` (2022.06.04-1), files below `/usr/share/tuxpaint/stamps`.
Their copyright file says, for all: copyright 2002-2022 by Bill Kendrick, GPL-2 (the text: version 2 of the GNU General
Public License or, at your option, any later version). The package's changelog states another licence for a few, which
the table repeats. Backgrounds are those in `tools/data/materials`, whose `SOURCES.md` names the source and the licence
of each: GPL-2 or later, CC BY-SA 4.0, CC BY 4.0, CC0 and public domain. Training and test share no background.

The images are under GPL-2 or later, and where a work under a Creative Commons licence is in them, under that one too.

| identity | part | stamp | licence of the stamp |
|---|---|---|---|
"""


# ---------------------------------------------------------------------------------------------------- materials


def read_identities(materials, recipe):
    """{split: [{"name", "image" (h, w, 4) uint8 BGRA, "mirror", "source", "licence"}]} that the recipe chooses.

    Raises UserError for missing files, for a name or a photograph that is there twice, and for too few identities.
    """
    path = Path(materials, "materials_rec/identities.json")
    if not path.is_file():
        raise UserError(f"{path}: not found; tools/data/collect_rec_materials.py makes it")
    rows = json.loads(path.read_text(encoding="utf-8"))
    images = {row["name"]: _read_cutout(Path(materials, row["file"])) for row in rows}
    if len(images) < len(rows):
        raise UserError(f"{path}: expected one line for each name, found {len(rows) - len(images)} more")
    refuse_alike(images)
    chosen = {}
    for split in ("train", "test"):
        found = [{**row, "image": images[row["name"]]} for row in rows if row["split"] == split]
        count = len(found) if recipe[split] is None else recipe[split]
        if not 0 < count <= len(found):
            raise UserError(f"{path}: {len(found)} identities for {split}, expected at least {max(count, 1)}")
        order = generator(recipe["seed"], split).permutation(len(found))[:count]
        chosen[split] = [found[at] for at in sorted(order)]
    return chosen


def _read_cutout(path):
    if not path.is_file():
        raise UserError(f"{path}: not found; tools/data/collect_rec_materials.py makes it")
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        raise UserError(f"{path}: expected an image of 4 channels")
    return image


# -------------------------------------------------------------------------------------------------- the data set


def views(split, name, recipe):
    """[(list it is in, path of the view)] of one identity."""
    if split == "train":
        return [("train", f"train/{name}/{number:02d}.jpg") for number in range(recipe["views"])]
    return [(kind, f"test/{name}/{kind}_{n}.jpg") for kind in ("gallery", "query") for n in range(recipe[kind])]


def build(folder, recipe, materials=MATERIALS):
    """Make the whole set in a temporary folder and put it in the place of `folder`; {list: number of images}."""
    identities = read_identities(materials, recipe)
    names, rows, named = [], {"train": [], "query": [], "gallery": []}, []
    with replace_folder(folder, entries=ENTRIES) as fresh:
        for split, ours in (("train", "train"), ("test", "val")):
            _, backgrounds = read_detection_materials(Path(materials, "materials"), ours)
            for identity in identities[split]:
                (fresh / split / identity["name"]).mkdir(parents=True)
                for kind, path in views(split, identity["name"], recipe):
                    (fresh / path).write_bytes(draw(identity, path, recipe["seed"], backgrounds))
                    rows[kind].append(f"{path} {len(names)}\n")
                    named += [f"{path}\t{identity['name']}\n"] if kind == "gallery" else []
                names.append(identity["name"])
        for kind, lines in rows.items():
            write_text(fresh / f"{kind}_list.txt", "".join(lines))
        write_text(fresh / "gallery_names.txt", "".join(named))
        write_text(fresh / "label_list.txt", "".join(f"{number} {name}\n" for number, name in enumerate(names)))
        write_text(fresh / "SOURCES.md", sources(identities, recipe))
        manifest = {**inventory(fresh), "recipe": recipe}
        write_text(fresh / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return {kind: len(lines) for kind, lines in rows.items()}


def draw(identity, path, seed, backgrounds):
    """The bytes of one view: they depend on its path and the seed, not on the other views."""
    random = generator(seed, path)
    return render_view(random, identity["image"], backgrounds, identity["mirror"], varied=path.startswith("train/"))


def inventory(folder):
    """The content of `folder`: images and bytes of each split, and the SHA-256 of every list."""
    folder = Path(folder)
    found = {}
    for split in ("train", "test"):
        sizes = [
            entry.stat().st_size
            for identity in (os.scandir(folder / split) if (folder / split).is_dir() else ())
            for entry in os.scandir(identity)
        ]
        found[split] = {"images": len(sizes), "bytes": sum(sizes)}
    for name in LISTS:
        path = folder / name
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return found


def source_of(materials=MATERIALS):
    """A hash of the materials and of VERSION, which together with the numbers of a recipe decide the images."""
    hashes = [source_hash(Path(materials, folder)) for folder in FOLDERS]
    return hashlib.sha256(" ".join([str(VERSION), *hashes]).encode()).hexdigest()


def is_complete(folder, recipe):
    """True if `folder` still has the content that its manifest.json lists, and was made from `recipe`."""
    try:
        manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
        return manifest == {**inventory(folder), "recipe": recipe}
    except (OSError, ValueError):
        return False


def sources(identities, recipe):
    """Text of SOURCES.md."""
    rows = [
        f"| {row['name']} | {split} | {row['source']} | {row['licence']} |"
        for split, found in identities.items()
        for row in found
    ]
    text = SOURCES.format(side=SIDE, identities=len(identities["train"]), others=len(identities["test"]), **recipe)
    return text + "\n".join(rows) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder to make, for example dataset/rec_stamps")
    parser.add_argument("--small", action="store_true", help="few identities and views, as in lite_data_rec")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--materials", default=MATERIALS, help="folder with materials/ and materials_rec/, tools/data")
    options = parser.parse_args(arguments)
    checks.whole("--seed", options.seed, 0)
    recipe = {**(SMALL if options.small else LARGE), "seed": options.seed, "source": source_of(options.materials)}
    if is_complete(options.output, recipe):
        print(f"{options.output}: complete, left alone")
        return
    counts = build(options.output, recipe, options.materials)
    shown = f"{counts['train']} training images, {counts['gallery']} in the gallery, {counts['query']} queries"
    print(f"{options.output}: {shown}")


if __name__ == "__main__":
    run_main(main)
