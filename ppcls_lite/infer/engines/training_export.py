"""Prediction with the training engine on an exported model, loaded as for further training (`paddle.jit.load`)."""

from contextlib import nullcontext

from ppcls_lite.infer.engines.base import register_engine
from ppcls_lite.infer.engines.training import DygraphEngine
from ppcls_lite.infer.model.storage import check_params, standard_files
from ppcls_lite.utils.errors import UserError, quick_import


@register_engine("training_export")
class TrainingExportEngine(DygraphEngine):
    """The exported network, with its own structure and softmax."""

    def __init__(self, model, options=None):
        super().__init__(model, options)
        with quick_import():
            import paddle

        with standard_files(model, always=True) as files:
            check_params(files)
            try:
                with _reading(paddle, files):
                    self.layer = paddle.jit.load(str(files.structure.with_suffix("")))
            except (RuntimeError, ValueError, OSError) as error:
                reason = str(error).strip().splitlines() or [type(error).__name__]
                raise UserError(f"{model.folder}: paddle.jit.load cannot load it: {reason[-1]:.200}") from error
        self.layer.eval()
        self.input_names = [spec.name for spec in self.layer._input_spec()]

    def forward(self, images):
        return self.layer(images)


def _reading(paddle, files):
    """Paddle 3 looks only for `.json` unless this guard lets it read programs of the old form; 2.6 reads only those."""
    guard = getattr(getattr(paddle, "pir_utils", None), "DygraphOldIrGuard", None)
    return guard() if guard and not files.is_json else nullcontext()
