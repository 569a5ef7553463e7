"""The first stage: do the scripts of predict and infer get the same pixels out of the file of an image?

Decoders part by a level here and there, which no step need notice: a difference counts only where it is seen in the
inputs of the network, too.
"""

from collections import Counter

from diagnosis.images.decoding import levels_apart, why_other_pixels
from diagnosis.images.fault import UNKNOWN, Fault
from diagnosis.images.network_input import faults_of
from diagnosis.images.sources import kept_images, same_file
from diagnosis.stage import Stage, differs, not_compared
from script import counted

NAME = "decoded pixels"
ADVICE = {
    "exif": "turn the image as its EXIF orientation says in both scripts, or in none",
    "grey": "decode the image as colour in both scripts",
    "reduced_size": "decode the image at its full size in both scripts",
    "bit_depth": "decode the image with 8 bits in both scripts",
    "alpha": "treat transparency in one way: convert the image to RGB in both scripts",
    "decoder": "decode the image with the same library and flags in both scripts",
    UNKNOWN: "decode the image with the same library and flags in both scripts",
}  # fmt: skip
_NUMBERS = {"mean_std", "scale_255"}
_ALSO = {"bit_depth": _NUMBERS, UNKNOWN: _NUMBERS}  # what other pixels look like behind the normalisation


def check_decoded(subject):
    """The `Stage` of the decoded images of predict (else of evaluate) against those of each inference command."""
    step, reference = subject.reference
    engines = [engine for engine in subject.engines if engine.recording.decoded]  # all need not be observed as deeply
    for side, is_there in ((step, reference is not None and reference.decoded), ("infer", engines)):
        if not is_there:
            return not_compared(NAME, f"no decoder was observed in {side}: TIPC_OBSERVE_DEEP=1 observes cv2 and PIL")
    found, compared = [], 0
    for engine in engines:
        pairs = _pairs(reference, engine.recording)
        compared = max(compared, len(pairs))
        found += [(engine.name, *pair) for pair in pairs if _is_other(*pair)]
    if not compared:
        return not_compared(NAME, f"{step} and infer decoded no image of the same file")
    if not found:
        return Stage(NAME, words=counted(compared, "image"), largest=0.0, more={"images": compared, "reference": step})
    return _difference(subject, step, found, compared)


def _pairs(reference, inferred):
    """[(image of the reference, the same file's in infer)], those whose pixels were kept first."""
    own = {image.source: image for image in [*reference.decoded, *kept_images(reference)]}
    others = [*kept_images(inferred), *inferred.decoded]
    pairs = [(image, same_file(image, others)) for image in own.values()]
    return [(image, other) for image, other in pairs if other]


def _is_other(image, other):
    return (image.hash, image.shape, image.dtype) != (other.hash, other.shape, other.dtype)


def _difference(subject, step, found, compared):
    """The `Stage` of images with other pixels: `found` are (engine, image, other image)."""
    reasons, levels = [], []
    for _, image, other in found:
        if image.file and other.file:
            first, second = image.array(), other.array()
            levels.append(levels_apart(first, second))
            fault = why_other_pixels(image, other, first, second)
            reasons.append(fault or Fault((UNKNOWN,), f"other pixels, {image.library} and {other.library}"))
    if not reasons:
        return not_compared(NAME, f"{counted(len(found), 'image')} differ in their hashes, and no pixels were kept")
    counts = Counter(fault.causes for fault in reasons)
    chosen = max(reasons, key=lambda fault: (fault.causes[0] not in ("decoder", UNKNOWN), counts[fault.causes]))
    known = [one for one in levels if one is not None]
    largest = max(known, default=None)
    words = f"{len(found)} of {counted(compared, 'image')}"
    more = {"images": compared, "different": len(found), "levels": largest, "reference": step,
            "causes": sorted({cause for fault in reasons for cause in fault.causes})}  # fmt: skip
    if not _has_effect(subject, chosen.causes[0]):
        by = "in shape or type" if largest is None else f"by {counted(int(largest), 'level')} at most"
        told = f"the decoders part {by} in {len(found)}, without an effect on the network's inputs ({chosen.words})"
        return Stage(NAME, words=f"{counted(compared, 'image')}, {told}", largest=largest, more=more)
    stage = differs(NAME, chosen.causes[0], chosen.words, ADVICE[chosen.causes[0]], words=words, largest=largest)
    stage.more = more
    return stage


def _has_effect(subject, cause):
    """Whether the network's inputs differ because of it: not where other faults alone explain them exactly."""
    for name, pairing in subject.preprocessing[1].items():
        if pairing.without:
            causes = {one for fault in faults_of(subject, name, pairing).values() for one in fault.causes}
            if causes & ({cause, "decoder", UNKNOWN, "size"} | _ALSO.get(cause, set())):
                return True
    return False
