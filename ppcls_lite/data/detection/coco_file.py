"""Annotation files in COCO's format (https://cocodataset.org/#format-data), read and checked."""

import json
from typing import NamedTuple

import numpy as np

from ppcls_lite.utils.errors import UserError

_SLACK = 1.0  # pixels that a box may reach beyond the image: annotation tools round
_LARGEST = 1e9  # more than any number of pixels
_SECTIONS = ("images", "annotations", "categories")


class AnnotatedImage(NamedTuple):
    """One image of the file with its boxes."""

    image_id: int
    file_name: str
    width: int
    height: int
    boxes: np.ndarray  # [n, 4] float32: x1, y1, x2, y2 in pixels
    labels: np.ndarray  # [n] int64, from 0 in the order of the category ids


class Annotations(NamedTuple):
    """A whole file."""

    images: list  # of `AnnotatedImage`
    names: list  # of the classes, by label
    category_ids: list  # by label
    skipped: list  # one line for every box that was left out


def read_coco(path, bad_boxes="error"):
    """The `Annotations` in the file at `path`; crowd annotations are left out.

    Raises UserError (file, entry, what was found) for a file that is missing or of another format, incomplete entries,
    twice the same id, an unknown image or category. A box without area or beyond the image by more than a pixel raises
    too, or is left out with `bad_boxes="skip"`.
    """
    content = _load(path)
    sizes, names = _sizes(content["images"], path), _categories(content["categories"], path)
    boxes = {image_id: [] for image_id in sizes}
    skipped = []
    for entry, label in _annotations(content["annotations"], path, sizes, names, bad_boxes, skipped):
        if not entry.get("iscrowd"):
            boxes[entry["image_id"]].append((entry["bbox"], label))
    images = [_annotated_image(image_id, *sizes[image_id], found) for image_id, found in boxes.items()]
    return Annotations(images, list(names.values()), list(names), skipped)


def coco_truth(path, bad_boxes="error"):
    """The truth as pycocotools takes it, of the same file and with the same faults as `read_coco`.

    Images are numbered as in `Annotations.images`, categories by label, annotations from 1: pycocotools takes number
    0 for "none". An annotation without an area has that of its box; crowds, which evaluations ignore, are kept.
    """
    content = _load(path)
    sizes, names = _sizes(content["images"], path), _categories(content["categories"], path)
    numbers = {image_id: number for number, image_id in enumerate(sizes)}
    found = _annotations(content["annotations"], path, sizes, names, bad_boxes, [])
    annotations = [
        {
            "id": number,
            "image_id": numbers[entry["image_id"]],
            "category_id": label,
            "bbox": entry["bbox"],
            "area": entry["area"] if _is_number(entry.get("area")) else entry["bbox"][2] * entry["bbox"][3],
            "iscrowd": int(bool(entry.get("iscrowd"))),
        }
        for number, (entry, label) in enumerate(found, 1)
    ]
    categories = [{"id": label, "name": name} for label, name in enumerate(names.values())]
    images = [{"id": number} for number in numbers.values()]
    return {"info": {}, "images": images, "categories": categories, "annotations": annotations}


def _sizes(entries, path):
    """{id: (file name, width, height)} in the order of the file."""
    sizes = {}
    for index, entry in enumerate(entries):
        place = f"{path}: images[{index}]"
        image_id, file_name, width, height = _fields(entry, ("id", "file_name", "width", "height"), place)
        if type(image_id) is not int:
            raise UserError(f"{place}: expected a whole number as id, found {image_id!r:.80}")
        if image_id in sizes:
            raise UserError(f"{place}: there is another image with id {image_id}")
        if not all(type(side) is int and 0 < side < _LARGEST for side in (width, height)) or type(file_name) is not str:
            raise UserError(f"{place}: expected a file_name, width and height, found {entry!r:.120}")
        sizes[image_id] = file_name, width, height
    return sizes


def _annotations(entries, path, sizes, names, bad_boxes, skipped):
    """Yield (entry, label) of every annotation with a good box; the faults of the others go to the list `skipped`."""
    labels = {category: label for label, category in enumerate(names)}
    for index, entry in enumerate(entries):
        place = f"{path}: annotations[{index}]"
        image_id, category, box = _fields(entry, ("image_id", "category_id", "bbox"), place)
        if type(image_id) is not int or image_id not in sizes:
            raise UserError(f"{place}: there is no image with id {image_id!r:.80}")
        if type(category) is not int or category not in labels:
            known = ", ".join(str(known) for known in list(names)[:10])
            raise UserError(f"{place}: unknown category {category!r:.80}; the file has {known}")
        if fault := box_fault(box, *sizes[image_id][1:]):
            where = f"{place} (image {sizes[image_id][0]}): {fault}"
            if bad_boxes == "error":
                raise UserError(where)
            skipped.append(where)
        else:
            yield entry, labels[category]


def box_fault(box, width, height):
    """The fault of a box [x, y, w, h] in an image of that size, or an empty text."""
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return f"expected bbox [x, y, width, height], found {box!r:.80}"
    x, y, w, h = box
    if w <= 0 or h <= 0:
        return f"the box {box} has no area"
    if x < -_SLACK or y < -_SLACK or x + w > width + _SLACK or y + h > height + _SLACK:
        return f"the box {box} reaches beyond the image of {width}x{height} pixels"
    return ""


def _is_number(value):
    return type(value) in (int, float) and -_LARGEST < value < _LARGEST  # neither infinite nor nan


def _load(path):
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such annotation file") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file: {str(error).splitlines()[0]:.120}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    for section in _SECTIONS:
        if not isinstance(content, dict) or not isinstance(content.get(section), list):
            raise UserError(f"{path}: not in COCO's format: expected lists {', '.join(_SECTIONS)}; no '{section}'")
    if not content["images"] or not content["categories"]:
        raise UserError(f"{path}: expected at least one image and one category")
    return content


def _fields(entry, keys, place):
    for key in keys:
        if not isinstance(entry, dict) or key not in entry:
            raise UserError(f"{place}: '{key}' is missing, found {entry!r:.120}")
    return [entry[key] for key in keys]


def _categories(entries, path):
    """{id: name}, ascending."""
    names = {}
    for index, entry in enumerate(entries):
        place = f"{path}: categories[{index}]"
        number, name = _fields(entry, ("id", "name"), place)
        if type(number) is not int or not isinstance(name, str) or number in names:
            raise UserError(f"{place}: expected a name and an id of its own, found {entry!r:.120}")
        names[number] = name
    return dict(sorted(names.items()))


def _annotated_image(image_id, file_name, width, height, found):
    boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    return AnnotatedImage(image_id, file_name, width, height, boxes, np.array([label for _, label in found], np.int64))
