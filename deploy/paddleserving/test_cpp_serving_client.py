"""Send images to Paddle Serving's C++ server; prints each prediction, and saves them as the other clients do.

    python deploy/paddleserving/test_cpp_serving_client.py --client MobileNetV3_small_x1_0_client \\
        --url http://127.0.0.1:9292 --image_dir test_images

--client is the folder (or its prototxt) that convert.py wrote for clients; --model, the folder with inference.yml, is
where the preprocessing and the class names are: the folder for the server, or the exported model.
Exit code: 0 every image was predicted, 1 the server does not answer, or answers with an error.
"""

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.client import add_arguments, is_loopback, send_batches
from ppcls_lite.utils.errors import UserError, run_main


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:9292", help="of the server")
    parser.add_argument("--client", required=True, help="folder that the conversion wrote for clients")
    parser.add_argument("--model", required=True, help="folder with the model's inference.yml")
    parser.add_argument("--op", default="GeneralInferOp", help="the server's operator; default: %(default)s")
    add_arguments(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    import requests

    from ppcls_lite.infer.images import read_image, stack_images
    from ppcls_lite.infer.model.config import build_processing
    from ppcls_lite.serving import cpp_client
    from ppcls_lite.serving.answer import make_answer
    from ppcls_lite.serving.tasks import Classification

    config = cpp_client.read_client_config(args.client)
    transforms, postprocess = build_processing(args.model)
    results_of = Classification().results_of(postprocess, args.model, {})
    sends_files = args.op in cpp_client.IMAGE_OPERATORS
    if sends_files and args.batch_size != 1:
        raise UserError(f"--batch_size: {args.op} takes one image in a request, found {args.batch_size}")
    session = requests.Session()
    session.trust_env = not is_loopback(urlsplit(args.url).hostname or "")  # for this machine, no proxy
    session.headers["Content-Type"] = "application/proto"

    def ask(paths):
        if sends_files:
            content = cpp_client.image_request(config, paths[0])
        else:
            content = cpp_client.tensor_request(config, stack_images([read_image(path, transforms) for path in paths]))
        try:
            reply = session.post(args.url.rstrip("/") + cpp_client.PATH, data=content, timeout=args.timeout)
            reply.raise_for_status()
        except requests.RequestException as error:
            raise UserError(f"{args.url}: no answer ({type(error).__name__}: {error!s:.200})") from None
        scores = cpp_client.read_response(reply.content, config, len(paths))
        answer = make_answer(results_of(scores))
        return {"err_no": 0, "err_msg": "", "key": list(answer), "value": list(answer.values())}

    send_batches(args, ask)


if __name__ == "__main__":
    run_main(main)
