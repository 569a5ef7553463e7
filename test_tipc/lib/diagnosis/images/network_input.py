"""The second stage: does infer give the network the same input for an image, and if not, which fault explains it?"""

from collections import Counter

import numpy as np

from agreement import limits
from agreement.engine import KINDS
from agreement.pixels import is_close
from agreement.result import NOT_COMPARED as NO_RESULT
from diagnosis.images.direct import explain
from diagnosis.images.fault import UNKNOWN, Fault, both
from diagnosis.images.parting import compare
from diagnosis.images.pipelines import find, likeness
from diagnosis.images.sources import channels_first, greys, is_grey, kept_images, same_file, source_of
from diagnosis.images.turning import TURNS, turned
from diagnosis.stage import DIFFERS, Stage, differs, not_compared
from script import counted

NAME = "network input"
FEW = 4  # images whose difference is explained
_FAILURES = 2  # long searches without a result


def check_network_input(subject):
    """The `Stage` of the inputs of predict's network (else evaluate's) against those of infer's engines."""
    result, pairings = subject.preprocessing
    if result.result == NO_RESULT:
        return _other_type(subject) or not_compared(NAME, result.why)
    step, _ = subject.reference
    name, worst = max(pairings.items(), key=lambda pair: (len(pair[1].without), len(pair[1].near)))
    more = {**result.more, "reference": step}
    total = result.images
    if not worst.without:
        return Stage(NAME, words=f"{counted(total, 'image')}, {result.words}", largest=result.largest,
                     allowed=_allowed(worst), more=more)  # fmt: skip
    subject.progress(f"explaining the inputs of {min(FEW, len(worst.without))} of {counted(total, 'image')}")
    faults = faults_of(subject, name, worst)
    if step == "evaluate" and not _are_same_images(worst, faults):
        return not_compared(NAME, "nothing was observed of predict, and infer computed none of evaluate's images")
    return _difference(worst, faults, total, more, result.largest, len(pairings) > 1 and name)


def faults_of(subject, name, pairing):
    """{key of an image of predict: the `Fault` that explains its input in infer} of the first ones without an equal."""
    engine = next(one for one in subject.engines if one.name == name)
    search = _Search(pairing, subject.reference[1], engine.recording)
    return {key: search.fault_of(key) for key in pairing.without[:FEW]}


def _allowed(pairing):
    kept = pairing.predicted.kept
    main = [limits.scale(pairing.predicted.arrays(key)[pairing.main(key)]) for key in kept[:FEW]]
    return limits.INPUTS * max(main) if main else None


def _are_same_images(pairing, faults):
    """Whether evaluate saw infer's images at all: some are equal, or a fault explains exactly why they are not."""
    causes = {fault.causes[0] for fault in faults.values()}
    return bool(pairing.equal or pairing.near or causes - {UNKNOWN, "size"})


def _difference(pairing, faults, total, more, largest, engine):
    counts = Counter(fault.causes for fault in faults.values())
    known = [fault for fault in faults.values() if fault.causes[0] != UNKNOWN] or list(faults.values())
    chosen = max(known, key=lambda fault: (counts[fault.causes], len(fault.causes), fault.is_clear))
    # a grey image does not show which order its channels have: it adds nothing
    others = {fault.causes: fault for fault in known if not set(fault.causes) <= set(chosen.causes)}
    why = "; of others ".join([chosen.words, *(fault.words for fault in others.values())])
    words = f"{len(pairing.without)} of {counted(total, 'image')}" + (f" ({engine})" if engine else "")
    causes = list(dict.fromkeys(cause for fault in (chosen, *others.values()) for cause in fault.causes))
    stage = differs(NAME, chosen.causes[0], why, chosen.advice, words=words, largest=largest)
    stage.allowed = _allowed(pairing)
    explained = sum(fault.causes[0] != UNKNOWN for fault in faults.values())
    stage.more = {**more, "causes": causes, "explained": explained}
    return stage


