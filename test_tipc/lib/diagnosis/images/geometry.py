"""Which resize and crop made an image of a given size? The usual ways, as lists of what to try."""

from typing import NamedTuple


class Geometry(NamedTuple):
    """The image is resized to `resized`, and `size` of it, from the corner `at`, is the input; all are (rows, columns).

    `side` is the number that a script names: the short side, the long one, or a square's; None without one.
    A part of `size` that lies outside the resized image is padding.
    """

    kind: str  # exact, short, square, long, original
    side: object
    resized: tuple
    at: tuple
    size: tuple

    @property
    def valid(self):
        """The slices of the input that are image and no padding, and those of the resized image that lie there."""
        starts = [max(0, -corner) for corner in self.at]
        ends = [min(side, whole - corner) for side, whole, corner in zip(self.size, self.resized, self.at)]
        inside = tuple(slice(start, end) for start, end in zip(starts, ends))
        part = tuple(slice(start + corner, end + corner) for start, end, corner in zip(starts, ends, self.at))
        return inside, part

    @property
    def is_padded(self):
        return any(corner < 0 or corner + side > whole for corner, side, whole in zip(self.at, self.size, self.resized))

    @property
    def resize_words(self):
        """`resizes the short side to 36`."""
        return {
            "exact": f"resizes to {_by(self.resized)}",
            "square": f"resizes to {_by(self.resized)}",
            "short": f"resizes the short side to {self.side} ({_by(self.resized)})",
            "long": f"resizes the long side to {self.side} ({_by(self.resized)})",
            "original": "does not resize",
        }[self.kind]

    @property
    def crop_words(self):
        """`crops the middle 32 x 32`; "" where there is no crop."""
        if self.size == self.resized:
            return ""
        if self.is_padded:
            corner = "" if self.at == (0, 0) else " around it"
            return f"pads it{corner} to {_by(self.size)}"
        middle = [whole - side - 2 * corner for side, whole, corner in zip(self.size, self.resized, self.at)]
        where = "the middle" if all(abs(rest) <= 1 for rest in middle) else f"from {self.at[0]}, {self.at[1]} on"
        return f"crops {where} {_by(self.size)}"


def short(image, side, size):
    """Ways to resize the short side of `image` (rows, columns) to `side`, and to crop `size`: roundings differ."""
    least = min(image)
    sizes = [tuple(rounded(whole * side / least) for whole in image) for rounded in (round, int)]
    return [one for resized in dict.fromkeys(sizes) for one in _middles("short", side, resized, size)]


def square(side, size):
    return _middles("square", side, (side, side), size)


def fixed(image, size):
    """The ways without a number: the very size, the long side with padding, and a crop of the image as it is."""
    found = [Geometry("exact", None, size, (0, 0), size)]
    scale = min(target / whole for target, whole in zip(size, image))
    for rounded in (round, int):
        resized = tuple(min(target, max(1, rounded(whole * scale))) for target, whole in zip(size, image))
        if resized != size:
            around = tuple((whole - target) // 2 for whole, target in zip(resized, size))
            found += [Geometry("long", max(resized), resized, at, size) for at in ((0, 0), around)]
    return list(dict.fromkeys(found + _middles("original", None, tuple(image), size)))


def usual_sides(size):
    """Short sides that scripts have for a crop of this size, the usual ones first."""
    crop = max(size)
    first = [round(crop * 256 / 224), crop, crop + 4, crop + 32, round(crop / 0.95), round(crop / 0.9), crop * 2]
    return list(dict.fromkeys(first))


def _middles(kind, side, resized, size):
    """Crops of the middle, with both roundings, and that of the first corner."""
    if any(whole < target for whole, target in zip(resized, size)):
        return []
    rests = [whole - target for whole, target in zip(resized, size)]
    corners = [tuple(rest // 2 for rest in rests), tuple(round(rest / 2) for rest in rests),
               tuple((rest + 1) // 2 for rest in rests), (0, 0)]  # fmt: skip
    return [Geometry(kind, side, resized, at, size) for at in dict.fromkeys(corners)]


def _by(size):
    return f"{size[0]} x {size[1]}"
