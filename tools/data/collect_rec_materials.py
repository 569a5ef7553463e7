"""Collect the identities of the recognition images: one cut-out photograph each, in tools/data/materials_rec/.

The photographs are those of Debian's tuxpaint-stamps-default. Those of tools/data/materials are used as they are there;
the others are written to materials_rec/, smaller. identities.json there lists them all, with the split and with whether
a mirrored view still shows the same object (no lettering, no map of a planet). Left out are drawings, stamps whose
licence the package's changelog does not name or names the GFDL, and second photographs of one object. No photograph is
in both splits: tools/data/sources/likeness.py compares each with each. Only needed to renew the materials: they are in
the repository, and tools/data/make_rec_data.py makes the images from them.

Usage:
    apt-get download tuxpaint-stamps-default && dpkg -x tuxpaint-stamps-default_*.deb stamps
    python tools/data/collect_rec_materials.py --stamps stamps/usr/share/tuxpaint/stamps \\
        --output tools/data/materials_rec

Exit codes: 0 written; 1 an input is missing or unreadable, or two photographs are alike; 2 wrong options.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, run_main
from tools.data import make_lite_data as lite
from tools.data.collect_det_materials import WEBP_QUALITY, shrink_stamp
from tools.data.sources.image_folder import replace_folder, write_text
from tools.data.sources.likeness import refuse_alike

SIDE = 112  # pixels, the longer side; the recognition images have 64 px

# Beside those of make_lite_data.CLASSES. The split is written down: what is one kind or one shooting stays together.
STAMPS = {
    "train": """animals/amphibians: frog frog-1
        animals/birds: albino_peahen
        animals/fish: bluegroper butterflyfish coraltrout lionfish lobster moonwrasse shrimp stripedfish
        animals/insects: Brown_slug grasshopper hornet mantis xanthia
        animals/mammals: echidna elephant rhino_black rabbit_little
        animals/mammals/apes: chimp gorilla
        animals/mammals/aquatic: orca otter sea_lion
        animals/mammals/bears: bear european-bear
        animals/mammals/cats: lion lion-2 tiger tiger_sumatran
        animals/mammals/dogs: dingo dog
        animals/mammals/rodents: beaver capybara mouse rabbit rabbit-2 rat
        animals/marsupials: kangaroo wombat
        animals/shellfish: abalone
        clothes: clothespin_new
        food/fruit: banana
        food/nuts: pecan walnut
        food/vegetables: garlics redlettuce
        hobbies: binoculars
        household: garbagecan home_compost_bin key toilet wheelie_bin
        household/arttools: highlighter
        household/dishes: glass mug
        household/dishes/utensils: nutcracker
        household/tools: cementmixer wrench_adjustable
        medical: bandage_adhesive stethoscope
        military: paratrooper
        military/vehicles: ww2_german_gun
        people: fireman240a
        plants: lavender thyme
        plants/flowers: appooppanthady
        plants/mushrooms: cep cep-1 cep-2
        plants/trees: birch holm_oak rambutan tree336
        seasonal/christmas: Candy_cane_photo_1 Christmas_Tree_photo Mince_Pie xmaswreath
        seasonal/halloween: grave-a grave-b grave-c grave-d grave-e grave-g
        space: apollo_lander
        space/planets: 1_mercury 3_earth 4_mars
        sports: football
        symbols/money/us/coins: 001penny 005nickel 010dime 025quarter 050kennedy-halfdollar
        town: uk_post_box
        town/roadsigns: dead_end_sign no_uturn
        vehicles: 7spoke256
        vehicles/emergency: sedan_police
        vehicles/ship: chineseJunk""",
    "test": """animals/birds: quetzal
        animals/fish: clownfish dolphinfish seahorse
        animals/insects: fly hoverfly
        animals/lizards: iguana
        animals/mammals: badger ferret
        animals/mammals/apes: tamarin_emperor
        animals/mammals/aquatic: dolphin
        animals/mammals/dogs: fox
        animals/mammals/rodents: marmot squirrel
        animals/marsupials: koala
        animals/shellfish: murray-mussel
        food/fruit: strawberry
        food/nuts: almond
        food/spices: ginger
        food/vegetables: carrot
        hobbies: camera_35mm
        household: kettle rubberduck
        household/arttools: pen_dryerase
        household/dishes: pitcher_small teapot
        household/dishes/utensils: pepper_grinder
        military/ammunition: old_naval_shell
        military/vehicles: f22_raptor
        people/toys: grannysmith
        plants/flowers/plastic: chuvanna_plastic_poo
        plants/trees: holly_leaves liberia-palm pinecone
        seasonal/christmas: German_Christmas_toy Roast_turkey
        space: spacewalk voyager2
        space/planets: 5_jupiter
        sports: soccer trophy_cup
        town: usps_mailbox
        town/monuments: inukshuk-photo
        vehicles: wheel_tractor
        vehicles/flight: balloon360
        vehicles/flight/planes: 747""",
}
LEFT_OUT = frozenset(["food/fruit/apple_green"])  # the photograph of apple_red, recoloured
SPLITS = {"train": "train", "test": "val"}  # ours: that of make_lite_data and of tools/data/materials

# Where the package's changelog states another licence than its copyright file does for all files.
STATED_LICENCES = {
    **lite.STATED_LICENCES,
    **dict.fromkeys(
        ["plants/flowers/appooppanthady", "plants/flowers/plastic/chuvanna_plastic_poo"],
        "CC BY-SA 3.0, VHSS Irimpanam school, Kerala, via Vimal Joseph",
    ),
    "animals/insects/Brown_slug": "CC BY-SA 2.5, Guttorm Flatabø",
    "medical/stethoscope": "public domain, Wikipedia",
    "military/vehicles/f22_raptor": f"{lite.GPL}, of a photograph by Ben Bloker, U.S. Air Force",
    "seasonal/christmas/Candy_cane_photo_1": "public domain, Kathleen French",
    "seasonal/christmas/Christmas_Tree_photo": "public domain, Jorge Barrios",
    "seasonal/christmas/German_Christmas_toy": "CC BY-SA, André Karwath",
    "seasonal/christmas/Mince_Pie": "CC BY 2.5, Jmb at Wikipedia",
    "seasonal/christmas/Roast_turkey": "CC BY 2.0, Patrick Fitzgerald",
    "town/monuments/inukshuk-photo": "CC BY-SA 2.5, Ansgar Walk",
    **dict.fromkeys(
        ["animals/fish/lobster", "animals/fish/shrimp", "animals/fish/seahorse"],
        "public domain, National Oceanic and Atmospheric Administration of the USA",
    ),
}
# Mirrored, these would be other objects; the package's own `nomirror` says it of more of them.
HANDED = (
    *("001penny", "005nickel", "010dime", "025quarter", "050kennedy-halfdollar"),
    *("1_mercury", "3_earth", "4_mars", "5_jupiter", "apollo_lander", "spacewalk", "voyager2"),
    *("grave-a", "grave-b", "grave-c", "grave-d", "grave-e", "grave-g"),
    *("747", "firetruck", "garbagetruck", "indycar", "no_uturn", "sedan_police"),
    *("camera_35mm", "key", "measuring_tape"),
)


SOURCES = """# Sources of the identities

