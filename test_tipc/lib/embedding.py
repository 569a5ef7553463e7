"""Embeddings of recognisers, as lists of numbers: their cosine, and the nearest neighbours of each image.

With the standard library alone, for what reads a bundle; agreement/embeddings.py has the same for arrays.
"""

import math
from operator import mul

ANGLE = 1e-6  # of 1 - cosine; a limit of 1e-4 of every number allows 6e-7 of 128 numbers
NEAREST = 5
LEAST = 8  # numbers of an embedding
LENGTH = 1e-5  # how far a normalised float32 embedding may be from 1
SUM = 1.5  # probabilities add up to 1


def is_unit(numbers):
    """Whether a list is an embedding of length 1 that is no list of probabilities."""
    return (
        len(numbers) >= LEAST and abs(length(numbers) - 1) <= LENGTH and (min(numbers) < 0 or math.fsum(numbers) > SUM)
    )


def length(numbers):
    """The length of a vector."""
    return math.sqrt(math.fsum(map(mul, numbers, numbers)))


def unit(numbers):
    """The vector divided by its length; nan where that is 0."""
    whole = length(numbers) or math.nan
    return [number / whole for number in numbers]


def angle(first, second):
    """1 - cosine of two vectors of one size; nan where one of them is 0."""
    return 1 - math.fsum(map(mul, unit(first), unit(second)))


def nearest(vectors, count=NEAREST):
    """[[(cosine, index) of the `count` nearest others, the nearest first]] of a list of vectors."""
    units = [unit(one) for one in vectors]
    found = []
    for place, own in enumerate(units):
        cosines = [(sum(map(mul, own, other)), index) for index, other in enumerate(units) if index != place]
        found.append(sorted(cosines, key=lambda pair: (-pair[0], pair[1]))[:count])
    return found


def other_neighbours(expected, found, tolerance):
    """[index of an image whose nearest neighbours differ]; two may change places within `tolerance` of a cosine."""
    units = [unit(one) for one in expected]
    wrong = []
    for place, (ours, theirs) in enumerate(zip(nearest(expected), nearest(found))):
        pairs = zip(ours, ((sum(map(mul, units[place], units[index])), index) for _, index in theirs))
        if any(a != b and not abs(cosine - other) <= tolerance for (cosine, a), (other, b) in pairs):
            wrong.append(place)
    return wrong
