"""Compare an INT8 model with the network that it was made of: is it INT8, and what does it lose and gain?

    python deploy/slim/compare_int8.py -c ppcls_lite/configs/digits.yaml -o Arch.name=MobileNetV3_small_x1_0 \\
        -o Global.save_inference_dir=./MobileNetV3_small_x1_0_infer \\
        --inference_model_dir ./MobileNetV3_small_x1_0_infer/quant_post_static_model
    python deploy/slim/compare_int8.py -c ppcls_lite/configs/digits.yaml -o Arch.name=MobileNetV3_small_x1_0 \\
        -o Slim.quant.name=pact -o Global.pretrained_model=output/pact/best_model \\
        --inference_model_dir output/pact_infer

The first form is for a post-training quantisation: the FP32 model is that in Global.save_inference_dir. The second is
for a training with Slim.quant: --inference_model_dir is its export, which has the quantised graph of the training
(inference.pdmodel, computed by Paddle in FP32) and its INT8 form (inference.onnx).
What has to hold: the weights are INT8, each within half a step of the FP32 network's; the file is less than half as
large; ONNX Runtime computes with integers; 90 % of the validation list have the same best class. Prints the accuracy of
both on that list, the sizes, and the times for one image, measured in turns on ONNX Runtime.
Exit code: 0 all holds, 1 it does not, or something cannot be used, 77 the packages are not installed, 130 interrupted.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.config import add_config_arguments, load_config, require
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument("--inference_model_dir", required=True, help="folder of the INT8 model")
    parser.add_argument("--runs", type=checks.argument(), default=100, help="of one image, for the latency")
    return parser.parse_args()


def main():
    args = parse()
    config = load_config(args.config, args.override)
    setup_logging()
    chosen = choose_export_format(config["Global"].get("export_format"))
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.infer.compare import int8
        from ppcls_lite.infer.engines.effects import NotInEffect
        from ppcls_lite.infer.engines.to_onnx import missing_packages
        from ppcls_lite.infer.export import save_network
        from ppcls_lite.infer.tasks import task_of
        from ppcls_lite.slim.settings import quanter_of

    if reason := missing_packages("onnxruntime"):
        raise NotInEffect(reason)
    if quanter_of(config):
        shape = checks.image_shape("Global.image_shape", require(config, "Global.image_shape"))
        fp32 = int8.fp32_of_trained(config, partial(save_network, shape=shape, chosen=chosen))
        reference = args.inference_model_dir
    else:
        fp32, reference = int8.fp32_of_exported(require(config, "Global.save_inference_dir")), None
    images, labels = task_of(config).validation_images(config)
    if labels is None:
        raise UserError(f"{args.config}: expected a classifier, whose accuracy can be counted")
    for line in int8.compare_int8(args.inference_model_dir, fp32, images, labels, reference, args.runs):
        print(line, flush=True)


if __name__ == "__main__":
    run_main(main)
