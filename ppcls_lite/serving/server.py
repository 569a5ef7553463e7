"""The service's process: HTTP and gRPC in one loop, the models behind them, signals, and the end."""

import asyncio
import ctypes
import os
import select
import signal
import socket
import time
from contextlib import suppress

from aiohttp import web

from ppcls_lite.serving.access_log import AccessLog
from ppcls_lite.serving.connections import SWEEP_SECONDS, Listener, Phase, Places, json_response
from ppcls_lite.serving.front import Front
from ppcls_lite.serving.metrics import Metrics
from ppcls_lite.serving.models import Models
from ppcls_lite.serving.open_routes import OpenRoutes
from ppcls_lite.serving.paddle_serving import dump_pid_file, quiet_logs
from ppcls_lite.serving.rpc import Rpc
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
_WATCH_SECONDS = 1  # between two looks at the threads
SAME_SECONDS = 0.5  # a process may get a signal twice, as itself and as one of a group
_BACKLOG = 4096  # connections that the system keeps until they are accepted
_ACCEPTED = 32  # of them at once, before the loop does something else
_FILES = 256  # descriptors for all else, where there are so many
_QUIET_SECONDS = 0.25  # without a request, before the end closes idle connections


class Server:
    """A service that is ready to run; UserError names what cannot be used.

    Args:
        settings: `Settings` of the config.
        build: see `Models`.
        read: function that reads the config again.
        place: what a supervisor shares with this process and others, a `supervisor.Place`, or None.
    """

    def __init__(self, settings, build, read, place=None):
        return_memory()
        quiet_logs()
        self.settings, self.limits, self.place = settings, settings.limits, place
        if place is None:
            self._http, self._rpc_port = bind("http_port", settings.host, settings.http_port), settings.rpc_port
            bind("rpc_port", settings.host, settings.rpc_port).close()  # for a clear message, which gRPC does not give
        else:
            self._http, self._rpc_port = place.listener, place.rpc_port
        self.log = AccessLog(settings.access_log, settings.access_log_file)
        self.models = Models(settings.config, self.limits, build, read, self._note_batch)
        self.places = Places(self.limits, fit_connections(self.limits))
        self.front = Front(self.models, self.limits, settings.always_200, self._note_answer)
        self.rpc = Rpc(self.front, self.is_ready, self.limits)
        self.metrics = Metrics(self.models, self.places, self.rpc)
        self.metrics.dropped = lambda: self.log.dropped
        self.front.pages.update({"/live": self._live, "/ready": self._ready, "/metrics": self._metrics})
        OpenRoutes(self.front, self.is_ready, self.limits)
        self._signalled = None

    def _note_batch(self, model, images, seconds):
        self.metrics.observe_batch(model, images, seconds)

    def _note_answer(self, exchange):
        self.metrics.observe(exchange)
        self.log.add(exchange)

    async def is_ready(self, name=""):
        """Whether new requests are answered, of all models or of one."""
        return not self.front.stops and await self.models.is_ready(name)

    async def _live(self, exchange, request):
        return json_response({"live": True})

    async def _ready(self, exchange, request, name=""):
        ready = await self.is_ready(name)
        content = {**({"name": name} if name else {}), "ready": ready}
        return json_response(content, 200 if ready else 503)

    async def _metrics(self, exchange, request):
        kind, content = self.metrics.page()
        return web.Response(body=content, headers={"Content-Type": kind, "Server": "ppcls_lite"})

    # --------------------------------------------------------------------------------------------------- running

    def run(self):
        """Serve until SIGINT or SIGTERM arrives; UserError when the service cannot go on."""
        asyncio.run(self._run())
        self.log.close()
        if self.place is None:
            print(f"asked: {told(self._asked(), self.models)}", flush=True)
        else:
            self.place.say_asked(self._asked())

    async def _run(self):
        self._ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._note_signal, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: asyncio.ensure_future(self.reload()))
        server = await loop.create_server(Listener(self.front, self.places), sock=self._http, backlog=_ACCEPTED)
        self._http.listen(_BACKLOG)  # the one before is also how many are accepted at once
        self._grpc = self.rpc.create(self.places.most, self.place is not None)
        host = bracketed(self.settings.host)
        self._rpc_port = self._grpc.add_insecure_port(f"{host}:{self._rpc_port}")
        await self._grpc.start()
        self._say_where(host)
        watch = asyncio.ensure_future(self._watch())
        ended = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait([watch, ended], return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            watch.result()  # raises
        await self._stop(server)
        watch.cancel()

    def _say_where(self, host):
        lines = [
            f"engine: {op.engine_name}\nprecision: {op.precision}\n"
            for pipeline in self.models.values()
            for op in pipeline.operators
        ]
        if self.place is not None:
            self.place.say("".join(lines))
            return
        port = self._http.getsockname()[1]
        dump_pid_file([self._rpc_port, port], "pipline")  # for `serve stop`
        print("".join(lines), end="")
        for name in self.models:
            print(f"listening: http://{host}:{port}/{name}/prediction and grpc {host}:{self._rpc_port}", flush=True)

    async def _watch(self):
        """Look after connections and threads, until the service cannot go on: then raise UserError."""
        looked = time.monotonic()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.places.sweep()
            if time.monotonic() - looked > _WATCH_SECONDS:
                looked = time.monotonic()
                if self.place is not None and os.getppid() != self.place.supervisor:
                    self._ended.set()  # it was killed: nobody else would end this process
                self.metrics.refresh()  # for the other processes of the service, which may be asked
                if self.models.fault:
                    raise UserError(f"{self.models.fault}; PipelineServingLogs/pipeline.log says why")

    def _note_signal(self, number):
        now = time.monotonic()
        if self._signalled is not None and now - self._signalled > SAME_SECONDS:
            print("ended by a second signal", flush=True)
            os._exit(128 + number)
        self._signalled = self._signalled or now
        self._ended.set()

    async def reload(self):
        """Load the models again and open the log again (SIGHUP), and say how that went."""
        self.log.reopen()
        why = await self.models.reload()
        if why:
            logger.error(f"reload: the models stay as they are: {why}")
        else:
            logger.info("reload: the new models answer")

    # ------------------------------------------------------------------------------------------------------- end

    async def _stop(self, server):
        """Answer what is under way, refuse the rest, and close, within `grace_seconds`."""
        end = time.monotonic() + self.settings.grace_seconds
        if self.place is None:
            print("stopping", flush=True)
        self.front.stops = True
        while time.monotonic() < end and select.select([self._http], [], [], 0)[0]:
            await asyncio.sleep(0)  # connections that the system has accepted already would be reset
        server.close()
        grpc = asyncio.ensure_future(self._grpc.stop(max(end - time.monotonic() - 0.5, 0)))
        quiet = time.monotonic()
        while time.monotonic() < end - 0.2:
            if self.models.under_way or self.places.count(Phase.ANSWER) or self.places.count(Phase.BODY):
                quiet = time.monotonic()
            elif time.monotonic() - quiet > _QUIET_SECONDS and grpc.done():
                break
            await asyncio.sleep(0.02)
        self.places.end()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(grpc), max(end - time.monotonic(), 0.05))
        await asyncio.sleep(0.05)  # what was written leaves
        for connection in list(self.places.connections):
            connection.drop()

    def _asked(self):
        """{(model, images): requests}."""
        return {(name, size): count for name in self.models for size, count in self.models.asked(name).items()}


