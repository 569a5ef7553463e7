"""What the service tells Prometheus: requests by outcome, seconds by stage, batches, queues, connections, memory."""

import itertools
import os
from pathlib import Path

from ppcls_lite.serving.request import Code

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32)
_OF_CODE = {0: "ok", **{code: code.name.lower() for code in Code}}
PROTOCOLS, OUTCOMES = ("http", "v2", "grpc"), (*_OF_CODE.values(), "error", "lost")
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # set before this module is imported: several processes are counted together


class Metrics:
    """The figures of a process, or with `FOLDER` of all processes of a service.

    Args:
        models: `Models`.
        places: `Places`.
        rpc: `Rpc`.
    Labels are the names of models, stages and outcomes: never a text from a request.
    """

    def __init__(self, models, places, rpc):
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()  # a second series for each, which nobody reads
        self.models, self.places, self.rpc = models, places, rpc
        self.registry = CollectorRegistry()
        to = {"registry": self.registry}
        self._requests = Counter("serving_requests", "Requests answered.", ["model", "protocol", "outcome"], **to)
        self._seconds = Histogram(
            "serving_stage_seconds", "Seconds of a request in each stage.", ["model", "stage"], buckets=_SECONDS, **to
        )
        self._batches = Histogram(
            "serving_batch_images", "Images that were computed together.", ["model"], buckets=_SIZES, **to
        )
        self._gauges = {}
        for name, text, labels in (
            ("serving_queue_length", "Requests that wait for an engine.", ["model"]),
            ("serving_under_way", "Requests that are not answered yet.", ["model"]),
            (
                "serving_connections",
                "Open connections of HTTP, and calls of gRPC that are being received.",
                ["protocol"],
            ),
            ("serving_memory_bytes", "Resident memory.", []),
            ("serving_open_files", "Open descriptors.", []),
        ):
            self._gauges[name] = Gauge(name, text, labels, multiprocess_mode="livesum", **to)
        self._totals = {  # counters: with a process that ends, a sum of gauges would fall
            name: Counter(name, text, labels, **to)
            for name, text, labels in (
                ("serving_closed_connections", "Connections that lost their place or took too long.", []),
                ("serving_threads_replaced", "Worker threads that died and were replaced.", ["model"]),
                ("serving_reloads", "Reloads of the models.", ["result"]),
                ("serving_log_lines_dropped", "Lines that the access log could not write.", []),
            )
        }
        self._children, self._counted = {}, {}
        for labels in itertools.product(models, PROTOCOLS, OUTCOMES):
            self._child(self._requests, *labels)  # from 0 on: a rate knows the first error
        self.dropped = lambda: 0

    def observe(self, exchange):
        """Count a request that was answered."""
        if not exchange.model:
            return  # a page, or no request at all
        outcome = exchange.outcome or _OF_CODE.get(exchange.err_no, "error")
        self._child(self._requests, exchange.model, exchange.protocol, outcome).inc()
        self._child(self._seconds, exchange.model, "whole").observe(exchange.seconds)
        if exchange.job is not None:
            for stage, seconds in exchange.job.seconds.items():
                self._child(self._seconds, exchange.model, stage).observe(seconds)

    def observe_batch(self, model, images, seconds):
        """Count a batch that an engine computed."""
        self._child(self._batches, model).observe(images)

    def _child(self, metric, *labels):
        key = (metric, labels)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = metric.labels(*labels)
        return found

    def _count(self, name, now, *labels):
        """Bring a total up to what this process has counted by now."""
        total = self._totals[name]
        child = self._child(total, *labels) if labels else total
        child.inc(now - self._counted.get((name, labels), 0))
        self._counted[name, labels] = now

    def refresh(self):
        """Set all that is not counted as it happens."""
        gauges = self._gauges
        for name, pipeline in self.models.items():
            gauges["serving_queue_length"].labels(name).set(pipeline.waiting)
            gauges["serving_under_way"].labels(name).set(pipeline.under_way)
            self._count("serving_threads_replaced", self.models.replaced(name), name)
        gauges["serving_connections"].labels("http").set(len(self.places.connections))
        gauges["serving_connections"].labels("grpc").set(self.rpc.calls)
        self._count("serving_closed_connections", self.places.refused)
        for result, count in self.models.reloads.items():
            self._count("serving_reloads", count, result)
        self._count("serving_log_lines_dropped", self.dropped())
        memory, files = resources()
        gauges["serving_memory_bytes"].set(memory)
        gauges["serving_open_files"].set(files)

    def page(self):
        """(type, bytes) of what Prometheus reads."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        self.refresh()
        if FOLDER not in os.environ:
            return CONTENT_TYPE_LATEST, generate_latest(self.registry)
        registry = CollectorRegistry()
        registry.register(_AllProcesses(os.environ[FOLDER]))
        return CONTENT_TYPE_LATEST, generate_latest(registry)


class _AllProcesses:
    """Reads the files of all processes; one that a process is making just now is still empty, and counts nothing."""

    def __init__(self, folder):
        self._folder = folder

    def collect(self):
        from prometheus_client.multiprocess import MultiProcessCollector

        files = [entry.path for entry in os.scandir(self._folder) if entry.name.endswith(".db") and _size(entry)]
        return MultiProcessCollector.merge(files)


def _size(entry):
    """Bytes of a file; 0 where the supervisor has removed it."""
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0


def resources():
    """(bytes of resident memory, open descriptors) of this process; zeros where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))
    except (OSError, ValueError, IndexError):
        return 0, 0


def forget_process(number, folder):
    """Take a process that has ended out of the sums of what is now."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(number, folder)