class _Search:
    """Finds out why inputs of predict have no equal in infer; `step` and `infer` are the two recordings."""

    def __init__(self, pairing, step, infer):
        self.pairing = pairing
        self.decoded, self.others = kept_images(step), kept_images(infer)
        self.last, self.failed = None, 0  # the pipelines of the image before; images whose pipelines were not found

    def fault_of(self, key):
        arrays = self.pairing.predicted.arrays(key)
        main = self.pairing.main(key)
        candidates = [self.pairing.inferred.arrays(other) for other in self.pairing.others]
        if not candidates:
            return Fault((UNKNOWN,), "infer computed none of these images, or their arrays were not kept")
        same = [other for other in candidates if _is_equal(arrays[main], other[main])]
        if same:
            return _other_input(self.pairing.predicted.places[key], arrays, same[0])
        image = channels_first(arrays[main])
        source = source_of(image, self.decoded) if image is not None else None
        for other in candidates:
            fault = explain(arrays[main], other[main], source.orientation if source else 1)
            if fault:
                return fault
        if image is None:
            return Fault((UNKNOWN,), "other values: no usual fault reproduces the difference")
        return self._by_pixels(image, source, [channels_first(other[main]) for other in candidates])

    def _by_pixels(self, image, source, candidates):
        candidates = [other for other in candidates if other is not None]
        if source is None or not candidates or self.failed == _FAILURES:
            return _unexplained(image, candidates, self.decoded and source is None)
        pixels, second = source.array(), same_file(source, self.others)
        theirs = pixels if second is None else _as_first(pixels, second.array())
        other = max(candidates, key=lambda one: likeness(theirs, one, source.orientation))
        liked = self.last or (None, None)
        own = find(pixels, image, source.orientation, liked[0])
        found = find(theirs, other, source.orientation, own or liked[1])
        if own and found:
            own = find(pixels, image, source.orientation, found) or own  # of several that are equal the one as in infer
            self.last = own, found
            are_alike = theirs is pixels
            fault = compare(own, found, source.orientation, are_alike)
            if not fault and not are_alike:
                fault = Fault(("decoder",), f"the decoded pixels are others; both steps: {own.words}")
            if not fault and own.geometry.is_padded:
                fault = Fault(
                    ("padding",), f"only the padding around the image has other values; both steps: {own.words}"
                )
            if fault:
                return fault
        if own and is_grey(other) and any(find(way, other, source.orientation, own) for way in greys(theirs)):
            return Fault(("grey",), f"infer's image is grey; predict {own.words}")
        self.failed += 1
        return _unexplained(image, [other], False, own, found)


def _is_equal(image, other):
    return image.shape == other.shape and image.dtype == other.dtype and is_close(image, other)


def _as_first(pixels, others):
    """infer's decoded pixels; predict's own where they are those, turned: what differs is then how each step turns
    them."""
    if any(np.array_equal(turned(pixels, number), others) for number in TURNS if number > 1):
        return pixels
    return pixels if np.array_equal(pixels, others) else others


def _unexplained(image, others, is_unlike, own=None, found=None):
    sizes = [f"{one.shape[1]} x {one.shape[2]}" for one in (image, *others[:1])]
    told = f"; predict {own.words}" if own else ""
    told += f"; infer {found.words}" if found else ""
    told += " (no decoded image is like this input)" if is_unlike else ""
    if len(set(sizes)) > 1:
        return Fault(("size",), f"another size: {sizes[0]} in predict, {sizes[1]} in infer{told}")
    return Fault((UNKNOWN,), f"other pixels: no usual fault reproduces the difference{told}")


def _other_input(place, arrays, others):
    """Of an image that is the same: which of the other inputs is not, and how."""
    faults = []
    for at, own, other in zip(place.order, arrays, others):
        if not _is_equal(own, other):
            name = place.call.inputs[at].name
            faults.append(Fault(("other_input",), f"the image is the same, and its {name} is not: {_how(own, other)}"))
    return both(faults)


def _how(own, other):
    if own.shape != other.shape or own.dtype != other.dtype:
        return f"{own.dtype} {list(own.shape)} in predict, {other.dtype} {list(other.shape)} in infer"
    values = f"{_values(own)} in predict, {_values(other)} in infer"
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / own.astype(np.float64)
    ways = {
        "its numbers are in the other order": own[..., ::-1],
        "infer's are 1 / predict's": inverse,
        "infer's are 1 / predict's in the other order": inverse[..., ::-1],
    }
    for words, made in ways.items():
        if own.ndim and is_close(made.astype(np.float64), other.astype(np.float64)):
            return f"{words}: {values}"
    return values


def _values(array):
    return "[" + ", ".join(f"{value:.6g}" for value in array.ravel()[:6]) + ("]" if array.size <= 6 else ", …]")


def _other_type(subject):
    """The `Stage` where infer gives the exported model numbers of a type that it does not have; None otherwise."""
    for engine in subject.engines:
        for network, calls in engine.recording.candidates(KINDS):
            if engine.calls or not subject.exported.is_one_of(network.files):
                continue
            for feed, tensor in zip(subject.exported.feeds, calls[0].inputs):
                if feed.dtype not in ("", tensor.dtype):
                    why = f"infer gives {tensor.dtype} as '{feed.name}', and the exported model takes {feed.dtype}"
                    return Stage(NAME, DIFFERS, why=why, cause="dtype", advice=Fault(("dtype",), "").advice,
                                 words=engine.name)  # fmt: skip
    return None
