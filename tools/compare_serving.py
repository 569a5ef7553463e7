"""Prove that the answers of a service are the very predictions of predict_cls.py, predict_rec.py or predict_det.py.

    python tools/compare_serving.py --inference_model_dir deploy/models/MobileNetV3_small_x1_0_digits_infer \\
        http=http.json grpc=grpc.json

The clients wrote the files with --save. Every image is predicted one by one, with the engine and the settings of
predict_cls.py, or of a recogniser those of predict_rec.py, of a detector those of predict_det.py: --inference_config,
with the changes of -o. Classes, names and every number have to be the very same: a number is answered with all digits
of its float32 number, so equal numbers are equal bits. Nothing less passes, and neither does another engine (--engine),
nor the same answer to all images, nor detectors' answers without a box.
A recogniser's answers are embeddings, or with -o IndexProcess.index_dir=FOLDER names and scores from that gallery.
A server that computes with an engine of its own, such as the C++ one, has a --limit: no number differs by more, and
classes and names are the same; of embeddings, so are the direction (1 - cosine) and the nearest other images.
Exit code: 0 all are identical, 1 they are not or something cannot be used, 77 an engine that is requested with -o
would not be in effect, 130 interrupted.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.infer.compare.exact import folder_beside, write_all
from ppcls_lite.serving.compare import AnswerAgreement, compare_answers
from ppcls_lite.serving.tasks import Detection, Recognition, has_gallery, task_of_model
from ppcls_lite.utils.config import add_override_argument
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, atomic_write
from ppcls_lite.utils.log import setup_logging


def named_file(text):
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, found {text!r}")
    return name, path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", nargs="+", type=named_file, metavar="NAME=FILE")
    parser.add_argument("--inference_model_dir", required=True, help="folder of the exported model")
    parser.add_argument("--inference_config", help="of the script; default: its own in deploy/configs")
    add_override_argument(parser, "as for the script, such as Global.enable_mkldnn=False")
    parser.add_argument("--engine", help="of the service, as it says when it starts: it must be that of the script")
    parser.add_argument("--limit", type=float, default=0.0, help="largest difference of a number; default: none")
    parser.add_argument("--save", metavar="FILE.json",
                        help="write the result as JSON, and answers and predictions to FILE_predictions/")  # fmt: skip
    args = parser.parse_args()
    for name, _ in args.answers:
        if [other for other, _ in args.answers].count(name) > 1:
            raise UserError(f"{name}=: expected a name once, found it again with another file")
    if not 0 <= args.limit < 1:
        raise UserError(f"--limit: expected a number from 0 to below 1, found {args.limit}")
    task = task_of_model(args.inference_model_dir)
    path = args.inference_config or REPO / "deploy/configs" / task.config
    config = task.read_config(path, args.override)
    setup_logging(stream=sys.stderr)
    engine, predict = predictor(task, args.inference_model_dir, config, args.override)
    exact = {}
    agreement_of = agreement_class(task, config)
    agreements = compare_answers(dict(args.answers), predict, args.limit, exact, agreement_of, task.script)
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
            f"the service computes with engine {args.engine}, and {task.script} with {engine}: "
            f"Global of {path} chooses one for both"
        )
    if not all(agreement.agrees for agreement in agreements):
        raise UserError(f"{args.inference_model_dir}: its predictions are not those of the service")


def agreement_class(task, config):
    """The class that compares the answers of a task; a recogniser's, with the prediction config's gallery."""
    if isinstance(task, Detection):
        from ppcls_lite.serving.compare_det import BoxAnswers

        return BoxAnswers
    if not isinstance(task, Recognition):
        return AnswerAgreement
    from ppcls_lite.serving.compare_rec import EmbeddingAnswers, GalleryAnswers  # they import Paddle

    return GalleryAnswers if has_gallery(config) else EmbeddingAnswers


def predictor(task, model_dir, config, overrides):
    """(the engine's name, a function from an image's path to its unrounded result and the key of its input)."""
    from ppcls_lite.infer.engines import EngineOptions
    from ppcls_lite.infer.engines.request import usable_options
    from ppcls_lite.infer.engines.spread import key_of
    from ppcls_lite.infer.model.config import build_processing
    from ppcls_lite.serving.compare_det import predict_boxes

    transforms, postprocess = build_processing(model_dir, config)
    results_of = task.results_of(postprocess, model_dir, config)
    options = usable_options(EngineOptions.from_config(config["Global"]), overrides)
    network = task.network
    engine = network.create(model_dir, options)

    def predict(path):
        image = network.read(path, transforms)
        if isinstance(task, Detection):
            return predict_boxes(engine, image, results_of), key_of(image.image)
        return results_of(network.run(engine, [image]))[0], key_of(image)

    return engine.name, predict


if __name__ == "__main__":
    run_main(main)
