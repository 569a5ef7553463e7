"""Make the lists of a data set from your own folder of images, which has one subfolder per class.

    python tools/data/make_dataset.py --images my_images --output dataset/mine
    python tools/data/make_dataset.py --images my_images --output dataset/mine --val 0.1 --seed 1 --copy
    python tools/data/make_dataset.py --images my_objects --output dataset/mine --recognition --size 64

Checks every image as a training decodes it; those that cannot be used are left out, and named. Writes train_list.txt,
val_list.txt and label_list.txt, a training config (config.yaml), and report.txt, which has all that is printed. Beside
them, `images` is a link to your folder, which is only read; with --copy it has the images themselves. Where your
folder has the subfolders train and val, and these one per class, they are the split; else a part of each class is
drawn for the validation, by the content of each image: new images move no other ones from one list to the other.
With --recognition, each subfolder is an identity, and a part of the identities is drawn by their names: their images
are the queries and the gallery (query_list.txt, gallery_list.txt, and gallery_names.txt for build_gallery.py).
Exit code: 0 written, 1 nothing was written (one line says why; with --strict also after any problem), 2 wrong options.
"""

import argparse
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.data.image_lists import read_list
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.machine import usable_cores
from tools.data.sources.class_folders import SPLITS, find_images
from tools.data.sources.image_check import check_files
from tools.data.sources.image_folder import replace_folder, write_lists, write_text
from tools.data.sources.own_identities import LISTS, identities_text, split_identities, write_rec_config
from tools.data.sources.own_set import Entry, sort_out, split_classes, write_config

IMAGES = "images"  # in the output: the images, or a link to their folder
_LISTED = {f"{name}_list.txt" for name in (*SPLITS, *LISTS, "label")}
ENTRIES = frozenset(_LISTED | {IMAGES, "gallery_names.txt", "config.yaml", "report.txt", "manifest.json"})
MADE_BY = "tools/data/make_dataset.py"
IMBALANCED = 10  # times as many images in the largest class as in the smallest


def main(arguments=None):
    options = parse(arguments)
    check_output(options.output, options.images)
    found = find_images(options.images)
    checked = check_all(options.images, [path for path, *_ in found.files], options.workers)
    entries = [
        Entry(path, name, split, checked[path].digest) for path, name, split in found.files if not checked[path].fault
    ]
    problems = found.problems + [(path, checked[path].fault) for path, *_ in found.files if checked[path].fault]
    entries, more = sort_out(entries)
    problems += more
    counts = Counter(entry.name for entry in entries)
    problems += [(name, "a class without an image that can be used") for name in found.classes if not counts[name]]
    names = [name for name in found.classes if counts[name]]
    if len(names) < 2:
        tell(problems_text(problems))
        raise UserError(f"{options.images}: images of two classes are needed, found {len(names)} ({', '.join(names)})")
    if options.recognition:
        lists, names, more = split_identities(options.images, entries, names, options.val, options.seed)
        problems += more
        counts = identities_text(lists)
    else:
        lists = {split: [] for split in SPLITS}
        for entry in split_classes(entries, options.val, options.seed):
            lists[entry.split].append(entry)
        counts = counts_text(names, lists)
    report = problems_text(problems) + notes_text(checked, entries, found.hidden) + counts
    tell(report)
    if problems and options.strict:
        raise UserError(f"{options.images}: {len(problems)} problems, and --strict: nothing is written")
    write(options, lists, names, report)
    print(f"{options.output}: written; train with: python tools/train.py -c {options.output}/config.yaml")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, type=Path, help="your folder, with one subfolder per class")
    parser.add_argument("--output", required=True, type=Path, help="the folder to make, such as dataset/mine")
    parser.add_argument(
        "--val", type=float, default=0.2, help="the share of the validation, of images or identities; default: 0.2"
    )
    parser.add_argument("--recognition", action="store_true", help="each subfolder is an identity, for a recogniser")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another split; default: 0")
    parser.add_argument(
        "--size", type=int, default=224, help="side of the network's input in config.yaml; default: 224"
    )
    parser.add_argument("--copy", action="store_true", help="copy the images into the output")
    parser.add_argument("--strict", action="store_true", help="write nothing when there is a problem")
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes that decode; default: all cores")
    options = parser.parse_args(arguments)
    if not 0 < options.val < 1:
        parser.error(f"--val: expected a number between 0 and 1, found {options.val:g}")
    for name, low in (("size", 8), ("workers", 1), ("seed", 0)):
        if getattr(options, name) < low:
            parser.error(f"--{name}: expected a whole number of at least {low}, found {getattr(options, name)}")
    return options


