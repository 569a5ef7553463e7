"""The engines of a service: the one of predict_cls.py, as many as there are workers, as fast as the same bits allow."""

import queue
from dataclasses import replace

import numpy as np

from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.serving.network import ImageNetwork
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


def options_of(local, settings=None, largest_batch=1):
    """(`EngineOptions`, threads of each engine or None) of a service.

    Args:
        local: what `local_service_conf` states, in Paddle Serving's names.
        settings: the `Global` section of the prediction config: it chooses the engine, as that of the script,
            wherever `local` states nothing else.
        largest_batch: images that are computed together, for which TensorRT has to plan.
    Raises UserError for a device that there is not.
    """
    device, devices = local.get("device_type", -1), local.get("devices", "")
    if device == -1:
        device = 1 if devices else 0
    if device not in (0, 1, 2):
        raise UserError(f"local_service_conf.device_type: expected 0 (CPU), 1 (GPU) or 2 (TensorRT), found {device}")
    identity = devices.split(",")[0].strip() if device else "0"
    if not identity.isdecimal():
        raise UserError(f"local_service_conf.devices: expected the number of a GPU, found {devices!r:.80}")
    stated = {"engine": local.get("engine"), "ir_optim": local.get("ir_optim")}
    if "precision" in local:
        stated.update(use_fp16=local["precision"] == "fp16", use_int8=local["precision"] == "int8")
    options = replace(
        EngineOptions.from_config(settings or {}),
        use_gpu=device > 0,
        gpu_id=int(identity),
        use_tensorrt=device == 2,
        batch_size=largest_batch if device == 2 else 1,
        **{key: value for key, value in stated.items() if value is not None},
    )
    return options, local.get("thread_num")


class Engines:
    """`count` engines for the threads of a service, whose outputs are those of the prediction script bit by bit.

    The script has one engine with `options.cpu_num_threads` threads, and takes one image after the other. A service
    is faster with one thread for each of its engines, and with images of several requests together. On some
    processors, engines and networks, both change the order of additions, and with it the last bit of a number. So both
    are tried when the service starts, with random images, and are left out where they change a bit.

    Args:
        model_dir: folder of the exported model.
        options: `EngineOptions` of the script.
        count: engines, each for one thread of the service at a time.
        together: images that may be computed together.
        shape: [3, H, W] of an image.
        threads: of each engine, whatever its bits; None: 1, or those of `options` where 1 changes a bit.
        network: how its engines are fed, an `ImageNetwork` where it is not given.
    Attributes:
        name, threads, together: what is in effect.
        output_shape: of one image.
    """

    def __init__(self, model_dir, options, count, together, shape, threads=None, network=None):
        self._network = network or ImageNetwork()
        images = np.random.default_rng(0).standard_normal((max(together, 2), *shape), dtype=np.float32)
        self._probe = self._network.probe(images)
        options = replace(options, sample_shape=list(shape))
        first, options = self._choose_threads(model_dir, options, threads)
        first.say_effects()
        self.name, self.threads = first.name, options.cpu_num_threads
        self.output_shape = self._expected.shape[1:]
        self.together = together
        self._free = queue.LifoQueue()  # the one used last has its data in the processor's cache
        for number in range(count):
            engine = self._network.create(model_dir, options) if number else first
            self.together = self._same_together(engine)
            self._free.put(engine)
        if self.together < together:
            logger.info(f"{self.name}: more than {self.together} images together would have other last bits")

    def predict(self, images):
        """Outputs [N, ...] of N images as the network's `prepare` made them; waits for an engine that is free."""
        engine = self._free.get()
        try:
            return self._run(engine, images, self.together)
        finally:
            self._free.put(engine)

    def close(self):
        """Free all engines; nothing may be predicted any longer."""
        while not self._free.empty():
            self._free.get().close()

    def _run(self, engine, images, together):
        """The engine's outputs, with so many images at a time."""
        starts = range(0, len(images), together)
        parts = [self._network.run(engine, images[start : start + together]) for start in starts]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _choose_threads(self, model_dir, options, stated):
        """(the first engine, the options of the others); sets the outputs that are expected of the random images."""
        usual = self._create(model_dir, options)
        if options.engine == "auto":  # what it took is for all of them
            options = replace(options, engine=usual.name)
        self._expected = self._run(usual, self._probe, 1)
        threads = stated or 1
        if threads == options.cpu_num_threads or usual.device != "cpu":
            return usual, options
        fitted = replace(options, cpu_num_threads=threads)
        engine = self._create(model_dir, fitted)
        found = self._run(engine, self._probe, 1)
        same = _same_bits(found, self._expected)
        if not same:
            logger.warning(
                f"{usual.name}: thread_num {threads} gives other last bits than cpu_num_threads "
                f"{options.cpu_num_threads} of the prediction config; in effect: {stated or options.cpu_num_threads}"
            )
        if not (same or stated):
            engine.close()
            return usual, options
        usual.close()
        self._expected = found
        return engine, fitted

    def _create(self, model_dir, options):
        """An engine whose settings are in effect, and which has not said so."""
        engine = self._network.create(model_dir, options)
        engine.prove(self._network.inputs(engine, self._probe[:1]), say=False)
        return engine

    def _same_together(self, engine):
        """The largest number of images, up to `self.together`, that have the expected bits together.

        All numbers below it are run as well, so that the engine has compiled what it needs for each of them.
        """
        for size in range(1, self.together + 1):
            if not _same_bits(self._network.run(engine, self._probe[:size]), self._expected[:size]):
                if size == 1:
                    logger.warning(f"{self.name}: two engines with the same settings have other last bits")
                return max(size - 1, 1)
        return self.together


def _same_bits(found, expected):
    return found.shape == expected.shape and found.tobytes() == expected.tobytes()
