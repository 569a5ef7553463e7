"""Images with the boxes that a detector found: how they are drawn, where they go, and how they are written."""

import os
from pathlib import Path

import cv2

from ppcls_lite.data.detection import new_sample
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write

JPEG_QUALITY = 92
_COLOURS = ((60, 60, 230), (60, 180, 60), (230, 130, 40), (40, 170, 240), (200, 60, 180), (190, 190, 40))  # BGR


def draw_boxes(image, result):
    """A copy of the BGR `image` with a box, the name and the score of every detection."""
    drawn = image.copy()
    names = result["label_names"] or [str(number) for number in result["class_ids"]]
    for number, name, score, box in zip(result["class_ids"], names, result["scores"], result["boxes"]):
        colour = _COLOURS[number % len(_COLOURS)]
        left, top, right, bottom = (int(round(side)) for side in box)
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, 1)
        text = f"{name} {score:.2f}"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.35, 1)
        below = max(top, height + 3)
        cv2.rectangle(drawn, (left, below - height - 3), (left + width, below), colour, -1)
        cv2.putText(drawn, text, (left, below - 2), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1, cv2.LINE_AA)
    return drawn


def draw_on_file(content, result):
    """As `draw_boxes`, on the image in the bytes of a file; UserError for other bytes."""
    return draw_boxes(cv2.cvtColor(new_sample(content)["image"], cv2.COLOR_RGB2BGR), result)


def drawing_paths(paths, folder):
    """{path: where its drawing goes below `folder`}; UserError when that would be one of the images themselves.

    A drawing has its image's place below the folder that all have in common. Of several images that differ in their
    suffix alone, the first keeps the plain name.
    """
    images = {path: Path(path).resolve() for path in paths}
    originals = set(images.values())
    common = os.path.commonpath([image.parent for image in originals]) if originals else ""
    targets, taken = {}, set()
    for path, image in images.items():
        target = Path(folder, image.relative_to(common).with_suffix(".jpg"))
        if target in taken:
            target = target.with_name(f"{image.name}.jpg")
        if target.resolve() in originals:
            raise UserError(f"{folder}: the drawing of {path} would replace an image; choose another output_dir")
        taken.add(target)
        targets[path] = target
    return targets


def encode_jpeg(image):
    """The bytes of a JPEG file of the BGR `image`; UserError for one that is too large for the format."""
    try:
        written, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    except cv2.error:
        written = False
    if not written:  # more than 65,500 pixels on one side
        raise UserError(f"an image of {image.shape[1]}x{image.shape[0]} pixels cannot be a JPEG file")
    return data.tobytes()


def write_image(image, path):
    """Write the BGR `image` as a JPEG, whole or not at all; UserError when it cannot be written."""
    try:
        data = encode_jpeg(image)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    try:
        with atomic_write(path, "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
