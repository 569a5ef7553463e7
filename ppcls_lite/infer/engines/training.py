"""Prediction with the training engine: a network built from a config, and trained weights."""

from ppcls_lite.infer.engines.base import Engine, register_engine
from ppcls_lite.utils.device import why_no_gpu

DETECTOR_INPUTS = ("image", "scale_factor")  # [N, 3, H, W] and [N, 2] float32, of a detector's deployed form


class DygraphEngine(Engine):
    """A `paddle.nn.Layer` in dygraph mode: it computes as in training.

    Without options: on Paddle's current device, with its number of threads.
    """

    exact = True

    def __init__(self, model, options=None):
        super().__init__(model, options)
        self.input_names = ["x"]
        if options:
            _prepare(options)

    @classmethod
    def why_not(cls, options=None, model=None):
        import paddle

        return why_no_gpu(paddle) if options and options.use_gpu else ""

    def compute(self, images):
        import paddle

        with paddle.no_grad():
            return self.forward(paddle.to_tensor(images)).numpy()

    def compute_all(self, inputs):
        import paddle

        with paddle.no_grad():
            return [output.numpy() for output in self.layer(*map(paddle.to_tensor, inputs.values()))]

    def forward(self, images):
        """Class probabilities, or embeddings, of a tensor of images."""
        raise NotImplementedError

    def close(self):
        self.layer = None


@register_engine("training")
class TrainingEngine(DygraphEngine):
    """The network and the weights (`Global.pretrained_model`) of a training config, which is the `model` here."""

    takes_export = False

    def __init__(self, config, options=None):
        super().__init__(config, options)
        from ppcls_lite.arch.from_config import load_network

        self.layer = load_network(config)

    def forward(self, images):
        from paddle.nn import functional

        return functional.softmax(self.layer(images), axis=-1)


class RecognizerTrainingEngine(DygraphEngine):
    """The deployed form of a training config's recogniser with its weights: embeddings [N, D] instead of scores."""

    takes_export = False

    def __init__(self, config, options=None):
        super().__init__(config, options)
        from ppcls_lite.arch.from_config import load_network

        self.layer = load_network(config, needs_head=False).deployed()
        self.layer.eval()

    def forward(self, images):
        return self.layer(images)


class DetectorTrainingEngine(DygraphEngine):
    """The deployed form of a training config's detector with its weights; `run_all` takes DETECTOR_INPUTS."""

    takes_export = False

    def __init__(self, config, options=None):
        super().__init__(config, options)
        from ppcls_lite.arch.from_config import load_network

        self.layer = load_network(config).deployed()
        self.layer.eval()
        self.input_names = list(DETECTOR_INPUTS)


def _prepare(options):
    """Device and threads; both are Paddle's own, for the whole process."""
    import paddle

    paddle.set_device(f"gpu:{options.gpu_id}" if options.use_gpu else "cpu")
    paddle.base.core.set_num_threads(options.cpu_num_threads)
