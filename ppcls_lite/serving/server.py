"""Paddle Serving's pipeline server, bound to one address, with limits on what a request can cost."""

import ctypes
import signal
import socket
import threading
from collections import Counter
from concurrent import futures

import grpc

from ppcls_lite.serving.gateway import Gateway
from ppcls_lite.serving.op import ImageOp
from ppcls_lite.serving.paddle_serving import (
    PipelineServer,
    PipelineServicer,
    RequestOp,
    ResponseOp,
    ServerYamlConfChecker,
    WebService,
    dump_pid_file,
    pipeline_service_pb2_grpc,
    quiet_logs,
)
from ppcls_lite.serving.request import Code, RequestError, check_form
from ppcls_lite.utils.errors import UserError

GRACE_SECONDS = 2  # for requests under way, when the server is stopped
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
WATCH_SECONDS = 1  # between two looks at the threads


class CheckedRequestOp(RequestOp):
    """Takes a request apart. Paddle Serving's own also unpickles tensors, which runs code from the request."""

    def __init__(self, limits):
        super().__init__()
        self.limits = limits
        self.requests, self._counting = Counter(), threading.Lock()  # {images: how many requests of so many}

    def unpack_request_package(self, request):
        """({key: value}, logid, None, "") or ({}, logid, err_no, err_msg)."""
        try:
            if request.tensors:
                raise RequestError(Code.FORM, 'tensors are not accepted; expected key ["image"] and value [base64]')
            texts = check_form(list(request.key), list(request.value), self.limits)
            with self._counting:
                self.requests[len(texts)] += 1
            return texts, request.logid, None, ""
        except RequestError as error:
            return {}, request.logid, error.code, str(error)


class Service(WebService):
    """A service with a name; `build_pipeline` gives the operators between request and answer (see `run_service`)."""

    def __init__(self, name, limits, build_pipeline):
        super().__init__(name)
        self.limits, self._build = limits, build_pipeline
        self._server = Server(name, limits)

    def get_pipeline_response(self, read_op):
        """The last operator, as Paddle Serving names this method."""
        return self._build(self.name, read_op)

    def prepare_pipeline_config(self, yml_file=None, yml_dict=None):
        """Bind the ports, and load the models of the config's operators; UserError names what cannot be used."""
        quiet_logs()
        ImageOp.limits = self.limits
        self._server.request_op = CheckedRequestOp(self.limits)
        last = self.get_pipeline_response(self._server.request_op)
        self._server.set_response_op(ResponseOp(input_ops=[last]))
        self._server.prepare_server(yml_file=yml_file, yml_dict=yml_dict)


class Server(PipelineServer):
    """gRPC and HTTP in one process; the operators are its threads, so nothing is left running when it ends."""

    def __init__(self, name, limits):
        super().__init__(name)
        self.limits = limits

    def prepare_server(self, yml_file=None, yml_dict=None):
        return_memory()
        conf = dict(yml_dict)
        host = conf.get("host") or "127.0.0.1"
        self._http = bind("http_port", host, conf.get("http_port"))
        bind("rpc_port", host, conf.get("rpc_port")).close()  # for a clear message, which gRPC does not give
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(max_workers=conf.get("worker_num") or 1),
            maximum_concurrent_rpcs=self.limits.max_connections,
            options=[
                ("grpc.so_reuseport", 0),  # else a second server could take the same port unnoticed
                ("grpc.max_receive_message_length", self.limits.max_body),
            ],
        )
        port = self._grpc.add_insecure_port(f"{bracketed(host)}:{conf.get('rpc_port') or 0}")
        conf.update(rpc_port=port, http_port=self._http.getsockname()[1])
        self._conf = ServerYamlConfChecker.load_server_yaml_conf(yml_dict=conf)
        if not self._conf["dag"]["is_thread_op"]:
            raise UserError("dag.is_thread_op: expected True: the operators here are threads")
        dump_pid_file([conf["rpc_port"], conf["http_port"]], "pipline")  # for `serve stop`
        self._host = bracketed(host)
        self._init_ops(self._conf["op"])

    def run_server(self):
        """Serve until SIGINT or SIGTERM arrives; UserError when a thread of the pipeline has died."""
        servicer = PipelineServicer(self._name, self._response_op, self._conf)
        pipeline_service_pb2_grpc.add_PipelineServiceServicer_to_server(servicer, self._grpc)
        gateway = Gateway(self._http, self._name, lambda request: servicer.inference(request, None), self.limits)
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        self._grpc.start()
        gateway.start()
        for op in self._used_op:
            if isinstance(op, ImageOp):
                print(f"engine: {op.engine_name}\nprecision: {op.precision}")
        http = f"http://{self._host}:{self._conf['http_port']}/{self._name}/prediction"
        print(f"listening: {http} and grpc {self._host}:{self._conf['rpc_port']}", flush=True)
        executor = servicer._dag_executor
        threads = [*executor._dag._threads_or_proces, executor._recive_func, gateway.thread]
        while not ended.wait(WATCH_SECONDS):
            if not all(thread.is_alive() for thread in threads):  # requests would wait for it for ever
                raise UserError("a thread of the pipeline has died; PipelineServingLogs/pipeline.log says why")
        print("stopping", flush=True)
        gateway.shutdown()
        self._grpc.stop(GRACE_SECONDS).wait()
        print(f"asked: {listed(self.request_op.requests)}", flush=True)


def listed(requests):
    """`2 requests of 1 image, 6 requests of 6 images` of {1: 2, 6: 6}; test_tipc/lib/serving_effect.py reads it."""

    def counted(number, noun):
        return f"{number} {noun}{'' if number == 1 else 's'}"

    parts = (f"{counted(count, 'request')} of {counted(size, 'image')}" for size, count in sorted(requests.items()))
    return ", ".join(parts) or "nothing"


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


def bind(option, host, port):
    """A socket bound to the address, with a free port for 0 or None; UserError when the address cannot be used."""
    if port and not 1024 <= port <= 65535:
        raise UserError(f"{option}: expected 0 for a free port, or 1024 to 65535, found {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"{option}: {host}:{port} cannot be listened on ({getattr(error, 'strerror', error)})"
        ) from None
    return listener


def bracketed(host):
    """An address as a URL writes it."""
    return f"[{host}]" if ":" in host else host
