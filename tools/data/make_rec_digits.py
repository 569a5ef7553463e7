"""Write scikit-learn's 1,797 scanned handwritten digits as a recognition set: an identity is a digit.

Training has the digits zero to five, tests have six to nine, which no training has seen: half of each test digit's
images are the gallery, the others the queries. With ten identities it says little of recognition in general: it is a
check on scanned images. The lists are those of tools/data/make_rec_data.py. A complete set is left alone (scikit-learn
is not even imported); a missing or damaged one is made again.

Usage:
    python tools/data/make_rec_digits.py --output dataset/rec_digits

Exit codes: 0 the set is complete; 1 it could not be made (one line says why); 2 wrong options.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import run_main
from tools.data import make_digits as digits
from tools.data.make_rec_data import ENTRIES, inventory, is_complete
from tools.data.sources.image_folder import replace_folder, write_text

TRAINED = 6  # of the ten digits, from zero on
RECIPE = {"digits": list(digits.NAMES), "trained": TRAINED, "version": 1}

SOURCES = f"""# Sources of the recognition set of digits

All 1,797 images of `sklearn.datasets.load_digits` (scikit-learn), which are the test part of "Optical Recognition of
Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998,
<https://doi.org/10.24432/C50P49>, licence [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/).

Changes: the 8x8 values 0 to 16 are scaled to 0 to 255 and each pixel is repeated 4x4 times (32x32 PNG, one channel).
The number in a file name is the image's index in `load_digits`. The digits {", ".join(digits.NAMES[:TRAINED])} are for
training; of the others, images of an even place among those of their digit are the gallery, and the rest are queries.
Made by `tools/data/make_rec_digits.py`.
"""


def build(folder):
    """Make the whole set in a temporary folder and put it in the place of `folder`; {list: number of images}."""
    import cv2

    images, labels = digits.load()
    rows = {"train": [], "query": [], "gallery": []}
    with replace_folder(folder, entries=ENTRIES) as fresh:
        for label, name in enumerate(digits.NAMES):
            split = "train" if label < TRAINED else "test"
            (fresh / split / name).mkdir(parents=True)
            for place, index in enumerate(index for index, found in enumerate(labels) if found == label):
                path = f"{split}/{name}/{index:04d}.png"
                data = cv2.imencode(".png", digits.enlarge(images[index]))[1]
                (fresh / path).write_bytes(data.tobytes())
                kind = "train" if split == "train" else ("gallery", "query")[place % 2]
                rows[kind].append(f"{path} {label}\n")
        for kind, lines in rows.items():
            write_text(fresh / f"{kind}_list.txt", "".join(lines))
        write_text(fresh / "label_list.txt", "".join(f"{n} {name}\n" for n, name in enumerate(digits.NAMES)))
        write_text(fresh / "SOURCES.md", SOURCES)
        manifest = {**inventory(fresh), "recipe": RECIPE}
        write_text(fresh / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return {kind: len(lines) for kind, lines in rows.items()}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder to make, for example dataset/rec_digits")
    folder = parser.parse_args(arguments).output
    if is_complete(folder, RECIPE):
        print(f"{folder}: complete, left alone")
        return
    counts = build(folder)
    shown = f"{counts['train']} training images, {counts['gallery']} in the gallery, {counts['query']} queries"
    print(f"{folder}: {shown}")


if __name__ == "__main__":
    run_main(main)
