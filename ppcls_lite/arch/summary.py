"""Size and cost of a network: parameters, FLOPs as `paddle.flops` defines them, bytes on disk."""

import contextlib
import io
import warnings
from typing import NamedTuple

import numpy as np
import paddle

from ppcls_lite.arch.registry import RECOGNIZERS, build_model
from ppcls_lite.utils.log import logger

_MILLION = 1e6
_BYTES_PER_NUMBER = 4  # float32
_COUNTERS = ("total_ops", "total_params", "input_shape", "output_shape")


class Summary(NamedTuple):
    name: str
    params_m: float  # all state-dict entries, BatchNorm's statistics included, in millions
    trainable_m: float  # only what training changes by gradients, in millions
    flops_m: float  # for one image, in millions
    file_mb: float  # the .pdparams file, in units of 1,000,000 bytes, headers not counted


def count_parameters(model):
    """(all numbers in the state dict, those of them that are trained), as integers."""
    everything = sum(int(tensor.size) for tensor in model.state_dict().values())
    trained = sum(int(param.size) for param in model.parameters() if not param.stop_gradient)
    return everything, trained


def count_flops(model, image_size=224):
    """FLOPs of one forward pass of a [1, 3, image_size, image_size] image, as `paddle.flops` counts them.

    One multiply-add is one FLOP; activations, additions and shuffles are free. Leaves the model in the mode
    (train or eval) it was in, and prints nothing.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), whole_numbers():
        warnings.simplefilter("ignore")
        flops = int(paddle.flops(model, [1, 3, image_size, image_size]))
    # paddle.flops forgets its counters in layers that did not run, and they would end in the state dict
    for layer in model.sublayers():
        for counter in _COUNTERS:
            layer._buffers.pop(counter, None)
    return flops


@contextlib.contextmanager
def whole_numbers():
    """Let `int(tensor)` work for tensors of shape [1], where NumPy has ended it (2.4): `paddle.flops` needs that."""
    if not _numpy_refuses():
        yield
        return
    logger.info(f"paddle.flops fails with NumPy {np.__version__}: while it counts, int() of a tensor is mended")
    original = paddle.Tensor.__int__
    paddle.Tensor.__int__ = lambda tensor: int(tensor.item())
    try:
        yield
    finally:
        paddle.Tensor.__int__ = original


def _numpy_refuses():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(np.array([1])) != 1
    except TypeError:
        return True


def summarize(name, image_size=224, **options):
    """Build the network `name` and return its Summary for square images of `image_size` pixels.

    Of a recognizer, it is that of its deployed form, without the head.
    """
    if name in RECOGNIZERS:
        return summary_of(name, RECOGNIZERS.build(name, options, "Arch").deployed(), image_size)
    return summary_of(name, build_model(name, **options), image_size)


def summary_of(name, model, image_size=224):
    """The Summary of a network that is there."""
    everything, trained = count_parameters(model)
    flops = count_flops(model, image_size)
    file_mb = everything * _BYTES_PER_NUMBER / _MILLION
    return Summary(name, everything / _MILLION, trained / _MILLION, flops / _MILLION, file_mb)
