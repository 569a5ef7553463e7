"""Write lite_data/: six classes of real cut-out images on real and plain backgrounds.

The cut-outs are from Debian's package tuxpaint-stamps-default, the backgrounds from scikit-image. No stamp
and no background image is in both splits. Equal inputs, seed and OpenCV give equal bytes.

Usage:
    apt-get download tuxpaint-stamps-default && dpkg -x tuxpaint-stamps-default_*.deb stamps
    python tools/data/make_lite_data.py --stamps stamps/usr/share/tuxpaint/stamps \\
        --skimage "$(python -c 'import skimage; print(skimage.__path__[0])')/data" \\
        --output lite_data --test_images test_images

Exit codes: 0 written; 1 an input is missing or unreadable (one line says which); 2 wrong options.
"""

import argparse
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, run_main
from tools.data.sources.image_folder import replace_folder, write_lists, write_text

PER_CLASS = {"train": 24, "val": 8}  # classes with fewer stamps render each of them several times
CANVASES = ((320, 256), (360, 288), (400, 300), (288, 352))  # width, height
MAX_ENLARGEMENT = 4.0  # some stamps are 50 px: enlarged more they would be blurred
JPEG_QUALITY = 90

# The split is written down, not drawn: images of one individual or one shooting stay in one split.
CLASSES = {
    "bird": {
        "train": """animals/birds: adelaide-rosella blackbird chicken_profile crow cuckoo duck gander guineafowl
            heron_greatblue heron_greatblue_flying lark little-penguin magellanic_penguin magpie nandou ostrich
            peacock pelican pigeon rainbow-lorikeet rooster seagull turkey vulture""",
        "val": "animals/birds: crowned_crane drake hen owl penguin pink_flamingo silver-gull tucan",
    },
    "flower": {
        "train": """plants/flowers: adeenia anemone_red anthoorium chemparathi flower1 flower10 flower2 flower3
            flower5 flower6 flower7 flower8 iris marigold pigface whitestar-petunia yellow-flower""",
        "val": "plants/flowers: bolsom daffodil flower4 flower9 red-gazania rose",
    },
    "fruit_or_vegetable": {
        "train": """food/fruit: apple_fuji apple_granny_smith apple_green apple_red cherimoya kiwi lemon mango
            orange orange_seville pineapple pomegranate raspberry
            food/vegetables: broccoli chilepepper eggplant garlic lettuce mushroom pattypan_squash pepper potato
            pumpkin_small yam""",
        "val": """food/fruit: apple_sierra_beauty avocado mandarine pear
            food/vegetables: corn onion tomato yellowpepper""",
    },
    "hoofed_animal": {
        "train": """animals/mammals: giraffe hippopotamus pig pig_golden pig_golden2
            animals/mammals/bovines: bison bull cow gnu-baby gnu-baby-stand gnu-sitting gnu-stand indian_blackbuck
            mountaingoat sheep sheep_lamb yak zebu
            animals/mammals/camel: camel
            animals/mammals/deer: caribou deer doe
            animals/mammals/equines: donkey horse""",
        "val": """animals/mammals: wildboar
            animals/mammals/bovines: cow_white goat ram
            animals/mammals/camel: dromedary
            animals/mammals/deer: wapiti
            animals/mammals/equines: donkey_eating zebra""",
    },
    "tool": {
        "train": """household/tools: hammer measuring_tape paintbrush_large plyers saw toolbox wrench_plumbers
            household/arttools: scissors_small_open""",
        "val": "household/tools: mallet_metal spade wrench",
    },
    "vehicle": {
        "train": """vehicles/auto: sedan truck
            vehicles/construction: dumper
            vehicles/cycle: pink_tricycle
            vehicles/emergency: firetruck
            vehicles/masstransit: green_korean_bus
            vehicles/race: indycar
            military/vehicles: bradley""",
        "val": """vehicles: garbagetruck
            vehicles/auto: beetle sportscar2
            military/vehicles: infantry-stryker""",
    },
}

