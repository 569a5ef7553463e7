"""Prove that the answers of a service are those of Paddle Inference on the same images.

    python tools/compare_serving.py --inference_model_dir deploy/models/MobileNetV3_small_x1_0_digits_infer \\
        http=http.json grpc=grpc.json

The clients wrote the files with --save. Every image is predicted one by one, with the engine of the
service (--engine) and with that of predict_cls.py. Scores (5 decimals) must be within 1e-4, classes and names the same,
and the answers not the same for all images.
Exit code: 0 all agree, 1 they do not or something cannot be used, 130 interrupted.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.serving.compare import compare_answers, compare_predictions, read_answers
from ppcls_lite.utils.config import load_config
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
    parser.add_argument(
        "-o",
        "--override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="as for predict_cls.py, such as Global.enable_mkldnn=False",
    )
    parser.add_argument("--engine", help="of the service, as printed when it starts; default: that of predict_cls.py")
    parser.add_argument("--save", help="write the result as JSON to this file")
    args = parser.parse_args()
    for name, _ in args.answers:
        if [other for other, _ in args.answers].count(name) > 1:
            raise UserError(f"{name}=: expected a name once, found it again with another file")
    config = load_config(args.inference_config, args.override, DEPLOY)
    setup_logging(stream=sys.stderr)
    model_dir = args.inference_model_dir
    usual = predictor(model_dir, config)
    predict = predictor(model_dir, config, args.engine) if args.engine else usual
    agreements = compare_answers(dict(args.answers), predict)
    if args.engine:
        agreements.append(compare_predictions("predict_cls", images_of(args.answers), usual, predict))
    for agreement in agreements:
        print(agreement)
    if any(agreement.different == 1 for agreement in agreements):
        print("note: this is one image, which cannot show whether the answers depend on the image")
    if args.save:
        with atomic_write(args.save) as stream:
            json.dump([agreement.as_dict() for agreement in agreements], stream, indent=2)
    if not all(agreement.agrees for agreement in agreements):
        raise UserError(f"{args.inference_model_dir}: its predictions are not those of the service")


def images_of(files):
    return sorted({image for _, path in files for image, _ in read_answers(path)})


def predictor(model_dir, config, name=None):
    """A function from an image's path to its result, as predict_cls.py computes it or with the engine `name`, and what
    `AnswerAgreement.add` takes besides."""
    from ppcls_lite.infer.engines import EngineOptions, create_engine
    from ppcls_lite.infer.engines.spread import key_of
    from ppcls_lite.infer.images import read_image, stack_images
    from ppcls_lite.infer.model.config import build_processing

    transforms, postprocess = build_processing(model_dir, config)
    engine = create_engine(name, model_dir, EngineOptions.from_config(config["Global"]))

    def predict(path):
        image = read_image(path, transforms)
        scores = engine.run(stack_images([image]))
        return postprocess(scores)[0], {"key": key_of(image), "scores": scores[0].tolist()}

    return predict


if __name__ == "__main__":
    run_main(main)
