"""Export of a trained network for Paddle Inference, Serving, Lite and Paddle2ONNX."""

import os
import tempfile
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from ppcls_lite.arch.from_config import load_network
from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.infer.model_config import write_model_config
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


class _WithSoftmax(nn.Layer):
    """Logits to probabilities inside the exported model, as every reader of `inference.pdmodel` expects."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.softmax = nn.Softmax(axis=-1)

    def forward(self, x):
        return self.softmax(self.network(x))


def export(config):
    """Write `inference.pdmodel`, `.pdiparams`, `.pdiparams.info` and `inference.yml` to `Global.save_inference_dir`.

    The files appear there only when all are complete. The process must have started with the environment variable
    FLAGS_enable_pir_api=0: Paddle 3 writes `inference.json` otherwise, which Serving and Lite cannot read.
    Returns the folder. Raises UserError when the config's image_shape is not what its transforms make.
    """
    folder = Path(require(config, "Global.save_inference_dir"))
    shape = require(config, "Global.image_shape")
    _check_shape(shape, require(config, "Infer.transforms"))
    model = _WithSoftmax(load_network(config))
    model.eval()
    spec = paddle.static.InputSpec([None, *shape], dtype="float32", name="x")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export.", dir=folder) as fresh:
            paddle.jit.save(paddle.jit.to_static(model, input_spec=[spec], full_graph=True), f"{fresh}/inference")
            write_model_config(fresh, config, paddle.__version__)
            if not Path(fresh, "inference.pdmodel").is_file():
                raise UserError("export: start Python with FLAGS_enable_pir_api=0 to get inference.pdmodel")
            # the structure last: whoever finds it finds the weights that belong to it
            for path in sorted(Path(fresh).iterdir(), key=lambda path: path.name == "inference.pdmodel"):
                os.replace(path, folder / path.name)
    except OSError as error:
        raise UserError(f"{folder}: the model was not exported ({error.strerror})") from error
    logger.info(f"exported {config['Arch']['name']} to {folder}")
    return folder


def _check_shape(shape, ops):
    if len(shape) != 3 or not all(type(side) is int and side > 0 for side in shape):
        raise UserError(f"Global.image_shape: expected [3, height, width], found {shape!r}")
    probe = np.zeros((shape[-2] + 13, shape[-1] + 29, 3), dtype=np.uint8)
    made = list(build_transforms(ops, "Infer.transforms")(probe).shape)
    if made != list(shape):
        raise UserError(f"Global.image_shape is {list(shape)}, but Infer.transforms make images of {made}")
