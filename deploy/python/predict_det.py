"""Detect objects with an exported model and Paddle Inference; run from the folder `deploy`.

    python3 python/predict_det.py -c configs/inference_det.yaml \\
        -o Global.inference_model_dir=models/CenterNet_MobileNetV3_small_x1_0_infer \\
        -o Global.infer_imgs=../lite_data_det/val -o Global.output_dir=../output/boxes

Global.infer_imgs is an image, a folder or a list file. Prints one line per image. If the folder Global.output_dir is
given, copies of the images with the boxes drawn on them are written there. Global.engine chooses the engine, and
Global.save_file saves all results as JSON Lines, as in predict_cls.py.
Exit code: 0 all predicted, 1 an image, the config or the model cannot be used, 77 an engine that is requested here or
in the config would not be in effect (one line says why), 130 interrupted.
"""

# test_tipc: compare=tools/compare_engines.py formats=any skips=77

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import load_config, parse_args
from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.schema import DEPLOY


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override, DEPLOY)
    from ppcls_lite.infer.deployed import detect  # imports NumPy and OpenCV, which a wrong config need not wait for

    return detect(config, args.config, args.override)


if __name__ == "__main__":
    run_main(main)
