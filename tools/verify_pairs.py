"""Verify pairs of images with a trained recogniser: do both show the same identity?

    python tools/verify_pairs.py -c ppcls_lite/configs/recognition/arcface_lite.yaml \\
        -o Global.pretrained_model=output/arcface/best_model --pairs lfw.bin --flip --plot tar_far.png
    python tools/verify_pairs.py --inference_model_dir deploy/models/arcface_infer --pairs pairs.txt --image_root lfw

--pairs is a .bin file of InsightFace (nothing in it is executed), LFW's pairs.txt, CFP's folder Protocol/Split/FP, or a
list of lines `path path 0` or `path path 1` (tools/data/make_pairs.py makes one of your own folder).
Prints the ten-fold accuracy (thresholds of the squared distance of normalised embeddings, 0 to 4 in steps of 0.01,
chosen on nine folds and applied to the tenth) and the true accept rate at false accept rates from 0.1 to 1e-06; a rate
below one of the negative pairs is not measured, and is said to be so. The training engine computes, or Paddle
Inference with an exported model, without any optimisation, so that both give the same figures; --engine chooses
another.
Exit code: 0 verified, 1 the config, the model or the pairs cannot be used, 77 an engine that is requested would not be
in effect, 130 interrupted.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.config import add_config_arguments, load_config
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import setup_logging


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser, required=False)
    parser.add_argument("--inference_model_dir", help="folder of an exported model, instead of -c")
    parser.add_argument("--pairs", required=True, help="a .bin file, a list of pairs, or CFP's folder")
    parser.add_argument("--image_root", help="folder of a list's images; default: the list's folder")
    parser.add_argument(
        "--delimiter", help="between the columns of a list; default: tabs where there are any, or blanks"
    )
    parser.add_argument("--flip", action="store_true", help="add the embedding of each image turned left to right")
    parser.add_argument("--batch_size", type=checks.argument(), default=32, help="default: 32")
    parser.add_argument("--engine", help="with --inference_model_dir: paddle, onednn, openvino, ...; default: paddle")
    parser.add_argument("--plot", metavar="PNG", help="draw the true accept rate over the false accept rate")
    parser.add_argument("--save", metavar="JSON", help="write all figures")
    args = parser.parse_args()
    if bool(args.config) == bool(args.inference_model_dir):
        parser.error("expected -c with a config, or --inference_model_dir with an exported model")
    if args.engine and args.config:
        parser.error("--engine is for --inference_model_dir")
    return args


def main():
    args = parse()
    config = load_config(args.config, args.override) if args.config else None
    setup_logging(stream=sys.stderr)
    from ppcls_lite.data.faces import load_pairs

    pairs = load_pairs(args.pairs, args.image_root, args.delimiter)  # before the network, which takes longer
    with quick_import():
        from ppcls_lite.infer.embed_pairs import embed_pairs
        from ppcls_lite.train.verification import check_pairs, verify

    try:
        check_pairs(pairs.same)
    except UserError as error:
        raise UserError(f"{args.pairs}: {error}") from None
    engine, transforms = with_config(config, args.override) if config else with_model(args)
    with engine:
        embeddings = embed_pairs(engine.run, transforms, pairs, args.batch_size, args.flip)
    result = verify(embeddings, pairs.first, pairs.second, pairs.same)
    report(result, pairs, args)


def with_config(config, overrides):
    """(training engine, transforms) of a training config."""
    from ppcls_lite.infer.tasks import Recognition, task_of
    from ppcls_lite.utils.device import choose_device

    choose_device(config, overrides)
    task = task_of(config)
    if not isinstance(task, Recognition):
        raise UserError(f"Arch.name: expected RecModel, found {config['Arch']['name']}: it makes no embeddings")
    predictor = task.predictor(config)
    return predictor.engine, predictor.transforms


def with_model(args):
    """(engine, transforms) of an exported model."""
    from ppcls_lite.infer.engines import EngineOptions, create_engine
    from ppcls_lite.infer.model.config import build_processing
    from ppcls_lite.infer.model.embedding import Embedding
    from ppcls_lite.infer.model.files import find_model

    model = find_model(args.inference_model_dir)
    transforms, postprocess = build_processing(model)
    if not isinstance(postprocess, Embedding):
        raise UserError(f"{args.inference_model_dir}: not a recogniser: its PostProcess is no Embedding")
    return create_engine(args.engine, model, EngineOptions().strict()), transforms


def report(result, pairs, args):
    """Print the figures, and draw and save them where that is requested."""
    from ppcls_lite.train.verification import as_record, describe

    print("\n".join(describe(result, len(pairs.sources))))
    if args.save:
        with atomic_write(args.save) as stream:
            json.dump({"pairs": args.pairs, "flip": args.flip, **as_record(result)}, stream, indent=1)
            stream.write("\n")
    if args.plot:
        from ppcls_lite.train.verification_plot import draw_true_accepts

        with atomic_write(args.plot, "wb") as stream:
            draw_true_accepts(result, stream, f"{Path(args.inference_model_dir or args.config).stem} on {args.pairs}")


if __name__ == "__main__":
    run_main(main)
