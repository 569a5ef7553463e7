"""What every engine is, and the table of them by name."""

from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

ENGINES = Registry("engine")


class Engine:
    """A loaded model: images [N, 3, H, W] float32 to class probabilities [N, C] float32, both NumPy arrays.

    A subclass loads the model in `__init__(model, options)` and sets `input_names`; it raises UserError when the
    model cannot be loaded. `create_engine` calls `why_not` before. `with create_engine(...) as engine:` closes it.

    Class attributes:
        name: the word that commands and configs use, set by `register_engine`.
        device: `cpu` or `gpu`.
        exact: True where the results are the training engine's bit by bit, given `EngineOptions.strict()`.
        takes_export: whether it loads an exported model; the training engine takes a config instead.
    """

    name = ""
    device = "cpu"
    exact = False
    takes_export = True

    def __init__(self, model, options=None):
        self.model = model
        self.options = options or EngineOptions()
        self.input_names = []

    @classmethod
    def why_not(cls, options=None):
        """Why this engine cannot run on this machine, or an empty string when it can."""
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
        """The model's first output for one batch."""
        raise NotImplementedError

    def run_all(self, inputs):
        """All outputs in the model's order, for `inputs` {name: array}; detectors have several of both."""
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
