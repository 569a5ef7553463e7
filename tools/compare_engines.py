"""Prove that the training engine and the inference engines predict the same on a whole list of images.

    python tools/compare_engines.py -c ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml \\
        -o Global.pretrained_model=output/small/best_model --inference_model_dir output/small_infer

Each way reads the images with its own settings: the training engine with Infer.transforms of the config, Paddle
Inference with those of predict_cls.py. Without optimisations (oneDNN and IR passes off) the probabilities must be equal
bit by bit; with the usual settings, within 1e-4 and with the same top-5. `--engines all` compares every engine of this
machine with that plain one, and prints the accuracy of each. Of a detector, the raw maps and all boxes must be equal
bit by bit, and with the usual settings the boxes within 1e-4.
Exit code: 0 all agree, 1 they do not, or something cannot be used, 130 interrupted.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.config import add_config_arguments, load_config
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import REPO, atomic_write
from ppcls_lite.utils.log import setup_logging
from ppcls_lite.utils.schema import DEPLOY


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument("--inference_model_dir", required=True, help="folder of the exported model")
    parser.add_argument("--inference_config", default=REPO / "deploy/configs/inference_cls.yaml", help="of predict_cls")
    parser.add_argument("--images", help="image, folder or list; default: the config's validation list")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument(
        "--engines", default="usual", help="usual (default), all, or names such as openvino,onnxruntime"
    )
    parser.add_argument("--save", help="write the result as JSON to this file")
    return parser.parse_args(argv)


def main():
    args = parse()
    config = load_config(args.config, args.override)
    inference = load_config(args.inference_config, schema=DEPLOY)
    setup_logging()
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.infer.compare.by_task import compare_task
        from ppcls_lite.infer.compare.engines import USUAL, choose_engines
        from ppcls_lite.infer.tasks import task_of
    from ppcls_lite.utils.device import choose_device

    choose_device(config, args.override)
    engines, reasons = choose_engines(args.engines)
    task = task_of(config)
    images, labels = task.labelled_images(config, args.images)
    agreements = []
    given = config, args.inference_model_dir, inference, images, args.batch_size, engines, labels
    for agreement in compare_task(task, *given):
        agreements.append(agreement)
        print(agreement if engines == [USUAL] else agreement.details, flush=True)
    for name, reason in reasons.items():
        print(f"{name}: not compared: {reason}")
    if args.save:
        with atomic_write(args.save) as stream:
            json.dump([agreement.as_dict() for agreement in agreements], stream, indent=2)
    if not all(agreement.agrees for agreement in agreements):
        raise UserError(f"{args.inference_model_dir}: its predictions are not those of the trained network")


if __name__ == "__main__":
    run_main(main)
