"""What both clients share: build requests in the official form from image files, and save the answers."""

import argparse
import base64
import json
from pathlib import Path

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


def build_request(paths):
    """{"key": ["image", "image_1", …], "value": [base64, …]} for the files at `paths`."""
    keys = ["image", *(f"image_{number}" for number in range(1, len(paths)))]
    try:
        return {"key": keys, "value": [base64.b64encode(Path(path).read_bytes()).decode() for path in paths]}
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None


def is_loopback(host):
    """Whether the address is this machine, which is reached without a proxy."""
    return host.startswith(LOOPBACK)


def run_client(args, ask):
    """Send all images through `ask(request) -> answer`, print and save each answer; UserError if any is an error."""
    if args.save_request:
        _write(args.save_request, build_request(_batches(args)[0]))
    send_batches(args, lambda paths: ask(build_request(paths)))


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
