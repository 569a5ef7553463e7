"""Helpers for the tests of serving: a real server on free ports, requests to it, and images."""

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from tests.helpers.scripts import LIMIT, ROOT, with_library
from tests.helpers.shell import wait_for

SCRIPT = ROOT / "deploy/paddleserving/classification_web_service.py"
REC_SCRIPT = SCRIPT.with_name("recognition_web_service.py")
DET_SCRIPT = SCRIPT.with_name("detection_web_service.py")
OPERATORS = {SCRIPT: "imagenet", REC_SCRIPT: "ArcFace", DET_SCRIPT: "CenterNet"}
LISTENING = re.compile(r"listening: http://127\.0\.0\.1:(\d+)/(\w+)/prediction and grpc 127\.0\.0\.1:(\d+)")


class Service:
    """`classification_web_service.py`, or another script, in a separate process and session, ready to serve."""

    def __init__(self, folder, model, *options, script=SCRIPT):
        self.folder = Path(folder)
        self.log = self.folder / "server.log"
        conf = f"op.{OPERATORS.get(script, OPERATORS[SCRIPT])}.local_service_conf"
        options = [f"{conf}.model_config={model}", "http_port=0", "rpc_port=0", *options]
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, str(script), "-o", *options],
                cwd=self.folder,
                env={**(os.environ if script in OPERATORS else with_library()), "CUDA_VISIBLE_DEVICES": ""},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(lambda: self.said(LISTENING) or self.process.poll() is not None)
        assert self.said(LISTENING), self.log.read_text()
        http_port, self.name, rpc_port = self.said(LISTENING).groups()
        self.port, self.rpc_port = int(http_port), int(rpc_port)

    def said(self, pattern):
        return pattern.search(self.log.read_text(errors="replace"))

    @property
    def errors(self):
        """Paddle Serving's own log."""
        return (self.folder / "PipelineServingLogs/pipeline.log").read_text()

    def memory(self):
        """MiB that the server holds now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def post(self, body, path=None, headers=None, timeout=LIMIT):
        """(status, answer) for raw bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("POST", path or f"/{self.name}/prediction", body, headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def ask(self, *values, keys=None):
        """The answer for image files, as bytes or as texts that are sent instead of base64."""
        texts = [base64.b64encode(v).decode() if isinstance(v, bytes) else v for v in values]
        keys = keys or ["image", *(f"image_{i}" for i in range(1, len(values)))]
        return self.post(json.dumps({"key": keys, "value": texts}).encode())[1]

    def results(self, *values):
        answer = self.ask(*values)
        assert answer["err_no"] == 0, answer
        return json.loads(dict(zip(answer["key"], answer["value"]))["result"])

    def stop(self):
        """End it with SIGTERM; returns the exit status. Kills it when it does not end."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise


def make_image(height=40, width=44, channels=3, dtype=np.uint8, seed=5):
    """An image [H, W, C] with a gradient and noise; the same arguments give the same image."""
    rng = np.random.default_rng(seed)
    base = np.linspace(0, 200, height)[:, None, None] + rng.integers(0, 50, (height, width, channels))
    scale = 257 if dtype == np.uint16 else 1
    return (base * scale).astype(dtype)


def paddle_inference(model):
    """A function from an image file's bytes to its unrounded prediction by the engine of predict_cls.py."""
    from ppcls_lite.infer.engines import create_engine  # imports Paddle, which most users of this file do not need
    from ppcls_lite.infer.images import stack_images
    from ppcls_lite.infer.model.config import build_processing

    transforms, topk = build_processing(model)
    engine = create_engine(None, model)
    return lambda data: topk(engine.run(stack_images([transforms(data)])), decimals=None)[0]


def encoded(image, suffix=".jpg"):
    done, data = cv2.imencode(suffix, image)
    assert done
    return data.tobytes()
