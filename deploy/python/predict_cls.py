"""Classify images with an exported model and Paddle Inference; run from the folder `deploy`.

    python3 python/predict_cls.py -c configs/inference_cls.yaml \
        -o Global.inference_model_dir=models/MobileNetV3_small_x1_0_infer -o Global.infer_imgs=../test_images

Global.infer_imgs is an image, a folder (with those below it, in the order of their names) or a list file. Prints one
line an image. Images are read while the engine computes. A file that is no picture is reported, and the run goes on.
With -o Global.save_file=predictions.jsonl all results are saved as JSON Lines too, when the run is complete.
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
    source = require(config, "Global.infer_imgs", args.config)
    model_dir = require(config, "Global.inference_model_dir", args.config)
    settings = config["Global"]
    from ppcls_lite.infer.engines import EngineOptions, create_engine
    from ppcls_lite.infer.model.config import build_processing
    from ppcls_lite.infer.model.postprocess import format_line
    from ppcls_lite.infer.predict import Predictor, find_images
    from ppcls_lite.infer.results import predict_and_print

    setup_logging(stream=sys.stderr)  # standard output is for predictions
    options = EngineOptions.from_config(settings)
    transforms, postprocess = build_processing(model_dir, config)
    paths = find_images(source)
    engine = create_engine(None, model_dir, options)
    predictor = Predictor(engine, transforms, postprocess, settings.get("batch_size", 1), settings.get("num_workers"))
    return predict_and_print(predictor, paths, model_dir, settings, format_line)


if __name__ == "__main__":
    run_main(main)
