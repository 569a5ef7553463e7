"""Did two programs print the same embedding of an image? All numbers are printed with all their digits."""

import numpy as np

from ppcls_lite.infer.compare.embeddings import ANGLE, unit
from ppcls_lite.infer.engines.agreement import TOLERANCE

_LESS_PRECISE = 1e-4  # of 1 - cosine, where a log's command ran on a GPU or in lower precision


def embeddings_differ(expected, found, bounds, postprocess):
    """(found, expected) in words of what differs between two `Prediction`s, or None; `bounds.slack` is of a number."""
    if found.features is None or expected.features is None:
        return ("an embedding", "none") if expected.features is None else ("no embedding", "one")
    if len(found.features) != len(expected.features):
        return f"an embedding of {len(found.features)} numbers", f"one of {len(expected.features)}"
    ours, theirs = (np.array([one.features], np.float32) for one in (expected, found))
    length = max(float(np.linalg.norm(ours)), 1)
    apart = np.abs(ours.astype(np.float64) - theirs)[0] / length
    place = int(apart.argmax())
    if not apart[place] <= bounds.slack:
        return f"number {place + 1} of the embedding is {found.features[place]}", f"{expected.features[place]}"
    limit = ANGLE if bounds.slack <= TOLERANCE else _LESS_PRECISE
    angle = 1 - float((unit(ours) * unit(theirs)).sum())
    if not angle <= limit:
        return f"1 - cosine is {angle:.3g}, at most {limit:g} is allowed", "it is that of the embedding"
    return None
