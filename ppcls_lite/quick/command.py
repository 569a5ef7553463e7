"""The command `ppcls_lite`: its options, and what it prints."""

import argparse
import sys
import textwrap

from ppcls_lite.quick.models import NAMES
from ppcls_lite.quick.options import ALIASES, NUMBER, OPTIONS, why_not
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, quick_import
from ppcls_lite.utils.log import setup_logging

_DESCRIPTION = """\
Classify images with the official model of a network, or with an exported model of your own.

    ppcls_lite --model_name=ResNet50 --infer_imgs=docs/images/inference_deployment/whl_demo.jpg
    ppcls_lite --inference_model_dir=deploy/models/MobileNetV3_small_x1_0_digits_infer --infer_imgs=images --topk=3

Prints one line for each image, in the order of their names, and at the end `Predict complete!`.
Exit code: 0 all predicted, 1 an image, the model or an option cannot be used, 77 an engine that is requested would not
be in effect, 130 interrupted."""
_NETWORKS = "networks:\n{}\n\nModels are kept in ~/.cache/ppcls_lite, or in $PPCLS_LITE_HOME."
_TYPES = {NUMBER: checks.argument()}


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UserError(message)


def parse_args(words, version):
    """The options of the command line; UserError, one line, for anything else."""
    names = textwrap.fill("  ".join(NAMES), 116, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    parser = _Parser(
        prog="ppcls_lite",
        description=_DESCRIPTION,
        epilog=_NETWORKS.format(names),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--infer_imgs", metavar="IMAGES", help="an image, a folder, a list file or an address")
    for name, (kind, text) in OPTIONS.items():
        aliases = [f"--{alias}" for alias, option in ALIASES.items() if option == name]
        parser.add_argument(f"--{name}", *aliases, metavar=kind, type=_TYPES.get(kind, str), help=text)
    parser.add_argument("--predict_type", choices=["cls"], help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"ppcls_lite {version}")
    args, unknown = parser.parse_known_args(words)
    if unknown:
        _refuse(unknown[0])
    if not args.infer_imgs:
        raise UserError("--infer_imgs: missing: expected an image, a folder, a list file or an address (see --help)")
    return args


def _refuse(word):
    name = word.partition("=")[0]
    if not name.startswith("-"):
        raise UserError(f"{word!r}: expected options such as --infer_imgs={word}")
    name = {"-o": "override"}.get(name, name.lstrip("-"))
    raise UserError(f"--{why_not(name)}")


def main(words=None, version=""):
    """Predict as the command line says; returns the exit code."""
    args = vars(parse_args(sys.argv[1:] if words is None else words, version))
    args.pop("predict_type")
    setup_logging(stream=sys.stderr)  # standard output is for predictions
    with quick_import():
        from ppcls_lite.quick.classifier import PaddleClas

        clas = PaddleClas(**args)
    predictions = clas.predict(print_pred=True)
    print(">>> result", flush=True)
    for _ in predictions:
        pass
    if clas.failed:
        raise UserError(f"{len(clas.failed)} of the images could not be predicted")
    print("Predict complete!")
    return 0
