"""Exported models: paddle.inference.Predictor in both its styles, and inference programs that an Executor runs."""

import functools
import inspect
import os

import numpy as np

from .arrays import leaves, to_arrays
from .settings import Settings
from .store import Known, model_files, predictor_line, replace


def observe(paddle, store):
    """Put the hooks in."""
    store.attempt(_Predictors(paddle, store).put_in)
    store.attempt(_Programs(paddle, store).put_in)


def observed(function, store, begin, finish):
    """`function` with `begun = begin(…)` before an outermost call of it, and `finish(begun, result)` after it."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        begun = None if store.local.busy else store.attempt(begin, *args, **kwargs)
        if not begun:
            return function(*args, **kwargs)
        store.local.busy = True
        try:
            result = function(*args, **kwargs)
        finally:
            store.local.busy = False
        store.attempt(finish, begun, result)
        return result

    return call


class _Predictors:
    """The hooks into paddle.inference."""

    def __init__(self, paddle, store):
        from paddle.base import core

        self.core, self.store, self.tensor = core, store, core.eager.Tensor
        self.settings = Settings(core, store)
        self.about = Known()  # (the line about it, place) of a predictor or a pool

    def put_in(self):
        self.store.attempt(self.settings.put_in)
        core, predictor, pool = self.core, self.core.PaddleInferPredictor, self.core.PredictorPool
        replace("create_predictor", core.create_predictor, self._made(core.create_predictor, self._read))
        predictor.clone = self._made(predictor.clone, self._of)
        for name in {"retrieve", "retrive"} & set(dir(pool)):
            setattr(pool, name, self._made(getattr(pool, name), self._of))
        pool.__init__ = self._pool(pool.__init__)
        predictor.run = observed(predictor.run, self.store, self._begin, self._finish)

    def _read(self, config, *_, **__):
        """(line, place): which files a Config names, and how it has them run."""
        files = [] if config.model_from_memory() else [config.prog_file(), config.params_file()]
        files = [os.path.abspath(path) for path in files if path] or [
            os.path.abspath(path) for path in [config.model_dir()] if path and not config.model_from_memory()
        ]
        switches = ("ir_optim", "mkldnn_enabled", "tensorrt_engine_enabled", "openvino_engine_enabled")
        optimised = any(getattr(config, name, bool)() for name in switches)
        settings = self.store.attempt(self.settings.read, config)
        return predictor_line(files, optimised, settings), "gpu" if config.use_gpu() else "cpu"

    def _of(self, parent, *_, **__):
        return self.about.get(parent)

    def _made(self, function, about):
        """`function` makes predictors of which `about(its arguments)` is known."""

        @functools.wraps(function)
        def make(*args, **kwargs):
            known = self.store.attempt(about, *args, **kwargs)  # before: a Config is spent afterwards
            predictor = function(*args, **kwargs)
            if known:
                self.store.attempt(self.about.put, predictor, known)
            return predictor

        return make

    def _pool(self, function):
        @functools.wraps(function)
        def begin(pool, *args, **kwargs):
            known = self.store.attempt(self._read, *args, **kwargs)
            function(pool, *args, **kwargs)
            if known:
                self.store.attempt(self.about.put, pool, known)

        return begin

    def _begin(self, predictor, *args, **kwargs):
        names = predictor.get_input_names()
        given = [tensor for _, tensor in leaves([args, kwargs], self.tensor)]
        handles = given or [predictor.get_input_handle(name).copy_to_cpu() for name in names]
        line, place = self.about.get(predictor) or (predictor_line([]), "cpu")
        network = self.store.name_of(predictor, "p", lambda: dict(line))
        return predictor, network, place, to_arrays(zip(names, handles))

    def _finish(self, begun, result):
        predictor, network, place, inputs = begun
        names = predictor.get_output_names()
        given = [tensor for _, tensor in leaves(result, self.tensor)]
        outputs = given or [predictor.get_output_handle(name).copy_to_cpu() for name in names]
        self.store.record("predictor", network, inputs, to_arrays(zip(names, outputs)), training=False, place=place)


class _Programs:
    """The hooks into paddle.static."""

    def __init__(self, paddle, store):
        from paddle.base import core

        self.static, self.store = paddle.static, store
        self.kinds = (np.ndarray, core.eager.Tensor, getattr(core, "DenseTensor", None) or core.LoDTensor)
        self.files = Known()  # of loaded inference programs

    def put_in(self):
        executor, load = self.static.Executor, self.static.load_inference_model
        self.signature = inspect.signature(executor.run)
        executor.run = observed(executor.run, self.store, self._begin, self._finish)

        @functools.wraps(load)
        def load_and_note(path_prefix, *args, **kwargs):
            result = load(path_prefix, *args, **kwargs)
            self.store.attempt(self._note, result[0], path_prefix, kwargs)
            return result

        replace("load_inference_model", load, load_and_note)

    def _note(self, program, prefix, options):
        self.files.put(program, model_files(prefix, options) if prefix else [])

    def _begin(self, *args, **kwargs):
        given = self.signature.bind(*args, **kwargs).arguments
        program = given.get("program")
        program = getattr(program, "_program", program)  # of a CompiledProgram
        files, feed = self.files.get(program), given.get("feed")
        if files is None or not feed:
            return None
        network = self.store.name_of(program, "x", lambda: predictor_line(files))
        inputs = to_arrays(leaves(feed, self.kinds))
        place = "cpu" if "cpu" in str(given["self"].place).lower() else "gpu"
        return network, place, inputs, [self._name(target) for target in given.get("fetch_list") or []]

    def _name(self, target):
        try:
            return str(target if isinstance(target, str) else target.name)
        except Exception:  # a value of the new representation has no name
            return None

    def _finish(self, begun, result):
        network, place, inputs, names = begun
        found = list(leaves(result, self.kinds))
        if len(names) == len(found):
            found = [(name or place, value) for name, (place, value) in zip(names, found)]
        self.store.record("program", network, inputs, to_arrays(found), training=False, place=place)
