"""One request on its way through the pipeline."""

import time

from ppcls_lite.serving.request import Code, RequestError, count_images

STAGES = ("queue", "decode", "transform", "engine", "postprocess")


class Job(dict):
    """{key: base64 text, or bytes, of an image}, the form that Paddle Serving's operators know, and what goes with it.

    Attributes:
        deadline: when nobody waits for the answer any longer, in seconds of `time.monotonic`.
        is_cancelled: whether the client has gone.
        seconds: {stage: seconds} of STAGES, as far as it has come.
        tensor: the network's input [N, C, H, W] instead of images, or None.
        method: the last part of the path that was called.
        wants_outputs, outputs: whether the network's output is sent, too, and that output [N, ...].
        done: called with the `Answer`, once, in a thread of the pipeline.
    """

    __slots__ = (
        "deadline", "done", "entered", "is_cancelled", "log_id", "method", "outputs", "seconds", "tensor",
        "wants_outputs",
    )  # fmt: skip

    def __init__(self, images=(), seconds=60.0, log_id=0, tensor=None, wants_outputs=False):
        super().__init__(images)
        self.entered = time.monotonic()
        self.deadline = self.entered + seconds
        self.is_cancelled, self.log_id, self.tensor, self.wants_outputs = False, log_id, tensor, wants_outputs
        self.seconds, self.outputs, self.done, self.method = {}, None, None, "prediction"

    __hash__ = object.__hash__
    __eq__ = object.__eq__  # two requests for one image are two

    @property
    def images(self):
        """How many images it asks about."""
        return count_images(self) if self.tensor is None else len(self.tensor)

    def add_seconds(self, stage, seconds):
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def check_waiting(self):
        """Raise RequestError where nobody waits for the answer any longer."""
        if self.is_cancelled:
            raise RequestError(Code.BUSY, "the client has gone")
        if time.monotonic() > self.deadline:
            raise RequestError(Code.BUSY, "the time for a request is over")


class Answer:
    """What a request is answered: `texts` {key: text}, or `err_no` and `err_msg` (and {}).

    `status` is that of HTTP; `answers_of` a pipeline gives it with the `job` it belongs to.
    """

    __slots__ = ("err_msg", "err_no", "job", "status", "texts")

    def __init__(self, job=None, texts=None, err_no=0, err_msg="", status=200):
        self.job, self.texts, self.err_no, self.err_msg, self.status = job, texts or {}, int(err_no), err_msg, status

    @classmethod
    def refusing(cls, error, job=None):
        """That to a `RequestError`."""
        return cls(job, err_no=error.code, err_msg=str(error), status=error.status)

    def as_dict(self):
        """As Paddle Serving's proxy writes it."""
        return {
            "err_no": self.err_no,
            "err_msg": self.err_msg,
            "key": list(self.texts),
            "value": list(self.texts.values()),
            "tensors": [],
        }