def check_output(output, images):
    """UserError for a folder that is not this command's own: it is replaced as a whole."""
    ours, theirs = Path(os.path.realpath(output)), Path(os.path.realpath(images))
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise UserError(f"{output}: expected a folder that neither holds {images} nor lies in it")
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    try:
        own = json.loads((output / "manifest.json").read_text(encoding="utf-8")).get("made_by") == MADE_BY
    except (OSError, ValueError, AttributeError):
        own = False
    if not own:
        raise UserError(f"{output}: is there already, and this command has not made it; expected a new folder")


def check_all(root, paths, workers):
    """{path below `root`: its `Checked`}, with a bar on a terminal."""
    from tqdm import tqdm

    full = {os.path.join(root, path): path for path in paths}
    with tqdm(total=len(paths), desc="checking", unit=" images", disable=None) as bar:
        found = check_files(list(full), workers, bar.update)
    return {full[path]: result for path, result in found.items()}


# ------------------------------------------------------------------------------------------------------- what is said


def shown(path):
    """A path as one line, also where its name is not UTF-8."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else ascii(text)


def counted(count, noun):
    return f"{count} {noun}{'' if count == 1 else 's'}"


def problems_text(problems):
    return "".join(f"problem: {shown(path)}: {what}\n" for path, what in sorted(problems))


def notes_text(checked, entries, hidden):
    """What is unusual, and no fault: one line for each kind, with the first image."""
    kinds = {}
    for entry in entries:
        for note in checked[entry.path].notes:
            kinds.setdefault(note, []).append(entry.path)
    lines = [
        f"note: {counted(len(paths), 'image')}: {note}; the first is {shown(paths[0])}\n"
        for note, paths in kinds.items()
    ]
    if hidden:
        lines.append(f"note: passed over: {counted(hidden, 'hidden or system file')}\n")
    return "".join(lines)


def counts_text(names, lists):
    lines, sizes = [], {}
    of_class = {split: Counter(entry.name for entry in lists[split]) for split in SPLITS}
    for label, name in enumerate(names):
        train, val = (of_class[split][name] for split in SPLITS)
        sizes[name] = train + val
        missing = [f"none for {split}" for split, count in (("training", train), ("validation", val)) if not count]
        lines.append(
            f"class {label} {shown(name)}: {train} training, {val} validation{''.join(f'; {m}' for m in missing)}\n"
        )
    small, large = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    if sizes[large] > IMBALANCED * sizes[small]:
        lines.append(f"note: imbalanced: {sizes[large]} images of {shown(large)}, {sizes[small]} of {shown(small)}\n")
    train, val = (len(lists[split]) for split in SPLITS)
    return "".join(lines) + f"total: {len(names)} classes, {train} training, {val} validation images\n"


def tell(text):
    print(text, end="", flush=True)


# ------------------------------------------------------------------------------------------------------------ writing


def write(options, lists, names, report):
    """The output folder, whole or not at all; its config.yaml is kept, since that is for the user to change."""
    labels = {name: label for label, name in enumerate(names)}
    lists = {
        split: sorted(((f"{IMAGES}/{entry.path}", labels[entry.name]) for entry in entries), key=lambda line: line[1])
        for split, entries in lists.items()
    }
    for split, lines in lists.items():
        if not lines:
            raise UserError(
                f"{options.images}: no image is left for {split}_list.txt; is there more than one per class?"
            )
    with replace_folder(options.output, ENTRIES) as fresh:
        if options.copy:
            copy_images(options.images, fresh, [path for lines in lists.values() for path, _ in lines])
        else:
            link_images(options.images, fresh)
        write_lists(fresh, lists, names)
        for split, lines in lists.items():
            if [entry[:2] for entry in read_list(fresh / f"{split}_list.txt")] != lines:
                raise UserError(f"{fresh}/{split}_list.txt: is not read back as it was written")
        if options.recognition:
            write_text(
                fresh / "gallery_names.txt", "".join(f"{path}\t{names[label]}\n" for path, label in lists["gallery"])
            )
            write_rec_config(options.output, fresh, len({label for _, label in lists["train"]}), options.size)
        else:
            write_config(options.output, fresh, names, options.size)
        write_text(fresh / "report.txt", report)
        settings = {"images": str(options.images), "val": options.val, "seed": options.seed, "copy": options.copy}
        write_text(fresh / "manifest.json", json.dumps({"made_by": MADE_BY, **settings}, ensure_ascii=False) + "\n")


def copy_images(images, fresh, paths):
    for path in paths:
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(images / Path(path).relative_to(IMAGES), fresh / path)


def link_images(images, fresh):
    """A link of the kind of the path that was given: a relative one stays right when both are moved together."""
    target = (
        images if images.is_absolute() else os.path.relpath(os.path.realpath(images), os.path.realpath(fresh.parent))
    )
    if not images.is_absolute():
        target = os.path.join("..", target)
    (fresh / IMAGES).symlink_to(target)


if __name__ == "__main__":
    run_main(main)
