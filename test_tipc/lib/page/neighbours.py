"""What a page shows of embeddings: the nearest images of each, by names that tell all images from each other."""

import re
from collections import Counter

from embedding import ANGLE, angle, nearest
from predictions import Prediction

NEIGHBOURS = "neighbours"  # of an embedding: rows [name of another image, cosine]
_AGAIN = re.compile(r" \(\d+\)$")  # behind the name of an image that a log has for the second time; see predictions.py


def with_neighbours(found, count):
    """The `Answers` with the `count` nearest images in the place of each embedding.

    Files that have a part of another one's images are left out, since among these others are the nearest.
    """
    found = _without_folders(_named_as_exact(found))
    vectors = [_embeddings(answers) for answers in found]
    names = [set(one) for one in vectors]
    kept = []
    for own, answers in zip(vectors, found):
        if not own:
            kept.append(answers)
        elif not any(set(own) < others for others in names):
            kept.append(answers._replace(images=_neighbours(own, count)))
    return kept


def _embeddings(answers):
    return {name: one.rows for name, one in answers.images.items() if one.kind == "embedding"}


def _neighbours(vectors, count):
    """{name: Prediction} of embeddings that are all of one size; {} of others."""
    if len(vectors) < 2 or len({len(row) for row in vectors.values()}) > 1:
        return {}
    names = list(vectors)
    rows = nearest([list(map(float, row)) for row in vectors.values()], count)
    return {
        name: Prediction(NEIGHBOURS, [[names[place], cosine] for cosine, place in row])
        for name, row in zip(names, rows)
    }


def _named_as_exact(found):
    """Images of a log have the names that the files of full precision give to the same embeddings: a log has no
    folders, and images of several folders may have one name."""
    every = [_embeddings(answers) for answers in found if answers.exact]
    by_base = {}
    for name, row in max(every, key=len, default={}).items():
        by_base.setdefault(_base(name), []).append((name, row))
    return [answers if answers.exact else _renamed(answers, by_base) for answers in found]


def _renamed(answers, by_base):
    names = {name: _same(one.rows, by_base.get(_AGAIN.sub("", name), ())) for name, one in answers.images.items()
             if one.kind == "embedding"}  # fmt: skip
    if None in names.values() or len(set(names.values())) < len(names):
        return answers
    return answers._replace(images={names.get(name, name): one for name, one in answers.images.items()})


def _same(row, candidates):
    """The name of the candidate with the direction of `row`; None where there is none."""
    angles = [(angle(row, other), name) for name, other in candidates if len(other) == len(row)]
    return next((name for apart, name in sorted(angles) if apart <= ANGLE), None)


def _without_folders(found):
    """The same with the names of images without their folders, where no two images have the same name then."""
    listed = {name for answers in found for name in answers.images if "/" in name}
    bases = Counter(map(_base, listed))
    return [
        answers._replace(
            images={name if bases[_base(name)] > 1 else _base(name): one for name, one in answers.images.items()}
        )
        for answers in found
    ]


def _base(name):
    return name.rpartition("/")[2]
