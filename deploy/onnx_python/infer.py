"""Classify images with an ONNX file on ONNX Runtime, with the options that PaddlePaddle/models' configs pass.

    python deploy/onnx_python/infer.py --onnx_file=deploy/models/mobilenet_v3_small_infer/inference.onnx \\
        --img_path=test_images

Prepares the images as the inference.yml beside the file says, or as for ImageNet where there is none. Prints one line
per image, as deploy/python/predict_cls.py with Global.use_onnx=True does, which has all further options.
Exit code: 0 all predicted, 1 an image or the file cannot be used (one line says why), 77 no ONNX Runtime.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.log import setup_logging


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx_file", required=True, metavar="FILE.onnx")
    parser.add_argument("--img_path", required=True, metavar="PATH", help="image, folder or list")
    args = parser.parse_args()
    setup_logging(stream=sys.stderr)  # standard output is for predictions
    from ppcls_lite.infer.command_line import print_predictions, processing_of
    from ppcls_lite.infer.engines import create_engine
    from ppcls_lite.infer.model.files import find_onnx
    from ppcls_lite.infer.predict import Predictor

    model = find_onnx(args.onnx_file)
    with create_engine("onnxruntime", model) as engine:
        return print_predictions(Predictor(engine, *processing_of(model)), args.img_path)


if __name__ == "__main__":
    run_main(main)
