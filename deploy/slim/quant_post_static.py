"""Quantise an exported classifier after training: an INT8 model of an FP32 one, without another training.

    python deploy/slim/quant_post_static.py -c ppcls_lite/configs/digits.yaml -o Arch.name=MobileNetV3_small_x1_0 \\
        -o Global.pretrained_model=pretrain_models/MobileNetV3_small_x1_0_digits \\
        -o Global.save_inference_dir=./MobileNetV3_small_x1_0_infer
    cd deploy && python python/predict_cls.py -c configs/inference_cls.yaml \\
        -o Global.infer_imgs=../dataset/digits/val \\
        -o Global.inference_model_dir=../MobileNetV3_small_x1_0_infer/quant_post_static_model

Global.save_inference_dir has the exported model; with Global.pretrained_model, it is exported there first. Its folder
quant_post_static_model gets inference.onnx, whose weights are INT8, with inference.yml and the class names. The ranges
of the activations are found with images of the training list; Slim.ptq says how (docs/compression.md). Needs
`pip install -r requirements-engines.txt`.
Exit code: 0 written, 1 the config, the model or the list cannot be used, 77 the packages are not installed, 130
interrupted.
"""

# test_tipc: int8=deploy/slim/compare_int8.py engines=onnx formats=any skips=77
# test_tipc: data=test_tipc/prepare_data.sh modules=paddle,cv2,numpy,yaml,PIL,matplotlib,tqdm

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import load_config, parse_args, require
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override)
    model_dir = require(config, "Global.save_inference_dir", args.config)
    setup_logging()
    chosen = choose_export_format(config["Global"].get("export_format"))
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.infer.export import export
        from ppcls_lite.infer.int8 import quantise_exported

    if config["Global"].get("pretrained_model"):
        export(config, chosen=chosen)
    quantise_exported(config, model_dir)


if __name__ == "__main__":
    run_main(main)
