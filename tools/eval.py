"""Evaluate trained weights on the config's validation list.

    python tools/eval.py -c ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml \\
        -o Global.pretrained_model=output/small/best_model

Prints the loss and the top-k accuracy over all images, or the AP of a detector; with Global.eval_mode: retrieval, how
well the images of DataLoader.Eval.Query find those of their identity in DataLoader.Eval.Gallery: recall1, recall5, mAP.
Exit code: 0 evaluated, 1 the config, the weights or the data cannot be used, 130 interrupted.
"""

# test_tipc: predict=tools/infer.py compare=tools/compare_engines.py
# test_tipc: data=test_tipc/prepare_data.sh modules=paddle,cv2,numpy,yaml,PIL,matplotlib,tqdm

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.config import load_config, parse_args
from ppcls_lite.utils.errors import quick_import, run_main


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override)
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.train.loop import evaluate

    evaluate(config, args.override)


if __name__ == "__main__":
    run_main(main)
