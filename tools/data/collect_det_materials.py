"""Collect what detection pictures are made of: small cut-outs and backgrounds, in tools/data/materials/.

The cut-outs are the stamps of lite_data/ (Debian's tuxpaint-stamps-default), the backgrounds photographs of Debian's
tuxpaint-data, mate-backgrounds and lomiri-wallpapers-16.04, and of scikit-image. No stamp and no background is in both
splits. Only needed to renew the materials: they are in the repository, and tools/data/make_det_data.py makes the
images from them.

Usage:
    apt-get download tuxpaint-stamps-default tuxpaint-data mate-backgrounds lomiri-wallpapers-16.04
    for package in *.deb; do dpkg -x "$package" debian; done
    python tools/data/collect_det_materials.py --debian debian/usr/share \\
        --photos "$(python -c 'import skimage; print(skimage.__path__[0])')/data" --output tools/data/materials

Exit codes: 0 written; 1 an input is missing or unreadable (one line says which); 2 wrong options.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import run_main
from tools.data import make_lite_data as lite
from tools.data.sources.image_folder import replace_folder, write_text

STAMP_SIDE = 144  # pixels, the longer side; the pictures are 160 px
PHOTO_SIDE = 320
WEBP_QUALITY = 88
JPEG_QUALITY = 88
DEBIAN_ADVICE = (
    "expected usr/share of the Debian packages tuxpaint-stamps-default, tuxpaint-data, mate-backgrounds and "
    "lomiri-wallpapers-16.04: apt-get download each, dpkg -x each into one folder"
)
GPL = "GPL-2 or later"
BY, BY_SA = "CC BY 4.0", "CC BY-SA 4.0"
ALL = (0, 1, 0, 1)
# Debian package and the folder of its photographs below usr/share
TUX = ("tuxpaint-data", "tuxpaint/templates")
MATE = ("mate-backgrounds", "backgrounds/mate/nature")
LOMIRI = ("lomiri-wallpapers-16.04", "backgrounds")

# name: (package, photograph, crop as fractions y0 y1 x0 x1, licence as the package states it)
DEBIAN = {
    "train": {
        "burnt_bark": (TUX, "burnt_bark", ALL, f"{GPL}, Tux Paint"),
        "cliff": (TUX, "cliff", ALL, f"{GPL}, Tux Paint"),
        "corn_maze": (TUX, "corn_maze", ALL, f"{GPL}, Tux Paint"),
        "mossy_log": (TUX, "mossy_log", ALL, f"{GPL}, Tux Paint"),
        "ocean_splash": (TUX, "ocean_splash", ALL, f"{GPL}, Tux Paint"),
        "redwoods_above": (TUX, "redwoods_above", ALL, f"{GPL}, Tux Paint"),
        "rocks": (TUX, "rocks", ALL, f"{GPL}, Tux Paint"),
        "sun_behind_clouds": (TUX, "sun_behind_clouds", ALL, f"{GPL}, Tux Paint"),
        "trees_at_dusk": (TUX, "trees_at_dusk", ALL, f"{GPL}, Tux Paint"),
        "aqua": (MATE, "Aqua", ALL, f"{GPL}, Charles Barbin"),
        "blinds": (MATE, "Blinds", ALL, f"{GPL}, Lennart Poettering, Andrea Cimitan"),
        "dune": (MATE, "Dune", ALL, f"{GPL}, Marco Cogoni, Hylke Bons"),
        "green_meadow": (MATE, "GreenMeadow", ALL, f"{GPL}, Timothy Schellhase, Lapo Calamandrei"),
        "storm": (MATE, "Storm", ALL, f"{GPL}, Sergey Nazarov"),
        "wood": (MATE, "Wood", ALL, f"{GPL}, Jean-François Fortin Tam"),
        "mountain_meadow": (LOMIRI, "aitzgorri_by_Aitzol_Berasategi", ALL, f"{BY}, Aitzol Berasategi"),
        "speckled": (LOMIRI, "analogpattern_by_Peter_Nerlich", ALL, f"{BY_SA}, Peter Nerlich"),
        "bridge": (LOMIRI, "Bridge_by_Sander_Klootwijk", ALL, f"{BY_SA}, Sander Klootwijk"),
        "leaves": (LOMIRI, "Dragonfly_by_Bolly", ALL, f"{BY_SA}, Bolly"),
        "stream": (LOMIRI, "life_by_Aitzol_Berasategi", ALL, f"{BY}, Aitzol Berasategi"),
        "mountains": (LOMIRI, "picosdeeuropa_by_Aitzol_Berasategi", ALL, f"{BY}, Aitzol Berasategi"),
        "sunset": (LOMIRI, "sunset_by_Aitzol_Berasategi", ALL, f"{BY}, Aitzol Berasategi"),
    },
    "val": {
        "mossy_bark": (TUX, "mossy_bark", (0.1, 0.9, 0, 1), f"{GPL}, Tux Paint"),
        "mudstone": (TUX, "mudstone", ALL, f"{GPL}, Tux Paint"),
        "ocean_waves": (TUX, "ocean_waves", ALL, f"{GPL}, Tux Paint"),
        "sun_behind_leaves": (TUX, "sun_behind_leaves", ALL, f"{GPL}, Tux Paint"),
        "trees_above": (TUX, "trees_above", ALL, f"{GPL}, Tux Paint"),
    },
}


def shrink(image, side):
    """`image` with its longer side at most `side` pixels."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = tuple(max(1, round(length * scale)) for length in (image.shape[1], image.shape[0]))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def shrink_stamp(stamp, side):
    """BGRA `stamp` made smaller, colours weighted by alpha so that hidden pixels do not bleed into the outline."""
    weighted = stamp.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:] / 255
    small = shrink(weighted, side)
    alpha = np.maximum(small[..., 3:], 1e-3)
    small[..., :3] *= 255 / alpha
    small[small[..., 3] < 0.5] = 0
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def cut(image, crop):
    """The part of `image` between the fractions y0 y1 x0 x1."""
    height, width = image.shape[:2]
    y0, y1, x0, x1 = crop
    return image[int(y0 * height) : int(y1 * height), int(x0 * width) : int(x1 * width)]


