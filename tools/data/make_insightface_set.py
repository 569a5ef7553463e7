"""Write lite_data_rec in the form of InsightFace's data sets: no faces, but objects, of 112 x 112 pixels.

    python tools/data/make_insightface_set.py --output dataset/rec_insightface

images/00000001.png and so on are the training images, enlarged; label.txt has lines `images/00000001.png<TAB>label`;
objects.bin has 400 pairs of the identities of the test, which are others, half of them of one identity. What
tools/insightface reads, InsightFace's own scripts read too. A complete set is left alone.
Exit code: 0 the set is complete, 1 it could not be made (one line says why), 2 wrong options.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.data.image_lists import read_list
from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.files import REPO
from tools.data import make_pairs
from tools.data.sources.image_folder import replace_folder, write_text

SOURCE = REPO / "lite_data_rec"
SIZE, PAIRS, SEED = 112, 400, 0
ENTRIES = frozenset(["images", "label.txt", "objects.bin", "manifest.json"])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder to write")
    folder = Path(parser.parse_args(arguments).output)
    if not is_complete(folder):
        with replace_folder(folder, ENTRIES) as fresh:
            build(fresh)
    print(f"{folder}: complete")


def build(folder):
    """Make the whole set in the empty `folder`."""
    (folder / "images").mkdir()
    lines = []
    for number, line in enumerate(read_list(SOURCE / "train_list.txt"), start=1):
        name = f"images/{number:08d}.png"
        (folder / name).write_bytes(make_pairs.content(SOURCE / line.path, SIZE))
        lines.append(f"{name}\t{line.label}\n")
    write_text(folder / "label.txt", "".join(lines))
    lists = ["--list", str(SOURCE / "query_list.txt"), str(SOURCE / "gallery_list.txt")]
    listed = folder / "pairs.txt"
    numbers = ["--pairs", str(PAIRS), "--seed", str(SEED), "--size", str(SIZE)]
    make_pairs.main([*lists, *numbers, "--output", str(listed), "--bin", str(folder / "objects.bin")])
    listed.unlink()
    write_text(folder / "manifest.json", json.dumps(inventory(folder), indent=1) + "\n")


def inventory(folder):
    """{file: SHA-256} of what the set is made of, and of the set."""
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.name != "manifest.json"]
    files = {path.name: path for path in [*paths, SOURCE / "manifest.json"]}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def is_complete(folder):
    """True if `folder` is as it was made, of the data that are here now."""
    try:
        return json.loads((folder / "manifest.json").read_text(encoding="utf-8")) == inventory(folder)
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    run_main(main)
