"""Convert an exported model for Paddle Serving; the options are those of `python -m paddle_serving_client.convert`.

    python deploy/paddleserving/convert.py --dirname deploy/models/MobileNetV3_small_x1_0_digits_infer \\
        --model_filename inference.pdmodel --params_filename inference.pdiparams \\
        --serving_server deploy/paddleserving/digits_serving --serving_client deploy/paddleserving/digits_client

Paddle Serving's own converter fails on every Paddle from 2.5 on. This one writes the same files with any Paddle, also
for Paddle 3's own format, inference.json, which classification_web_service.py reads, but a C++ server does not.
Exit code: 0 converted, 1 the model or a folder cannot be used.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.convert import convert, describe, find_files
from ppcls_lite.serving.program import read_program
from ppcls_lite.utils.errors import UserError, run_main

NOTE_ON_JSON = (
    "note: this is Paddle 3's format (.json), which classification_web_service.py reads; a C++ Paddle Serving server, "
    "a stock pipeline server and Paddle Lite need .pdmodel: tools/export_model.py with "
    "-o Global.export_format=pdmodel, on Paddle up to 3.1"
)


def truth(text):
    """True or False; Paddle Serving's converter takes any text for True, "False" too."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected True or False, found {text!r}")
    return text.lower() == "true"


def names(text):
    return [name.strip() for name in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dirname", required=True, help="folder of the exported model")
    parser.add_argument("--model_filename", help="its structure; default: inference.pdmodel or inference.json")
    parser.add_argument("--params_filename", help="its weights; default: inference.pdiparams")
    parser.add_argument("--serving_server", default="serving_server", help="folder to make for the server")
    parser.add_argument("--serving_client", default="serving_client", help="folder to make for clients")
    parser.add_argument("--feed_alias_names", type=names, help="other names for the inputs, comma between them")
    parser.add_argument("--fetch_alias_names", type=names, help="other names for the outputs, comma between them")
    parser.add_argument("--show_proto", type=truth, nargs="?", const=True, default=False, help="only print it")
    args = parser.parse_args()
    aliases = {"feed_aliases": args.feed_alias_names, "fetch_aliases": args.fetch_alias_names}
    if args.show_proto:
        model = find_files(args.dirname, args.model_filename, args.params_filename).structure
        print(describe(read_program(model), model, **aliases), end="")
        return
    config = convert(
        args.dirname, args.serving_server, args.serving_client, args.model_filename, args.params_filename, **aliases
    )
    feeds, fetches = ([entry.alias_name for entry in entries] for entries in (config.feed_var, config.fetch_var))
    if not feeds:
        raise UserError(f"{args.dirname}: nothing is fed")
    print(f"converted {args.dirname}: {', '.join(feeds)} -> {', '.join(fetches)}")
    print(f"server: {args.serving_server}\nclient: {args.serving_client}")
    if find_files(args.dirname, args.model_filename, args.params_filename).is_json:
        print(NOTE_ON_JSON)


if __name__ == "__main__":
    run_main(main)
