"""Prove that the training engine and the inference engines predict the same on a whole list of images.

    python tools/compare_engines.py -c ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml \\
        -o Global.pretrained_model=output/small/best_model --inference_model_dir output/small_infer

Each way reads the images with its own settings: the training engine with Infer.transforms of the config, Paddle
Inference with those of predict_cls.py, and the two must be the same. Without optimisations (oneDNN and IR passes off)
the probabilities must be equal bit by bit; with the usual settings, within 1e-4 and with the same top-5. Answers that
are the same for all images do not pass. `--engines all` compares every engine of this machine with that plain one, and
prints the accuracy of each. Of a detector, the raw maps and all boxes must be equal bit by bit, and with the usual
settings the boxes within 1e-4; of a recogniser, all embeddings, and with the usual settings every number within 1e-4,
1 - cosine within 1e-8, and the same five nearest neighbours of each image among the others. `--batch_size 1 8` compares
batches of each of these sizes, and then the images of one batch with the same images alone, so that an export that
mixes the rows of a batch is seen.

With the logs of a chain, what was evaluated, predicted and printed must be what the exported model gives:
    --evaluated LOG --predicted LOG --printed LOG LOG --inference_folder deploy \\
        --inference_command -c configs/inference_cls.yaml -o PostProcess.topk=5
--inference_command takes all words after it, as they follow the script in the command that runs in --inference_folder.
Exit code: 0 all agree, 1 they do not, or something cannot be used, 77 a named engine cannot run here, 130 interrupted.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.infer.rec_config import with_usual_names
from ppcls_lite.utils.config import add_config_arguments, load_config, parse_words, require
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import REPO, atomic_write
from ppcls_lite.utils.log import setup_logging
from ppcls_lite.utils.recognition import is_recognition, is_retrieval
from ppcls_lite.utils.schema import DEPLOY, RECOGNITION

USUAL_BATCH = 8


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument("--inference_model_dir", required=True, help="folder of the exported model")
    parser.add_argument("--inference_config", help="of predict_cls.py or so; default: that of deploy/configs")
    parser.add_argument("--images", help="image, folder or list; default: the config's validation list")
    parser.add_argument("--batch_size", type=int, nargs="+", metavar="N",
                        help="default: 8; each size is compared, and then a batch with its images alone")  # fmt: skip
    parser.add_argument(
        "--engines", default="usual", help="usual (default), all, or names such as openvino,onnxruntime"
    )
    parser.add_argument("--save", metavar="FILE.json",
                        help="write the result as JSON, and the predictions to FILE_predictions/")  # fmt: skip
    parser.add_argument("--evaluated", metavar="LOG", help="of tools/eval.py, for the same accuracy")
    parser.add_argument("--predicted", metavar="LOG", help="of tools/infer.py, for the same predictions")
    parser.add_argument(
        "--printed", metavar="LOG", nargs="+", default=[], help="of predict_cls.py, to compare with --predicted"
    )
    parser.add_argument("--inference_folder", help="folder in which the inference command runs; default: this one")
    parser.add_argument(
        "--inference_command",
        metavar="WORD",
        nargs=argparse.REMAINDER,
        help="options of the inference command, in place of --inference_config; all words that follow",
    )
    args = parser.parse_args(argv)
    if args.inference_command is not None and args.inference_config:
        raise UserError("--inference_config and --inference_command: expected one of them, found both")
    if args.inference_folder and args.inference_command is None:
        raise UserError("--inference_folder: expected together with --inference_command, found alone")
    if args.printed and not args.predicted:
        raise UserError("--printed: expected together with --predicted, the log to compare with, found alone")
    if args.evaluated and args.images:
        raise UserError("--evaluated: expected the config's validation list, which was evaluated, found --images")
    return args


def read_inference_config(args, is_recognizer):
    """(content, where it comes from) of the prediction config, with the changes of the inference command."""
    schema, name = (RECOGNITION, "inference_rec.yaml") if is_recognizer else (DEPLOY, "inference_cls.yaml")
    folder, overrides = Path(args.inference_folder or "."), []
    if args.inference_command is None:
        path = Path(args.inference_config or REPO / "deploy/configs" / name)
    elif not folder.is_dir():
        raise UserError(f"--inference_folder: expected a folder, found {str(folder)!r}")
    else:
        command = parse_words(args.inference_command, "--inference_command")
        path, overrides = folder / command.config, command.override
    content = load_config(path, overrides, schema)
    if is_recognizer:
        content = with_usual_names(content, path, overrides)
    post = content.get("PostProcess") or {}
    if args.inference_command is not None and post.get("class_id_map_file"):
        post["class_id_map_file"] = str(folder / post["class_id_map_file"])
    return content, " ".join([str(path), *(f"-o {text}" for text in overrides)])


def main():
    args = parse()
    config = load_config(args.config, args.override)
    inference, place = read_inference_config(args, is_recognition(config))
    setup_logging()
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.infer.compare.engines import USUAL, choose_engines
        from ppcls_lite.infer.compare.exact import folder_beside, write_all
        from ppcls_lite.infer.compare.processing import check_processing
        from ppcls_lite.infer.tasks import task_of
    from ppcls_lite.utils.device import choose_device

    choose_device(config, args.override)
    engines, reasons = choose_engines(args.engines, inference["Global"].get("engine"), args.inference_model_dir)
    task = task_of(config)
    check_processing(config, args.inference_model_dir, inference, place)
    agreements, kept = [], []
    for agreement in compare(args, task, config, inference, engines, kept):
        agreements.append(agreement)
        print(agreement if args.engines == USUAL else getattr(agreement, "details", agreement), flush=True)
    for name, reason in reasons.items():
        print(f"{name}: not compared: {reason}")
    if args.save:
        with atomic_write(args.save) as stream:
            json.dump([agreement.as_dict() for agreement in agreements], stream, indent=2)
        write_all(kept, folder_beside(args.save))
    if not all(agreement.agrees for agreement in agreements if hasattr(agreement, "engine")):
        raise UserError(f"{args.inference_model_dir}: its predictions are not those of the trained network")
    if not all(agreement.agrees for agreement in agreements):
        raise UserError(f"{args.inference_model_dir}: it does not give what was evaluated, predicted or printed")


def compare(args, task, config, inference, engines, kept):
    """Yield every agreement: of the engines, of the evaluation, of the predictions, and of the printed ones.

    What `--save` is to write of the engines' predictions, an `ExactPredictions`, is added to the list `kept`.
    """
    from ppcls_lite.infer.compare.by_task import compare_batches, compare_task, predict_records
    from ppcls_lite.infer.compare.exact import ExactPredictions
    from ppcls_lite.infer.compare.printed import compare_predicted, compare_printed
    from ppcls_lite.infer.model.postprocess import build_postprocess

    postprocess = build_postprocess(config["Infer"].get("PostProcess"))
    for log in args.printed:
        compare_printed(log, args.predicted, postprocess)  # a file that is not a log ends it early
    images, labels = task.labelled_images(config, args.images)
    evaluation = evaluation_of(args.evaluated, task, config, images, labels) if args.evaluated else None
    model = args.inference_model_dir, inference
    compare_with, sizes = (compare_batches, args.batch_size) if args.batch_size else (compare_task, USUAL_BATCH)
    given = task, config, *model, images, sizes, engines, labels
    exact = ExactPredictions(images) if args.save else None
    kept += [exact] if exact else []
    for number, agreement in enumerate(compare_with(*given, watch=evaluation and evaluation.add, exact=exact)):
        if number == 0:
            check_images(args, config, agreement)
        yield agreement
    if evaluation:
        yield from evaluation.agreements()
    if args.predicted:
        predict = partial(predict_records, task, *model, args.batch_size[0] if args.batch_size else USUAL_BATCH)
        predicted, known = compare_predicted(args.predicted, predict, postprocess)
        yield predicted
        for log in args.printed:
            yield compare_printed(log, args.predicted, postprocess, known)


def check_images(args, config, agreement):
    """Raise UserError for a validation list of one image; of a person's one image, say what it cannot show."""
    if agreement.different != 1:
        return
    if args.images:
        print("note: this is one image, which cannot show whether the answers depend on the image")
        return
    section = config["DataLoader"]["Eval"]
    section = (section.get("Query") or section)["dataset"]
    raise UserError(
        f"{section.get('cls_label_path') or section.get('anno_path')}: expected two or more different images, found "
        f"one in {agreement.images} line(s), which cannot show whether the answers depend on the image"
    )


