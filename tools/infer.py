"""Predict images with the training engine: the config's network and trained weights.

    python tools/infer.py -c ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml \\
        -o Global.pretrained_model=output/small/best_model -o Infer.infer_imgs=test_images

Infer.infer_imgs is an image, a folder or a list file. Prints one list of predictions per batch. If the folder
Infer.output_dir is given, copies of the images with a detector's boxes drawn on them are written there. Processes of
paddle.distributed.launch share the images, and process 0 prints all of them in their order (docs/distributed.md).
Exit code: 0 all predicted, 1 an image, the config or the weights cannot be used, 130 interrupted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.config import load_config, parse_args, require
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override)
    source = require(config, "Infer.infer_imgs", args.config)
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.infer.predict import find_images
        from ppcls_lite.infer.results import predict_lists
        from ppcls_lite.infer.tasks import task_of
    from ppcls_lite.utils.device import choose_device

    setup_logging(stream=sys.stderr)  # standard output is for predictions
    choose_device(config, args.override)
    task = task_of(config)
    predictor = task.predictor(config)
    return predict_lists(predictor, find_images(source), task.record)


if __name__ == "__main__":
    run_main(main)
