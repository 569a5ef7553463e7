"""Export networks with filled instead of trained weights, for measuring speed: weights make no difference to it.

    python tools/export_filled.py MobileNetV3_small_x1_0 ResNet50_vd --output output/benchmark/models

Each goes to <output>/<network>_infer, as tools/export_model.py writes it; what is there already is left alone.
The values are those of tests/data/arch/fill.py, which keep activations at a sane size in every layer, with a last layer
that spreads the logits as training does.
Exit code: 0 exported, 1 for an unknown network or a folder that cannot be written.
"""

import argparse
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["FLAGS_enable_pir_api"] = "0"  # noqa: SIM112 - Paddle's spelling: write .pdmodel, not .json

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError, nearest, quick_import, run_main
from ppcls_lite.utils.files import REPO
from ppcls_lite.utils.log import setup_logging

CONFIGS = {path.stem: path for path in sorted((REPO / "ppcls_lite/configs/ImageNet").rglob("*.yaml"))}


def export_filled(name, folder, weights):
    """Export the network of the ImageNet config `name` to `folder`, its weights kept in `weights`.pdparams too.

    Returns the config whose network with these weights it is.
    """
    import paddle

    from ppcls_lite.arch.from_config import build_network
    from ppcls_lite.infer.export import export

    overrides = [f"Global.save_inference_dir={folder}", f"Global.pretrained_model={weights}", "Arch.pretrained=False"]
    config = load_config(CONFIGS[name], overrides)
    model = _filler().fill(build_network(config))
    _spread_logits(model, config["Global"]["image_shape"])
    paddle.save(model.state_dict(), f"{weights}.pdparams")
    export(config)
    return config


def _spread_logits(model, image_shape):
    """Scale the last layer so that the largest logit of a random image is 10, as in a trained network.

    Much more, and one probability is 1 and all others are 0; much less, and all are alike. Both hide differences.
    """
    import paddle

    model.eval()
    image = np.random.default_rng(0).standard_normal((1, *image_shape), dtype=np.float32)
    with paddle.no_grad():
        largest = float(model(paddle.to_tensor(image)).abs().max())
        last = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.Linear)][-1]
        for parameter in filter(lambda one: one is not None, (last.weight, last.bias)):
            parameter.set_value(parameter * (10 / largest))


def _filler():
    spec = importlib.util.spec_from_file_location("fill", REPO / "tests/data/arch/fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    missing = [name for name in args.names if not (args.output / f"{name}_infer/inference.pdmodel").is_file()]
    setup_logging()
    if missing:
        with quick_import():
            import paddle  # noqa: F401
    for name in missing:
        with tempfile.TemporaryDirectory() as folder:
            export_filled(name, args.output / f"{name}_infer", f"{folder}/filled")


if __name__ == "__main__":
    run_main(main)
