"""Predict with the training engine: a network by its name, and its trained weights (a persistable model).

    python tools/infer/infer.py --i=test_images --m=ResNet50_vd --p=output/resnet50/best_model --use_gpu=False

--m (--model_file) is a network's name, whose ImageNet config gives the preprocessing, or a training config (.yaml).
--p is a .pdparams file or a folder with one file per variable. A GPU is used where there is one; --use_gpu=True
requires it.
Exit code: 0 all predicted, 1 an image, the weights or an option cannot be used, 77 a required GPU is not there, 130
interrupted.
"""

# test_tipc: compare=tools/compare_engines.py formats=any skips=77

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.infer.command_line import add_image, add_use_gpu, switched_on, why_no_gpu_here
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_image(parser)
    parser.add_argument("-m", "--m", "--model", "--model_file", dest="model", required=True, help="e.g. ResNet50_vd")
    parser.add_argument("-p", "--p", "--params_file", dest="params_file", required=True, help="trained weights")
    parser.add_argument("-b", "--b", "--batch_size", dest="batch_size", type=int, default=1, help="default: 1")
    parser.add_argument("--class_num", type=int, help="default: as the weights have it")
    add_use_gpu(parser)
    return parser.parse_args()


def main():
    args = parse()
    setup_logging(stream=sys.stderr)  # standard output is for predictions
    with quick_import():
        from ppcls_lite.data.transforms import build_transforms
        from ppcls_lite.infer.command_line import print_predictions
        from ppcls_lite.infer.engines import EngineOptions, create_engine
        from ppcls_lite.infer.model.postprocess import build_postprocess
        from ppcls_lite.infer.named_config import named_config
        from ppcls_lite.infer.predict import Predictor

        config = named_config(args.model, args.params_file, args.class_num)
        use_gpu = switched_on(args.use_gpu, "--use_gpu", why_no_gpu_here)
    transforms = build_transforms(config["Infer"]["transforms"], "Infer.transforms")
    postprocess = build_postprocess(config["Infer"].get("PostProcess"))
    with create_engine("training", config, EngineOptions(use_gpu=use_gpu)) as engine:
        return print_predictions(Predictor(engine, transforms, postprocess, args.batch_size), args.image_file)


if __name__ == "__main__":
    run_main(main)
