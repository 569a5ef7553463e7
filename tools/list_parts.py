#!/usr/bin/env python3
"""Print what a config can name: optimizers, losses, transforms, metrics, networks, engines and others.

    python tools/list_parts.py                        # the kinds, how many there are, where a config names them
    python tools/list_parts.py optimizers schedules   # each with a sentence and its options with their defaults
    python tools/list_parts.py --name Crop            # whatever has this in its name

The lists are read from the registries of the library, so they are whole.
Exit code: 0, or 1 for an unknown kind or name.
"""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.errors import UserError, nearest, quick_import, run_main
from ppcls_lite.utils.registry import options_of


class Kind(NamedTuple):
    """The table of a kind, and where a config names its parts."""

    table: Callable  # () -> the filled Registry
    place: str
    hidden: tuple[str, ...] = ()  # parameters that the library gives
    further: str = ""  # options of all parts of the kind, which a builder does not show


def optimizers():
    from ppcls_lite.train.optimizer import OPTIMIZERS

    return OPTIMIZERS


def schedules():
    from ppcls_lite.train.optimizer import SCHEDULES

    return SCHEDULES


def losses():
    from ppcls_lite.train import detection_losses, distillation_losses, recognition_losses  # noqa: F401 (they register)
    from ppcls_lite.train.losses import LOSSES

    return LOSSES


def metrics():
    from ppcls_lite.train import detection_metrics, distillation  # noqa: F401
    from ppcls_lite.train.metrics import METRICS

    return METRICS


def retrieval_metrics():
    from ppcls_lite.train.retrieval_metrics import RETRIEVAL_METRICS

    return RETRIEVAL_METRICS


def samplers():
    from ppcls_lite.data.identity_samplers import SAMPLERS

    return SAMPLERS


def transforms():
    from ppcls_lite.data.transforms import TRANSFORMS

    return TRANSFORMS


def batch_transforms():
    from ppcls_lite.data.batch_ops import BATCH_OPS

    return BATCH_OPS


def detection_transforms():
    from ppcls_lite.data.detection import targets  # noqa: F401
    from ppcls_lite.data.detection.transforms import DET_TRANSFORMS

    return DET_TRANSFORMS


def networks():
    from ppcls_lite.arch import ARCH

    return ARCH


def detectors():
    from ppcls_lite.arch import DETECTORS

    return DETECTORS


def recognizers():
    from ppcls_lite.arch import RECOGNIZERS

    return RECOGNIZERS


def backbones():
    from ppcls_lite.arch import BACKBONES

    return BACKBONES


def necks():
    from ppcls_lite.arch import NECKS

    return NECKS


def heads():
    from ppcls_lite.arch import HEADS

    return HEADS


def postprocess():
    from ppcls_lite.infer.model import boxes, thresholds  # noqa: F401
    from ppcls_lite.infer.model.postprocess import POSTPROCESS

    return POSTPROCESS


def engines():
    from ppcls_lite.infer.engines import ENGINES

    return ENGINES


