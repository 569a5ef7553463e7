"""Serve an exported model over HTTP and gRPC with Paddle Serving's pipeline.

    python deploy/paddleserving/classification_web_service.py
    python deploy/paddleserving/classification_web_service.py \\
        -o op.imagenet.local_service_conf.model_config=digits_serving -o http_port=18090

Everything is set in config.yml beside this file. Preprocessing, class names and top-k are those of the model
(inference.yml), so answers are those of predict_cls.py. See README.md beside this file.
Exit code: 0 stopped by a signal, 1 the config, the model or a port cannot be used.
"""

# test_tipc: data=test_tipc/prepare_data.sh modules=paddle,cv2,numpy,yaml,PIL,matplotlib,tqdm

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.config import load_service_config
from ppcls_lite.serving.request import limit_opencv
from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.log import setup_logging

CONFIG = Path(__file__).resolve().with_name("config.yml")


def build_service(name, limits):
    """The pipeline: a request, `ImageOp`, an answer. Add further operators here."""
    from ppcls_lite.serving.op import ImageOp
    from ppcls_lite.serving.server import Service

    class ClassificationService(Service):
        def get_pipeline_response(self, read_op):
            return ImageOp(name=name, input_ops=[read_op])

    return ClassificationService(name, limits)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", default=CONFIG, help="default: config.yml beside this file")
    parser.add_argument(
        "-o", "--opt", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="replace values"
    )
    args = parser.parse_args()
    config, name, limits = load_service_config(args.config, args.opt)
    setup_logging()
    limit_opencv(limits)
    service = build_service(name, limits)
    service.prepare_pipeline_config(yml_dict=config)
    service.run_service()


if __name__ == "__main__":
    run_main(main)
