"""What every engine is, and the table of them by name."""

import functools

from ppcls_lite.infer.engines.effects import OFF, NotInEffect, listed
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.registry import Registry

ENGINES = Registry("engine")


class Engine:
    """A loaded model: images [N, 3, H, W] float32 to class probabilities [N, C] float32, both NumPy arrays.

    Of a recogniser, it is embeddings [N, D] in their place.

    A subclass loads the model in `__init__(model, options)` and sets `input_names`; it raises UserError when the
    model cannot be loaded. `create_engine` calls `why_not` before. `with create_engine(...) as engine:` closes it.
    It has `compute` and, where models may have several inputs, `compute_all`; `observe` finds out what is in effect.

    Class attributes:
        name: the word that commands and configs use, set by `register_engine`.
        device: `cpu` or `gpu`.
        exact: True where the results are the training engine's bit by bit, given `EngineOptions.strict()`.
        takes_export: whether it loads an exported model; the training engine takes a config instead.
        takes_onnx: whether it loads a model in ONNX's format, too.
        insists_on: the name of the `Effect` without which the engine is not what its name says.
    """

    name = ""
    device = "cpu"
    exact = False
    takes_export = True
    takes_onnx = False
    insists_on = ""

    def __init__(self, model, options=None):
        self.model = model
        self.options = options or EngineOptions()
        self.input_names = []
        self.effects = None  # the list of `Effect`s, known once a batch is run

    @classmethod
    def why_not(cls, options=None, model=None):
        """Why this engine cannot run on this machine (`model`, if it is given, is an exported one), or ""."""
        return ""

    @property
    def version(self):
        """The software that computes, with its version."""
        import paddle

        return f"Paddle {paddle.__version__}"

    @property
    def threads(self):
        """CPU threads that compute one batch."""
        return self.options.cpu_num_threads

    def run(self, images):
        """The model's first output for one batch; the first call proves that what was requested is in effect."""
        if self.effects is None:
            self.prove({self.input_names[0]: images})
        return self.compute(images)

    def run_all(self, inputs):
        """All outputs in the model's order, for `inputs` {name: array}; detectors have several of both."""
        if self.effects is None:
            self.prove(inputs)
        return self.compute_all(inputs)

    def prove(self, inputs, say=True):
        """Find out with one batch, {name: array}, what is in effect, and log it; NotInEffect for what should be.

        `run` and `run_all` do it by themselves, once.
        """
        effects = list(self.observe(inputs))
        for effect in effects:
            if effect.name == self.insists_on and effect.found == OFF:
                raise NotInEffect(f"engine {self.name}: {effect.name} is requested, and not in effect: {effect.why}")
        self.effects = effects  # only now: an engine that was refused goes on refusing
        if say:
            self.say_effects()

    def say_effects(self):
        """Log what is in effect; `prove` has found it out."""
        if self.effects:
            say_once(f"engine {self.name}: {listed(self.effects)}")

    def observe(self, inputs):
        """The `Effect`s of the options, in a fixed order."""
        return []

    def compute(self, images):
        """The model's first output for one batch."""
        raise NotImplementedError

    def compute_all(self, inputs):
        """All outputs in the model's order."""
        raise UserError(f"engine {self.name}: does not run models with several inputs")

    def close(self):
        """Free the model; the engine cannot run any more."""

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.close()


def register_engine(name):
    """Class decorator: the engine is found as `name`."""

    def register(builder):
        builder.name = name
        return ENGINES.register(builder, name)

    return register


@functools.cache
def say_once(text):
    """Log a line; a service has several engines of a kind."""
    logger.info(text)
