"""The yardstick of benchmark.py: a service set up as the documents of Paddle Serving and PaddleClas describe.

One worker, the operator in its own process, IR passes off, Paddle Serving's own reader, predictor and HTTP proxy. For
measurements on this machine only: its proxy listens on every address, and nothing is limited.

    python deploy/paddleserving/benchmark_stock_service.py MODEL_FOLDER HTTP_PORT RPC_PORT [KEY=VALUE...]

KEY=VALUE replaces settings of local_service_conf, such as ir_optim=True.
Exit code: 0 stopped by Paddle Serving; benchmark.py ends it with a signal.
"""

import argparse
import base64
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import parse_value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder that convert.py made for the server")
    parser.add_argument("http_port", type=int)
    parser.add_argument("rpc_port", type=int)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    args = parser.parse_args()
    # first: it makes Paddle Serving importable on today's Python
    from ppcls_lite.serving.paddle_serving import Op, WebService

    local = {"model_config": args.model, "device_type": 0, "devices": "", "client_type": "local_predictor"}
    local["fetch_list"] = ["prediction"]
    local.update({key: parse_value(value) for key, value in (setting.split("=", 1) for setting in args.settings)})
    service = build_service(Op, WebService)
    service.prepare_pipeline_config(
        yml_dict={
            "worker_num": 1,
            "http_port": args.http_port,
            "rpc_port": args.rpc_port,
            "dag": {"is_thread_op": False},
            "op": {"imagenet": {"concurrency": 1, "local_service_conf": local}},
        }
    )
    service.run_service()


def build_service(Op, WebService):
    import cv2
    import numpy as np
    from paddle_serving_app.reader import RGB2BGR, CenterCrop, Div, Normalize, Resize, Sequential, Transpose

    class StockOp(Op):
        def init_op(self):
            mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
            steps = [
                Resize(256),
                CenterCrop(224),
                RGB2BGR(),
                Transpose((2, 0, 1)),
                Div(255),
                Normalize(mean, std, True),
            ]
            self.read = Sequential(steps)

        def preprocess(self, input_dicts, data_id, log_id):
            ((_, texts),) = input_dicts.items()
            files = [np.frombuffer(base64.b64decode(text), np.uint8) for text in texts.values()]
            images = [self.read(cv2.imdecode(data, cv2.IMREAD_COLOR)) for data in files]
            return {"x": np.stack(images)}, False, None, ""

        def postprocess(self, input_dicts, fetch_dict, data_id, log_id):
            scores = fetch_dict["prediction"]
            best = scores.argmax(axis=1)
            return {"label": str(best.tolist()), "prob": str(scores.max(axis=1).tolist())}, None, ""

    class StockService(WebService):
        def get_pipeline_response(self, read_op):
            return StockOp(name="imagenet", input_ops=[read_op])

    return StockService(name="imagenet")


if __name__ == "__main__":
    main()