def told(asked, names):
    """What the end says of {(model, images): requests}, with the models' names where there are several."""
    parts = {name: listed({size: count for (model, size), count in asked.items() if model == name}) for name in names}
    if len(parts) == 1:
        return next(iter(parts.values()))
    return "; ".join(f"{name}: {text}" for name, text in parts.items())


def listed(requests):
    """`2 requests of 1 image, 6 requests of 6 images` of {1: 2, 6: 6}; test_tipc/lib/serving_effect.py reads it."""

    def counted(number, noun):
        return f"{number} {noun}{'' if number == 1 else 's'}"

    parts = (f"{counted(count, 'request')} of {counted(size, 'image')}" for size, count in sorted(requests.items()))
    return ", ".join(parts) or "nothing"


def fit_connections(limits):
    """How many connections HTTP and gRPC may have each: `limits.max_connections`, or what the descriptors allow."""
    try:
        import resource
    except ImportError:  # no such limit
        return limits.max_connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    most, other = limits.max_connections, min(_FILES, soft // 2)
    if soft != resource.RLIM_INFINITY and 2 * most + other > soft:
        most = max((soft - other) // 2, 16)
        logger.warning(f"limits.max_connections: {limits.max_connections}, and {soft} descriptors; in effect: {most}")
    return most


def return_memory():
    """Return large buffers to the system once they are free; otherwise the C library keeps those of each thread.

    Linux's glibc only (mallopt(3)): buffers from 4 MB up are mapped one by one, and all threads share four pools.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for option, value in ((_M_MMAP_THRESHOLD, 4 << 20), (_M_ARENA_MAX, 4)):
        mallopt(option, value)


def bind(option, host, port, shared=False):
    """A socket bound to the address, with a free port for 0 or None; UserError when the address cannot be used.

    Other sockets may be bound to it, too, where all of them are `shared`.
    """
    if port and not 1024 <= port <= 65535:
        raise UserError(f"{option}: expected 0 for a free port, or 1024 to 65535, found {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"{option}: {host}:{port} cannot be listened on ({getattr(error, 'strerror', error)})"
        ) from None
    return listener


def bracketed(host):
    """An address as a URL writes it."""
    return f"[{host}]" if ":" in host else host
