"""One model behind Paddle Serving's pipeline: its graph of operators, fed without a thread for each request."""

import contextlib
import io
import itertools
import threading
import time
from collections import Counter, deque

from ppcls_lite.serving.job import Answer, Job
from ppcls_lite.serving.op import PROBE, ImageOp
from ppcls_lite.serving.paddle_serving import (
    ChannelData,
    ChannelDataType,
    ChannelStopError,
    DAGExecutor,
    ErrorCode,
    RequestOp,
    ResponseOp,
    ServerYamlConfChecker,
)
from ppcls_lite.serving.request import Code, RequestError, check_form, status_of
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

_DEATHS, _DEATH_SECONDS = 5, 60  # so many dead threads in that time: the service is ill, and ends
_FRESH_SECONDS = 2  # so long an answer shows that the pipeline works
_PROBE_SECONDS = 10
_PORTS = {"http_port": 18080, "rpc_port": 9993}  # Paddle Serving wants to see some; it listens on none of them


class Pipeline:
    """The model of `op.<name>`, loaded and ready; UserError when it cannot be used.

    Args:
        name: that of the operator, which is the first part of the service's path.
        conf: the service's whole config, as `load_service_config` returns it.
        limits: `Limits`.
        build: function from the operator's name and the operator of the requests to the last operator.
    """

    def __init__(self, name, conf, limits, build):
        self.name, self.limits = name, limits
        self.asked = Counter()  # {images: how many requests of so many}
        self.answered = time.monotonic()
        self._jobs, self._deaths, self._lock = {}, deque(maxlen=_DEATHS), threading.Lock()
        self._numbers = itertools.count()
        self._images = 0  # of the requests under way
        request_op = RequestOp()
        last = build(name, request_op)
        response_op = ResponseOp(input_ops=[last])
        one = {**conf, "op": {name: conf["op"][name]}, **_PORTS}
        checked = ServerYamlConfChecker.load_server_yaml_conf(yml_dict=one)
        if not checked["dag"]["is_thread_op"]:
            raise UserError("dag.is_thread_op: expected True: the operators here are threads")
        self.operators = [op for op in _operators(last) if isinstance(op, ImageOp)]
        for op in _operators(last):
            if not isinstance(op, RequestOp):
                op.limits, op.on_death = limits, self._note_death
                op.init_from_dict(checked["op"].get(op.name) or checked["op"][name])
        with contextlib.redirect_stdout(io.StringIO()):
            self._graph = DAGExecutor(response_op, checked, 0)
        self._receiver = threading.Thread(target=self._receive, name=f"answers of {name}", daemon=True)
        self._receiver.start()

    # ------------------------------------------------------------------------------------------------- requests

    def submit(self, job, done):
        """Compute `job`; `done(answer)` is called in another thread. RequestError when it is refused at once."""
        if job.tensor is None:
            check_form(list(job), list(job.values()), self.limits)
        job.done = done
        with self._lock:
            if not self._graph:
                raise RequestError(Code.BUSY, f"{self.name} is being replaced; try again")
            self._check_room()
            number = next(self._numbers)
            self._jobs[number] = job
            self._images += job.images
            self.asked[job.images] += 1
        self._push(number, job)

    def probe(self, done):
        """As `submit`, of an image of the model's own, whatever waits."""
        job = Job({PROBE: ""}, _PROBE_SECONDS)
        job.done = done
        with self._lock:
            number = next(self._numbers)
            self._jobs[number] = job
            self._images += 1
        self._push(number, job)

    def _push(self, number, job):
        data = ChannelData(ChannelDataType.DICT.value, dictdata=job, data_id=number, log_id=job.log_id)
        self._graph._in_channel.push(data, self._graph.name)

    def _check_room(self):
        """Refuse early rather than answer late: a queue that has grown too long for its last one helps nobody."""
        if len(self._jobs) >= self.limits.max_queue:
            raise RequestError(Code.BUSY, f"{len(self._jobs)} requests are under way; try again")
        wait, most = 1000 * self.wait_seconds, self.limits.max_wait_ms
        if most and wait > most:
            text = f"an engine would be free in {wait:.0f} ms; expected at most {most}; try again"
            raise RequestError(Code.BUSY, text)

    @property
    def wait_seconds(self):
        """How long a new request would wait for an engine."""
        op = self.operators[0]
        waiting = self._images - op.concurrency * op.engines.together
        return max(waiting, 0) * op.image_seconds / op.concurrency

    @property
    def under_way(self):
        """How many requests are."""
        return len(self._jobs)

    @property
    def waiting(self):
        """How many requests wait for an engine."""
        return self._graph._in_channel.size() if self._graph else 0

    def _receive(self):
        """Give each answer to whoever waits for it, until the pipeline is closed."""
        graph = self._graph
        while True:
            try:
                ((_, data),) = graph._out_channel.front(graph.name).items()
            except ChannelStopError:
                return
            with self._lock:
                job = self._jobs.pop(data.id, None)
                if job is None:
                    continue  # answered before, when its thread died
                self._images -= job.images
            answer = _answer(job, data)
            if not answer.err_no:
                self.answered = time.monotonic()
            try:
                job.done(answer)
            except RuntimeError:  # its loop has ended
                return

    # --------------------------------------------------------------------------------------------------- health

    @property
    def is_fresh(self):
        """Whether an answer of the last moments shows that it works."""
        return time.monotonic() - self.answered < _FRESH_SECONDS

    @property
    def fault(self):
        """Why it cannot go on, or ""."""
        deaths = list(self._deaths)
        if len(deaths) == _DEATHS and deaths[-1] - deaths[0] < _DEATH_SECONDS:
            return f"{_DEATHS} threads of {self.name} have died within {_DEATH_SECONDS} seconds"
        if not (self._receiver.is_alive() and all(thread.is_alive() for thread in self._graph._dag._threads_or_proces)):
            return f"a thread of {self.name} has died"
        return ""

    @property
    def replaced(self):
        """How many threads have died and were replaced."""
        return sum(op.replaced for op in self.operators)

    def _note_death(self, error):
        self._deaths.append(time.monotonic())
        logger.error(f"{self.name}: a thread died and is replaced ({type(error).__name__}: {error})")

    def close(self):
        """End its threads and free its engines; requests under way are refused."""
        with self._lock:
            graph, self._graph = self._graph, None
            jobs, self._jobs = list(self._jobs.values()), {}
        graph.stop()
        self._receiver.join(1)
        for job in jobs:
            job.done(Answer.refusing(RequestError(Code.BUSY, f"{self.name} was closed; try again"), job))
        for op in self.operators:
            op.engines.close()


def _answer(job, data):
    """The `Answer` in a message of the last channel."""
    if data.error_code == ErrorCode.OK.value:
        return Answer(job, data.parse())
    if data.error_code == ErrorCode.PRODUCT_ERROR.value:
        return Answer(job, None, data.prod_error_code, data.prod_error_info, status_of(data.prod_error_code))
    return Answer(job, None, data.error_code, data.error_info, 500)


def _operators(last):
    """The operators up to the last one, in the order in which they work."""
    found = []

    def visit(op):
        for one in op.get_input_ops():
            visit(one)
        if op not in found:
            found.append(op)

    visit(last)
    if not any(isinstance(op, ImageOp) for op in found):
        raise UserError(f"op.{last.name}: expected an operator that predicts images")
    return found
