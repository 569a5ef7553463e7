"""Networks that a script calls as layers, in the dynamic graph: `network(x)` and `network.forward(x)`.

One call of the outermost layer that has parameters is one recorded call; what it calls is part of it. Layers without
parameters (losses, metrics) are not recorded, and nothing is while a static graph is built.
"""

import contextlib
import functools
import inspect
import os
import sys
import types

import numpy as np

from . import is_deep
from .arrays import hash_of, leaves, to_array, to_arrays
from .operators import Tracer
from .store import Known, model_files, predictor_line, replace

NAMED = ("train", "eval", "set_state_dict", "set_dict", "load_dict")  # what scripts do to a network before they call it


def _translated(prefix):
    module = sys.modules.get(f"paddle.jit.{prefix}translated_layer")
    return getattr(module, f"{prefix.strip('_').capitalize()}TranslatedLayer", None)


class Outermost:
    """A method that the outermost call of a thread reaches through `observed(method, layer, *args, **kwargs)`.

    The class itself (`Layer.forward`), the calls within an observed one, and Paddle while it builds a static graph see
    the plain method: its source is read and translated there. Nothing is added to a layer itself, which may be copied
    and pickled.
    """

    def __init__(self, method, observed, plain, local):
        self.method, self.plain, self.local = method, plain, local

        @functools.wraps(method)
        def call(layer, /, *args, **kwargs):  # forward may have a keyword of any name
            return method(layer, *args, **kwargs) if plain() else observed(method, layer, *args, **kwargs)

        call.__signature__ = inspect.signature(method)
        call.tipc_method = method
        self.call = call

    def __get__(self, layer, owner=None):
        if layer is None:
            return self.method
        # the first question alone answers it for the many layers within a network
        return types.MethodType(self.method if self.local.busy or self.plain() else self.call, layer)


class Layers:
    """The hooks into paddle.nn and paddle.jit."""

    def __init__(self, paddle, store):
        from paddle.base.core import eager

        self.paddle, self.store, self.local = paddle, store, store.local
        self.layer, self.tensor = paddle.nn.Layer, eager.Tensor
        self.parameter = paddle.base.framework.EagerParamBase
        self.translated = tuple(kind for kind in map(_translated, ("", "pir_")) if kind)
        self.loaded = []  # (path, [hashes of a tensor]) of the files that were read
        self.files = Known()  # of the layers that paddle.jit.load made
        self.tracer = Tracer(paddle, store) if is_deep() else None

    def plain(self):
        return self.local.busy or not self.paddle.in_dynamic_mode()

    def method(self, function):
        return Outermost(function, self.observed, self.plain, self.local)

    def observed(self, method, layer, /, *args, **kwargs):
        """An outermost call: note what goes in, call, note what comes out."""
        attempt = self.store.attempt
        if not attempt(self.counts, layer):
            return method(layer, *args, **kwargs)
        begun = attempt(self.begin, layer, args, kwargs)
        self.local.busy = True
        try:
            with self.traced(layer, begun) as trace:
                result = method(layer, *args, **kwargs)
        finally:
            self.local.busy = False
        if begun:
            attempt(self.finish, layer, begun, result, trace)
        return result

    def traced(self, layer, begun):
        """A context that notes the operators of a call, where that is wanted."""
        if self.tracer is None or not begun or isinstance(layer, self.translated):
            return contextlib.nullcontext()
        return self.tracer.trace(self.inner(layer), begun[1])

    def inner(self, layer):
        """The network itself: DataParallel around it has its names and its mode."""
        while isinstance(layer, self.paddle.DataParallel):
            layer = layer._layers
        return layer

    def counts(self, layer):
        """Whether the layer is a network; a process that only reads data has none."""
        network = isinstance(layer, self.translated) or next(iter(layer.named_parameters()), None) is not None
        return network and self.paddle.io.get_worker_info() is None

    def begin(self, layer, args, kwargs):
        outer = self.unseen(layer)
        if outer is not None:  # only the first time, see `hook`
            self.hook(outer)
            self.store.lose(f"a first call of forward of {type(outer).__name__}: it had no eval() before")
            return None
        kinds = self.tensor
        if isinstance(layer, self.translated):
            kinds = (self.tensor, np.ndarray)
            names = [spec.name for spec in layer._input_spec()]
            named = [(name, value) for name, (_, value) in zip(names, leaves(args, kinds))]
        else:
            named = [leaf for name, value in self.arguments(layer, args, kwargs) for leaf in leaves(value, kinds, name)]
        # a loaded model that nobody called eval() on still runs for inference
        training = not layer._is_test if isinstance(layer, self.translated) else bool(self.inner(layer).training)
        return self.name_of(layer), to_arrays(named), training

    def unseen(self, layer):
        """A network above `layer` whose forward was called directly, and past the hook; None where there is none."""
        frame = sys._getframe(1)
        while frame is not None:
            code = frame.f_code
            if code.co_name == "forward" and code.co_varnames:
                outer = frame.f_locals.get(code.co_varnames[0])
                if isinstance(outer, self.layer) and outer is not layer and self.counts(outer):
                    return outer
            frame = frame.f_back
        return None

    def arguments(self, layer, args, kwargs):
        """[(name, value), …] with the names that forward gives to them."""
        layer = self.inner(layer)
        try:
            signature = inspect.signature(type(layer).forward)
            bound = signature.bind(layer, *args, **kwargs).arguments
        except (TypeError, ValueError):
            return [*((str(place), value) for place, value in enumerate(args)), *kwargs.items()]
        return list(bound.items())[1:]

    def name_of(self, layer):
        if isinstance(layer, self.translated):
            return self.store.name_of(layer, "t", lambda: predictor_line(self.files.get(layer) or []))
        return self.store.name_of(layer, "", lambda: self.describe(layer))

    def finish(self, layer, begun, result, trace):
        name, inputs, training = begun
        more = {"trace": trace.file} if trace and trace.file else {}
        kind = "translated" if isinstance(layer, self.translated) else "layer"
        place = self.paddle.get_device().partition(":")[0]
        outputs = to_arrays(leaves(result, self.tensor))
        self.store.record(kind, name, inputs, outputs, training=training, place=place, **more)

    def describe(self, layer):
        """The line about a network: its weights, and which of them came out of a file."""
        trained = {id(parameter) for parameter in layer.parameters() if parameter.trainable}  # not a mean of BatchNorm

        def weight(tensor):
            array, dtype = to_array(tensor)
            shape, trains = list(array.shape), id(tensor) in trained
            return {"shape": shape, "dtype": dtype, "hash": hash_of(array), "trained": trains}

        weights = {name: self.store.attempt(weight, tensor) for name, tensor in layer.state_dict().items()}
        weights = {name: entry for name, entry in weights.items() if entry}
        held = {entry["hash"] for entry in weights.values()}
        learnt = {entry["hash"] for entry in weights.values() if entry["trained"]}
        loaded = [
            {"path": path, "tensors": len(tensors), "found": sum(not held.isdisjoint(hashes) for hashes in tensors),
             "trained": sum(not learnt.isdisjoint(hashes) for hashes in tensors)}
            for path, tensors in self.loaded
        ]  # fmt: skip
        return {"event": "network", "class": type(self.inner(layer)).__name__, "weights": weights, "loaded": loaded}

    def hook(self, layer):
        """Observe direct calls of `layer.forward` from now on."""
        forward = vars(type(layer)).get("forward")
        if forward is None:  # inherited
            forward = type(layer).forward
        if isinstance(forward, types.FunctionType):
            type(layer).forward = self.method(forward)

    def touched(self, layer, name):
        """The script prepared a network."""
        self.hook(layer)
        if name not in ("train", "eval"):
            self.store.changes += 1

    def read(self, path, content):
        """The script read a file with paddle.load."""
        if isinstance(path, (str, os.PathLike)) and not str(path).endswith(".pdopt"):
            arrays = [to_array(tensor)[0] for _, tensor in leaves(content, (self.tensor, np.ndarray))]
            if arrays:
                self.loaded.append((os.path.abspath(path), list(map(_forms_of, arrays))))


