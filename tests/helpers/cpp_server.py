"""The protocol of Paddle Serving's C++ server, spoken by Python, for tests: the program itself cannot be fetched here.

Started by `paddle_serving_server.serve` as SERVING_BIN, with the files that it writes for the program. It computes with
the model of the real conversion, by Paddle Inference. PLANT in the environment is a fault: `shift` (of every score),
`swap` (the images of a request), `constant`, `refuse` (err_no), `die` (before it listens).
"""

import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.serving.program import load_proto

PLANT = os.environ.get("PLANT", "")


def option(name):
    return sys.argv[sys.argv.index(f"-{name}") + 1]


def compute(engine, batch):
    scores = np.array(engine.run(batch))
    if PLANT == "swap":
        scores = scores[::-1]
    if PLANT == "constant":
        scores = np.tile(np.linspace(1, 2, scores.shape[1], dtype=np.float32), (len(scores), 1))
    return scores + np.float32(1e-3 * (PLANT == "shift"))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"OK")

    def do_POST(self):
        assert self.path == "/GeneralModelService/inference"
        messages = load_proto("paddle_serving_client", "proto/general_model_service_pb2.py")
        request, response = messages.Request(), messages.Response()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        (sent,) = request.tensor
        if PLANT == "refuse":
            response.err_no, response.err_msg = 5100, "InferService inference failed!"
        else:
            batch = np.array(sent.float_data, np.float32).reshape(list(sent.shape))
            scores = compute(self.server.engine, batch)
            tensor = response.outputs.add().tensor.add()
            tensor.alias_name = request.fetch_var_names[0]
            tensor.shape.extend(scores.shape)
            tensor.float_data.extend(scores.ravel().tolist())
        self.answer(response.SerializeToString())

    def answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main():
    (toolkit,) = Path(option("resource_path")).rglob("*model_toolkit.prototxt")
    (model,) = re.findall(r'model_dir: "(.+)"', toolkit.read_text())
    if PLANT == "die":
        raise SystemExit("PLANT")
    server = ThreadingHTTPServer(("127.0.0.1", int(option("port"))), Handler)
    server.engine = create_engine("paddle", model, EngineOptions(ir_optim=False))
    server.serve_forever()


if __name__ == "__main__":
    main()
