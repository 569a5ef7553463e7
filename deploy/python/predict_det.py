"""Detect objects with an exported model and Paddle Inference; run from the folder `deploy`.

    python3 python/predict_det.py -c configs/inference_det.yaml \
        -o Global.inference_model_dir=models/CenterNet_MobileNetV3_small_x1_0_infer \
        -o Global.infer_imgs=../lite_data_det/val -o Global.output_dir=../output/boxes

Global.infer_imgs is an image, a folder or a list file. Prints one line an image, and writes pictures with the boxes to
the folder Global.output_dir if it is given.
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
    from ppcls_lite.infer.detect import DetectionEngine, DetectionPredictor, format_det_line
    from ppcls_lite.infer.model_config import build_processing
    from ppcls_lite.infer.paddle_engine import EngineOptions

    setup_logging(stream=sys.stderr)  # standard output is for predictions
    options = EngineOptions.from_config(settings)
    transforms, postprocess = build_processing(model_dir, config)
    engine = DetectionEngine(model_dir, options)
    predictor = DetectionPredictor(
        engine, transforms, postprocess, settings.get("batch_size", 1), settings.get("output_dir")
    )
    for batch in predictor.predict(source):
        for path, result in batch:
            print(format_det_line(result, path))
    if settings.get("benchmark") or settings.get("enable_benchmark"):
        print(f"benchmark: {options}; {predictor.timing()}")
    return 1 if predictor.failed else 0


if __name__ == "__main__":
    run_main(main)
