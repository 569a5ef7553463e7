"""What parts two pipelines of the same image?"""

from diagnosis.images.fault import Fault, both, other_normalisation, reversed_channels, turn
from diagnosis.images.turning import BACK

_UPRIGHT = (1, 2, 3, 4)  # turns that keep rows and columns


def compare(first, second, stated=1, is_one_image=True):
    """The `Fault` that parts the pipeline of infer, `second`, from that of predict; None where there is none.

    `stated` is the EXIF orientation of the image; `is_one_image`: both begin with the same pixels."""
    faults = [_resized(first, second, is_one_image)]
    if first.turn != second.turn:
        faults.append(turn(second.turn if first.turn == 1 else BACK.get(first.turn, first.turn), stated))
    if first.is_reversed != second.is_reversed:
        faults.append(reversed_channels())
    return both([*faults, _normalised(first, second)])


def _resized(first, second, is_one_image):
    own, other = first.geometry, second.geometry
    words = f"predict {first.words}, infer {second.words}"
    are_alike = is_one_image and (first.turn in _UPRIGHT) == (second.turn in _UPRIGHT)
    interpolation = ("interpolation",) if first.resizer != second.resizer else ()
    if not _is_same_resize(own, other, are_alike):
        return Fault(("resize", *interpolation), words, _shows_sides(own) or _shows_sides(other))
    is_cropped = own.size != other.size or (are_alike and own.at != other.at)
    causes = (*interpolation, *(("crop",) if is_cropped else ()))
    return Fault(causes, words, _shows_sides(own)) if causes else None


def _shows_sides(geometry):
    return geometry.resized[0] != geometry.resized[1]


def _is_same_resize(own, other, are_alike):
    return own.resized == other.resized if are_alike else (own.kind, own.side) == (other.kind, other.side)


def _normalised(first, second):
    own, other = first.normalisation, second.normalisation
    if first.is_reversed != second.is_reversed:
        if own.is_as(other):
            return None
        own = own.reversed
    if own.is_as(other):
        return None
    pairs = list(zip(own.means, own.stds, other.means, other.stds))
    fits = [(std / other_std, (mean - other_mean) / other_std) for mean, std, other_mean, other_std in pairs]
    return other_normalisation(fits, own, other)