# name: (file of scikit-image, crop as fractions y0 y1 x0 x1, blur in pixels, colour (B, G, R) of a grey texture)
BACKGROUNDS = {
    "train": {
        "grass": ("grass.png", (0, 1, 0, 1), 3.0, (0.6, 0.95, 0.75)),
        "gravel": ("gravel.png", (0, 1, 0, 1), 4.0, (0.95, 1.05, 1.15)),
        "coffee table": ("coffee.png", (0, 1, 0, 0.35), 4.0, None),
    },
    "val": {
        "brick": ("brick.png", (0, 1, 0, 1), 2.5, (0.65, 0.75, 1.15)),
        "lawn and sky": ("camera.png", (0.35, 1, 0.6, 1), 4.0, None),
        "launch site": ("rocket.jpg", (0.55, 1, 0, 0.4), 4.0, None),
    },
}

GPL = "GPL-2 or later"
# Where the package's changelog states another licence than its copyright file does for all files.
STATED_LICENCES = {
    **dict.fromkeys(
        [f"plants/flowers/{name}" for name in ("adeenia", "anthoorium", "bolsom", "chemparathi")],
        "CC BY-SA 3.0, VHSS Irimpanam school, Kerala, via Vimal Joseph",
    ),
    **dict.fromkeys(
        [f"animals/birds/{name}" for name in ("heron_greatblue", "heron_greatblue_flying", "pelican")],
        "CC BY-SA 2.5, photograph by Erinn Lynch, prepared by Bill Kendrick",
    ),
    "vehicles/emergency/firetruck": "CC BY 2.5, photograph by Aaron M. Lang, prepared by Bill Kendrick",
}

# The statement of scikit-image's skimage/data/_fetchers.py on each image: what it shows, its licence.
SKIMAGE = {
    "astronaut.png": ("Eileen Collins, astronaut", "NASA; public domain"),
    "brick.png": ("brick wall, CC0Textures Bricks25", "CC0"),
    "camera.png": ("man with a camera, one channel", "CC0, Lav Varshney"),
    "chelsea.png": ("Chelsea the cat", "CC0, Stefan van der Walt"),
    "coffee.png": ("cup of coffee, courtesy of Pikolo Espresso Bar", "CC0, Rachel Michetti"),
    "grass.png": ("grass, DeviantArt linolafett Grass-01", "CC0"),
    "gravel.png": ("gravel, CC0Textures Gravel04", "CC0"),
    "rocket.jpg": ("launch of a Falcon 9", "SpaceX; public domain"),
}
TEST_IMAGES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")
TEST_IMAGE_SIDE = 500


def parse_stamps(text):
    """`folder: name name folder: name` to ["folder/name", ...]."""
    stamps, folder = [], None
    for word in text.split():
        if word.endswith(":"):
            folder = word[:-1]
        else:
            stamps.append(f"{folder}/{word}")
    return stamps


def read_image(path, flags, advice):
    """Decode `path` with OpenCV; UserError, ending in `advice`, if it is missing or not an image."""
    if not path.is_file():
        raise UserError(f"{path}: not found; {advice}")
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flags)
    if image is None:
        raise UserError(f"{path}: not an image that OpenCV can read; {advice}")
    return image


STAMP_ADVICE = (
    "expected the stamps folder of Debian's package: apt-get download tuxpaint-stamps-default && "
    "dpkg -x tuxpaint-stamps-default_*.deb stamps, then --stamps stamps/usr/share/tuxpaint/stamps"
)
SKIMAGE_ADVICE = "expected scikit-image's folder skimage/data: pip install scikit-image"


