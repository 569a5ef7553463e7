"""The operator of the pipeline that classifies images, with the library's own transforms, engine and top-k."""

import contextlib
import io
import json
import queue

import cv2
import numpy as np

from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.images import stack_images
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.serving.paddle_serving import ChannelTimeoutError, Op
from ppcls_lite.serving.request import Code, Limits, RequestError, decode_base64, transform_image
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.schema import DEPLOY

_FEED = "images"
_SAMPLES = [np.zeros((300, 400, 3), np.uint8), np.zeros((400, 300, 3), np.uint8)]


class ImageOp(Op):
    """From one request's images to its answer, in three stages that a subclass may replace one by one.

    The answer's keys, each a JSON text: `label` and `prob` (the best class of each image, as PaddleClas's service
    answers), and `result`: per image the prediction of `predict_cls.py`, with `class_ids`, `scores`, `label_names`.

    The pipeline's threads share this object, so each takes an engine from a pool while it predicts.
    """

    limits = Limits()

    def init_from_dict(self, conf):
        """Load the model and the engines that `op.<name>` of config.yml names; UserError if one cannot be used."""
        with contextlib.redirect_stdout(io.StringIO()):  # it prints one of its settings
            super().init_from_dict(conf)
        self.client_type = "engine"  # Paddle Serving's own predictor is not made
        local = conf["local_service_conf"]
        model_dir = local["model_config"]
        stated = conf.get("inference_config")
        self.transforms, self.topk = build_processing(model_dir, load_config(stated, schema=DEPLOY) if stated else None)
        options = engine_options(local, self._batch_size * self.limits.max_images)
        cv2.setNumThreads(options.cpu_num_threads)  # as many as an engine: parallel work is on images
        samples = [self.transforms(sample) for sample in _SAMPLES]
        if self._batch_size > 1 and samples[0].shape != samples[1].shape:
            raise UserError(
                f"op.{self.name}.batch_size: expected 1, found {self._batch_size}: the transforms make images of "
                "several sizes, which cannot be predicted together"
            )
        self.engines = queue.LifoQueue()  # the one used last has its data in the processor's cache
        name = engine_name(local.get("engine"), options, model_dir)
        for _ in range(self.concurrency):
            engine = create_engine(name, model_dir, options)
            name = engine.name if name == "auto" else name  # what it chose is for all of them
            for size in range(1, self._batch_size + 1):  # compiles, and checks transforms and scores
                self.topk(engine.run(stack_images(samples[:1] * size)))
            self.engines.put(engine)
        self.engine_name = engine.name
        self.precision = options.precision if self.engine_name == "tensorrt" else "fp32"
        logger.info(f"{self.name}: {self.concurrency} x {engine.name} with {model_dir}")

    def init_client(self, client_config, server_endpoints):
        """None: there is no client, since `process` predicts itself."""

    def preprocess(self, input_dicts, data_id=0, log_id=0):
        """(batch, False, None, "") or (None, False, err_no, err_msg) for one request's {key: base64}."""
        ((_, texts),) = input_dicts.items()
        try:
            images = [
                transform_image(key, decode_base64(key, value), self.transforms, self.limits)
                for key, value in texts.items()
            ]
            return {_FEED: as_objects(images)}, False, None, ""
        except RequestError as error:
            return None, False, error.code, str(error)
        except UserError as error:
            return None, False, Code.IMAGE, str(error)

    def process(self, feed_batch, typical_logid=0):
        """({"scores": [N, C]}, 0, "") for the images of one request, or of several that are predicted together."""
        engine = self.engines.get()
        try:
            return {"scores": engine.run(np.stack(feed_batch[0][_FEED]))}, 0, ""
        finally:
            self.engines.put(engine)

    def _auto_batching_generator(self, input_channel, op_name, batch_size, timeout, op_info_prefix):
        """Lists of requests to predict together; without a timeout, the requests that are waiting already.

        Without a timeout, Paddle Serving's own generator waits for `batch_size` requests, for ever if no more come.
        """
        if timeout is not None:
            yield from super()._auto_batching_generator(input_channel, op_name, batch_size, timeout, op_info_prefix)
        while True:
            batch = [input_channel.front(op_name)]
            while len(batch) < batch_size and input_channel.size():
                try:
                    batch.append(input_channel.front(op_name, 0.001))
                except ChannelTimeoutError:  # another thread was faster
                    break
            yield batch

    def postprocess(self, input_data, fetch_data, data_id=0, log_id=0):
        """(answer, None, ""), or ({}, err_no, err_msg) for scores that are nan or infinite."""
        try:
            results = self.topk(fetch_data["scores"])
        except UserError as error:
            logger.error(f"{self.name}: {error}")
            return {}, Code.MODEL, str(error)
        answer = {
            "label": [result["label_names"][0] if result["label_names"] else "" for result in results],
            "prob": [result["scores"][0] for result in results],
            "result": results,
        }
        return {key: json.dumps(value, ensure_ascii=False) for key, value in answer.items()}, None, ""


def as_objects(images):
    """An array of arrays [N], which Paddle Serving joins with those of other requests without copying pixels.

    Raises UserError when the images differ in shape.
    """
    if len({image.shape for image in images}) > 1:
        stack_images(images)
    objects = np.empty(len(images), object)
    for index, image in enumerate(images):
        objects[index] = image
    return objects


def engine_name(stated, options, model_dir):
    """`stated`, or else OpenVINO where it can run; None: what the options' switches give, oneDNN where it works."""
    if stated or options.use_gpu:
        return stated or options.engine_name
    return None if ENGINES.get("openvino").why_not(options, find_model(model_dir)) else "openvino"


def engine_options(local, largest_batch=1):
    """`EngineOptions` from `local_service_conf`, in Paddle Serving's names; raises UserError for another device.

    `largest_batch` is what TensorRT has to plan for, in images.
    """
    device = local["device_type"]
    if device == -1:
        device = 1 if local["devices"] else 0
    if device not in (0, 1, 2):
        raise UserError(f"local_service_conf.device_type: expected 0 (CPU), 1 (GPU) or 2 (TensorRT), found {device}")
    identity = local["devices"].split(",")[0].strip() if device else "0"
    if not identity.isdecimal():
        raise UserError(f"local_service_conf.devices: expected the number of a GPU, found {local['devices']!r:.80}")
    return EngineOptions(
        use_gpu=device > 0,
        gpu_id=int(identity),
        use_tensorrt=device == 2,
        use_fp16=local["precision"] == "fp16",
        use_int8=local["precision"] == "int8",
        batch_size=largest_batch if device == 2 else 1,
        ir_optim=local["ir_optim"],
        cpu_num_threads=local["thread_num"],
    )
