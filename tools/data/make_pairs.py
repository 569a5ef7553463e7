"""Make a list of image pairs of your own images, and a .bin file of InsightFace's form where that is wanted.

    python tools/data/make_pairs.py --list lite_data_rec/query_list.txt lite_data_rec/gallery_list.txt \\
        --pairs 200 --output pairs.txt --bin pairs.bin --size 112
    python tools/data/make_pairs.py --list faces/label.txt --pairs 6000 --output pairs.txt --bin faces/mine.bin

The lists have lines `<path> <label>`; the images are in --image_root, or else in the first list's folder. Half of the
pairs show one identity, half two; none occurs twice, and each of the ten folds (the tenths of the list) has as many of
both. The same seed gives the same pairs. --bin holds the images themselves, as they are in their files; with --size,
those of another size are resized and stored as PNG, since InsightFace's scripts take 112 x 112 pixels only.
Exit code: 0 written, 1 the list or the images cannot be used, 2 wrong options.
"""

import argparse
import os
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np

from ppcls_lite.data.faces import write_bin
from ppcls_lite.data.image_lists import read_list
from ppcls_lite.data.transforms.decoding import decode_bgr
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import atomic_write

FOLDS = 10


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", nargs="+", required=True, help="files of lines <path> <label>")
    parser.add_argument("--image_root", help="default: the list's folder")
    parser.add_argument("--delimiter", help="between path and label; default: blanks or tabs")
    parser.add_argument("--pairs", type=checks.argument(), default=6000, help="a multiple of 20; default: 6000")
    parser.add_argument("--seed", type=checks.argument(0), default=0, help="default: 0")
    parser.add_argument("--output", required=True, help="the list of pairs to write")
    parser.add_argument("--bin", help="the .bin file to write")
    parser.add_argument("--size", type=checks.argument(), help="pixels of the sides of the images in --bin")
    options = parser.parse_args(arguments)
    if options.pairs % (2 * FOLDS):
        parser.error(f"--pairs: expected a multiple of {2 * FOLDS}, found {options.pairs}")
    if options.size and not options.bin:
        parser.error("--size is for --bin")
    return options


def main(arguments=None):
    options = parse(arguments)
    root = Path(options.image_root or Path(options.list[0]).parent)
    lines = [line for path in options.list for line in read_list(path, options.delimiter)]
    pairs = draw_pairs(lines, options.pairs // 2, np.random.default_rng(options.seed), " and ".join(options.list))
    base = Path(options.output).parent
    with atomic_write(options.output) as stream:
        for first, second, same in pairs:
            paths = [os.path.relpath(root / path, base) for path in (first, second)]
            stream.write("\t".join([*paths, str(int(same))]) + "\n")
    if options.bin:
        images = {path: content(root / path, options.size) for pair in pairs for path in pair[:2]}
        write_bin(options.bin, [images[path] for pair in pairs for path in pair[:2]], [same for *_, same in pairs])
    print(f"{len(pairs)} pairs of {len(lines)} images written to {options.output}")


def draw_pairs(lines, count, rng, source):
    """`count` pairs (path, path, True) of one identity and as many (path, path, False) of two, fold by fold; none
    occurs twice. UserError where there are not so many."""
    groups = defaultdict(list)
    for line in lines:
        groups[line.label].append(line.path)
    groups = list(groups.values())
    same = [(images[a], images[b]) for images in groups for a in range(len(images)) for b in range(a + 1, len(images))]
    total = len(lines)
    different = total * (total - 1) // 2 - len(same)
    for kind, found in (("one identity", len(same)), ("two identities", different)):
        if found < count:
            raise UserError(f"{source}: expected {count} pairs of {kind}, found {found}: use a smaller --pairs")
    chosen = [same[index] for index in rng.choice(len(same), count, replace=False)]
    others = list(draw_different(lines, count, rng))
    size = count // FOLDS
    pairs = []
    for start in range(0, count, size):
        pairs += [(*pair, True) for pair in chosen[start : start + size]]
        pairs += [(*pair, False) for pair in others[start : start + size]]
    return pairs


def draw_different(lines, count, rng):
    """`count` pairs of paths with two labels, none twice."""
    seen = set()
    while len(seen) < count:
        a, b = sorted(int(index) for index in rng.integers(len(lines), size=2))
        if lines[a].label != lines[b].label and (a, b) not in seen:
            seen.add((a, b))
            yield lines[a].path, lines[b].path


def content(path, size):
    """The encoded image at `path`, of `size` x `size` pixels if that is given."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        image = decode_bgr(data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if size is None or image.shape[:2] == (size, size):
        return data
    return cv2.imencode(".png", cv2.resize(image, (size, size)))[1].tobytes()


if __name__ == "__main__":
    run_main(main)
