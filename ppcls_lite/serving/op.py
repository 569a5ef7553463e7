"""The operators of the pipeline that predict images, with the library's own transforms, engine and post-processing."""

import base64
import contextlib
import io
import threading
import time

import cv2
import numpy as np

from ppcls_lite.infer.drawing import draw_on_file, encode_jpeg
from ppcls_lite.infer.images import stack_images
from ppcls_lite.infer.model.boxes import rounded
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.serving.answer import make_answer
from ppcls_lite.serving.config import STATED
from ppcls_lite.serving.engines import Engines, options_of
from ppcls_lite.serving.paddle_serving import ChannelData, ChannelStopError, ChannelTimeoutError, ErrorCode, Op
from ppcls_lite.serving.program import read_program
from ppcls_lite.serving.request import (
    Code,
    Limits,
    RequestError,
    check_pixels,
    decode_base64,
    images_of,
    shown,
    transform_image,
    wants_drawings,
)
from ppcls_lite.serving.tasks import Classification, Detection, Recognition
from ppcls_lite.utils.config import without_nulls
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

PROBE = "a probe of the service"  # the key of a request that asks whether the pipeline works
_FEED, _FETCH = "images", "outputs"
_NEW = 0.1  # how much the newest requests change the mean of the seconds for an image
_SAMPLES = [np.zeros((300, 400, 3), np.uint8), np.zeros((400, 300, 3), np.uint8)]


class ImageOp(Op):
    """From one request's images to its answer, in three stages that a subclass may replace one by one.

    The engine is the one of the task's script with the same prediction config (`inference_config`), and so are all bits
    of the answer (`make_answer`). The pipeline's threads share this object; each has an engine of its own while it
    predicts.
    """

    limits = Limits()
    task = None  # a `ServedTask`
    replaced = 0  # threads that died
    image_seconds = 0.0  # that a thread works on an image, of late

    @staticmethod
    def on_death(error):
        """Called when a thread died of `error` and is replaced."""

    @staticmethod
    def on_batch(images, seconds):
        """Called with the number of images that were computed together, and the engine's seconds."""

    def init_from_dict(self, conf):
        """Load the model and the engines that `op.<name>` of config.yml names; UserError if one cannot be used."""
        with contextlib.redirect_stdout(io.StringIO()):  # it prints one of its settings
            super().init_from_dict(conf)
        self.client_type = "engine"  # Paddle Serving's own predictor is not made
        self._of_thread = threading.local()
        model_dir = conf["local_service_conf"]["model_config"]
        config = self.read_config(conf)
        self.transforms, postprocess = build_processing(model_dir, config)
        self.results_of = self.task.results_of(postprocess, model_dir, config)
        local = conf.get(STATED, conf["local_service_conf"])
        options, threads = options_of(local, config.get("Global"), self._batch_size)
        network = self.task.network
        samples = [network.prepare(sample, self.transforms) for sample in _SAMPLES]
        shapes = [network.pixels(sample).shape for sample in samples]
        self.input_shape = shapes[0]
        if self._batch_size > 1 and shapes[0] != shapes[1]:
            raise UserError(
                f"op.{self.name}.batch_size: expected 1, found {self._batch_size}: the transforms make images of "
                "several sizes, which cannot be predicted together"
            )
        self.engines = Engines(model_dir, options, self.concurrency, self._batch_size, shapes[0], threads, network)
        cv2.setNumThreads(self.engines.threads)  # as many as an engine: parallel work is on images
        first = samples[:1]
        self.results_of(self.engines.predict(first), **network.facts(first))  # checks transforms and outputs
        self.engine_name = self.engines.name
        self.input_name, self.output_name = _names_in(model_dir)
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
        """(batch, False, None, "") or (None, False, err_no, err_msg) for one request's `Job`."""
        ((_, job),) = input_dicts.items()
        job.add_seconds("queue", time.monotonic() - job.entered)
        try:
            self.check_wishes(job)
            return {_FEED: as_objects(self.prepare(job), self.task.network.pixels)}, False, None, ""
        except RequestError as error:
            return None, False, error.code, str(error)
        except UserError as error:
            return None, False, Code.IMAGE, str(error)

    def check_wishes(self, job):
        """RequestError for a request that wants more than this service answers."""
        if wants_drawings(job):
            raise RequestError(Code.FORM, "draw: expected no such key, since only a detector's service draws")

    def prepare(self, job):
        """What the network takes of each image of a `Job`; RequestError says what is wrong with it."""
        prepare = self.task.network.prepare
        if job.tensor is not None:
            if not self.task.network.takes_tensors:
                raise RequestError(Code.FORM, "expected image files: a detector has to know their sizes, too")
            if job.tensor.shape[1:] != self.input_shape:  # it would fail for all that are predicted together
                expected, found = list(self.input_shape), list(job.tensor.shape[1:])
                raise RequestError(Code.FORM, f"expected a tensor of {expected} for each image, found {found}")
            return list(job.tensor)
        if PROBE in job:
            return [prepare(_SAMPLES[0], self.transforms)]
        start = time.monotonic()
        images = {key: bytes_of(key, value) for key, value in images_of(job).items()}
        if len(images) > 1:  # one image has a limit of its own
            check_pixels(images, self.limits)
        job.add_seconds("decode", time.monotonic() - start)
        start, found = time.monotonic(), []
        for key, data in images.items():
            job.check_waiting()
            found.append(transform_image(key, data, self.transforms, self.limits, prepare))
        seconds = time.monotonic() - start
        job.add_seconds("transform", seconds)
        self._of_thread.prepared = getattr(self._of_thread, "prepared", 0.0) + seconds
        return found

    def process(self, feed_batch, typical_logid=0):
        """({"outputs": [N, ...], …}, 0, "") for the images of one request, or of several that are predicted together.

        The network's `facts` of each image go with its outputs; Paddle Serving gives each request its own rows.
        """
        images = feed_batch[0][_FEED]
        start = time.monotonic()
        outputs = self.engines.predict(images)
        self._of_thread.seconds = seconds = time.monotonic() - start
        self.on_batch(len(images), seconds)
        self._note_speed(len(images), seconds)
        return {_FETCH: outputs, **self.task.network.facts(images)}, 0, ""

    def _note_speed(self, images, seconds):
        """Keep the mean of the seconds for an image, from which the wait of a new request follows."""
        prepared, self._of_thread.prepared = getattr(self._of_thread, "prepared", 0.0), 0.0
        found = (prepared + seconds) / images
        self.image_seconds += (_NEW if self.image_seconds else 1.0) * (found - self.image_seconds)

    def _auto_batching_generator(self, input_channel, op_name, batch_size, timeout, op_info_prefix):
        """Lists of requests to predict together; without a timeout, the requests that are waiting already.

        Without a timeout, Paddle Serving's own generator waits for `batch_size` requests, for ever if no more come.
        """
        if timeout is None:
            batches = self._waiting_batches(input_channel, op_name, batch_size)
        else:
            batches = super()._auto_batching_generator(input_channel, op_name, batch_size, timeout, op_info_prefix)
        for batch in batches:
            self._of_thread.held = batch
            yield batch

    @staticmethod
    def _waiting_batches(input_channel, op_name, batch_size):
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
        outputs, facts = fetch_data[_FETCH], {name: rows for name, rows in fetch_data.items() if name != _FETCH}
        ((_, job),) = input_data.items()
        start = time.monotonic()
        job.add_seconds("engine", getattr(self._of_thread, "seconds", 0.0))
        if job.wants_outputs:
            job.outputs = outputs
        try:
            return self.answer(job, self.results_of(outputs, **facts)), None, ""
        except RequestError as error:
            return {}, error.code, str(error)
        except UserError as error:
            logger.error(f"{self.name}: {error}")
            return {}, Code.MODEL, str(error)
        finally:
            job.add_seconds("postprocess", time.monotonic() - start)

    def _run(self, number, input_channel, output_channels, *settings):
        """The loop of a thread. An error that Paddle Serving does not catch ends it: then another loop takes its place,
        and the requests that it held are answered."""
        while True:
            try:
                return super()._run(number, input_channel, output_channels, *settings)
            except Exception as error:
                self.replaced += 1
                self.on_death(error)
                with contextlib.suppress(ChannelStopError):
                    self._answer_held(error, output_channels)

    def _answer_held(self, error, output_channels):
        for channel_data in self._of_thread.held:
            for data in channel_data.values():
                text = f"[{self.name}] a thread of the service died: {type(error).__name__}: {error}"
                lost = ChannelData(error_code=ErrorCode.UNKNOW.value, error_info=text, data_id=data.id)
                self._push_to_output_channels(lost, output_channels)

    def answer(self, job, results):
        """{key: JSON text} for the results of a request's images."""
        return make_answer(results)


