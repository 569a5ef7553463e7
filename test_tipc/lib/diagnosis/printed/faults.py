"""What differs between the classes and boxes that two steps printed of the same images?"""

import unicodedata
from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from agreement.printed import STEPS
from script import counted

_APART = 1e-3  # scores of two engines are nearer, as the stages before require
_DIGITS = 3  # of a score, to find the image that it belongs to
_GAP = 0.01  # of two thresholds: a box near one threshold may be above it in one engine alone
_SHOWN = 20  # in diagnose.json


class Pair(NamedTuple):
    """The `Image`s of both logs, and the scores [C] of predict's network, None where these are not known."""

    predicted: object
    inferred: object
    scores: object


class Mismatch(NamedTuple):
    """A score that both printed, for different classes."""

    file: str
    first: object  # a `Row` of predict
    second: object
    truth: object  # the class that has the score in the network's output, or None


class Comparison:
    """The `Image`s of two logs; `vectors` are [(outputs [C] of predict, of infer)] of images that both computed."""

    def __init__(self, predicted, inferred, vectors):
        self.pairs = _by_name(predicted, inferred, vectors) or _by_scores(predicted, inferred, vectors)
        self.why_nothing = "no image was recognised in both logs"
        if any(pair.predicted.rows and pair.inferred.rows for pair in self.pairs):
            self.why_nothing = "the printed scores of the images are not the same ones"
        self.compared = Counter()  # ids and names
        self.mismatches, self.counts, self.alone = [], [], ([], [])
        self.names = [{row.name for image in images for row in image.rows} for images in (predicted, inferred)]
        for pair in self.pairs:
            if pair.predicted.has_boxes or pair.inferred.has_boxes:
                self._add_boxes(pair)
            else:
                self._add_classes(pair)
        self.images = len(self.counts)

    def _add_classes(self, pair):
        first, second = pair.predicted.rows, pair.inferred.rows
        if not first or not second or not all(_is_near(a.score, b.score) for a, b in zip(first, second)):
            return
        self.counts.append((len(first), len(second)))
        certain = _certain(first, second, pair.scores)
        order = None if pair.scores is None else np.argsort(-pair.scores, kind="stable")
        for place, (own, other) in enumerate(zip(first, second)):
            if place in certain:
                self._compare(pair, own, other, None if order is None else int(order[place]))

    def _add_boxes(self, pair):
        self.counts.append((len(pair.predicted.rows), len(pair.inferred.rows)))
        left = list(pair.inferred.rows)
        for own in pair.predicted.rows:
            same = [other for other in left if _is_near(own.score, other.score) and _is_same_place(own, other)]
            if len(same) == 1:
                left.remove(same[0])
                self._compare(pair, own, same[0], None)
            elif not same:
                self.alone[0].append(own)
        self.alone[1].extend(left)

    def _compare(self, pair, own, other, truth):
        differing = False
        if own.label is not None and other.label is not None:
            self.compared["ids"] += 1
            differing = own.label != other.label
        if own.name and other.name:
            self.compared["names"] += 1
            differing = differing or _are_other_names(own.name, other.name)
        if differing:
            self.mismatches.append(Mismatch(pair.predicted.file or pair.inferred.file, own, other, truth))

    @property
    def fault(self):
        """(cause, why, advice), None where nothing differs."""
        if self.mismatches and self._is_certain:
            return self._labels()
        return self._threshold() or self._top_k()

    @property
    def _is_certain(self):
        """Names of two languages are not known to be others, unless their order shows it."""
        languages = [_is_latin(one.first.name) == _is_latin(one.second.name) for one in self.mismatches]
        ids = [one for one in self.mismatches if one.first.label is not None and one.second.label is not None]
        return any(languages) or any(one.first.label != one.second.label for one in ids)

    def _labels(self):
        one = self.mismatches[0]
        told = f"{one.file}: " if one.file else ""
        truth = "" if one.truth is None else f", class {one.truth} of the network's output"
        score = "" if one.first.score is None else f" of the score {one.first.score.value:.4g}{truth}"
        why = f"{told}predict prints {_said(one.first)}, and infer {_said(one.second)}, of the same class{score}"
        total = max(self.compared["ids"], self.compared["names"])
        why += f"; {len(self.mismatches)} of {total} differ: {self._order()}"
        return "labels", why, "give the inference script the label file that predict has, and count ids from the same 0"

    def _order(self):
        renamed = [one for one in self.mismatches if _are_other_names(one.first.name, one.second.name)]
        if renamed:
            is_known = any(one.first.name in self.names[1] or one.second.name in self.names[0] for one in renamed)
            return "the label file has another order" if is_known else "another label file, or one in another order"
        apart = {one.second.label - one.first.label for one in self.mismatches}
        is_shifted = len(apart) == 1 and len(self.mismatches) > 1
        return f"ids are shifted by {apart.pop()}" if is_shifted else "ids are in another order"

    def _threshold(self):
        """Boxes that only one log has, all below those of the other: it printed fewer of them."""
        for side, step, other in ((0, "predict", "infer"), (1, "infer", "predict")):
            more = [row.score.value for row in self.alone[side] if row.score]
            rows = [pair[1 - side].rows for pair in self.pairs if pair.predicted.has_boxes or pair.inferred.has_boxes]
            kept = [row.score.value for one in rows for row in one if row.score]
            is_alone = not self.alone[1 - side] and len(more) == len(self.alone[side])
            if more and kept and is_alone and max(more) < min(kept) and max(more) - min(more) > _GAP:
                why = (
                    f"{step} prints boxes down to a score of {min(more):.4g}, and {other} none below {min(kept):.4g}: "
                    f"{len(more)} boxes fewer, another threshold"
                )
                return "threshold", why, "give both scripts the same threshold of scores"
        return None

    def _top_k(self):
        counts = set(self.counts) if not any(pair.predicted.has_boxes for pair in self.pairs) else set()
        if len(counts) != 1:
            return None
        ((first, second),) = counts
        if first == second:
            return None
        why = f"predict prints {_classes(first)} of an image, and infer {_classes(second)}"
        return "top_k", why, "give both scripts the same number of classes to print (top-k)"

    @property
    def words(self):
        """The figures, for the line; "" where nothing was compared."""
        if not self.images:
            return ""
        kinds = [f"{count} {kind}" for kind, count in sorted(self.compared.items())]
        return f"{counted(self.images, 'image')}, {' and '.join(kinds) or 'scores'} in both logs"

    @property
    def figures(self):
        """For diagnose.json."""
        shown = [{"image": one.file, "predict": _said(one.first), "infer": _said(one.second), "class": one.truth}
                 for one in self.mismatches[:_SHOWN]]  # fmt: skip
        return {"compared": dict(self.compared), "mismatches": len(self.mismatches), "examples": shown}


