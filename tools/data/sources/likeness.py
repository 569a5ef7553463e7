"""Near-duplicates among cut-outs: the same photograph at another size, recompressed, recoloured or mirrored.

The signature of a cut-out is that of a difference hash with the size of the differences left in: its visible part is
made 16x16 grey cells, of which each is compared with its neighbours to the right and below; large differences count
little more than small ones. Two photographs are alike where the cosine of their signatures, or of the one's and that of
the other's mirror image, is above `ALIKE`.
"""

import cv2
import numpy as np

from ppcls_lite.utils.errors import UserError

ALIKE = 0.76  # unrelated ones of our 288: 0.73 at most; an apple and itself recoloured: 0.80
_CELLS = 16
_GROUND = 255.0  # the grey value behind a cut-out
_POWER = 0.3


def signature(image):
    """Float (512,) of length 1 for a cut-out (h, w, 4) uint8 BGRA, cropped to what is visible of it."""
    solid = image[..., 3] > 16
    rows, columns = (np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0))
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    alpha = image[..., 3] / 255
    grey = cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY) * alpha + _GROUND * (1 - alpha)
    small = cv2.resize(grey, (_CELLS + 1, _CELLS + 1), interpolation=cv2.INTER_AREA)
    differences = np.concatenate([np.diff(small, axis=1)[:-1].ravel(), np.diff(small, axis=0)[:, :-1].ravel()])
    damped = np.sign(differences) * np.abs(differences) ** _POWER
    return damped / max(float(np.linalg.norm(damped)), 1e-6)


def alike(images, limit=ALIKE):
    """[(cosine, name, other name)] of the near-duplicates among {name: cut-out}, the most alike first."""
    names = list(images)
    straight = np.array([signature(images[name]) for name in names])
    mirrored = np.array([signature(np.ascontiguousarray(images[name][:, ::-1])) for name in names])
    cosines = np.triu(np.maximum(straight @ straight.T, mirrored @ straight.T), 1)
    found = [(float(cosines[one, two]), names[one], names[two]) for one, two in zip(*np.nonzero(cosines > limit))]
    return sorted(found, reverse=True)


def refuse_alike(images):
    """UserError for two cut-outs of {name: (h, w, 4) uint8 BGRA} that show the same photograph."""
    for cosine, name, other in alike(images):
        raise UserError(
            f"{name} and {other}: nearly the same photograph (cosine of their signatures {cosine:.2f}); "
            "expected one identity for each object"
        )
