"""gRPC in the service's own loop: Paddle Serving's method, and `grpc.health.v1`.

A unary call that never sends its message would hold a place for ever where the library reads the message before it
calls the handler. So the methods are registered as streams of requests, which is the same on the wire, and the message
is read here, with a deadline.
"""

import asyncio
import time
from urllib.parse import unquote

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ppcls_lite.serving.access_log import request_id
from ppcls_lite.serving.hostile import read_message
from ppcls_lite.serving.job import Answer, Job
from ppcls_lite.serving.paddle_serving import pipeline_service_pb2 as messages
from ppcls_lite.serving.request import Code, RequestError, check_form, shown

SERVICE, HEALTH = "baidu.paddle_serving.pipeline_serving.PipelineService", "grpc.health.v1.Health"
_FIELDS = 1000  # of a message, without its images
_STREAMS = 32  # calls of one connection at once
_HANDSHAKE_SECONDS = 5
_CALLS = 4096  # at once; those that never send end with their deadline
SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3  # grpc.health.v1


def options(limits, most, shared):
    """The settings of a gRPC server: a bound on connections, and deadlines for what is silent.

    Args:
        most: connections at once.
        shared: whether other processes of the same service listen on the port, too.
    """
    return [
        ("grpc.so_reuseport", int(shared)),  # else a second server could take the same port unnoticed
        ("grpc.max_receive_message_length", limits.max_body),
        ("grpc.max_concurrent_streams", _STREAMS),
        ("grpc.max_allowed_incoming_connections", most),
        ("grpc.max_metadata_size", limits.max_header_kb << 10),
        ("grpc.server_handshake_timeout_ms", 1000 * _HANDSHAKE_SECONDS),
        ("grpc.max_connection_idle_ms", 1000 * limits.idle_seconds),
        ("grpc.keepalive_time_ms", 1000 * limits.idle_seconds),
        ("grpc.keepalive_timeout_ms", 1000 * _HANDSHAKE_SECONDS),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


class Rpc:
    """The gRPC side of a service.

    Args:
        front: the `Front`, which computes, and knows whether the service stops.
        is_ready: coroutine that says whether the service, or the model with that name, is ready.
    """

    def __init__(self, front, is_ready, limits):
        self.front, self.is_ready, self.limits = front, is_ready, limits
        self.calls = self.held = 0

    def create(self, most, shared):
        """The `grpc.aio` server, which listens on nothing yet."""
        server = grpc.aio.server(options=options(self.limits, most, shared), maximum_concurrent_rpcs=_CALLS)
        check, reply = _health_messages()
        infer = grpc.stream_unary_rpc_method_handler(
            self._infer,
            None,
            messages.Response.SerializeToString,  # None: bytes, which are looked at first
        )
        health = grpc.stream_unary_rpc_method_handler(self._health, None, reply.SerializeToString)
        watch = grpc.stream_stream_rpc_method_handler(self._watch, None, reply.SerializeToString)
        self._check, self._reply = check, reply
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(SERVICE, {"inference": infer}),
                grpc.method_handlers_generic_handler(HEALTH, {"Check": health, "Watch": watch}),
            )
        )
        return server

    async def _first(self, requests, context):
        """The message of a call; the call ends where it does not come in time."""
        self.calls += 1
        try:
            return await asyncio.wait_for(requests.__anext__(), self.limits.body_seconds)
        except StopAsyncIteration:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "expected a message, found none")
        except asyncio.TimeoutError:
            text = f"the message took longer than {self.limits.body_seconds} seconds"
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, text)
        finally:
            self.calls -= 1

    async def _infer(self, requests, context):
        data = await self._first(requests, context)
        exchange = RpcExchange(context)
        context.set_trailing_metadata((("x-request-id", exchange.id),))
        size = len(data)
        self.held += size
        try:
            if self.held > self.limits.memory:
                raise RequestError(Code.BUSY, "too many large requests at once; try again")
            request = read_message(messages.Request, data, _FIELDS + 2 * self.limits.max_images, ("tensors",))
            answer = await self._compute(exchange, request, context)
        except RequestError as error:
            answer = Answer.refusing(error)
        except asyncio.CancelledError:
            exchange.outcome = "lost"
            raise
        finally:
            self.held -= size
            self._finish(exchange)
        exchange.err_no = answer.err_no
        self.front.on_answer(exchange)
        return messages.Response(
            err_no=answer.err_no, err_msg=answer.err_msg, key=list(answer.texts), value=list(answer.texts.values())
        )

    def _finish(self, exchange):
        exchange.seconds = time.monotonic() - exchange.start
        if exchange.job is not None:
            exchange.job.is_cancelled = True
        if exchange.outcome == "lost":
            self.front.on_answer(exchange)

    async def _compute(self, exchange, request, context):
        self.front.check_stops()
        models = self.front.models
        name = request.name or next(iter(models))
        if name not in models:
            raise RequestError(Code.FORM, f"name: expected {' or '.join(models)}, found {shown(name)}")
        exchange.model, exchange.bytes = name, request.ByteSize()
        texts = check_form(list(request.key), list(request.value), self.limits)
        left = context.time_remaining()
        seconds = min(self.limits.request_seconds, left if left is not None and left > 0 else float("inf"))
        job = Job(texts, seconds, request.logid)
        job.method = request.method
        return await self.front.compute(exchange, job)

    async def _asked_name(self, requests, context):
        """The name in a message of `grpc.health.v1`."""
        data = await self._first(requests, context)
        try:
            return read_message(self._check, data, _FIELDS).service
        except RequestError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def _health(self, requests, context):
        name = await self._asked_name(requests, context)
        if name and name != SERVICE and name not in self.front.models:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {shown(name)}")
        return await self._status(name)

    async def _watch(self, requests, context):
        name = await self._asked_name(requests, context)
        last = None
        while True:
            known = not name or name == SERVICE or name in self.front.models
            reply = await self._status(name) if known else self._reply(status=UNKNOWN)
            if reply.status != last:
                last = reply.status
                yield reply
            if self.front.stops:
                return
            await asyncio.sleep(1)

    async def _status(self, name):
        model = name if name in self.front.models else ""
        return self._reply(status=SERVING if await self.is_ready(model) else NOT_SERVING)


class RpcExchange:
    """One call and its answer, as `front.Exchange`."""

    def __init__(self, context):
        self.start, self.path, self.client = time.monotonic(), f"/{SERVICE}/inference", _address(context.peer())
        metadata = dict(context.invocation_metadata() or ())
        self.user_agent, self.id = str(metadata.get("user-agent", "")), request_id(metadata.get("x-request-id"))
        self.model, self.protocol, self.outcome, self.job = "", "grpc", "", None
        self.bytes = self.images = self.err_no = self.status = 0
        self.seconds = 0.0


def _address(peer):
    """`127.0.0.1` of gRPC's `ipv4:127.0.0.1:4711`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _health_messages():
    """The two messages of grpc.health.v1, from their description: its package would bring another protobuf."""
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="health.proto", package="grpc.health.v1", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    request = file.message_type.add(name="HealthCheckRequest")
    request.field.add(name="service", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    response = file.message_type.add(name="HealthCheckResponse")
    response.field.add(
        name="status", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL
    )  # an enum on the wire
    pool.Add(file)
    found = [pool.FindMessageTypeByName(f"grpc.health.v1.{one.name}") for one in file.message_type]
    if hasattr(message_factory, "GetMessageClass"):
        return tuple(map(message_factory.GetMessageClass, found))
    return tuple(map(message_factory.MessageFactory(pool).GetPrototype, found))
