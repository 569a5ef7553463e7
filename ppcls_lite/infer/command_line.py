"""Shared by the commands of `tools/infer/`: switches that may be `auto`, the choice of a GPU, printed predictions."""

from ppcls_lite.infer.engines.effects import NotInEffect
from ppcls_lite.infer.model.postprocess import format_line
from ppcls_lite.infer.named_config import imagenet_transforms
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.log import logger

AUTO = "auto"
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, AUTO: AUTO}
SWITCH = "True or False (or 1 and 0)"


def switch(text, option, auto=False):
    """True or False as the user spelt it, or "auto" where that is allowed; UserError for anything else."""
    value = _SWITCH.get(str(text).strip().lower())
    if value is None or (value == AUTO and not auto):
        known = ["True", "False", *([AUTO] if auto else [])]
        raise UserError(f"{option}: expected {' or '.join(known)}, found '{text}'{nearest(text, known)}")
    return value


def switched_on(text, option, why_not):
    """Whether to use what `option` switches on; the default (`text` is None) is True, as the documents print it.

    `why_not()` is the reason why this machine cannot, or an empty string. With a reason, True on the command line is
    refused with NotInEffect, while the default and `auto` go on without, and the log says so.
    """
    value = AUTO if text is None else switch(text, option, auto=True)
    if value is False:
        return False
    reason = why_not()
    if reason and value is True:
        raise NotInEffect(f"{option}={text}: {reason}; use {option}=False or {option}=auto")
    if reason:
        logger.info(f"{option} is {'True by default' if text is None else text}, but {reason}: continuing without it")
    return not reason


def add_image(parser):
    """Add `-i`, `--i` and `--image_file`."""
    parser.add_argument("-i", "--i", "--image_file", dest="image_file", required=True, help="image, folder or list")


def add_use_gpu(parser):
    """Add `--use_gpu`."""
    parser.add_argument("--use_gpu", help=f"{SWITCH}, or auto; default: True, where there is a GPU")


def why_no_gpu_here():
    """Why Paddle cannot use a GPU, or an empty string."""
    import paddle

    from ppcls_lite.utils.device import why_no_gpu

    return why_no_gpu(paddle)


def print_predictions(predictor, source):
    """Print one line per image; returns the exit code, 1 when some could not be read."""
    for batch in predictor.predict(source):
        for path, result in batch:
            print(format_line(result, path), flush=True)
    return 1 if predictor.failed else 0


def processing_of(model):
    """(transforms, post-processing) of the model's own `inference.yml`, or else ImageNet's, without class names."""
    from ppcls_lite.infer.model.config import NAME, build_processing

    own = model.folder / NAME
    if own.is_file():
        return build_processing(model)
    logger.info(f"{own} is missing: images are prepared as for ImageNet, and classes have no names")
    return build_processing(model, {"PreProcess": {"transform_ops": imagenet_transforms()}})
