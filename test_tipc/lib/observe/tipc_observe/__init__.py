"""Observe Paddle from inside a script that knows nothing of it: this file waits for Paddle's import.

    layers.py   networks that are called as layers: paddle.nn.Layer, paddle.jit
    engines.py  exported models: paddle.inference.Predictor, paddle.static.Executor
    arrays.py   tensors of all kinds as arrays with names and hashes
    sample.py   which calls keep their arrays
    store.py    the recording: one file of lines per process, one npz per kept call

Two rules hold everywhere: an error in here never reaches the script, and nothing is printed.
"""

import os
import sys


class _Finder:
    """Finds Paddle as all other finders together do, and has it observed as soon as it is loaded.

    Looking for the module without importing it (`importlib.util.find_spec`) changes nothing.
    """

    def find_spec(self, name, path=None, target=None):
        if name != "paddle":
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
            _observe(module)

        if hasattr(loader, "__dict__"):  # one of another kind takes no attributes: not observed
            loader.exec_module = load_and_observe


def _observe(paddle):
    try:
        from . import engines, layers
        from .store import Store

        store = Store(os.environ["TIPC_OBSERVE"], paddle)
        store.attempt(layers.observe, paddle, store)
        store.attempt(engines.observe, paddle, store)
    except Exception:  # not Paddle, or not one that we know
        pass


def watch():
    """Observe Paddle: now if it is there already, otherwise once it is imported."""
    if "paddle" in sys.modules:
        _observe(sys.modules["paddle"])
    else:
        sys.meta_path.insert(0, _Finder())
