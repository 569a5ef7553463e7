"""Convert an exported model to ONNX's format, and prove that the file gives what Paddle gives.

    python deploy/paddle2onnx/convert.py --model_dir deploy/models/MobileNetV3_small_x1_0_infer
    cd deploy && python python/predict_cls.py -c configs/inference_cls.yaml \\
        -o Global.inference_model_dir=models/MobileNetV3_small_x1_0_infer -o Global.use_onnx=True

Writes inference.onnx beside the model, or to --save_file: once ONNX's checker has accepted it, and ONNX Runtime (and
OpenVINO, where it is installed) gives for --images what Paddle gives in strict mode, alone and in batches of 8, within
1e-5. Otherwise nothing is written. The batch stays dynamic, unless --batch_size fixes it. Options of the command
paddle2onnx have its names. Needs `pip install -r requirements-engines.txt`.
Exit code: 0 written, 1 not (one line says why), 77 Paddle2ONNX or ONNX Runtime is not installed.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import REPO
from ppcls_lite.utils.log import setup_logging


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_dir", required=True, type=Path, metavar="FOLDER", help="the exported model")
    parser.add_argument("--save_file", type=Path, metavar="FILE.onnx", help="default: inference.onnx in that folder")
    parser.add_argument("--opset_version", type=int, default=16, metavar="N", help="the least one; default: 16")
    parser.add_argument("--batch_size", type=checks.argument(), metavar="N", help="a fixed one; default: any")
    parser.add_argument("--images", metavar="PATH", help="to compare; default: lite_data/val, or lite_data_det/val")
    args = parser.parse_args()
    if args.save_file and args.save_file.suffix != ".onnx":
        raise UserError(f"--save_file: expected a name that ends in .onnx, found {args.save_file}")
    return args


def main():
    args = parse()
    setup_logging()
    from ppcls_lite.infer.engines.effects import NotInEffect
    from ppcls_lite.infer.engines.to_onnx import check_onnx, convert_to_onnx, fix_batch, missing_packages
    from ppcls_lite.infer.model.files import ONNX, find_model

    files = find_model(args.model_dir)
    with quick_import():
        reason = missing_packages("onnxruntime")
    if reason:
        raise NotInEffect(reason)
    target = args.save_file or args.model_dir / ONNX
    began = time.monotonic()
    content = convert_to_onnx(files, args.opset_version)
    seconds = time.monotonic() - began
    if args.batch_size:
        content = fix_batch(content, args.batch_size)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        made = Path(folder, target.name)
        made.write_bytes(content)
        opset, operators, is_dynamic = check_onnx(made)
        if opset != args.opset_version:
            print(f"note: opset {args.opset_version} is not enough for this model: it has {opset}")
        compare(args, made)
        os.replace(made, target)
    batch = "a batch of any size" if is_dynamic else f"batches of {args.batch_size or 1}"
    print(
        f"{target}: {len(content) / 1e6:.1f} MB, opset {opset}, {operators} operators, takes {batch}; "
        f"converted in {seconds:.1f} seconds"
    )


def compare(args, made):
    """Print a line for each engine and batch size; UserError unless all agree."""
    from ppcls_lite.infer.compare.onnx import compare_onnx, is_detector, onnx_engines
    from ppcls_lite.infer.predict import find_images

    default = "lite_data_det/val" if is_detector(args.model_dir) else "lite_data/val"
    images = find_images(args.images or REPO / default)
    if args.batch_size:  # whole batches
        images = (
            images[: len(images) // args.batch_size * args.batch_size] or (images * args.batch_size)[: args.batch_size]
        )
    reasons = onnx_engines(made)
    for name, reason in reasons.items():
        if reason:
            print(f"{name}: not compared: {reason}")
    sizes = (args.batch_size,) if args.batch_size else (1, 8)
    engines = [name for name, reason in reasons.items() if not reason]
    agreements = []
    for agreement in compare_onnx(args.model_dir, made, images, sizes, engines):
        agreements.append(agreement)
        print(agreement, flush=True)
    if not all(agreement.agrees for agreement in agreements):
        raise UserError(f"{args.model_dir}: the ONNX file does not give what the exported model gives: not written")


if __name__ == "__main__":
    run_main(main)
