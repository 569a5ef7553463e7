"""Which images an exported model takes: what its structure file says, and a rule for the sides that it leaves open."""

import numpy as np

from ppcls_lite.infer.model.config import read_model_config
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.infer.model.storage import inputs
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

_USUAL_SIDE = 224  # ImageNet's
_SAMPLE = (768, 1024)  # height and width of an image that is large enough for every crop


def batch_shape(model, batch_size, made=None):
    """[N, C, H, W] of a batch for the exported model, its folder or its `ModelFiles`.

    The sides that the structure file fixes are those. Of the others, N is `batch_size`; C, H and W are `made` (the
    shape of what the transforms make of an image), or else `Global.image_shape` of the model's `inference.yml`, or else
    [3, 224, 224], which the log then says. UserError for a model that takes something else than one batch of images.
    """
    files = find_model(model)
    taken = inputs(files.structure)
    if len(taken) != 1 or len(taken[0].shape) != 4 or taken[0].dtype != "float32":
        found = ", ".join(f"{one.name} {one.shape} {one.dtype}" for one in taken) or "none"
        raise UserError(f"{files.structure}: expected one input [N, C, H, W] float32, found {found}")
    fixed = taken[0].shape
    stated = made or (read_model_config(files.folder).get("Global") or {}).get("image_shape")
    if not stated and min(fixed[1:]) < 1:
        stated = [3, _USUAL_SIDE, _USUAL_SIDE]
        logger.info(
            f"{files.structure}: takes images of any size ({fixed}), and no inference.yml or transform says which: "
            f"tried with {_USUAL_SIDE} pixels where it leaves that open"
        )
    return [side if side > 0 else other for side, other in zip(fixed, [batch_size, *(stated or fixed[1:])])]


def shape_made_by(transforms):
    """[C, H, W] of what `transforms` make of an image of 1024 x 768 pixels; None where they refuse it."""
    try:
        return list(transforms(np.zeros((*_SAMPLE, 3), np.uint8)).shape)
    except UserError:
        return None