def evaluation_of(log, task, config, images, labels):
    """Collects what the exported model gives for the validation set; see `EvaluatedClassifier`."""
    from ppcls_lite.infer.compare.logs import read_figures
    from ppcls_lite.infer.tasks import Recognition

    read_figures(log)  # a wrong file ends it early
    if isinstance(task, Recognition):
        other = what_is_evaluated(config)
        if other:
            print(f"note: the evaluation is not compared: it is of {other}, which are not exported")
        return None if other else EvaluatedRecognizer(log, config, images)
    if labels is not None:
        return EvaluatedClassifier(log, config, labels)
    return EvaluatedDetector(log, config, len(images))


class EvaluatedClassifier:
    """Compares the accuracy in a log of tools/eval.py with that of all batches that it was given."""

    def __init__(self, log, config, labels):
        from ppcls_lite.infer.compare.evaluated import Ranks, is_cross_entropy

        self.log, self.ranks, self.with_loss = log, Ranks(labels), is_cross_entropy(config)
        self.add = self.ranks.add

    def agreements(self):
        from ppcls_lite.infer.compare.evaluated import compare_accuracy

        return compare_accuracy(self.log, self.ranks, self.with_loss)


def what_is_evaluated(config):
    """What is evaluated in the place of the exported model's features, in words; "" where these are."""
    if not is_retrieval(config):
        return "the scores of its training's identities"
    settings, output = config["Global"], config["Arch"].get("infer_output_key") or "features"
    if settings.get("feature_normalize") is False:
        return "features of any length"
    source = settings.get("retrieval_feature_from") or "features"
    return source if source != output and config["Arch"].get("Neck") else ""


