"""Train a classifier, a detector or a recognition network from a YAML config in PaddleClas's schema.

    python tools/train.py -c ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml \\
        -o Global.epochs=20 -o Global.output_dir=output/small

Leaves checkpoints (latest, best_model, epoch_N), log_train.txt, curves.png and, for programs, history.jsonl in
Global.output_dir;
-o Global.checkpoints=output/small/latest goes on where a training stopped.
Exit code: 0 trained, 1 the config or the data cannot be used, 130 interrupted.
"""

# test_tipc: data=test_tipc/prepare_data.sh modules=paddle,cv2,numpy,yaml,PIL,matplotlib,tqdm

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.config import load_config, parse_args
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.machine import use_cores


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override)
    use_cores()
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.train.curves import write_curves
        from ppcls_lite.train.loop import train

    train(config, args.override)
    write_curves(config)


if __name__ == "__main__":
    run_main(main, trains=True)
