"""Write scikit-learn's 1,797 scanned handwritten digits as an ImageNet-style folder of PNG files.

1,437 training and 360 validation images of ten classes, stratified, the same split on every machine.
A complete set is left alone (scikit-learn is not even imported); a missing or damaged one is rebuilt.

Usage:
    python tools/data/make_digits.py --output dataset/digits

Exit codes: 0 the set is complete; 1 it could not be made (one line says why); 2 wrong options.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, run_main

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
IMAGES = 1797
VAL_IMAGES = 360
SPLIT_SEED = 2022
ENLARGE = 4
LISTS = ("train_list.txt", "val_list.txt", "label_list.txt", "SOURCES.md")

SOURCES = """# Sources of the digits data set

All 1,797 images of `sklearn.datasets.load_digits` (scikit-learn), which are the test part of
"Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository,
1998, <https://doi.org/10.24432/C50P49>, licence
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/).

Changes: the 8x8 values 0 to 16 are scaled to 0 to 255 and each pixel is repeated 4x4 times (32x32 PNG,
one channel). The number in a file name is the image's index in `load_digits`. Made by
`tools/data/make_digits.py`.
"""


def split_indices(labels, val_images=VAL_IMAGES, seed=SPLIT_SEED):
    """Stratified split of integer `labels` (n,): sorted index lists (train, val), `val_images` in val.

    Each class gives its share of `val_images`, rounded by largest remainders. Only numpy's frozen
    `RandomState` draws, so the split depends on no library version.
    """
    import numpy as np

    labels = np.asarray(labels)
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * val_images / len(labels)
    quota = np.floor(shares).astype(int)
    missing = val_images - quota.sum()
    quota[np.argsort(quota - shares, kind="stable")[:missing]] += 1
    random = np.random.RandomState(seed)
    val = set()
    for label, n in zip(classes, quota):
        members = np.flatnonzero(labels == label)
        val.update(random.permutation(members)[:n].tolist())
    return [i for i in range(len(labels)) if i not in val], sorted(val)


def enlarge(image):
    """(8, 8) values 0..16 to (32, 32) uint8.

    Nearest neighbour, not bicubic: `round(x[::4, ::4] * 16 / 255)` is the original again, no library's
    resampling changes the bytes, and the training transforms interpolate anyway.
    """
    import numpy as np

    pixels = np.rint(np.asarray(image) * (255 / 16)).astype(np.uint8)
    return pixels.repeat(ENLARGE, axis=0).repeat(ENLARGE, axis=1)


def inventory(folder):
    """The content of `folder`: per split the number of images and their bytes, per list file its SHA-256.

    Sizes, not hashes, for the images: reading 1,797 files would make the check slow.
    """
    folder = Path(folder)
    found = {}
    for split in ("train", "val"):
        sizes = [
            entry.stat().st_size
            for name in NAMES
            if (folder / split / name).is_dir()
            for entry in os.scandir(folder / split / name)
        ]
        found[split] = {"images": len(sizes), "bytes": sum(sizes)}
    for name in LISTS:
        path = folder / name
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return found


def is_complete(folder):
    """True if `folder` still has the content that its manifest.json lists."""
    try:
        manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return manifest == inventory(folder)


def build(folder):
    """Make the whole set in a temporary folder and put it in the place of `folder`."""
    import cv2

    from tools.data.sources.image_folder import replace_folder, write_lists, write_text

    images, labels = load()
    train, val = split_indices(labels)
    with replace_folder(folder) as fresh:
        rows = {"train": [], "val": []}
        for split, indices in (("train", train), ("val", val)):
            for name in NAMES:
                (fresh / split / name).mkdir(parents=True)
            for index in indices:
                label = int(labels[index])
                path = f"{split}/{NAMES[label]}/{index:04d}.png"
                data = cv2.imencode(".png", enlarge(images[index]))[1]
                (fresh / path).write_bytes(data.tobytes())
                rows[split].append((path, label))
        write_lists(fresh, rows, NAMES)
        write_text(fresh / "SOURCES.md", SOURCES)
        write_text(fresh / "manifest.json", json.dumps(inventory(fresh), indent=1, sort_keys=True) + "\n")


def load():
    """(images (1797, 8, 8) float of 0 to 16, labels (1797,)); UserError without scikit-learn."""
    try:
        from sklearn.datasets import load_digits  # a second and more to import: only when needed
    except ImportError as error:
        raise UserError(f"making the digits needs scikit-learn ({error}): pip install scikit-learn") from error
    digits = load_digits()
    if digits.images.shape != (IMAGES, 8, 8):
        raise UserError(f"load_digits gave images {digits.images.shape}, expected ({IMAGES}, 8, 8)")
    return digits.images, digits.target


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder to make, for example dataset/digits")
    folder = parser.parse_args(arguments).output
    if is_complete(folder):
        print(f"{folder}: complete, left alone")
        return
    build(folder)
    print(f"{folder}: {IMAGES - VAL_IMAGES} training and {VAL_IMAGES} validation images")


if __name__ == "__main__":
    run_main(main)
