"""The HTTP connections of a service: aiohttp's, with a place for each, deadlines, and limits on what they may hold.

aiohttp parses strictly (RFC 9112) and streams bodies, but waits without end for a header or a body, and takes as many
connections as there come. Here a connection is closed when a part of its request takes too long, and when all places
are taken, those close which have nothing under way, the slowest first: whoever sends a request gets a place.
"""

import asyncio
import contextlib
import json
import time
from enum import IntEnum

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ppcls_lite.serving.job import Answer
from ppcls_lite.serving.request import Code, RequestError, shown
from ppcls_lite.utils.log import logger

SWEEP_SECONDS = 0.25  # between two looks at all connections
_LINGER_SECONDS = 5  # to read what is still sent, so that the answer before arrives (RFC 9112, 9.6)
_SLOW_SECONDS = 0.5  # those that are younger keep their places as long as there are others
_EVICTED = 32  # a part of the places that is cleared at once: the search costs as much as for a single one
_PIPELINED = 32  # requests that a client may send before the answer to its first one


class Phase(IntEnum):
    """What a connection is doing."""

    NEW = 0  # nothing was received yet
    IDLE = 1  # between two requests
    HEADER = 2
    BODY = 3
    ANSWER = 4  # the request is complete
    CLOSING = 5  # answered; what is still received is dropped