KINDS = {
    "optimizers": Kind(
        optimizers,
        "Optimizer: {name: NAME, lr: {…}, …}",
        ("parameters", "grad_clip", "without_decay"),
        "lr, regularizer={name: L1 or L2, coeff: …}, clip_norm, no_weight_decay_name, one_dim_param_no_weight_decay",
    ),
    "schedules": Kind(
        schedules,
        "Optimizer.lr: {name: NAME, learning_rate: …, …}",
        ("steps", "warmup_steps", "steps_per_epoch"),
        "warmup_epoch=0, warmup_start_lr=0.0, by_epoch=False",
    ),
    "losses": Kind(losses, "Loss.Train, Loss.Eval: [{NAME: {weight: 1.0, …}}]", (), "weight=1.0"),
    "metrics": Kind(metrics, "Metric.Train, Metric.Eval: [{NAME: {…}}]"),
    "retrieval_metrics": Kind(retrieval_metrics, "Metric.Eval with Global.eval_mode: retrieval: [{NAME: {…}}]"),
    "samplers": Kind(
        samplers, "DataLoader.Train.sampler of a recognition: {name: NAME, …}", ("labels",), "shuffle=True"
    ),
    "transforms": Kind(transforms, "DataLoader.*.dataset.transform_ops, Infer.transforms: [{NAME: {…}}]"),
    "batch_transforms": Kind(batch_transforms, "DataLoader.Train.dataset.batch_transform_ops: [{NAME: {…}}]"),
    "detection_transforms": Kind(
        detection_transforms, "DataLoader.*.dataset.transform_ops of a detector: [{NAME: {…}}]"
    ),
    "networks": Kind(
        networks,
        "Arch: {name: NAME, …}",
        (),
        "class_num=1000, pretrained=False, use_ssld=False, and those of its class",
    ),
    "detectors": Kind(detectors, "Arch: {name: NAME, Backbone: {name: a network}, …}"),
    "recognizers": Kind(recognizers, "Arch: {name: NAME, Backbone: {name: a network or backbone}, …}"),
    "backbones": Kind(backbones, "Arch.Backbone of a recognizer: {name: NAME, …}", (), "pretrained=False"),
    "necks": Kind(necks, "Arch.Neck of a recognizer: {name: NAME, …}"),
    "heads": Kind(heads, "Arch.Head of a recognizer, the margins among them: {name: NAME, …}"),
    "postprocess": Kind(postprocess, "Infer.PostProcess: {name: NAME, …}"),
    "engines": Kind(engines, "-o Global.engine=NAME of deploy/python", ("model", "options", "config", "no_onednn")),
}


def registry_of(kind):
    """The filled table of a kind."""
    with quick_import():
        return kind.table()


def options_text(builder, hidden=()):
    """`a, b=1, …`: the options of a builder; those without a default come first."""
    shown = []
    for name, parameter in all_parameters(builder).items():
        if name not in hidden and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            shown.append(name if parameter.default is parameter.empty else f"{name}={parameter.default!r}")
    return ", ".join(shown)


def all_parameters(builder):
    """{name: parameter} of a function or class; a class that passes `**options` on has those of its base too."""
    found = {}
    for base in inspect.getmro(builder)[:-1] if inspect.isclass(builder) else [builder]:
        for name, parameter in inspect.signature(base).parameters.items():
            found.setdefault(name, parameter)
        if options_of(base) is not None:
            break
    return found


def sentence_of(builder):
    """The first sentence, or line, of what a part's author says of it; of its file, where the part says nothing."""
    text = builder.__doc__ if not inspect.isclass(builder) or "__doc__" in vars(builder) else None
    text = inspect.cleandoc(text or sys.modules[builder.__module__].__doc__ or "")
    return " ".join(text.partition("\n\n")[0].split())


def lines_of(name, part=""):
    """The lines that are printed of the kind `name`, of those that have `part` in their names; [] where none has."""
    kind = KINDS[name]
    registry = registry_of(kind)
    chosen = [found for found in registry.names() if part.lower() in found.lower()]
    if not chosen:
        return []
    lines = [f"{name}: {kind.place}"]
    if kind.further:
        lines.append(f"  options of all: {kind.further}")
    alike = {}
    for found in chosen:
        builder = registry.get(found)
        alike.setdefault((sentence_of(builder), options_text(builder, kind.hidden)), []).append(found)
    for (sentence, options), names in alike.items():
        lines.append(f"  {', '.join(names)}: {sentence}")
        lines += [f"      {options}"] if options else []
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}, or all")
    parser.add_argument("--name", metavar="PART", help="only those with this in their names")
    args = parser.parse_args()
    for kind in args.kinds:
        if kind not in (*KINDS, "all"):
            raise UserError(f"unknown kind '{kind}'{nearest(kind, KINDS)}; known: {', '.join(KINDS)}, all")
    if not args.kinds and args.name is None:
        for kind, what in KINDS.items():
            print(f"{kind}: {len(registry_of(what).names())}, {what.place}")
        return
    chosen = list(KINDS) if not args.kinds or "all" in args.kinds else args.kinds
    found = [line for kind in chosen for line in lines_of(kind, args.name or "")]
    if not found:
        raise UserError(f"--name: none of {', '.join(chosen)} has '{args.name}' in its name")
    print("\n".join(found))


if __name__ == "__main__":
    run_main(main)
