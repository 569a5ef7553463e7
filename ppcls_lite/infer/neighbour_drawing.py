"""A picture of queries with the images that were found for them: how it is drawn."""

import cv2
import numpy as np

from ppcls_lite.utils.errors import UserError

GREEN, RED, GREY, BLACK = (70, 160, 60), (50, 50, 215), (150, 150, 150), (30, 30, 30)  # BGR
SIDE, FRAME, GAP, LINE = 112, 5, 8, 15  # pixels: of an image, of its frame, between cells, of a line of text
_FONT, _SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.37


def _cell(path, lines, colour):
    """An image with a frame and captions below, each line cut to the cell's width: (h, w, 3) uint8 BGR."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{path}: not an image that OpenCV can read")
    scale = SIDE / max(image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
    side = SIDE + 2 * FRAME
    cell = np.full((side + LINE * len(lines) + 3, side, 3), 255, np.uint8)
    cell[:side] = colour
    cell[FRAME : FRAME + SIDE, FRAME : FRAME + SIDE] = 255
    y, x = ((SIDE - length) // 2 + FRAME for length in image.shape[:2])
    cell[y : y + image.shape[0], x : x + image.shape[1]] = image
    for number, text in enumerate(lines):
        _write(cell, _cut(text, side), (1, side + LINE * (number + 1) - 2), BLACK if number == 0 else GREY)
    return cell


def _write(image, text, place, colour):
    shown = text.encode("ascii", "replace").decode()  # the font has no other letters
    cv2.putText(image, shown, place, _FONT, _SIZE, colour, 1, cv2.LINE_AA)


def _cut(text, width):
    """`text`, its end replaced by two dots where it is wider than `width` pixels."""
    kept = text
    while kept and cv2.getTextSize(kept + (".." if kept != text else ""), _FONT, _SIZE, 1)[0][0] > width:
        kept = kept[:-1]
    return text if kept == text else kept + ".."


def draw(rows, note):
    """The whole picture, (h, w, 3) uint8 BGR.

    Args:
        rows: a list of (query, neighbours): (path, name), and [(path, name, cosine, whether it is right)].
        note: the line below.
    """
    lines = []
    for (path, name), found in rows:
        cells = [_cell(path, [name, "query"], GREY)]
        cells += [
            _cell(place, [other, f"{cosine:.3f}"], GREEN if right else RED) for place, other, cosine, right in found
        ]
        gaps = [3 * GAP if number == 0 else GAP for number in range(len(cells))]
        lines.append(np.hstack([_padded(cell, gap) for cell, gap in zip(cells, gaps)]))
    width = max(*(line.shape[1] for line in lines), cv2.getTextSize(note, _FONT, _SIZE, 1)[0][0] + GAP)
    lines = [np.pad(line, ((GAP, 0), (GAP, width - line.shape[1]), (0, 0)), constant_values=255) for line in lines]
    foot = np.full((2 * LINE, width + GAP, 3), 255, np.uint8)
    _write(foot, note, (GAP, LINE + 2), BLACK)
    return np.vstack([*lines, foot])


def _padded(cell, gap):
    return np.pad(cell, ((0, 0), (0, gap), (0, 0)), constant_values=255)
