"""Prove that the C++ program of deploy/cpp prepares, computes and prints what Python does.

    python tools/compare_cpp.py --inference_model_dir deploy/models/MobileNetV3_small_x1_0_infer \\
        --images test_images cpu=output/cpp/cpu

The program ran with Global.save_inputs=output/cpp/cpu/inputs.npy and Global.save_outputs=output/cpp/cpu, on the same
images, and what it printed is in output/cpp/cpu.log. Python's side is Paddle Inference without any optimisation, one
image at a time. The network's inputs have to be equal bit by bit; the scores of all classes within 1e-5 (of detectors,
all boxes, and the raw maps); the printed lines those that Python prints of the program's own numbers, in the order of
the images. The same answer to all images does not pass, and neither does a single image, which cannot show that.
Exit code: 0 all are the same, 1 they are not or something cannot be used, 130 interrupted.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.data.image_lists import list_images
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import setup_logging


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER", help="what the program saved; its log is FOLDER.log")
    parser.add_argument("--inference_model_dir", required=True, help="folder of the exported model")
    parser.add_argument("--images", required=True, help="image, folder or list, as the program had it")
    parser.add_argument("--save", metavar="FILE.json",
                        help="write the result as JSON, and the predictions to FILE_predictions/")  # fmt: skip
    args = parser.parse_args(argv)
    for run in args.runs:
        if not all(run.partition("=")[::2]):
            raise UserError(f"{run}: expected NAME=FOLDER")
    return args


def main():
    args = parse()
    paths, _ = list_images(args.images)
    setup_logging(stream=sys.stderr)
    with quick_import():
        from ppcls_lite.infer.compare.exact import ExactPredictions, folder_beside, write_all
        from ppcls_lite.infer.compare.program import compare_run, predict_strictly
    expected = predict_strictly(args.inference_model_dir, paths)
    agreements, exact = [], ExactPredictions(expected.paths)
    for run in args.runs:
        name, _, folder = run.partition("=")
        agreements.append(compare_run(name, folder, expected, exact=exact))
        print(f"{agreements[-1]}; {len(expected.paths)} inputs bitwise equal, and all lines", flush=True)
    if args.save:
        with atomic_write(args.save) as stream:
            json.dump([agreement.as_dict() for agreement in agreements], stream, indent=2)
        write_all([exact], folder_beside(args.save))
    if any(agreement.different < 2 for agreement in agreements):
        raise UserError(
            f"{args.images}: expected two or more different images, found one, which cannot show whether the answers "
            "depend on the image"
        )
    if not all(agreement.agrees for agreement in agreements):
        raise UserError(f"{args.inference_model_dir}: the program does not predict what Python predicts")


if __name__ == "__main__":
    run_main(main)