Made by `tools/data/collect_rec_materials.py`: cut-out photographs, made smaller. `identities.json` names these and
those of `tools/data/materials`, whose `SOURCES.md` has their licences.

Debian package `tuxpaint-stamps-default` (2022.06.04-1), files below `/usr/share/tuxpaint/stamps`. Its copyright file
says, for all files: copyright 2002-2022 by Bill Kendrick, GPL-2 (the text: version 2 of the GNU General Public License
or, at your option, any later version). Its changelog states another licence for a few stamps, which the table repeats.

| file | stamp | licence |
|---|---|---|
"""


def all_stamps(split):
    """["folder/name", ...] of one split: those of make_lite_data, then ours."""
    shared = [name for stamps in lite.CLASSES.values() for name in lite.parse_stamps(stamps[SPLITS[split]])]
    return [stamp for stamp in shared + lite.parse_stamps(STAMPS[split]) if stamp not in LEFT_OUT]


def may_mirror(folder, stamp):
    """Whether a mirrored view shows the same object, by our list and by the package's own options of the stamp."""
    options = Path(folder) / f"{stamp}.dat"
    forbidden = options.is_file() and "nomirror" in options.read_text(encoding="latin-1").lower()
    return not forbidden and Path(stamp).name not in HANDED


def shared_files():
    """{stamp: its file, relative to tools/data} of the stamps that tools/data/materials has."""
    return {
        stamp: f"materials/{split}/stamps/{name}/{Path(stamp).name}.webp"
        for name, stamps in lite.CLASSES.items()
        for split in SPLITS.values()
        for stamp in lite.parse_stamps(stamps[split])
    }


def collect(stamps, output):
    """Write the folder `output`; returns the list of identities. UserError for a missing input or for a likeness."""
    if not Path(stamps).is_dir():
        raise UserError(f"{stamps}: no such folder; {lite.STAMP_ADVICE}")
    shared, identities, images = shared_files(), [], {}
    with replace_folder(output, entries=("train", "test", "identities.json", "SOURCES.md")) as fresh:
        for split in SPLITS:
            (fresh / split).mkdir()
            for stamp in all_stamps(split):
                image, name = shrink_stamp(lite.read_stamp(stamps, stamp), SIDE), Path(stamp).name.lower()
                if name in images:
                    raise UserError(f"{stamp}: a second identity of the name {name}")
                images[name] = image
                file = shared.get(stamp, f"materials_rec/{split}/{name}.webp")
                if stamp not in shared:
                    data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])[1]
                    (fresh / split / f"{name}.webp").write_bytes(data)
                licence = STATED_LICENCES.get(stamp, lite.GPL)
                identities.append(
                    {"name": name, "split": split, "file": file, "mirror": may_mirror(stamps, stamp)}
                    | {"source": f"{stamp}.png", "licence": licence}
                )
        refuse_alike(images)
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in identities)
        write_text(fresh / "identities.json", f"[\n{lines}\n]\n")
        write_text(fresh / "SOURCES.md", sources(identities))
    return identities


def sources(identities):
    """Text of SOURCES.md: of the files that this folder holds."""
    own = [row for row in identities if row["file"].startswith("materials_rec/")]
    rows = [f"| {row['file'].partition('/')[2]} | {row['source']} | {row['licence']} |" for row in own]
    return SOURCES + "\n".join(rows) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stamps", required=True, help="the package's folder usr/share/tuxpaint/stamps")
    parser.add_argument("--output", required=True, help="folder to make, tools/data/materials_rec")
    options = parser.parse_args(arguments)
    identities = collect(options.stamps, options.output)
    training = sum(row["split"] == "train" for row in identities)
    print(f"{options.output}: {training} identities for training and {len(identities) - training} for tests")


if __name__ == "__main__":
    run_main(main)