def photographs(split, debian, photos):
    """Yield (name, BGR image, source, licence) of the split's backgrounds."""
    for name, ((package, folder), file, crop, licence) in DEBIAN[split].items():
        image = lite.read_image(Path(debian) / folder / f"{file}.jpg", cv2.IMREAD_COLOR, DEBIAN_ADVICE)
        yield name, cut(image, crop), f"{package}, {file}.jpg", licence
    for name, (file, crop, _, tint) in lite.BACKGROUNDS[split].items():
        image = cut(lite.read_image(Path(photos) / file, cv2.IMREAD_COLOR, lite.PHOTO_ADVICE), crop)
        if tint:
            image = np.clip(image * np.float32(tint), 0, 255).astype(np.uint8)
        yield name.replace(" ", "_"), image, f"scikit-image, skimage/data/{file}", lite.PHOTOS[file][1]


def collect(debian, photos, output):
    """Write the folder `output`; returns (number of stamps, number of backgrounds). UserError for a missing input."""
    rows = []
    with replace_folder(output, entries=("train", "val", "SOURCES.md")) as fresh:
        for split in ("train", "val"):
            for name, stamps in lite.CLASSES.items():
                folder = fresh / split / "stamps" / name
                folder.mkdir(parents=True)
                for stamp in lite.parse_stamps(stamps[split]):
                    image = shrink_stamp(lite.read_stamp(Path(debian) / "tuxpaint/stamps", stamp), STAMP_SIDE)
                    path = folder / f"{Path(stamp).name}.webp"
                    path.write_bytes(cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])[1])
                    licence = lite.STATED_LICENCES.get(stamp, lite.GPL)
                    rows.append((path.relative_to(fresh), f"tuxpaint-stamps-default, {stamp}.png", licence))
            folder = fresh / split / "backgrounds"
            folder.mkdir()
            for name, image, source, licence in photographs(split, debian, photos):
                path = folder / f"{name}.jpg"
                data = cv2.imencode(".jpg", shrink(image, PHOTO_SIDE), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
                path.write_bytes(data)
                rows.append((path.relative_to(fresh), source, licence))
        write_text(fresh / "SOURCES.md", sources(rows))
    backgrounds = sum("backgrounds" in path.parts for path, _, _ in rows)
    return len(rows) - backgrounds, backgrounds


def sources(rows):
    """Text of SOURCES.md; `rows` holds (path, source, licence)."""
    lines = [
        "# Sources of the materials",
        "",
        "Made by `tools/data/collect_det_materials.py`: cut-out photographs and backgrounds, made smaller.",
        "",
        "`tuxpaint-stamps-default` (2022.06.04-1), `tuxpaint-data` (0.9.28), `mate-backgrounds` (1.26.0) and",
        "`lomiri-wallpapers-16.04` (20.04.0) are Debian packages; the licences are those of their copyright files. The",
        "changelog of the stamps states another licence for a few of them, which the table repeats. The licence of",
        "scikit-image's photographs is the one stated in its `_fetchers.py`.",
        "",
        "| file | source | licence |",
        "|---|---|---|",
    ]
    return "\n".join([*lines, *(f"| {path} | {source} | {licence} |" for path, source, licence in rows)]) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debian", required=True, help="the packages' folder usr/share")
    parser.add_argument("--photos", required=True, help="scikit-image's folder skimage/data")
    parser.add_argument("--output", required=True, help="folder to make, tools/data/materials")
    options = parser.parse_args(arguments)
    stamps, backgrounds = collect(options.debian, options.photos, options.output)
    print(f"{options.output}: {stamps} stamps and {backgrounds} backgrounds")


if __name__ == "__main__":
    run_main(main)
