"""What both clients share: build requests in the official form from image files, and save the answers."""

import argparse
import base64
import json
from pathlib import Path

from ppcls_lite.serving.request import DRAW
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO, atomic_write

LOOPBACK = ("127.", "localhost", "[::1]", "::1")


def parse_args(description, where, default, argv=None):
    """The clients' command line; `where` is the option that names the service."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(where, default=default, help=f"default: {default}")
    add_arguments(parser)
    parser.add_argument("--save_request", help="write the first request to this JSON file")
    parser.add_argument("--draw", metavar="FOLDER", help="of a detector: save the images with their boxes there")
    return parser.parse_args(argv)


def add_arguments(parser):
    """What all clients have on their command line."""
    parser.add_argument(
        "--image_dir",
        "--img-path",
        dest="images",
        default=REPO / "test_images",
        help="an image, a folder or a list file",
    )
    parser.add_argument("--batch_size", type=checks.argument(), default=1, help="images in one request")
    parser.add_argument("--timeout", type=float, default=60, help="seconds to wait for an answer")
    parser.add_argument("--save", help="write the answers to this JSON file")


def build_request(paths, draw=False):
    """{"key": ["image", "image_1", …], "value": [base64, …]} for the files at `paths`; with `draw`, that key too."""
    keys = ["image", *(f"image_{number}" for number in range(1, len(paths)))]
    try:
        texts = [base64.b64encode(Path(path).read_bytes()).decode() for path in paths]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None
    return {"key": [*keys, DRAW], "value": [*texts, "true"]} if draw else {"key": keys, "value": texts}


def is_loopback(host):
    """Whether the address is this machine, which is reached without a proxy."""
    return host.startswith(LOOPBACK)


def run_client(args, ask):
    """Send all images through `ask(request) -> answer`, print and save each answer; UserError if any is an error."""
    batches, draw = _batches(args), bool(args.draw)
    if args.save_request:
        _write(args.save_request, build_request(batches[0], draw))
    targets = _drawing_paths(batches, args.draw) if draw else {}

    def ask_for(paths):
        answer = ask(build_request(paths, draw))
        return _without_drawings(answer, [targets[path] for path in paths]) if draw else answer

    send_batches(args, ask_for)


def _drawing_paths(batches, folder):
    """{path: where its drawing goes below `folder`}, as predict_det.py names them."""
    from ppcls_lite.infer.drawing import drawing_paths  # imports OpenCV, which most requests do not need

    return drawing_paths([path for paths in batches for path in paths], folder)


def _without_drawings(answer, targets):
    """The answer without its drawings, which are written to the paths `targets`."""
    texts = dict(zip(answer["key"], answer["value"]))
    try:
        drawn = [base64.b64decode(text, validate=True) for text in json.loads(texts.pop("drawn", "[]"))]
        for target, content in zip(targets, drawn):
            with atomic_write(target, "wb") as stream:
                stream.write(content)
    except ValueError as error:
        raise UserError(f"the drawings cannot be read ({error!s:.120})") from None
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({error.strerror})") from None
    return {**answer, "key": list(texts), "value": list(texts.values())}


def send_batches(args, ask):
    """As `run_client`, with `ask(paths) -> answer` for the images of a request."""
    answers, failed = [], 0
    for batch in _batches(args):
        answer = ask(batch)
        print(answer, flush=True)
        failed += answer["err_no"] != 0
        answers.append({"images": batch, "answer": answer})
    if args.save:
        _write(args.save, answers)
    images = sum(len(entry["images"]) for entry in answers)
    print(f"{len(answers)} requests, {images} images, {failed} answered with an error")
    if failed:
        raise UserError(f"{failed} of {len(answers)} requests were answered with an error")


def _batches(args):
    """Lists of the paths of the images, one for each request."""
    from ppcls_lite.data.dataset import list_images

    paths = [str(path) for path in list_images(args.images)[0]]
    return [paths[start : start + args.batch_size] for start in range(0, len(paths), args.batch_size)]


def _write(path, content):
    with atomic_write(path) as stream:
        json.dump(content, stream, ensure_ascii=False, indent=1)
