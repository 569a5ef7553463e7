"""Observe Paddle from inside a script that knows nothing of it: this file waits for Paddle's import.

With TIPC_OBSERVE_DEEP=1 more is observed, as a diagnosis needs it.

    layers.py   networks that are called as layers: paddle.nn.Layer, paddle.jit
    engines.py  exported models: paddle.inference.Predictor, paddle.static.Executor
    settings.py what is set in a paddle.inference.Config
    arrays.py   tensors of all kinds as arrays with names and hashes
    operators.py operators of a network's call, with their outputs (deep)
    decoders.py images that OpenCV and Pillow decode; exif.py: how they lie (deep)
    sample.py   which calls keep their arrays
    store.py    the recording: one file of lines per process, one npz per kept call

Two rules hold everywhere: an error in here never reaches the script, and nothing is printed.
"""

import os
import sys


class _Finder:
    """Finds a module as all other finders together do, and has it observed as soon as it is loaded.

    Looking for the module without importing it (`importlib.util.find_spec`) changes nothing.
    """

    def __init__(self, name, observe):
        self.name, self.observe = name, observe

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                self._observe_after(spec.loader)
                return spec
        return None

    def _observe_after(self, loader):
        load = getattr(loader, "exec_module", None)

        def load_and_observe(module):
            del loader.exec_module  # the loader is as it was
            load(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                self.observe(module)

        if hasattr(loader, "__dict__"):  # one of another kind takes no attributes: not observed
            loader.exec_module = load_and_observe


def is_deep():
    """Whether more than the networks' inputs and outputs is recorded."""
    return os.environ.get("TIPC_OBSERVE_DEEP") == "1"


def _observe(paddle):
    try:
        from . import decoders, engines, layers
        from .store import Store

        store = Store(os.environ["TIPC_OBSERVE"], paddle)
        store.attempt(layers.observe, paddle, store)
        store.attempt(engines.observe, paddle, store)
        if is_deep():
            store.attempt(decoders.begin, store)
    except Exception:  # not Paddle, or not one that we know
        pass


def _observe_decoder(module):
    try:
        from . import decoders

        decoders.observe(module)
    except Exception:  # another module of that name
        pass


def watch():
    """Observe Paddle, and what decodes images: now if it is there already, otherwise once it is imported."""
    decoders = dict.fromkeys(("cv2", "PIL.Image") if is_deep() else (), _observe_decoder)
    for name, observe in {"paddle": _observe, **decoders}.items():
        if name in sys.modules:
            observe(sys.modules[name])
        else:
            sys.meta_path.insert(0, _Finder(name, observe))
