"""Detect objects with an exported model and Paddle Inference; run from the folder `deploy`.

    python3 python/predict_det.py -c configs/inference_det.yaml \
        -o Global.inference_model_dir=models/CenterNet_MobileNetV3_small_x1_0_infer \
        -o Global.infer_imgs=../lite_data_det/val -o Global.output_dir=../output/boxes

Global.infer_imgs is an image, a folder or a list file. Prints one line an image, and writes pictures with the boxes to
the folder Global.output_dir if it is given. Global.engine chooses what computes, Global.save_file saves all results as
JSON Lines, as in predict_cls.py.
Exit code: 0 all predicted, 1 an image, the config or the model cannot be used, 130 interrupted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import load_config, parse_args, require
from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.log import setup_logging
from ppcls_lite.utils.schema import DEPLOY


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override, DEPLOY)
    settings = config["Global"]
    source = require(config, "Global.infer_imgs", args.config)
    model_dir = require(config, "Global.inference_model_dir", args.config)
    from ppcls_lite.infer.detect import DetectionPredictor, create_detector, format_det_line, format_det_record
    from ppcls_lite.infer.engines.options import EngineOptions
    from ppcls_lite.infer.model.config import build_processing
    from ppcls_lite.infer.predict import find_images
    from ppcls_lite.infer.results import predict_and_print

    setup_logging(stream=sys.stderr)  # standard output is for predictions
    options = EngineOptions.from_config(settings)
    processing = build_processing(model_dir, config)
    paths = find_images(source)
    sizes = settings.get("batch_size", 1), settings.get("num_workers"), settings.get("output_dir")
    predictor = DetectionPredictor(create_detector(None, model_dir, options), *processing, *sizes)
    return predict_and_print(predictor, paths, model_dir, settings, format_det_line, format_det_record)


if __name__ == "__main__":
    run_main(main)
