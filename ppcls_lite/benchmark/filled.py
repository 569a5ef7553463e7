"""Networks with filled instead of trained weights: for measuring speed, and for comparing two implementations.

    python -m ppcls_lite.benchmark.filled MobileNetV3_small_x1_0 ResNet50_vd --output output/benchmark/models

exports each network to <output>/<network>_infer; a model that is there already is left alone. `fill` gives every entry
of a state dict values that depend only on its name and shape, and keep activations at a sane size in every layer; an
exported network gets a last layer that spreads the logits as training does.
Exit code: 0 exported, 1 for an unknown network or a folder that cannot be written.
"""

import argparse
import tempfile
import zlib
from pathlib import Path

import numpy as np

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, nearest, quick_import, run_main
from ppcls_lite.utils.files import REPO
from ppcls_lite.utils.log import setup_logging

CONFIGS = {path.stem: path for path in sorted((REPO / "ppcls_lite/configs/ImageNet").rglob("*.yaml"))}


def values(name, shape):
    """The float32 array for the state-dict entry `name` of shape `shape`."""
    shape = tuple(map(int, shape))
    rng = np.random.RandomState(zlib.crc32(name.encode("utf-8")) & 0x7FFFFFFF)
    leaf = name.rpartition(".")[2]
    if leaf == "_variance":
        array = rng.uniform(0.5, 1.5, shape)
    elif leaf == "_mean":
        array = rng.normal(0.0, 0.1, shape)
    elif len(shape) >= 2:
        fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
        array = rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)
    elif leaf in ("weight", "scale"):
        array = rng.uniform(0.8, 1.2, shape)
    else:
        array = rng.normal(0.0, 0.1, shape)
    return array.astype("float32")


def fill(model):
    """Overwrite all parameters and buffers of a `paddle.nn.Layer`; returns it."""
    model.set_state_dict({name: values(name, tensor.shape) for name, tensor in model.state_dict().items()})
    return model


def image(size=224, batch=1):
    """The input that goes with the filled weights: [batch, 3, size, size] float32, as a normalised image's values."""
    return np.random.RandomState(20221).normal(0.0, 1.0, (batch, 3, size, size)).astype("float32")


def export_filled(name, folder, weights, images=None):
    """Export the network `name` to `folder`, its weights kept in `weights`.pdparams too.

    A network without an ImageNet config of its own has that of ResNet50_vd, whose preprocessing nearly all were trained
    with. `images(config)`, if it is given, is an array of images for `settle`. Returns the config whose network with
    these weights it is.
    """
    import paddle

    from ppcls_lite.arch.from_config import build_network
    from ppcls_lite.infer.export import export

    overrides = [f"Global.save_inference_dir={folder}", f"Global.pretrained_model={weights}", "Arch.pretrained=False"]
    if name not in CONFIGS:
        overrides.append(f"Arch.name={name}")
    config = load_config(CONFIGS.get(name, CONFIGS["ResNet50_vd"]), overrides)
    model = fill(build_network(config))
    images = images and images(config)
    if images is not None:
        settle(model, images)
    _spread_logits(model, config["Global"]["image_shape"], images)
    paddle.save(model.state_dict(), f"{weights}.pdparams")
    export(config)
    return config


def settle(model, images):
    """Give every batch norm of a filled network the statistics of `images` [N, 3, H, W]; returns it.

    With filled statistics, differences of some networks grow from layer to layer, until the last bit of a pixel moves a
    probability by 1e-3, as it does in no trained network.
    """
    import paddle

    norms = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.layer.norm._BatchNormBase)]
    momenta = [layer._momentum for layer in norms]
    model.train()
    for layer in norms:
        layer._momentum = 0.0
    with paddle.no_grad():
        model(paddle.to_tensor(images))
    for layer, momentum in zip(norms, momenta):
        layer._momentum = momentum
    model.eval()
    return model


def _spread_logits(model, image_shape, images=None):
    """Scale the last layer so that the largest logit of a random image, or of `images`, is 10, as in a trained network.

    Much more, and one probability is 1 and all others are 0; much less, and all are alike. Both hide differences.
    """
    import paddle

    model.eval()
    if images is None:
        images = np.random.default_rng(0).standard_normal((1, *image_shape), dtype=np.float32)
    with paddle.no_grad():
        largest = float(model(paddle.to_tensor(images)).abs().max())
        last = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.Linear)][-1]
        for parameter in filter(lambda one: one is not None, (last.weight, last.bias)):
            parameter.set_value(parameter * (10 / largest))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="networks with a config in ppcls_lite/configs/ImageNet"
    )
    parser.add_argument("--output", type=Path, default=REPO / "output/benchmark/models", metavar="FOLDER")
    args = parser.parse_args()
    for name in args.names:
        if name not in CONFIGS:
            raise UserError(f"{name}: no such config under ppcls_lite/configs/ImageNet{nearest(name, CONFIGS)}")
    setup_logging()
    structure = choose_export_format().structure
    missing = [name for name in args.names if not (args.output / f"{name}_infer" / structure).is_file()]
    if missing:
        with quick_import():
            import paddle  # noqa: F401
    for name in missing:
        with tempfile.TemporaryDirectory() as folder:
            export_filled(name, args.output / f"{name}_infer", f"{folder}/filled")


if __name__ == "__main__":
    run_main(main)
