"""The eight ways an image may lie, by their numbers in EXIF, and how it is turned upright."""

import numpy as np

TURNS = {
    1: "as it is", 2: "mirrored", 3: "turned by 180 degrees", 4: "mirrored from top to bottom",
    5: "with rows and columns exchanged", 6: "turned by 90 degrees clockwise",
    7: "with rows and columns exchanged from the other corner", 8: "turned by 90 degrees counterclockwise",
}  # fmt: skip
BACK = {6: 8, 8: 6}  # what undoes a turn; the others undo themselves


def turned(image, orientation, height=0):
    """An image whose rows are the side `height` and whose columns are the next, as EXIF's orientation has it shown."""
    sides = (height, height + 1)
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, *sides)  # 5
    flips = {2: sides[1:], 3: sides, 4: sides[:1], 6: sides[1:], 7: sides, 8: sides[:1]}.get(orientation)
    return image if flips is None else np.flip(image, flips)


def likely(orientation):
    """The turns that are likely for an image that states this orientation, the likeliest first, then all others."""
    return list(dict.fromkeys((1, orientation, BACK.get(orientation, orientation), *TURNS)))
