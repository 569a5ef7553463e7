"""The paths of the Open Inference Protocol, /v2/..., over HTTP."""

import asyncio
import re

from aiohttp import web

from ppcls_lite.serving.connections import json_response
from ppcls_lite.serving.front import RETRY_SECONDS
from ppcls_lite.serving.job import Job
from ppcls_lite.serving.open_inference import parse_request
from ppcls_lite.serving.open_model import VERSION, Interface, build_answer
from ppcls_lite.serving.request import Code, RequestError, shown

PREFIX = "/v2/"
_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?")
_LARGE = 1 << 18  # bytes that are parsed in another thread, since that takes milliseconds
_MANY = 1 << 12  # numbers of which the same is true
_LENGTH = "Inference-Header-Content-Length"


class OpenRoutes:
    """Adds the paths to a `Front`.

    Args:
        is_ready: coroutine that says whether the service, or the model with that name, is ready.
    """

    def __init__(self, front, is_ready, limits):
        self.front, self.is_ready, self.limits = front, is_ready, limits
        front.pages.update({"/v2": self._server, "/v2/health/live": self._live, "/v2/health/ready": self._ready})
        front.page_prefixes[PREFIX] = self._model_page
        front.prefixes[PREFIX] = self._infer
        front.refusals[PREFIX] = refusal

    async def _server(self, exchange, request):
        return json_response({"name": "ppcls_lite", "version": VERSION, "extensions": ["binary_tensor_data"]})

    async def _live(self, exchange, request):
        return json_response({"live": True})

    async def _ready(self, exchange, request):
        ready = await self.is_ready()
        return json_response({"ready": ready}, 200 if ready else 503)

    async def _model_page(self, exchange, request):
        name, last = self._route(request.path, (None, "ready"))
        if last is None:
            return json_response(self._interface(name).metadata())
        ready = await self.is_ready(name)
        return json_response({"name": name, "ready": ready}, 200 if ready else 503)

    def _route(self, path, lasts):
        """(model, last part) of a path; RequestError for one that there is not."""
        match = _PATH.fullmatch(path)
        if not match or match[3] not in lasts:
            ends = " or ".join(f"/v2/models/NAME{f'/{last}' if last else ''}" for last in lasts)
            raise RequestError(Code.FORM, f"{shown(path)}: expected {ends}", status=404)
        name, version, last = match.groups()
        if name not in self.front.models:
            known = " or ".join(self.front.models)
            raise RequestError(Code.FORM, f"model {shown(name)}: expected {known}", status=404)
        if version not in (None, VERSION):
            raise RequestError(Code.FORM, f"version {shown(version)}: expected {VERSION}", status=404)
        return name, last

    def _interface(self, name):
        """Of the model as it is now: a reload may change it."""
        return Interface.of(name, self.front.models[name].operators[0])

    async def _infer(self, exchange, request):
        exchange.model, _ = self._route(request.path, ("infer",))
        exchange.protocol = "v2"
        interface = self._interface(exchange.model)
        body = await self.front.read(exchange, request, request.content_length)
        arguments = body, request.headers.get(_LENGTH), interface, self.limits
        asked = await _apart(len(body) >= _LARGE, parse_request, *arguments)
        del body, arguments
        wants = interface.output in asked.outputs
        job = Job(asked.images, self.limits.request_seconds, tensor=asked.tensor, wants_outputs=wants)
        answer = await self.front.compute(exchange, job)
        if answer.err_no:
            raise RequestError(answer.err_no, answer.err_msg, status=answer.status)
        is_long = wants and job.outputs.size >= _MANY
        content, length = await _apart(is_long, build_answer, asked, interface, answer.texts, job.outputs)
        return _respond(content, length)


async def _apart(is_long, function, *arguments):
    """What the function returns; in another thread where that takes long."""
    if not is_long:
        return function(*arguments)
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def _respond(content, length):
    if length is None:
        return json_response(content)
    headers = {"Server": "ppcls_lite", _LENGTH: str(length)}
    return web.Response(body=content, content_type="application/octet-stream", headers=headers)


def refusal(error):
    """The response to a request that is refused."""
    headers = {"Retry-After": RETRY_SECONDS} if error.status == 503 else None
    return json_response({"error": str(error)}, error.status, headers)
