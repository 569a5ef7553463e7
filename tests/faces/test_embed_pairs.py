"""Embeddings of the images of pairs: batches, mirror images, and what is refused."""

import numpy as np
import pytest

from ppcls_lite.data.faces import PairSet
from ppcls_lite.data.transforms import build_transforms, decode
from ppcls_lite.infer.embed_pairs import embed_pairs
from ppcls_lite.utils.errors import UserError
from tests.faces.helpers import encoded

TRANSFORMS = build_transforms(
    [{"NormalizeImage": {"scale": 1.0, "mean": [0.0] * 3, "std": [1.0] * 3, "order": ""}}, "ToCHWImage"]
)
SOURCES = [encoded(seed) for seed in range(5)]
PAIRS = PairSet([f"image {n}" for n in range(5)], SOURCES, np.array([0, 1]), np.array([2, 3]), np.array([True, False]))


def left_columns(images):
    """Features that a mirror image changes: the first two columns of pixels."""
    return images[..., :2].reshape(len(images), -1)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_rows_are_those_of_the_images(batch_size):
    sizes = []

    def compute(images):
        sizes.append(len(images))
        assert images.flags["C_CONTIGUOUS"]
        return left_columns(images)

    images = np.stack([decode(source).transpose(2, 0, 1) for source in SOURCES]).astype(np.float32)
    assert np.array_equal(embed_pairs(compute, TRANSFORMS, PAIRS, batch_size), left_columns(images))
    assert sum(sizes) == 5
    assert max(sizes) == min(batch_size, 5)
    both = left_columns(images) + left_columns(images[..., ::-1])
    assert np.array_equal(embed_pairs(compute, TRANSFORMS, PAIRS, batch_size, flip=True), both)


def test_faults_are_named():
    with pytest.raises(UserError, match=r"image 3: not a decodable image \(4 bytes\)"):
        embed_pairs(left_columns, TRANSFORMS, PAIRS._replace(sources=[*SOURCES[:3], b"text", SOURCES[4]]))
    with pytest.raises(UserError, match="images of one batch differ in shape"):
        embed_pairs(left_columns, TRANSFORMS, PAIRS._replace(sources=[*SOURCES[:4], encoded(1, size=8)]))
    with pytest.raises(UserError, match="image 0: the transforms make"):
        embed_pairs(left_columns, build_transforms([]), PAIRS)
    with pytest.raises(UserError, match=r"not a recogniser: expected features \[5, D\], found \[5, 3, 16, 16\]"):
        embed_pairs(lambda images: images, TRANSFORMS, PAIRS)
