"""The operators of a network's call in the dynamic graph, each with its outputs: for diagnose.py, with
TIPC_OBSERVE_DEEP=1 only.

A traced call has a file `<pid>_<call>.trace`, a zip: `operators.json`, a list in the order of the call of {type, layer
(its name in the network), class, arguments (numbers, words, or {shape, name} of a tensor: parameters have names),
outputs [{shape, dtype, hash, step}]}, and the arrays `<operator>_<output>.npy`: of a large tensor every `step`-th
number.

Paddle's functions all end in `paddle._C_ops`, whose functions are replaced while a call is traced, and in operators
(`x + y`) of the tensor itself. Nothing of it is left behind the call.
"""

import contextlib
import json
import os
import threading
import types
import zipfile

import numpy as np

from .arrays import hash_of, leaves, to_array

CALLS = 8  # traced calls of a process
NUMBERS = 1 << 18  # of a tensor that are kept
MOST = 20_000  # operators of a call
_HIDDEN = ("__dir__", "__format__", "__getstate__", "__reduce__", "__reduce_ex__", "__sizeof__")


def write_output(archive, name, array, dtype, most=NUMBERS):
    """Write a contiguous array, or `most` of its numbers, to a trace's zip; its entry in the list of outputs."""
    step = -(-array.size // most) or 1
    with archive.open(name, "w") as stream:
        np.lib.format.write_array(stream, np.ascontiguousarray(array.reshape(-1)[::step]), allow_pickle=False)
    return {"shape": list(array.shape), "dtype": dtype, "hash": hash_of(array), "step": step}


class Tracer:
    """Traces the first calls of networks, as long as the arrays take no more than `store.megabytes`."""

    def __init__(self, paddle, store):
        self.paddle, self.store = paddle, store
        self.calls, self.written = 0, 0
        self.seen = set()  # hashes of inputs: the same image says nothing new

    @contextlib.contextmanager
    def trace(self, layer, inputs):
        """Yield a `Trace` of what is called in the block, or None; `inputs` are (name, array, dtype)."""
        key = tuple(hash_of(array) for _, array, _ in inputs)
        full = self.calls >= CALLS or self.written >= self.store.megabytes << 20
        trace = None if full or key in self.seen else self.store.attempt(Trace, self, layer)
        if trace is None:
            yield None
            return
        self.seen.add(key)
        self.calls += 1
        try:
            yield trace
        finally:
            self.store.attempt(trace.close)
            self.written += trace.size


class Trace:
    """The operators of one call, which are written while it runs. Raises OSError where the disk is nearly full."""

    def __init__(self, tracer, layer):
        self.store, self.thread = tracer.store, threading.get_ident()
        self.tensor = tracer.paddle.base.core.eager.Tensor
        self.parameter = tracer.paddle.base.framework.EagerParamBase
        self.file, self.size, self.operators, self.busy = None, 0, [], False
        self._layers, self._undo = [], []
        name = tracer.store.new_file(".trace", NUMBERS)
        self.zip = zipfile.ZipFile(tracer.store.path_of(f"{name}.part"), "w")
        self.name = name
        try:
            self._watch_layers(layer)
            self._watch_functions(tracer.paddle)
        except BaseException:
            self.close()
            raise

    def close(self):
        """Undo all hooks, and give the file its name. Raises OSError."""
        for undo in reversed(self._undo):
            undo()
        self._undo = []
        part = self.store.path_of(f"{self.name}.part")
        try:
            with self.zip:
                self.zip.writestr("operators.json", json.dumps(self.operators))
            os.replace(part, self.store.path_of(self.name))
            self.file = self.name
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise

    def _watch_layers(self, layer):
        for name, part in layer.named_sublayers():
            entry = name, type(part).__name__
            for hook in (
                part.register_forward_pre_hook(lambda *_, entry=entry: self._layers.append(entry)),
                part.register_forward_post_hook(lambda *_: self._layers.pop() and None),
            ):
                self._undo.append(hook.remove)

    def _watch_functions(self, paddle):
        for module in (paddle._C_ops, getattr(paddle, "_legacy_C_ops", paddle._C_ops)):
            for name, function in list(vars(module).items()):
                if isinstance(function, types.BuiltinFunctionType) and not name.startswith(("_", "get_", "eager_")):
                    self._replace(module, name, function)
        for name in dir(self.tensor):
            function = getattr(self.tensor, name)
            is_operator = (name.startswith("__") and name not in _HIDDEN) or name == "_getitem_dygraph"
            if is_operator and isinstance(function, types.MethodDescriptorType):
                self._replace(self.tensor, name, function)

    def _replace(self, home, name, function):
        def call(*args, **kwargs):
            if self.busy or threading.get_ident() != self.thread:
                return function(*args, **kwargs)
            self.busy = True
            try:
                result = function(*args, **kwargs)
                if result is not NotImplemented:
                    self.store.attempt(self._note, name, args, kwargs, result)
            finally:
                self.busy = False
            return result

        was_own = name in vars(home)
        setattr(home, name, call)
        self._undo.append(lambda: setattr(home, name, function) if was_own else delattr(home, name))

    def _note(self, name, args, kwargs, result):
        if len(self.operators) == MOST:
            return
        layer, kind = self._layers[-1] if self._layers else ("", "")
        outputs = [
            self._keep(f"{len(self.operators)}_{place}.npy", tensor)
            for place, (_, tensor) in enumerate(leaves(result, self.tensor))
            if tensor._is_initialized()
        ]
        if outputs:
            arguments = [self._told(value) for value in (*args, *kwargs.values())]
            self.operators.append(
                {"type": name, "layer": layer, "class": kind, "arguments": arguments, "outputs": outputs}
            )

    def _keep(self, name, tensor):
        array, dtype = to_array(tensor)
        entry = write_output(self.zip, name, array, dtype)
        self.size += -(-array.size // entry["step"]) * array.itemsize
        return entry

    def _told(self, value):
        """An argument as JSON has it: a tensor as {"shape", "name"}, anything unknown as its type's name."""
        if isinstance(value, self.tensor):
            name = value.name if isinstance(value, self.parameter) else ""
            return {"shape": list(value.shape), "name": name}
        if isinstance(value, (list, tuple)):
            return [self._told(part) for part in value[:16]]
        plain = value is None or isinstance(value, (bool, int, float, str))
        return value if plain else type(value).__name__
