"""Serve an exported detector over HTTP and gRPC with Paddle Serving's pipeline: boxes, and drawings of them.

    python deploy/paddleserving/detection_web_service.py
    python deploy/paddleserving/detection_web_service.py -o op.CenterNet.local_service_conf.model_config=stamps_serving

Everything is set in config_det.yml beside this file. Preprocessing is that of the model (inference.yml), so answers are
those of predict_det.py. See README.md beside this file.
Exit code: 0 stopped by a signal, 1 the config, the model or a port cannot be used.
"""

# test_tipc: data=test_tipc/prepare_data.sh modules=paddle,cv2,numpy,yaml,PIL,matplotlib,tqdm

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.start import run_service
from ppcls_lite.utils.errors import run_main

CONFIG = Path(__file__).resolve().with_name("config_det.yml")


def build_pipeline(name, requests):
    """The last operator of the pipeline: requests, `DetectionOp`, answers. Add further operators here."""
    from ppcls_lite.serving.op import DetectionOp

    return DetectionOp(name=name, input_ops=[requests])


def main():
    run_service(__doc__, CONFIG, build_pipeline)


if __name__ == "__main__":
    run_main(main)
