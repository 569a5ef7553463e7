"""Which decoded image is an input of the network made of?"""

from pathlib import Path

import numpy as np

from agreement.pixels import channel_axis, channel_fits
from diagnosis.images.pipelines import likeness

_SURE = 0.7  # likeness of an input to its image


def channels_first(image):
    """[C, H, W] of one image of a network's input in either layout; None where it is no image."""
    axis = channel_axis(image.shape)
    return None if axis is None else np.moveaxis(image, axis, 0)


def is_grey(image):
    """Whether the channels of an input [C, H, W] are one, but for a scale and a shift."""
    return all(channel_fits(image[:1], image[number : number + 1], 0) for number in range(1, len(image)))


def greys(pixels):
    """The grey images [H, W] that libraries make of colours: they round differently."""
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        return []
    colours = pixels[:, :, :3].astype(np.int64)
    ways = ((19595, 38470, 7471), 16), ((4899, 9617, 1868), 14), ((9798, 19235, 3735), 15)  # red, green, blue; bits
    return [((colours @ weights + (1 << bits - 1)) >> bits).astype(np.uint8) for weights, bits in ways]


def kept_images(recording):
    """The different decoded images whose pixels were kept."""
    return list({(image.hash, image.shape): image for image in recording.decoded if image.file}.values())


def source_of(image, decoded):
    """The one of `decoded` that an input [C, H, W] is most like; None where it is like none."""
    scores = [(likeness(one.array(), image, one.orientation), -number) for number, one in enumerate(decoded)]
    best = max(scores, default=(0.0, 0))
    return decoded[-best[1]] if best[0] >= _SURE else None


def same_file(image, others):
    """The first of `others`, decoded by the other step, that has the same bytes, else the same name of a file."""
    for other in others:
        if other.source == image.source:
            return other
    named = [other for other in others if image.path and other.path and _name(other) == _name(image)]
    return named[0] if len({other.source for other in named}) == 1 else None


def _name(image):
    return Path(image.path).name