def _said(row):
    parts = [f"class {row.label}" if row.label is not None else "", f"'{row.name}'" if row.name else ""]
    return " ".join(filter(None, parts))


def _classes(count):
    return f"{count} {'class' if count == 1 else 'classes'}"


# ----------------------------------------------------------------------------------------- which image is which


def _by_name(predicted, inferred, vectors):
    """[Pair] of the images that both logs name; a name that one log has for several images says nothing."""
    first, second = _named(predicted), _named(inferred)
    return [Pair(first[name], second[name], _vector_of(first[name], vectors)) for name in first if name in second]


def _named(images):
    found = defaultdict(list)
    for image in images:
        name = image.file.replace("\\", "/").rpartition("/")[2]
        if name and image not in found[name]:
            found[name].append(image)
    return {name: several[0] for name, several in found.items() if len({one.rows for one in several}) == 1}


def _by_scores(predicted, inferred, vectors):
    """[Pair] of the images whose printed scores are those of one recorded image, and of no other."""
    found = []
    for own, other in vectors:
        first, second = (_printed(images, scores) for images, scores in ((predicted, own), (inferred, other)))
        if first and second:
            found.append(Pair(first, second, own))
    return found


def _printed(images, scores):
    """The image of a log that has these scores; None where several differ."""
    fitting = {image.rows: image for image in images if _has_scores(image, scores)}
    return next(iter(fitting.values())) if len(fitting) == 1 else None


def _vector_of(image, vectors):
    """The scores of predict's network that an image's printed ones are; None where that is not certain."""
    fitting = [own for own, _ in vectors if _has_scores(image, own)]
    return fitting[0] if len(fitting) == 1 else None


def _has_scores(image, scores):
    """Whether the best of `scores` [C], as they are or behind softmax or sigmoid, are printed of the image."""
    printed = [row.score for row in image.rows]
    if not printed or None in printed or image.has_boxes or len(printed) > len(scores):
        return False
    if printed[0].half * 10 ** (_DIGITS - 1) > abs(printed[0].value):
        return False
    for step in STEPS:
        best = np.sort(step.apply(scores[None].astype(np.float32))[0])[::-1][: len(printed)]
        if all(abs(one.value - float(score)) <= one.half + 1e-6 * abs(score) for one, score in zip(printed, best)):
            return True
    return False


# ------------------------------------------------------------------------------------------------ what is certain


def _is_near(first, second):
    """Whether two printed scores may be one; a log without scores cannot contradict."""
    if first is None or second is None:
        return True
    return abs(first.value - second.value) <= first.half + second.half + _APART * max(1.0, abs(first.value))


def _certain(first, second, scores):
    """The places whose classes cannot have changed places: their scores are far enough from those of their neighbours.

    Behind the last of a list is one that was not printed: only half of all probability is surely more than it, or what
    the network's output says.
    """
    found = set()
    for place, pair in enumerate(zip(first, second)):
        rows = [(lines, lines[place + step]) for lines in (first, second) for step in (-1, 1)
                if 0 <= place + step < len(lines)]  # fmt: skip
        apart = all(_is_apart(pair[0 if lines is first else 1].score, other.score) for lines, other in rows)
        if apart and (place + 1 < max(len(first), len(second)) or _is_sure(pair, place, scores)):
            found.add(place)
    return found


def _is_apart(first, second):
    if first is None or second is None:
        return False
    least = 2 * (first.half + second.half + _APART * max(1.0, abs(first.value)))
    return abs(first.value - second.value) > least


def _is_sure(pair, place, scores):
    if scores is not None:
        best = np.sort(scores.astype(np.float64))[::-1]
        return place + 1 >= len(best) or best[place] - best[place + 1] > 2 * _APART * max(1.0, abs(best[place]))
    known = [row.score for row in pair if row.score]
    return not known or all(0.5 + 2 * score.half + _APART < score.value <= 1 for score in known)


def _is_same_place(first, second):
    """Whether two boxes may be one: corners within a hundredth of their size, or two pixels."""
    if not first.box or not second.box:
        return True
    size = max(abs(side) for side in first.box)
    return all(abs(a - b) <= max(2.0, 0.01 * size) for a, b in zip(first.box, second.box))


def _are_other_names(first, second):
    """Whether two names are known to mean other classes: none is a part of the other (`tench`, `n01440764 tench`)."""
    if not first or not second:
        return False
    first, second = (unicodedata.normalize("NFKC", name).casefold().replace("_", " ") for name in (first, second))
    return first not in second and second not in first


def _is_latin(name):
    return name is None or name.isascii()
