"""Turn a network of this repository into the files of a pull request to PaddleClas.

    python tools/to_paddleclas.py -m MixNet_S --output output/pull_request
    python tools/to_paddleclas.py -m MyNet_x1_0 --into ../PaddleClas \\
        -c ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml

Made of the network's file, its YAML (that of ppcls_lite/configs/ImageNet, or -c; -o changes values) and the chain
configs in test_tipc/configs/<network> (or --tipc FOLDER): the architecture, which needs nothing of this repository,
the YAML, the test_tipc configs and the documents, under PaddleClas's names. The new network is built and compared with
the one here before anything is written. Several networks of one file may be given.
--output writes the files and PULL_REQUEST.md, which has the lines to add to existing files; --into writes them into a
checkout of PaddleClas and adds these lines, and overwrites nothing. A network that PaddleClas has already gets only
what is missing there, and what differs is printed.
Exit code: 0 written, 1 something cannot be turned or written, 130 interrupted.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", nargs="+", required=True, help="registered networks of one file")
    parser.add_argument("-c", "--config", help="the YAML to take the training from")
    parser.add_argument("-o", "--override", action="append", default=[], help="Key.key=value, changes the YAML")
    parser.add_argument("--tipc", help="folder of the chain configs, of one network")
    parser.add_argument("--family", help="folder of configs and name of the documents, such as MixNet")
    parser.add_argument("--top1", nargs="+", default=[], help="accuracy on ImageNet, from 0 to 1, one for each network")
    parser.add_argument("--top5", nargs="+", default=[], help="the same of the best five classes")
    parser.add_argument("--weights_url", nargs="+", default=[], help="address of the weights, one for each network")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", help="a new or empty folder to write")
    place.add_argument("--into", help="a checkout of PaddleClas")
    args = parser.parse_args()
    for option in ("top1", "top5", "weights_url"):
        given = getattr(args, option)
        if given and len(given) != len(args.model):
            parser.error(f"--{option}: expected {len(args.model)} values, one for each network, found {len(given)}")
    if args.tipc and len(args.model) > 1:
        parser.error("--tipc: expected one network")
    for option in ("top1", "top5"):
        setattr(args, option, [checks.real(f"--{option}", value, 0, 1) for value in getattr(args, option)])
    return args


def main():
    args = parse()
    setup_logging()
    if args.output and not _is_free(Path(args.output)):
        raise UserError(f"--output {args.output}: expected a new or empty folder")
    with quick_import():
        from tools.suite import checkout, pull_request
    wish = pull_request.Wish(
        names=tuple(dict.fromkeys(args.model)),
        config=args.config,
        overrides=tuple(args.override),
        tipc=args.tipc,
        family=args.family,
        top1=tuple(args.top1),
        top5=tuple(args.top5),
        urls=tuple(args.weights_url),
        into=args.into,
    )
    made = pull_request.make(wish)
    for name, file in made.known.items():
        seen = "" if args.into else f" ({checkout.SNAPSHOT})"
        print(f"note: PaddleClas has {name} already: {checkout.BACKBONE}/{file}{seen}")
    if args.into and made.known:
        for line in pull_request.compare_with_theirs(made, wish):
            print(f"differs: {line}")
    elif args.into:
        for path in pull_request.conflicts(made, args.into):
            raise UserError(f"{Path(args.into, path)}: is there already, with another content; nothing was written")
    files = made.files if args.into else {**made.files, "PULL_REQUEST.md": pull_request.describe(made, wish)}
    written, kept = checkout.place_files(args.into or args.output, files, made.edits)
    report(made, written, kept)


def _is_free(folder):
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def report(made, written, kept):
    for path in written:
        print(f"written: {path}")
    for path in kept:
        print(f"kept: {path} (it is there already)")
    for path, lines in made.lines.items():
        print(f"to add: {path}: {lines.strip().splitlines()[0]}")
    for line in made.told:
        print(f"note: {line}")
    for line in made.proven:
        print(f"proven: {line}")


if __name__ == "__main__":
    run_main(main)
