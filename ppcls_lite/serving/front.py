"""The routes of the service over HTTP: from a request to the pipeline of a model, and back."""

import asyncio
import json
import re
import time

from ppcls_lite.serving.access_log import request_id
from ppcls_lite.serving.connections import json_response
from ppcls_lite.serving.hostile import check_json
from ppcls_lite.serving.job import Answer, Job
from ppcls_lite.serving.request import Code, RequestError, check_form, shown

_PATH = re.compile(r"/([A-Za-z0-9_.@-]{1,100})/([A-Za-z0-9_.-]{1,100})")
_LARGE = 1 << 18  # bytes of JSON that are parsed in another thread, since that takes milliseconds
RETRY_SECONDS = "1"


class Front:
    """What `aiohttp.web.Server` calls with each request.

    Args:
        models: `Models`.
        always_200: whether errors of Paddle Serving's form have the status 200, as those of its own proxy have.
        on_answer: called with each request's `Exchange` when it is answered.
    """

    def __init__(self, models, limits, always_200=False, on_answer=lambda exchange: None):
        self.models, self.limits, self.always_200, self.on_answer = models, limits, always_200, on_answer
        self.stops = False
        self.pages = {}  # {path: coroutine of a GET, which returns an answer}
        self.prefixes = {}  # {the beginning of a path: coroutine of (exchange, request), for POST}
        self.page_prefixes = {}  # the same, for GET
        self.refusals = {}  # {the beginning of a path: function from a RequestError to its response there}

    async def __call__(self, request):
        """The response to any request."""
        exchange = Exchange(request)
        try:
            response = await self._answer(exchange, request)
        except RequestError as error:
            response = self._refuse(exchange, error)
        except asyncio.CancelledError:  # the client has gone
            exchange.outcome = "lost"
            self._finish(exchange, 499)
            raise
        except Exception:  # a fault of the service, which the connection answers
            exchange.outcome = "error"
            self._finish(exchange, 500)
            raise
        if self.stops:
            response.force_close()
        self._finish(exchange, response.status)
        response.headers["X-Request-Id"] = exchange.id
        return response

    def _finish(self, exchange, status):
        if exchange.job is not None:
            exchange.job.is_cancelled = True  # nobody waits any longer
        exchange.status, exchange.seconds = status, time.monotonic() - exchange.start
        self.on_answer(exchange)

    async def _answer(self, exchange, request):
        length = check_length(request)
        if request.method in ("GET", "HEAD"):
            return await self._page(exchange, request, length)
        if request.method != "POST":
            raise RequestError(Code.FORM, f"expected GET or POST, found {shown(request.method, 20)}", status=405)
        handler = _at(self.prefixes, request.path)
        if handler:
            self.check_stops()
            return await handler(exchange, request)
        exchange.model, method = self._route(request.path)
        exchange.protocol = "http"
        self.check_stops()
        body = await self.read(exchange, request, length)
        content = await parsed(body)
        job = Job(zip_form(content, self.limits), self.limits.request_seconds, content["logid"])
        job.method = method
        del body, content
        answer = await self.compute(exchange, job)
        return self.respond(exchange, answer)

    async def read(self, exchange, request, length):
        """The body, of that many bytes as its header says."""
        if length is None:
            raise RequestError(Code.FORM, "expected a body with a Content-Length", status=411)
        if length > self.limits.max_body:
            raise RequestError(Code.LIMIT, f"a body of {length} bytes; expected at most {self.limits.max_body}")
        expected = request.headers.get("Expect")
        if expected is not None:
            if expected.lower() != "100-continue":
                raise RequestError(Code.FORM, f"Expect: {shown(expected, 40)}", status=417)
            request.protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange.bytes = length
        return await request.protocol.read_body(request, length)

    async def compute(self, exchange, job):
        """The `Answer` of the exchange's model; RequestError where it does not come in time, or is refused at once."""
        exchange.job, exchange.images = job, job.images
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.models[exchange.model].submit(job, lambda answer: loop.call_soon_threadsafe(_set, future, answer))
        timer = loop.call_later(max(job.deadline - time.monotonic(), 0), _set, future, None)
        answer = await future
        timer.cancel()
        if answer is None:
            text = f"no answer within {self.limits.request_seconds} seconds; try again"
            raise RequestError(Code.BUSY, text)
        return answer

    def respond(self, exchange, answer):
        """The response of Paddle Serving's form."""
        exchange.err_no = answer.err_no
        status = 200 if self.always_200 else answer.status
        headers = {"Retry-After": RETRY_SECONDS} if status == 503 else None
        return json_response(answer.as_dict(), status, headers)

    def _refuse(self, exchange, error):
        exchange.err_no = int(error.code)
        other = _at(self.refusals, exchange.path)
        if other:
            return other(error)
        is_answer = self.always_200 and error.status in (400, 413, 422, 503) and exchange.model
        response = self.respond(exchange, Answer.refusing(error))
        if not is_answer:
            response.set_status(error.status)
        return response

    async def _page(self, exchange, request, length):
        if length:
            request.protocol.keeps = False
            raise RequestError(Code.FORM, f"expected no body with {request.method}, found {length} bytes")
        path = request.path
        page = self.pages.get(path) or _at(self.page_prefixes, path)
        if page is None:
            name, _, last = path.strip("/").partition("/")
            if last != "ready" or name not in self.models:
                raise RequestError(Code.FORM, f"{shown(path)}: expected {self.paths()}", status=404)
            return await self.pages["/ready"](exchange, request, name)
        return await page(exchange, request)

    def paths(self):
        """The paths that there are, for a message."""
        return ", ".join(
            [*(f"POST /{name}/prediction" for name in self.models), *(f"GET {page}" for page in self.pages)]
        )

    def _route(self, path):
        match = _PATH.fullmatch(path)
        if not match or match[1] not in self.models:
            raise RequestError(Code.FORM, f"{shown(path)}: expected {self.paths()}", status=404)
        return match.groups()

    def check_stops(self):
        """RequestError when the service stops, for a request that has not begun."""
        if self.stops:
            raise RequestError(Code.BUSY, "the service stops; try another instance")


