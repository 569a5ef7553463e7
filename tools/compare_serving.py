"""Prove that the answers of a service are identical to what predict_cls.py predicts of the same images.

    python tools/compare_serving.py --inference_model_dir deploy/models/MobileNetV3_small_x1_0_digits_infer \\
        http=http.json grpc=grpc.json

The clients wrote the files with --save. Every image is predicted one by one, with the engine and the settings of
predict_cls.py: --inference_config, with the changes of -o. Classes, names and every score have to be the very same: a
score is answered with all digits of its float32 number, so equal numbers are equal bits. Nothing less passes, and
neither does another engine (--engine), nor the same answer to all images. A server that computes with an engine of its
own, such as the C++ one, has a --limit: the classes and names are the same, and no score differs by more.
Exit code: 0 all are identical, 1 they are not or something cannot be used, 77 an engine that is requested with -o
would not be in effect, 130 interrupted.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.infer.compare.exact import folder_beside, write_all
from ppcls_lite.serving.compare import compare_answers
from ppcls_lite.utils.config import add_override_argument, load_config
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, atomic_write
from ppcls_lite.utils.log import setup_logging
from ppcls_lite.utils.schema import DEPLOY


def named_file(text):
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, found {text!r}")
    return name, path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", nargs="+", type=named_file, metavar="NAME=FILE")
    parser.add_argument("--inference_model_dir", required=True, help="folder of the exported model")
    parser.add_argument("--inference_config", default=REPO / "deploy/configs/inference_cls.yaml", help="of predict_cls")
    add_override_argument(parser, "as for predict_cls.py, such as Global.enable_mkldnn=False")
    parser.add_argument("--engine", help="of the service, as it says when it starts: it must be that of predict_cls.py")
    parser.add_argument("--limit", type=float, default=0.0, help="largest difference of a score; default: none")
    parser.add_argument("--save", metavar="FILE.json",
                        help="write the result as JSON, and answers and predictions to FILE_predictions/")  # fmt: skip
    args = parser.parse_args()
    for name, _ in args.answers:
        if [other for other, _ in args.answers].count(name) > 1:
            raise UserError(f"{name}=: expected a name once, found it again with another file")
    if not 0 <= args.limit < 1:
        raise UserError(f"--limit: expected a number from 0 to below 1, found {args.limit}")
    config = load_config(args.inference_config, args.override, DEPLOY)
    setup_logging(stream=sys.stderr)
    engine, predict = predictor(args.inference_model_dir, config, args.override)
    exact = {}
    agreements = compare_answers(dict(args.answers), predict, args.limit, exact)
    for agreement in agreements:
        print(agreement)
    if any(agreement.different == 1 for agreement in agreements):
        print("note: this is one image, which cannot show whether the answers depend on the image")
    if args.save:
        with atomic_write(args.save) as stream:
            json.dump([agreement.as_dict() for agreement in agreements], stream, indent=2)
        write_all(exact.values(), folder_beside(args.save))
    if args.engine and args.engine != engine:
        raise UserError(
            f"the service computes with engine {args.engine}, and predict_cls.py with {engine}: "
            f"Global of {args.inference_config} chooses one for both"
        )
    if not all(agreement.agrees for agreement in agreements):
        raise UserError(f"{args.inference_model_dir}: its predictions are not those of the service")


def predictor(model_dir, config, overrides):
    """(the engine's name, a function from an image's path to its unrounded result and the key of its input)."""
    import numpy as np

    from ppcls_lite.infer.engines import EngineOptions, create_engine
    from ppcls_lite.infer.engines.request import usable_options
    from ppcls_lite.infer.engines.spread import key_of
    from ppcls_lite.infer.images import read_image, stack_images
    from ppcls_lite.infer.model.config import build_processing

    transforms, topk = build_processing(model_dir, config)
    options = usable_options(EngineOptions.from_config(config["Global"]), overrides)
    engine = create_engine(None, model_dir, options)

    def predict(path):
        image = np.ascontiguousarray(read_image(path, transforms))
        return topk(engine.run(stack_images([image])), decimals=None)[0], key_of(image)

    return engine.name, predict


if __name__ == "__main__":
    run_main(main)