class Places:
    """All connections of a service, at most `limits.max_connections`."""

    def __init__(self, limits, most):
        self.limits, self.most = limits, most
        self.connections, self.held = set(), 0  # bytes of bodies
        self.refused = 0  # connections that lost their place or took too long

    def count(self, phase):
        """How many connections are in that phase."""
        return sum(connection.phase == phase for connection in self.connections)

    def add(self, connection):
        if len(self.connections) >= self.most:
            self._evict()
        self.connections.add(connection)

    def _evict(self):
        """Close connections until there are places again."""
        now = time.monotonic()
        able = [one for one in self.connections if one.phase != Phase.ANSWER]
        for one in sorted(able, key=lambda one: one.worth(now))[: max(self.most // _EVICTED, 1)]:
            one.drop()

    def hold(self, connection, size):
        """Count `size` more bytes of a body; where there are too many, the slowest body has to go."""
        self.held += size
        connection.held += size
        while self.held > self.limits.memory:
            bodies = (one for one in self.connections if one.phase == Phase.BODY)
            slowest = min(bodies, key=lambda one: one.since, default=connection)
            if slowest is connection:
                raise RequestError(Code.BUSY, "too many large requests at once; try again")
            slowest.refuse(RequestError(Code.BUSY, "too many large requests at once; try again"))

    def release(self, connection):
        """Forget the bytes that a connection holds."""
        self.held -= connection.held
        connection.held = 0

    def end(self):
        """Close what has nothing under way any longer, in an orderly way."""
        for connection in list(self.connections):
            if connection.phase < Phase.BODY and connection.transport is not None:
                connection.linger()

    def sweep(self):
        """Close what has taken too long."""
        now = time.monotonic()
        for connection in list(self.connections):
            connection.check_time(now)


class Connection(RequestHandler):
    """One client: aiohttp's connection, with a `phase` and the time `since` when it began."""

    def __init__(self, manager, places, **settings):
        super().__init__(manager, **settings)
        self.places, self.limits = places, places.limits
        self.phase, self.since, self.held = Phase.NEW, time.monotonic(), 0
        self.header, self.body, self.is_half_closed, self.address = 0, None, False, ""
        self.keeps = True  # whether it may be used for another request

    def enter(self, phase):
        self.phase, self.since = phase, time.monotonic()

    def worth(self, now):
        """A key by which those that may be closed first come first."""
        if now - self.since < _SLOW_SECONDS:
            return 3, self.since
        return {Phase.NEW: 1, Phase.IDLE: 2}.get(self.phase, 0), self.since

    # ------------------------------------------------------------------------------- what asyncio and aiohttp call

    def connection_made(self, transport):
        super().connection_made(transport)
        self.address = str((transport.get_extra_info("peername") or [""])[0])
        self.places.add(self)

    def connection_lost(self, error):
        self.places.connections.discard(self)
        self.places.release(self)
        super().connection_lost(error)

    def data_received(self, data):
        if self.phase == Phase.CLOSING:
            return
        if self.phase in (Phase.NEW, Phase.IDLE):
            self.header = 0
            self.enter(Phase.HEADER)
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            if self.phase == Phase.HEADER:
                self.enter(Phase.ANSWER)
            if len(self._messages) > _PIPELINED:
                self.drop()
        elif self.phase == Phase.HEADER:
            self.header += len(data)
            if self.header > self.limits.max_header_kb << 10:
                self.refuse(
                    RequestError(Code.LIMIT, f"a header of more than {self.limits.max_header_kb} KiB", status=431)
                )

    def eof_received(self):
        """The client sends nothing more, and may wait for its answer."""
        self.is_half_closed = True
        if self.phase in (Phase.NEW, Phase.IDLE, Phase.CLOSING):
            return False
        if self.phase == Phase.HEADER:
            self.refuse(RequestError(Code.FORM, "the header of the request ended early"))
        elif self.body is not None and not self.body.is_eof():
            self.body.set_exception(RequestError(Code.FORM, "the body ended early"))
        return True

    def handle_error(self, request, status=500, exc=None, message=None):
        """The answer to what aiohttp refuses, and to what fails here, in the form of any other."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer was sent already")
        if status >= 500:
            self.log_exception("a request failed", exc_info=exc)
            answer = Answer(None, None, 10000, "the service failed; its log says why", status)
        else:
            text = (str(message or exc or status).strip().splitlines() or ["malformed"])[0]
            answer = Answer(None, None, Code.FORM, f"not a request of HTTP: {shown(text, 100)}", status)
        response = json_response(answer.as_dict(), answer.status)
        response.headers["Connection"] = "close"  # which a malformed request's HTTP/1.0 does not say by itself
        self.keeps = False
        return response

    def log_exception(self, *words, exc_info=True, **more):
        """aiohttp's own logger is one of those that Paddle Serving disables."""
        logger.error(*words, exc_info=exc_info)

    async def finish_response(self, request, response, start_time):
        is_whole = request.content.is_eof()
        if not (self.keeps and is_whole) or (self.is_half_closed and not self._messages):
            response.force_close()
        found = await super().finish_response(request, response, start_time)
        self.places.release(self)
        self.body = None
        if not response.keep_alive and self.transport is not None:
            self.linger()
        else:
            self.enter(Phase.IDLE)
        return found

    # ----------------------------------------------------------------------------------------------------- endings

    def linger(self):
        """Close after a moment in which what is still received is dropped: to close at once would reset the
        connection, and could take the answer with it."""
        self.enter(Phase.CLOSING)
        self._force_close = True  # aiohttp: no further request, and the transport stays as it is
        transport = self.transport
        if self.is_half_closed:  # there is nothing more to read
            transport.close()
            return
        with contextlib.suppress(OSError):  # the client has gone already
            transport.write_eof()
            transport.resume_reading()

    def refuse(self, error):
        """Answer a request that is not complete, and close; for one that is being read, its handler answers."""
        self.places.refused += 1
        if self.body is not None:
            self.body.set_exception(error)
        elif self.transport is not None:
            self.transport.write(raw_answer(error))
            self.linger()
            self.close()

    def drop(self):
        """Close at once."""
        self.places.refused += 1
        self.places.connections.discard(self)
        if self.transport is not None:
            self.transport.abort()

    def check_time(self, now):
        """Close or refuse where the phase has taken too long."""
        seconds, limits = now - self.since, self.limits
        if self.phase in (Phase.NEW, Phase.IDLE):
            if seconds > limits.idle_seconds:
                self.drop()
        elif self.phase == Phase.HEADER:
            if seconds > limits.header_seconds:
                self.refuse(_late("header", limits.header_seconds))
        elif self.phase == Phase.BODY:
            if seconds > limits.body_seconds:
                self.refuse(_late("body", limits.body_seconds))
                self.since = now
        elif self.phase == Phase.ANSWER:
            if seconds > 2 * limits.request_seconds:  # the client does not read
                self.drop()
        elif seconds > _LINGER_SECONDS:
            self.drop()

    async def read_body(self, request, length):
        """The body's bytes; RequestError when it does not arrive whole, or may not be held."""
        self.body, body = request.content, bytearray()
        if not self.body.is_eof():
            self.enter(Phase.BODY)
        if self.is_half_closed and not self.body.is_eof():
            raise RequestError(Code.FORM, f"the body ended before {length} bytes")
        while not self.body.at_eof():
            part = await self.body.readany()
            self.places.hold(self, len(part))
            body += part
        self.enter(Phase.ANSWER)
        if len(body) != length:
            raise RequestError(Code.FORM, f"the body ended after {len(body)} of {length} bytes")
        return body


class Listener(web.Server):
    """aiohttp's factory of connections, with the places of `Places`."""

    def __init__(self, handler, places):
        super().__init__(handler, handler_cancellation=True)
        self.places = places

    def __call__(self):
        return Connection(
            self,
            self.places,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=1e6,  # the places look after that
            lingering_time=_LINGER_SECONDS,
            max_line_size=4096,
            max_field_size=self.places.limits.max_header_kb << 10,
            auto_decompress=False,  # a bomb otherwise
        )


def json_response(content, status=200, headers=None):
    """An answer with that content as JSON."""
    body = content if isinstance(content, bytes) else _as_json(content)
    headers = {"Server": "ppcls_lite", **(headers or {})}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def raw_answer(error):
    """The bytes of an answer that closes, for a request that aiohttp has not seen whole."""
    body = _as_json(Answer.refusing(error).as_dict())
    head = f"HTTP/1.1 {error.status} {'Refused' if error.status != 408 else 'Request Timeout'}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def _as_json(content):
    return json.dumps(content, ensure_ascii=False).encode()


def _late(part, seconds):
    return RequestError(Code.FORM, f"the {part} of the request took longer than {seconds} seconds", status=408)