def read_stamp(folder, stamp):
    """Cut-out (h, w, 4) uint8 BGRA, cropped to its visible part."""
    path = Path(folder) / f"{stamp}.png"
    image = read_image(path, cv2.IMREAD_UNCHANGED, STAMP_ADVICE)
    if image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.uint8:
        raise UserError(f"{path}: {image.dtype} {image.shape}, expected 8-bit colour with alpha")
    rows, columns = (np.flatnonzero((image[..., 3] > 16).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise UserError(f"{path}: fully transparent, expected a cut-out image")
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def read_backgrounds(folder, split):
    """{name: (h, w, 3) uint8 BGR} of the split's background images."""
    result = {}
    for name, (file, (y0, y1, x0, x1), blur, tint) in BACKGROUNDS[split].items():
        image = read_image(Path(folder) / file, cv2.IMREAD_COLOR, SKIMAGE_ADVICE)
        height, width = image.shape[:2]
        image = image[int(y0 * height) : int(y1 * height), int(x0 * width) : int(x1 * width)]
        if tint:
            image = np.clip(image * np.float32(tint), 0, 255).astype(np.uint8)
        result[name] = cv2.GaussianBlur(image, (0, 0), blur)
    return result


def draw_background(random, backgrounds, name, width, height):
    """(height, width, 3) float32: a random crop of the image `name` of `backgrounds`, or a plain, softly lit colour."""
    if name == "plain":
        colour = random.randint(80, 230) + random.randint(-35, 36, size=3)  # muted, as walls and cloths are
        light = np.linspace(1.08, random.uniform(0.75, 0.95), height, dtype=np.float32)
        return light[:, None, None] * np.ones((1, width, 1), np.float32) * colour.astype(np.float32)
    image = backgrounds[name]
    share = random.uniform(0.6, 1.0)
    side = share * min(image.shape[1] / width, image.shape[0] / height)
    crop_width, crop_height = int(side * width), int(side * height)
    x = random.randint(0, image.shape[1] - crop_width + 1)
    y = random.randint(0, image.shape[0] - crop_height + 1)
    crop = image[y : y + crop_height, x : x + crop_width]
    crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_CUBIC)
    return (crop[:, ::-1] if random.randint(2) else crop).astype(np.float32) * random.uniform(0.8, 1.15)


def place_stamp(random, stamp, background):
    """Blend `stamp` at a random scale, place and direction into `background`; uint8 BGR."""
    height, width = background.shape[:2]
    limit = min(width / stamp.shape[1], height / stamp.shape[0])
    scale = min(random.uniform(0.8, 0.97) * limit, MAX_ENLARGEMENT)
    size = tuple(max(1, int(side * scale)) for side in (stamp.shape[1], stamp.shape[0]))
    # Colours are weighted by alpha first: else hidden pixels bleed into the outline.
    weighted = stamp.astype(np.float32)
    weighted[..., 3:] /= 255
    weighted[..., :3] *= weighted[..., 3:]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    weighted = cv2.resize(weighted, size, interpolation=how)
    if random.randint(2):
        weighted = weighted[:, ::-1]
    alpha = np.clip(weighted[..., 3:], 0, 1)
    x = random.randint(0, width - size[0] + 1)
    y = random.randint(0, height - size[1] + 1)
    region = background[y : y + size[1], x : x + size[0]]
    region[...] = weighted[..., :3] + region * (1 - alpha)
    return np.clip(np.rint(background), 0, 255).astype(np.uint8)


def render(stamp, backgrounds, background, key, seed):
    """One JPEG. Each image has its own generator, so adding a class changes no other image."""
    random = np.random.RandomState(zlib.crc32(f"{seed}/{key}".encode()))
    width, height = CANVASES[random.randint(len(CANVASES))]
    canvas = draw_background(random, backgrounds, background, width, height)
    return encode_jpeg(place_stamp(random, stamp, canvas))


def encode_jpeg(image):
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def make_lite_data(stamps, skimage, output, seed=2022, classes=None, per_class=None):
    """Write the data set to `output`; return {split: number of images}.

    `classes` ({class: {split: text of parse_stamps}}) and `per_class` ({split: images}) replace the
    tables above. Raises UserError for a missing input, before `output` is touched.
    """
    classes, per_class = classes or CLASSES, per_class or PER_CLASS
    if not Path(stamps).is_dir():
        raise UserError(f"{stamps}: no such folder; {STAMP_ADVICE}")
    rows, table = {"train": [], "val": []}, []
    with replace_folder(output) as fresh:
        for split in rows:
            backdrops = read_backgrounds(skimage, split)
            order = [name for backdrop in backdrops for name in (backdrop, "plain")]
            for label, name in enumerate(classes):
                (fresh / split / name).mkdir(parents=True)
                chosen = parse_stamps(classes[name][split])
                for index in range(per_class[split]):
                    repeat, position = divmod(index, len(chosen))
                    stamp = chosen[position]
                    background = order[(position + repeat) % len(order)]  # another one each time
                    path = f"{split}/{name}/{Path(stamp).name}_{repeat}.jpg"
                    data = render(read_stamp(stamps, stamp), backdrops, background, path, seed)
                    (fresh / path).write_bytes(data)
                    rows[split].append((path, label))
                    table.append((path, stamp, background, split))
        write_lists(fresh, rows, classes)
        write_text(fresh / "SOURCES.md", lite_sources(table, seed))
    return {split: len(lines) for split, lines in rows.items()}


def lite_sources(table, seed):
    """Text of lite_data/SOURCES.md; `table` holds (image path, stamp, background name, split)."""
    lines = [
        "# Sources of lite_data",
        "",
        f"Made by `tools/data/make_lite_data.py --seed {seed}`: cut-out images on other backgrounds.",
        "",
        "**Stamps**: Debian package `tuxpaint-stamps-default` (2022.06.04-1), files below",
        "`/usr/share/tuxpaint/stamps`. Its copyright file says, for all files: copyright 2002-2022 by Bill",
        "Kendrick, GPL-2 (the text: version 2 of the GNU General Public License or, at your option, any later",
        'version). Its changelog says "by various contributors" and states another licence for a few',
        "stamps; the table repeats it. Stamps that it puts under the GFDL, or takes from sites without naming",
        "a licence, were left out.",
        "",
        "**Backgrounds**: images in scikit-image's `skimage/data`, cropped, blurred and, if grey, tinted;",
        "the licence is the one stated in its `_fetchers.py`. `plain` is a computed colour.",
        "",
        "**Each image** is under the licence of its stamp.",
        "",
        "| image | stamp | licence of the stamp | background | licence of the background |",
        "|---|---|---|---|---|",
    ]
    for path, stamp, background, split in table:
        licence = STATED_LICENCES.get(stamp, GPL)
        if background == "plain":
            source, free = "plain", "none needed"
        else:
            file = BACKGROUNDS[split][background][0]
            source, free = f"{background} ({file})", SKIMAGE[file][1]
        lines.append(f"| {path} | {stamp}.png | {licence} | {source} | {free} |")
    return "\n".join(lines) + "\n"


def make_test_images(skimage, output):
    """Write whole images of scikit-image, longer side at most 500 px, as JPEG; camera.jpg keeps its one channel."""
    lines = [
        "# Sources of test_images",
        "",
        "Images of scikit-image (`skimage/data`), the licence as stated in its `_fetchers.py`; made",
        f"smaller to {TEST_IMAGE_SIDE} px by `tools/data/make_lite_data.py --test_images`. camera.jpg has one",
        "channel, as images from users sometimes do.",
        "",
        "| image | source | shows | licence |",
        "|---|---|---|---|",
    ]
    with replace_folder(output, entries=("*.jpg", "SOURCES.md")) as fresh:
        for file in TEST_IMAGES:
            image = read_image(Path(skimage) / file, cv2.IMREAD_ANYCOLOR, SKIMAGE_ADVICE)
            scale = min(1, TEST_IMAGE_SIDE / max(image.shape[:2]))
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            name = Path(file).with_suffix(".jpg").name
            data = encode_jpeg(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
            (fresh / name).write_bytes(data)
            lines.append(f"| {name} | skimage/data/{file} | {SKIMAGE[file][0]} | {SKIMAGE[file][1]} |")
        write_text(fresh / "SOURCES.md", "\n".join(lines) + "\n")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stamps", required=True, help="the package's folder usr/share/tuxpaint/stamps")
    parser.add_argument("--skimage", required=True, help="scikit-image's folder skimage/data")
    parser.add_argument("--output", required=True, help="folder to make, for example lite_data")
    parser.add_argument("--test_images", help="also make this folder of whole images")
    parser.add_argument("--seed", type=int, default=2022, help="draws scales, places and colours")
    options = parser.parse_args(arguments)
    counts = make_lite_data(options.stamps, options.skimage, options.output, options.seed)
    print(f"{options.output}: {counts['train']} training and {counts['val']} validation images")
    if options.test_images:
        make_test_images(options.skimage, options.test_images)
        print(f"{options.test_images}: {len(TEST_IMAGES)} images")


if __name__ == "__main__":
    run_main(main)
