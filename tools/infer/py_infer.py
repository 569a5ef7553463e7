"""Predict with the training engine and an exported model, structure and weights read from a folder.

    python tools/infer/py_infer.py --i=test_images --d=./resnet50_vd --m=model --p=params --use_gpu=False

--m and --p are files in the folder --d, or paths. Without --p, each variable has a file beside the model file. The
preprocessing and the class names are those beside the model (inference.yml), or else ImageNet's. A GPU is used where
there is one; --use_gpu=True requires it.
Exit code: 0 all predicted, 1 an image, the model or an option cannot be used, 77 something that is required (a GPU, an
engine) would not be in effect, 130 interrupted.
"""

# test_tipc: compare=tools/compare_engines.py formats=any skips=77

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("GLOG_minloglevel", "2")  # else Paddle's executor logs that it runs

from ppcls_lite.infer.command_line import add_image, add_use_gpu, switched_on, why_no_gpu_here
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_image(parser)
    parser.add_argument("-d", "--d", "--model_dir", dest="model_dir", help="folder of the model, e.g. ./resnet50_vd")
    parser.add_argument("-m", "--m", "--model_file", dest="model_file", help="e.g. model; default: found in the folder")
    parser.add_argument("-p", "--p", "--params_file", dest="params_file", help="e.g. params")
    parser.add_argument("-b", "--b", "--batch_size", dest="batch_size", type=int, default=1, help="default: 1")
    add_use_gpu(parser)
    args = parser.parse_args()
    if not (args.model_dir or args.model_file):
        parser.error("expected --d with the model's folder, or --m with the path of its model file")
    return args


def main():
    args = parse()
    setup_logging(stream=sys.stderr)  # standard output is for predictions
    from ppcls_lite.infer.command_line import print_predictions, processing_of
    from ppcls_lite.infer.engines import EngineOptions, create_engine
    from ppcls_lite.infer.model.files import find_model, given_files
    from ppcls_lite.infer.predict import Predictor

    if args.model_file:
        files = given_files(inside(args.model_dir, args.model_file), inside(args.model_dir, args.params_file))
    else:
        files = find_model(args.model_dir)
    transforms, postprocess = processing_of(files)
    with quick_import():
        use_gpu = switched_on(args.use_gpu, "--use_gpu", why_no_gpu_here)
    with create_engine("training_export", files, EngineOptions(use_gpu=use_gpu)) as engine:
        return print_predictions(Predictor(engine, transforms, postprocess, args.batch_size), args.image_file)


def inside(folder, name):
    """`name` in `folder`, or as a path of its own where it is one; None stays None."""
    return Path(folder, name) if folder and name and Path(folder, name).exists() else name


if __name__ == "__main__":
    run_main(main)
