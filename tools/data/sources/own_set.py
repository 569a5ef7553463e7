"""Which images of a user's folder are listed where, and a training config for them."""

import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple, Optional

import yaml

from ppcls_lite.utils.files import REPO
from tools.data.sources.image_folder import write_text

TEMPLATE = REPO / "ppcls_lite/configs/lite_data.yaml"
_DRAWN = 2.0**64


class Entry(NamedTuple):
    """An image that can be used: path below the folder, class name, split ("train", "val", None: not yet), digest."""

    path: str
    name: str
    split: Optional[str]
    digest: str


def sort_out(entries):
    """(entries, problems): an image that is there twice is listed once, and not at all where its classes differ.

    The one for the validation is kept: what is trained on must not be judged.
    """
    same = {}
    for entry in sorted(entries, key=lambda entry: (entry.split != "val", entry.path)):
        same.setdefault(entry.digest, []).append(entry)
    kept, problems = [], []
    for first, *others in same.values():
        if len({entry.name for entry in (first, *others)}) > 1:
            other = next(entry for entry in others if entry.name != first.name)
            problems += [
                (entry.path, f"the same image is in two classes: {(other if entry.name == first.name else first).path}")
                for entry in (first, *others)
            ]
            continue
        kept.append(first)
        for entry in others:
            where = "in both splits" if entry.split != first.split else "there twice"
            problems.append((entry.path, f"the same image is {where}, as {first.path}"))
    return sorted(kept), problems


def split_classes(entries, val, seed):
    """The entries with their splits, in the order of their paths.

    An image is for the validation when the number that its content and the seed make is below `val`: that is the same
    whatever else is in the folder. A class of two or more has at least one image on either side.
    """
    result = [entry for entry in entries if entry.split]
    classes = {}
    for entry in entries:
        if not entry.split:
            classes.setdefault(entry.name, []).append(entry)
    for members in classes.values():
        drawn = sorted((draw(entry.digest, seed), entry) for entry in members)
        count = sum(number < val for number, _ in drawn)
        if len(members) > 1:
            count = min(max(count, 1), len(members) - 1)
        else:
            count = 0
        for place, (_, entry) in enumerate(drawn):
            result.append(entry._replace(split="val" if place < count else "train"))
    return sorted(result)


def draw(text, seed):
    """A number from 0 to 1, of a text and the seed alone."""
    return int.from_bytes(hashlib.sha256(f"{seed} {text}".encode()).digest()[:8], "big") / _DRAWN


def write_config(output, fresh, names, size):
    """`fresh/config.yaml`: that of the folder `output`, which the user may have changed, or a new one for the lists."""
    if keep_config(output, fresh, "Arch.class_num", len(names), "classes"):
        return
    config = from_template(TEMPLATE, output, size)
    config["Arch"]["class_num"] = len(names)
    for part in ("Train", "Eval"):
        dataset = config["DataLoader"][part]["dataset"]
        split = "val" if part == "Eval" else "train"
        dataset.update(image_root=str(output), cls_label_path=str(output / f"{split}_list.txt"))
        set_size(dataset["transform_ops"], size)
    set_size(config["Infer"]["transforms"], size)
    config["Infer"]["infer_imgs"] = str(output / "val_list.txt")
    config["Infer"]["PostProcess"]["class_id_map_file"] = str(output / "label_list.txt")
    write_new_config(fresh, config, f"The images in {output}, for any network: -o Arch.name=MobileNetV3_small_x1_0.")


def from_template(template, output, size):
    """The config of the file `template`, for a longer training on images of that size."""
    config = yaml.safe_load(template.read_text(encoding="utf-8"))
    config["Global"].update(output_dir=f"./output/{output.name}", image_shape=[3, size, size], print_batch_step=10)
    config["Global"].update(epochs=20, eval_interval=1)
    return config


def keep_config(output, fresh, key, count, of):
    """Whether `output` has a config.yaml: it is copied to `fresh`, and where its `key` is not `count`, that is said."""
    old = output / "config.yaml"
    if not old.is_file():
        return False
    shutil.copyfile(old, fresh / "config.yaml")
    print(f"{old}: kept as it is: delete it for a new one{_difference(old, key, count, of)}")
    return True


def _difference(path, key, count, of):
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        for part in key.split("."):
            found = found[part]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError):
        return ""
    return "" if found == count else f"; its {key} is {found}, and there are {count} {of} now"


def write_new_config(fresh, config, title):
    """`fresh/config.yaml`, with `title` as its first line."""
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    write_text(fresh / "config.yaml", f"# {title} Change it as you like.\n{text}")


def set_size(transforms, size):
    """Make the side of the network's input `size` in these transforms; what is cropped is larger before, as usual."""
    for entry in transforms:
        for name, options in entry.items():
            if name == "ResizeImage" and "resize_short" in options:
                options["resize_short"] = round(size * 8 / 7)
            elif name in ("ResizeImage", "CropImage", "RandCropImage"):
                options["size"] = size
