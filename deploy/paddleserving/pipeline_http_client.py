"""Send images to the service over HTTP; prints each answer.

    python deploy/paddleserving/pipeline_http_client.py
    python deploy/paddleserving/pipeline_http_client.py --url http://127.0.0.1:18080/imagenet/prediction \\
        --image_dir test_images --batch_size 2

--draw FOLDER saves what a detector's service draws: the images with their boxes.
Exit code: 0 every image was predicted, 1 the service does not answer or answers with an error.
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.client import is_loopback, parse_args, run_client
from ppcls_lite.utils.errors import UserError, run_main


def main():
    args = parse_args(__doc__, "--url", "http://127.0.0.1:18080/imagenet/prediction")
    import requests

    session = requests.Session()
    session.trust_env = not is_loopback(urlsplit(args.url).hostname or "")  # for this machine, no proxy

    def ask(request):
        try:
            return session.post(args.url, json=request, timeout=args.timeout).json()
        except (requests.RequestException, ValueError) as error:
            raise UserError(f"{args.url}: no answer ({type(error).__name__}: {error!s:.200})") from None

    run_client(args, ask)


if __name__ == "__main__":
    run_main(main)
