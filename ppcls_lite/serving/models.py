"""The models of a service: loaded, tried, replaced while requests are answered."""

import asyncio
import time
from collections import Counter

from ppcls_lite.serving.pipeline import Pipeline
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

_PROBE_SECONDS = 10
_DRAIN_SECONDS = 60  # for the requests of a model that was replaced


class Models(dict):
    """{name: Pipeline} of a config.

    Args:
        build: function from an operator's name and the operator of the requests to the last operator.
        read: function that reads the config again, for `reload`.
        on_batch: called with a model's name, and the images and seconds of each batch.
    """

    def __init__(self, config, limits, build, read=None, on_batch=lambda name, images, seconds: None):
        super().__init__()
        self.config, self.limits, self.build, self.read, self.on_batch = config, limits, build, read, on_batch
        self.update(self._load(config, limits))
        self.reloads = {"ok": 0, "failed": 0}
        self._asked, self._replaced, self._probes, self._reloading = {}, {}, {}, None

    def _load(self, config, limits):
        loaded = {}
        try:
            for name in config["op"]:
                pipeline = loaded[name] = Pipeline(name, config, limits, self.build)
                for op in pipeline.operators:
                    op.on_batch = lambda images, seconds, name=name: self.on_batch(name, images, seconds)
        except BaseException:
            for pipeline in loaded.values():
                pipeline.close()
            raise
        return loaded

    async def is_ready(self, name=""):
        """Whether the model, or each of them, answers: of late, or a probe that is sent now."""
        pipelines = [self[name]] if name else list(self.values())
        return all(await asyncio.gather(*map(self._answers, pipelines)))

    async def _answers(self, pipeline):
        if pipeline.fault:
            return False
        if pipeline.is_fresh:
            return True
        probe = self._probes.get(pipeline)
        if probe is None:  # all who ask at the same time wait for one probe
            probe = self._probes[pipeline] = asyncio.ensure_future(_probe(pipeline))
            probe.add_done_callback(lambda _: self._probes.pop(pipeline, None))
        return await asyncio.shield(probe)

    async def reload(self):
        """Load what the config names now beside what there is, prove it, and switch; no request is lost.

        Returns "" or why the old models stay.
        """
        self._reloading = self._reloading or asyncio.Lock()
        async with self._reloading:
            return await self._reload()

    async def _reload(self):
        loop, loaded = asyncio.get_running_loop(), {}
        try:
            config, limits = await loop.run_in_executor(None, self.read)
            if list(config["op"]) != list(self):
                found = ", ".join(config["op"])
                raise UserError(f"op: expected {', '.join(self)} as before, found {found}: start the service again")
            loaded = await loop.run_in_executor(None, self._load, config, limits)
            for pipeline in loaded.values():
                if not await _probe(pipeline):
                    raise UserError(f"op.{pipeline.name}: the new model does not answer a probe")
        except Exception as error:
            for pipeline in loaded.values():
                await loop.run_in_executor(None, pipeline.close)
            self.reloads["failed"] += 1
            if not isinstance(error, UserError):
                logger.exception("a reload failed")
            return str(error)
        old = dict(self)
        self.config = config
        self.update(loaded)  # from here on new requests go to the new ones
        self.reloads["ok"] += 1
        for pipeline in old.values():
            await self._retire(pipeline)
            self._asked[pipeline.name] = self._asked.get(pipeline.name, Counter()) + pipeline.asked
            self._replaced[pipeline.name] = self._replaced.get(pipeline.name, 0) + pipeline.replaced
        return ""

    async def _retire(self, pipeline):
        """Close a pipeline when its requests are answered."""
        end = time.monotonic() + _DRAIN_SECONDS
        while pipeline.under_way and time.monotonic() < end:
            await asyncio.sleep(0.02)
        await asyncio.get_running_loop().run_in_executor(None, pipeline.close)

    def asked(self, name):
        """Counter {images: how many requests of so many}, of all pipelines that the model had."""
        return self[name].asked + self._asked.get(name, Counter())

    def replaced(self, name):
        """How many threads of a model have died and were replaced."""
        return self._replaced.get(name, 0) + self[name].replaced

    @property
    def fault(self):
        """Why a model cannot go on, or ""."""
        return next((pipeline.fault for pipeline in self.values() if pipeline.fault), "")

    def close(self):
        """End all pipelines."""
        for pipeline in self.values():
            pipeline.close()

    @property
    def under_way(self):
        """How many requests are."""
        return sum(pipeline.under_way for pipeline in self.values())


async def _probe(pipeline):
    """Whether the pipeline answers an image of its own."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def done(answer):
        loop.call_soon_threadsafe(lambda: future.done() or future.set_result(answer))

    pipeline.probe(done)
    try:
        answer = await asyncio.wait_for(future, _PROBE_SECONDS)
    except asyncio.TimeoutError:
        return False
    if answer.err_no:
        logger.error(f"{pipeline.name}: a probe was answered with {answer.err_no}: {answer.err_msg}")
    return not answer.err_no
