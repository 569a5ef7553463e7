"""Do predict and infer print the same embeddings? Scripts may divide them by their length in Python, behind what Paddle
shows. The embedding of each image is searched in each log by its direction, and the lengths are compared.
"""

import numpy as np

from agreement.embeddings import unit
from agreement.printed import Printed
from figures import read_lines
from predictions import read_log

_NEAR = 1e-4  # of 1 - cosine: four printed decimals move an embedding of 512 numbers by 2e-6
_LENGTH = 1e-3  # of the length, as a share


def compare_printed_embeddings(pairs, predict_log, infer_log):
    """The `Printed` of two logs; `pairs` are [(embedding [D] of predict, of infer)] of images that both saw."""
    if not pairs:
        return Printed("", {"result": "no embedding of an image that both predict and infer computed"})
    printed = [_printed(log, len(pairs[0][side])) for side, log in enumerate((predict_log, infer_log))]
    both = [(_length(printed[0], own), _length(printed[1], other)) for own, other in pairs]
    both = [lengths for lengths in both if None not in lengths]
    if not both:
        return Printed("", {"result": "printed embeddings were not recognised"})
    apart = [(first, second) for first, second in both if abs(first - second) > _LENGTH * max(first, second)]
    first, second = apart[0] if apart else both[0]
    more = {"predict": f"length {first:.6g}", "infer": f"length {second:.6g}", "images": len(both)}
    if not apart:
        return Printed("", {"result": "the same", **more})
    return Printed(_fault(first, second), {"result": "different", **more})


def _printed(log, count):
    """[N, count] of the embeddings in a log."""
    rows = [one.rows for one in read_log(read_lines(log)).values() if one.kind == "embedding"]
    return np.array([row for row in rows if len(row) == count], np.float64).reshape(-1, count)


def _length(printed, embedding):
    """The length of the printed embedding that has the direction of this one; None where there is none."""
    if not len(printed):
        return None
    cosines = np.nan_to_num(unit(printed) @ unit(embedding), nan=-1.0)
    best = int(cosines.argmax())
    return float(np.linalg.norm(printed[best])) if 1 - cosines[best] <= _NEAR else None


def _fault(first, second):
    told = f"predict printed embeddings of length {first:.4g}; infer printed ones of length {second:.4g}"
    if abs(first - 1) <= _LENGTH:
        return f"{told}: they are not normalised behind the exported model"
    return f"{told}: they are normalised in one of the two only" if abs(second - 1) <= _LENGTH else told
