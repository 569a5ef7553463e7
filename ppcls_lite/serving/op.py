"""The operators of the pipeline that predict images, with the library's own transforms, engine and post-processing."""

import contextlib
import io

import cv2
import numpy as np

from ppcls_lite.infer.images import stack_images
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.serving.answer import make_answer
from ppcls_lite.serving.config import STATED
from ppcls_lite.serving.engines import Engines, options_of
from ppcls_lite.serving.paddle_serving import ChannelTimeoutError, Op
from ppcls_lite.serving.request import Code, Limits, RequestError, decode_base64, transform_image
from ppcls_lite.serving.tasks import Classification, Recognition
from ppcls_lite.utils.config import without_nulls
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

_FEED, _FETCH = "images", "outputs"
_SAMPLES = [np.zeros((300, 400, 3), np.uint8), np.zeros((400, 300, 3), np.uint8)]


class ImageOp(Op):
    """From one request's images to its answer, in three stages that a subclass may replace one by one.

    The engine is the one of the task's script with the same prediction config (`inference_config`), and so are all bits
    of the answer (`make_answer`). The pipeline's threads share this object; each has an engine of its own while it
    predicts.
    """

    limits = Limits()
    task = None  # a `ServedTask`

    def init_from_dict(self, conf):
        """Load the model and the engines that `op.<name>` of config.yml names; UserError if one cannot be used."""
        with contextlib.redirect_stdout(io.StringIO()):  # it prints one of its settings
            super().init_from_dict(conf)
        self.client_type = "engine"  # Paddle Serving's own predictor is not made
        model_dir = conf["local_service_conf"]["model_config"]
        config = self.read_config(conf)
        self.transforms, postprocess = build_processing(model_dir, config)
        self.results_of = self.task.results_of(postprocess, model_dir, config)
        local = conf.get(STATED, conf["local_service_conf"])
        options, threads = options_of(local, config.get("Global"), self._batch_size)
        samples = [self.transforms(sample) for sample in _SAMPLES]
        if self._batch_size > 1 and samples[0].shape != samples[1].shape:
            raise UserError(
                f"op.{self.name}.batch_size: expected 1, found {self._batch_size}: the transforms make images of "
                "several sizes, which cannot be predicted together"
            )
        self.engines = Engines(model_dir, options, self.concurrency, self._batch_size, samples[0].shape, threads)
        cv2.setNumThreads(self.engines.threads)  # as many as an engine: parallel work is on images
        self.results_of(self.engines.predict(stack_images(samples[:1])))  # checks transforms and outputs
        self.engine_name = self.engines.name
        self.precision = options.precision if self.engine_name == "tensorrt" else "fp32"
        logger.info(
            f"{self.name}: {self.concurrency} x {self.engine_name} with {model_dir}: threads {self.engines.threads} "
            f"({self.task.script} {options.cpu_num_threads}), at most {self.engines.together} images together"
        )

    def read_config(self, conf):
        """The prediction config of `op.<name>`, or {}; what the operator's own `IndexProcess` states goes before it."""
        path, index = conf.get("inference_config"), without_nulls(conf.get("IndexProcess"))
        config = self.task.read_config(path) if path else {}
        return {**config, "IndexProcess": {**(config.get("IndexProcess") or {}), **index}} if index else config

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
        """({"outputs": [N, ...]}, 0, "") for the images of one request, or of several that are predicted together."""
        return {_FETCH: self.engines.predict(np.stack(feed_batch[0][_FEED]))}, 0, ""

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
        """(answer, None, ""), or ({}, err_no, err_msg) for outputs that are nan or infinite."""
        try:
            return make_answer(self.results_of(fetch_data[_FETCH])), None, ""
        except UserError as error:
            logger.error(f"{self.name}: {error}")
            return {}, Code.MODEL, str(error)


class ClassificationOp(ImageOp):
    """Answers the k best classes of each image."""

    task = Classification()


class RecognitionOp(ImageOp):
    """Answers the embedding of each image, or its nearest entries in a gallery."""

    task = Recognition()


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