class ClassificationOp(ImageOp):
    """Answers the k best classes of each image."""

    task = Classification()


class RecognitionOp(ImageOp):
    """Answers the embedding of each image, or its nearest entries in a gallery."""

    task = Recognition()


def _names_in(model_dir):
    """The names of an exported model's input and first output. An engine that converts it may have others of its own,
    and who calls the service need not know which engine it has."""
    program = read_program(find_model(model_dir).structure)
    return program.inputs[0].name, program.outputs[0].name


class DetectionOp(ImageOp):
    """Answers the boxes in each image and, where the request wants them, the images with the boxes drawn on them."""

    task = Detection()

    def check_wishes(self, job):
        """None: both kinds of answers are had here."""

    def answer(self, job, results):
        if not wants_drawings(job):
            return make_answer(results)
        return make_answer(results, [_drawn(*item, result) for item, result in zip(images_of(job).items(), results)])


def bytes_of(key, value):
    """An image file's bytes: `value`, or what it spells in base64."""
    return decode_base64(key, value) if isinstance(value, str) else value


def _drawn(key, value, result):
    """A JPEG as base64: the drawing of predict_det.py. RequestError for an image that is too large to be one."""
    try:
        return base64.b64encode(encode_jpeg(draw_on_file(bytes_of(key, value), rounded(result)))).decode()
    except UserError as error:
        raise RequestError(Code.LIMIT, f"{shown(key)}: {error}") from None


def as_objects(images, pixels):
    """An array of objects [N], which Paddle Serving joins with those of other requests without copying pixels.

    Raises UserError when the images, `pixels(image)` of each, differ in shape.
    """
    arrays = [pixels(image) for image in images]
    if len({array.shape for array in arrays}) > 1:
        stack_images(arrays)
    objects = np.empty(len(images), object)
    for index, image in enumerate(images):
        objects[index] = image
    return objects
