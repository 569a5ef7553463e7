"""Predict with Paddle Inference and an exported model.

    python tools/infer/predict.py -i=./test_images/chelsea.jpg -m=./resnet50-vd/model -p=./resnet50-vd/params \\
        --use_gpu=0 --use_tensorrt=False

The preprocessing and the class names are those beside the model (inference.yml), or else ImageNet's. Without -p, each
variable has a file beside the model file. A GPU and TensorRT are used where they exist; =True requires them.
Exit code: 0 all predicted, 1 an image, the model or an option cannot be used, 77 something that is required (a GPU, an
engine) would not be in effect, 130 interrupted.
"""

# test_tipc: compare=tools/compare_engines.py formats=any skips=77

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.infer.command_line import SWITCH, add_image, add_use_gpu, switch, switched_on, why_no_gpu_here
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_image(parser)
    parser.add_argument("-m", "--m", "--model_file", dest="model_file", required=True, help="e.g. resnet50-vd/model")
    parser.add_argument("-p", "--p", "--params_file", dest="params_file", help="e.g. resnet50-vd/params")
    parser.add_argument("-b", "--b", "--batch_size", dest="batch_size", type=int, default=1, help="default: 1")
    add_use_gpu(parser)
    parser.add_argument("--use_tensorrt", help=f"{SWITCH}, or auto; default: True, with a GPU")
    parser.add_argument("--ir_optim", default="True", help=f"{SWITCH}; default: True")
    parser.add_argument("--gpu_mem", type=int, default=8000, help="first allocation of GPU memory in MB; default: 8000")
    parser.add_argument("--enable_benchmark", default="False", help=f"print a summary; {SWITCH}; default: False")
    parser.add_argument("--model_name", help="for the summary; default: the name that the model states")
    parser.add_argument("--engine", help="an engine by name, or auto, instead of the choice by --use_gpu")
    return parser.parse_args()


def main():
    args = parse()
    benchmark = switch(args.enable_benchmark, "--enable_benchmark")
    ir_optim = switch(args.ir_optim, "--ir_optim")
    setup_logging(stream=sys.stderr)  # standard output is for predictions
    from ppcls_lite.infer.command_line import print_predictions, processing_of
    from ppcls_lite.infer.engines import EngineOptions, create_engine
    from ppcls_lite.infer.model.files import given_files
    from ppcls_lite.infer.model.shape import shape_made_by
    from ppcls_lite.infer.predict import Predictor

    files = given_files(args.model_file, args.params_file)
    transforms, postprocess = processing_of(files)
    with quick_import():
        use_gpu = not args.engine and switched_on(args.use_gpu, "--use_gpu", why_no_gpu_here)
        use_tensorrt = use_gpu or args.use_tensorrt is not None  # its default is for a GPU
        use_tensorrt = not args.engine and use_tensorrt and choose_tensorrt(args.use_tensorrt, use_gpu)
    options = EngineOptions(
        engine=args.engine,
        use_gpu=use_gpu,
        use_tensorrt=use_tensorrt,
        ir_optim=ir_optim,
        gpu_mem=args.gpu_mem,
        batch_size=args.batch_size,
        sample_shape=shape_made_by(transforms) if args.engine == "auto" else None,
    )
    with create_engine(None, files, options) as engine:
        predictor = Predictor(engine, transforms, postprocess, args.batch_size)
        status = print_predictions(predictor, args.image_file)
        if benchmark:
            from ppcls_lite.infer.summary import benchmark_summary

            print(benchmark_summary(predictor, files.folder, args.model_name))
    return status


def choose_tensorrt(text, use_gpu):
    """Whether to use TensorRT, as `--use_tensorrt` says."""
    from ppcls_lite.infer.engines.tensorrt import TensorRTEngine

    return switched_on(text, "--use_tensorrt", lambda: TensorRTEngine.why_not() if use_gpu else "no GPU is used")


if __name__ == "__main__":
    run_main(main)