class EvaluatedRecognizer:
    """Compares the retrieval figures in a log of tools/eval.py with those of all embeddings that it was given."""

    def __init__(self, log, config, images):
        from ppcls_lite.infer.compare.retrieved import Retrieval

        self.log, self.retrieval, self.rows = log, Retrieval.of(config, images), []

    def add(self, embeddings, _):
        """Count a batch of embeddings [N, D]."""
        self.rows.append(embeddings)

    def agreements(self):
        import numpy as np

        from ppcls_lite.infer.compare.evaluated import compare_retrieval

        return compare_retrieval(self.log, self.retrieval, np.concatenate(self.rows))


class EvaluatedDetector:
    """Compares the average precision in a log of tools/eval.py with that of all batches that it was given.

    The maps are decoded here once more: an evaluation counts `max_boxes` of its COCOMetric, and the deployed network
    gives `Arch.max_boxes`, often fewer, which is another figure.
    """

    def __init__(self, log, config, images):
        from ppcls_lite.arch.from_config import class_count
        from ppcls_lite.data.loader import build_loader
        from ppcls_lite.train.detection_metrics import COCOMetric
        from ppcls_lite.train.metrics import build_metric

        self.log, self.images, self.done = log, images, 0
        self.metric = build_metric(require(config, "Metric.Eval"), "Metric.Eval")
        if not isinstance(self.metric, COCOMetric):
            raise UserError(f"Metric.Eval: expected COCOMetric, found {type(self.metric).__name__}")
        section = require(config, "DataLoader.Eval")
        loader = build_loader(section, "Eval", 0, class_num=class_count(config), where="DataLoader.Eval")
        self.metric.bind(loader.dataset)

    def add(self, outputs, inputs):
        """Count a batch: outputs of the deployed network, and the `DetectorInputs` that they are of."""
        import numpy as np
        import paddle

        from ppcls_lite.arch.centernet import decode

        heat, size, offset, scales = map(paddle.to_tensor, (*outputs[2:5], inputs.scales))
        boxes = decode(heat, size, offset, scales, self.metric.max_boxes).numpy()
        numbers = np.repeat(np.arange(self.done, self.done + len(boxes)), boxes.shape[1])
        rows = np.column_stack([numbers, boxes.reshape(-1, 6).astype(np.float64)])
        self.metric.rows = np.concatenate([self.metric.rows, rows[rows[:, 2] > 0]])
        self.done += len(boxes)

    def agreements(self):
        from ppcls_lite.infer.compare.evaluated import compare_precision

        return compare_precision(self.log, self.metric.values(), self.images)


if __name__ == "__main__":
    run_main(main)
