"""Classify images with an exported model and Paddle Inference; run from the folder `deploy`.

    python3 python/predict_cls.py -c configs/inference_cls.yaml \\
        -o Global.inference_model_dir=models/MobileNetV3_small_x1_0_infer -o Global.infer_imgs=../test_images

Global.infer_imgs is an image, a folder (with those below it, in the order of their names) or a list file. Prints one
line per image. Images are read while the engine computes. A file that is not an image is reported, and the run goes on.
With -o Global.save_file=predictions.jsonl all results are saved as JSON Lines too, when the run is complete. Processes
of paddle.distributed.launch share the images, and process 0 prints and saves all of them in their order
(docs/distributed.md).
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
    from ppcls_lite.infer.deployed import classify  # imports NumPy and OpenCV, which a wrong config need not wait for

    return classify(config, args.config, args.override)


if __name__ == "__main__":
    run_main(main)