def _forms_of(array):
    """The hashes that a tensor of a file may have in a network: half precision is often loaded as float32."""
    wide = [hash_of(array.astype(np.float32))] if array.dtype == np.float16 else []
    return [hash_of(array), *wide]


def _stay_untranslated():
    """Have Paddle run these files as they are where it translates bytecode. Raises where it cannot be told."""
    from paddle.jit.sot.opcode_translator import skip_files

    skip_files.skip_file_names.add(os.path.join(os.path.dirname(__file__), ""))
    skip_files.setup_skip_files()


def observe(paddle, store):
    """Put the hooks in."""
    _stay_untranslated()  # before all else: without it there are no hooks
    layers = Layers(paddle, store)
    attempt, layer = store.attempt, paddle.nn.Layer

    def notes(function, note):
        """`function`, which has its result noted by `note(result, *args, **kwargs)`."""

        @functools.wraps(function)
        def noted(*args, **kwargs):
            result = function(*args, **kwargs)
            if not store.local.busy:
                attempt(note, result, *args, **kwargs)
            return result

        return noted

    def prepared(name):
        return notes(getattr(layer, name), lambda _, network, *args, **kwargs: layers.touched(network, name))

    def changed(_, tensor, *args, **kwargs):
        if isinstance(tensor, layers.parameter):
            store.changes += 1

    # what set_state_dict does, and averages of weights, is also done by hand
    layers.tensor.set_value = notes(layers.tensor.set_value, changed)
    for name in NAMED:
        setattr(layer, name, prepared(name))
    layer.__call__ = layers.method(layer.__call__)

    def read(content, path, *args, **kwargs):
        layers.read(path, content)

    replace("load", paddle.load, notes(paddle.load, read))

    def loaded(network, path, *args, **kwargs):
        layers.files.put(network, model_files(path, kwargs))
        layers.hook(network)

    replace("load", paddle.jit.load, notes(paddle.jit.load, loaded))
    _observe_static(layers)


def _observe_static(layers):
    """What paddle.jit.to_static made of a network is still called as a network, and is made of the plain method."""
    from paddle.jit.dy2static.program_translator import StaticFunction

    local, begin, call = layers.local, StaticFunction.__init__, StaticFunction.__call__

    @functools.wraps(begin)
    def plain_begin(self, function, *args, **kwargs):
        method = getattr(function, "tipc_method", None)
        if isinstance(function, types.MethodType) and method:
            function = types.MethodType(method, function.__self__)
        return begin(self, function, *args, **kwargs)

    @functools.wraps(call)
    def observed_call(self, /, *args, **kwargs):
        network = getattr(self, "class_instance", getattr(self, "_class_instance", None))  # Paddle 3 and 2
        if layers.plain():
            return call(self, *args, **kwargs)
        if isinstance(network, layers.layer):
            return layers.observed(lambda _, *values, **named: call(self, *values, **named), network, *args, **kwargs)
        local.busy = True  # a function that calls networks: they are parts of its graph
        try:
            return call(self, *args, **kwargs)
        finally:
            local.busy = False

    StaticFunction.__init__, StaticFunction.__call__ = plain_begin, observed_call
