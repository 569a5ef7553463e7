"""What explains exactly why two inputs of an image differ: one fault, or two at once."""

from typing import NamedTuple

from agreement.pixels import fit_words
from diagnosis.images.turning import BACK, TURNS

UNKNOWN = "unknown"
ADVICE = {
    "bgr": "give the network its channels in one order in both scripts: convert the image to RGB in the inference "
    "script, or train with BGR",
    "mean_std": "give the inference script the mean and the standard deviation of the training's config",
    "scale_255": "divide the pixels by 255 exactly once in both scripts",
    "layout": "transpose the image from [H, W, C] to [C, H, W] (no reshape) in both scripts",
    "interpolation": "resize with the same library and interpolation in both scripts",
    "resize": "resize to the same size in both scripts",
    "crop": "crop the same part in both scripts",
    "exif": "turn the image as its EXIF orientation says in both scripts, or in none",
    "mirrored": "remove the flip from one of the scripts: it belongs to the training's augmentation alone",
    "rotated": "turn the image in both scripts, or in none",
    "dtype": "give the network the same type of numbers in both scripts",
    "padding": "fill the padding with the same values in both scripts",
    "grey": "give the network colours, or the same grey, in both scripts",
    "decoder": "decode the image with the same library and flags in both scripts",
    "size": "give the network the same size in both scripts",
    "other_input": "compute the inputs other than the image in the same way in both scripts",
    UNKNOWN: "compare the two scripts from the decoded image to the network, step by step",
}  # fmt: skip
_NEAR = 1e-3  # of a factor of 255


class Fault(NamedTuple):
    """`causes` are words for programs, that which counts first; `words` say the same to a person.

    `is_clear` is False of what a square image shows of a resize: its short side and both sides are one.
    """

    causes: tuple
    words: str
    is_clear: bool = True

    @property
    def advice(self):
        return "; ".join(dict.fromkeys(ADVICE[cause] for cause in self.causes))


def both(faults):
    """One `Fault` of several that hold at once; None where there is none."""
    faults = [fault for fault in faults if fault]
    causes = tuple(dict.fromkeys(cause for fault in faults for cause in fault.causes))
    words = ", and ".join(fault.words for fault in faults)
    return Fault(causes, words, all(fault.is_clear for fault in faults)) if faults else None


def reversed_channels():
    return Fault(("bgr",), "the channels are in reverse order (BGR for RGB)")


def turn(orientation, stated=1):
    """infer's image is predict's, turned as `orientation`; `stated` is what EXIF says of it."""
    words = TURNS[orientation]
    if stated != 1 and orientation in (stated, BACK.get(stated, stated)):
        who = "infer" if orientation == stated else "predict"
        return Fault(("exif",), f"the file states the EXIF orientation {stated}, and only {who} turns it: "
                                f"infer's image is predict's {words}")  # fmt: skip
    cause = "mirrored" if orientation in (2, 4) else "rotated"
    like = "" if cause == "mirrored" else f" (as an EXIF orientation of {orientation} asks for)"
    return Fault((cause,), "the image is mirrored" if orientation == 2 else f"infer's image is predict's {words}{like}")


def other_normalisation(fits, own=None, other=None):
    """infer's channels are slope x predict's + shift; the two `Normalisation`s where they are known."""
    is_scale = any(all(abs(slope / factor - 1) <= _NEAR for slope, _ in fits) for factor in (255, 1 / 255))
    known = f"predict has {own.words}, infer has {other.words}" if own and other else fit_words(fits)
    if is_scale:
        larger = "255 times" if fits[0][0] > 1 else "1/255 of"
        return Fault(("scale_255",), f"infer's numbers are {larger} predict's, 1/255 is missing or done twice: {known}")
    return Fault(("mean_std",), f"another mean or standard deviation: {known}")
