"""Export trained weights as an inference model: inference.pdmodel, .pdiparams and the preprocessing beside them.

    python tools/export_model.py -c ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml \
        -o Global.pretrained_model=output/small/best_model \
        -o Global.save_inference_dir=deploy/models/MobileNetV3_small_x1_0_infer

Exit code: 0 exported, 1 the config or the weights cannot be used, 130 interrupted.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["FLAGS_enable_pir_api"] = "0"  # noqa: SIM112 - Paddle's spelling; read when Paddle 3 is imported: write .pdmodel, not .json

from ppcls_lite.utils.config import load_config, parse_args
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override)
    setup_logging()
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.infer.export import export

    export(config)


if __name__ == "__main__":
    run_main(main)
