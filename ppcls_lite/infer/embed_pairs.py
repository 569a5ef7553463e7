"""Embeddings of the images of pairs, with any engine."""

import numpy as np

from ppcls_lite.infer.images import check_input, stack_images
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError


def embed_pairs(compute, transforms, pairs, batch_size=32, flip=False):
    """[M, D] float32, one row for each of the M images of the `PairSet` `pairs`.

    Args:
        compute: images [N, 3, H, W] float32 to features [N, D], such as an engine's `run`.
        transforms: the bytes of an encoded image to [3, H, W] float32.
        flip: add the features of each image turned left to right, as InsightFace's evaluation does; the sum is not
            normalised here.
    All batches but the last have `batch_size` images. Raises UserError for what is not an image, or not a recogniser.
    """
    checks.whole("batch_size", batch_size)
    rows = []
    for start in range(0, len(pairs.sources), batch_size):
        numbers = range(start, min(start + batch_size, len(pairs.sources)))
        batch = stack_images([_read(transforms, pairs, number) for number in numbers])
        features = _features(compute, batch)
        if flip:
            features = features + _features(compute, np.ascontiguousarray(batch[..., ::-1]))
        rows.append(features)
    return np.concatenate(rows)


def _features(compute, batch):
    features = compute(batch)
    if features.ndim != 2 or len(features) != len(batch):
        raise UserError(f"not a recogniser: expected features [{len(batch)}, D], found {list(features.shape)}")
    return features


def _read(transforms, pairs, number):
    try:
        image = transforms(pairs.content(number))
    except UserError as error:
        message = str(error)
        raise UserError(
            message if message.startswith(pairs.names[number]) else f"{pairs.names[number]}: {error}"
        ) from None
    check_input(pairs.names[number], image)
    return np.ascontiguousarray(image)
