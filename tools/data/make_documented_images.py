"""Write the images that PaddleClas's documents name, as free substitutes: the commands then run as they are printed.

The documents show images of ImageNet, which are not free. These have their names and show something similar:
cut-outs of Debian's tuxpaint-stamps-default on backgrounds of scikit-image, put together as lite_data/ is. Equal
inputs, seed and OpenCV give equal bytes.

Usage:
    apt-get download tuxpaint-stamps-default && dpkg -x tuxpaint-stamps-default_*.deb stamps
    python tools/data/make_documented_images.py --stamps stamps/usr/share/tuxpaint/stamps \\
        --skimage "$(python -c 'import skimage; print(skimage.__path__[0])')/data"

Exit codes: 0 written; 1 an input is missing or unreadable (one line says which); 2 wrong options.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO
from tools.data import make_lite_data as lite
from tools.data.sources.image_folder import replace_folder, write_text


class Substitute(NamedTuple):
    """One image: what the document's image shows, the stamp that takes its place, what that shows, its background."""

    original: str
    stamp: str
    shows: str
    background: str


FOLDERS = {
    "deploy/images/ImageNet": {
        "ILSVRC2012_val_00000010.jpeg": Substitute(
            "Angora rabbit", "animals/mammals/rodents/rabbit-2", "rabbit", "grass"
        ),
        "ILSVRC2012_val_00010010.jpeg": Substitute("lighter", "hobbies/camera_35mm", "camera", "coffee table"),
        "ILSVRC2012_val_00020010.jpeg": Substitute("Weimaraner", "animals/mammals/dogs/dog", "dog", "grass"),
        "ILSVRC2012_val_00030010.jpeg": Substitute("black grouse", "animals/birds/turkey", "turkey", "gravel"),
    },
    "docs/images/inference_deployment": {
        "whl_demo.jpg": Substitute("hen", "animals/birds/hen", "hen", "grass"),
    },
}
NAMES = ("*.jpeg", "*.jpg", "SOURCES.md")


def make_images(stamps, skimage, root, seed=2022):
    """Write the images and a SOURCES.md into each of `FOLDERS` below `root`; returns the number of images.

    Raises UserError for a missing input, before the folder that it is for is touched.
    """
    if not Path(stamps).is_dir():
        raise UserError(f"{stamps}: no such folder; {lite.STAMP_ADVICE}")
    backgrounds = lite.read_backgrounds(skimage, "train")
    for folder, images in FOLDERS.items():
        with replace_folder(Path(root, folder), NAMES) as fresh:
            for name, image in images.items():
                stamp = lite.read_stamp(stamps, image.stamp)
                (fresh / name).write_bytes(lite.render(stamp, backgrounds, image.background, name, seed))
            write_text(fresh / "SOURCES.md", sources(folder, images))
    return sum(map(len, FOLDERS.values()))


def sources(folder, images):
    """Text of a folder's SOURCES.md."""
    lines = [
        f"# Sources of {folder}",
        "",
        "**Substitutes.** The names are those in PaddleClas's documents, so that the commands there run as printed.",
        "These are not the images of ImageNet, which are not free: the predictions in the documents are of the",
        "originals, and a network predicts something else here.",
        "",
        "Made by `tools/data/make_documented_images.py`: cut-outs of Debian's package `tuxpaint-stamps-default`",
        "(2022.06.04-1; below `/usr/share/tuxpaint/stamps`) on backgrounds of scikit-image's `skimage/data`, as in",
        "`lite_data/SOURCES.md`, where the licences are explained. Each image is under the licence of its stamp.",
        "",
        "| image | the original shows | this one shows | stamp | licence of the stamp | background |",
        "|---|---|---|---|---|---|",
    ]
    for name, image in images.items():
        licence = lite.STATED_LICENCES.get(image.stamp, lite.GPL)
        file = lite.BACKGROUNDS["train"][image.background][0]
        ground = f"{image.background} ({file}), {lite.SKIMAGE[file][1]}"
        lines.append(f"| {name} | {image.original} | {image.shows} | {image.stamp}.png | {licence} | {ground} |")
    return "\n".join(lines) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stamps", required=True, help="the package's folder usr/share/tuxpaint/stamps")
    parser.add_argument("--skimage", required=True, help="scikit-image's folder skimage/data")
    parser.add_argument("--root", default=REPO, help="write below this folder; default: this repository")
    parser.add_argument("--seed", type=int, default=2022, help="draws scales, places and colours")
    options = parser.parse_args(arguments)
    print(f"{make_images(options.stamps, options.skimage, options.root, options.seed)} images")


if __name__ == "__main__":
    run_main(main)