class Exchange:
    """One request and its answer, for metrics and the log."""

    __slots__ = (
        "bytes", "client", "err_no", "id", "images", "job", "model", "outcome", "path", "protocol", "seconds", "start",
        "status", "user_agent",
    )  # fmt: skip

    def __init__(self, request):
        self.start, self.path, self.client = time.monotonic(), request.path, request.protocol.address
        self.user_agent = request.headers.get("User-Agent", "")
        self.id = request_id(request.headers.get("X-Request-Id"))
        self.model, self.protocol, self.outcome, self.job = "", "", "", None
        self.bytes = self.images = self.err_no = self.status = 0
        self.seconds = 0.0


def _at(prefixes, path):
    """What belongs to the beginning of the path, or None."""
    return next((found for prefix, found in prefixes.items() if path.startswith(prefix)), None)


def _set(future, answer):
    if not future.done():
        future.set_result(answer)


def check_length(request):
    """The number of bytes of a request's body, None where it is not said; RequestError where it is chunked, which this
    service does not take (what it holds has to be known before)."""
    headers = request.headers
    if "Transfer-Encoding" in headers:
        request.protocol.keeps = False
        raise RequestError(Code.FORM, "expected a body with a Content-Length, found Transfer-Encoding", status=411)
    if "Content-Encoding" in headers:
        request.protocol.keeps = False
        raise RequestError(Code.FORM, "expected a body without Content-Encoding", status=415)
    if len(request.raw_headers) > request.protocol.limits.max_headers:
        request.protocol.keeps = False
        found = f"{len(request.raw_headers)} headers; expected at most {request.protocol.limits.max_headers}"
        raise RequestError(Code.LIMIT, found, status=431)
    text = headers.get("Content-Length")
    if text is None:
        return None if request.method == "POST" else 0
    return int(text)  # aiohttp has checked it


async def parsed(body):
    """The content of a JSON body, checked; RequestError."""
    if len(body) < _LARGE:
        return parse(body)
    return await asyncio.get_running_loop().run_in_executor(None, parse, body)


def zip_form(content, limits):
    """{key: value} of a parsed body; RequestError when its lists do not describe images."""
    return check_form(content["key"], content["value"], limits)


def parse(body):
    """{"key": texts, "value": texts, "logid": number} of a JSON body; RequestError for anything else."""
    check_json(body)
    try:
        content = json.loads(body, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise RequestError(Code.FORM, f"the body is not JSON: {shown(str(error), 100)}") from None
    if not isinstance(content, dict):
        raise RequestError(Code.FORM, 'expected {"key": ["image"], "value": [base64]}, found another JSON value')
    if content.get("tensors"):
        raise RequestError(Code.FORM, 'tensors are not accepted; expected {"key": ["image"], "value": [base64]}')
    for field in ("key", "value"):
        texts = content.get(field)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RequestError(Code.FORM, f'"{field}": expected a list of texts, found {_kind(content, field)}')
    try:
        "".join(content["key"]).encode()
    except UnicodeError:  # half of a surrogate pair
        raise RequestError(Code.FORM, '"key": holds a text that is not Unicode') from None
    logid = content.get("logid") or 0
    if type(logid) is not int or not 0 <= logid < 1 << 63:
        raise RequestError(Code.FORM, f'"logid": expected a whole number, found {shown(str(logid))}')
    return {"key": content["key"], "value": content["value"], "logid": logid}


def _whole(text):
    if len(text) > 30:
        raise ValueError("a number of more than 30 digits")
    return int(text)


def _kind(content, field):
    if field not in content:
        return "nothing"
    value = content[field]
    return "a list with something else in it" if isinstance(value, list) else f"a {type(value).__name__}"
