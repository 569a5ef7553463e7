"""Export of a trained network for Paddle Inference, Serving, Lite and Paddle2ONNX."""

import io
import os
import shutil
import tempfile
import warnings
from functools import partial
from pathlib import Path

import paddle
from paddle import nn

from ppcls_lite.arch.from_config import load_network
from ppcls_lite.infer.int8 import add_int8
from ppcls_lite.infer.model.config import write_model_config
from ppcls_lite.infer.model.files import NAMES, ONNX, ModelFiles
from ppcls_lite.infer.model.storage import write_separate
from ppcls_lite.infer.tasks import probe_image, task_of
from ppcls_lite.slim.settings import quanter_of
from ppcls_lite.utils import checks
from ppcls_lite.utils.config import require
from ppcls_lite.utils.distilled import deployed_arch
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.paddle_version import NO_PDMODEL, export_format, number
from ppcls_lite.utils.safe_load import as_float16, with_suffix
from ppcls_lite.utils.tensor_files import write_tensor


class _WithSoftmax(nn.Layer):
    """Logits to probabilities inside the exported model, as every reader of `inference.pdmodel` expects."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.softmax = nn.Softmax(axis=-1)

    def forward(self, x):
        return self.softmax(self.network(x))

    @staticmethod
    def input_specs(image_shape):
        """The input specification for `paddle.jit.to_static`, for images of [3, H, W]."""
        return [paddle.static.InputSpec([None, *image_shape], dtype="float32", name="x")]


def export(config, structure="inference.pdmodel", separate=False, chosen=None):
    """Write the model, `inference.yml` and the class names to the folder `Global.save_inference_dir`.

    Args:
        structure: name of the structure file in the format pdmodel: inference.pdmodel (weights in
            inference.pdiparams, and inference.pdiparams.info), model (params) or __model__ (__params__). The format
            json has one name only, inference.json (weights in inference.pdiparams).
        separate: one file for each variable beside the structure, named as the variable, instead of one file; of the
            format pdmodel only.
        chosen: the `ExportFormat`, from `choose_export_format`, which has to be called before Paddle is imported; None:
            what that function chooses for the config.
    The files appear there only when all are complete. Returns the folder. Raises UserError when the config's
    image_shape differs from what its transforms make, when this Paddle cannot write the model in that format, and when
    the folder holds a model in another form: it would then hold two models.
    """
    folder = Path(require(config, "Global.save_inference_dir"))
    shape = checks.image_shape("Global.image_shape", require(config, "Global.image_shape"))
    _check_shape(shape, require(config, "Infer.transforms"), task_of(config))
    chosen = chosen or export_format(config["Global"].get("export_format"))
    if chosen.name == "json":
        structure = _only_name(structure, separate, chosen)
    params = dict(NAMES)[structure]
    _check_other_forms(folder, structure, params, separate)
    network = load_network(config, needs_head=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export.", dir=folder) as fresh:
            save_network(network, fresh, shape, chosen)
            write_model_config(fresh, config, paddle.__version__, _arrange(Path(fresh), structure, params, separate))
            if quanter_of(config):
                (folder / ONNX).unlink(missing_ok=True)  # that of other weights
                add_int8(fresh, config, partial(save_network, shape=shape, chosen=chosen))
            # the structure last: where it is found, its weights are there already
            for path in sorted(Path(fresh).iterdir(), key=lambda path: path.name == structure):
                os.replace(path, folder / path.name)
    except OSError as error:
        raise UserError(f"{folder}: the model was not exported ({error.strerror})") from error
    name = deployed_arch(config["Arch"])["name"]
    logger.info(f"exported {name} to {folder} in the format {chosen.name}, {chosen.why}")
    return folder


def save_network(network, folder, shape, chosen):
    """Write `inference.pdmodel` (or `.json`) and its weights, for images of `shape` [3, H, W], to an empty `folder`."""
    model = network.deployed() if hasattr(network, "deployed") else _WithSoftmax(network)
    model.eval()
    _save(model, model.input_specs(shape), f"{folder}/inference", chosen)


def _only_name(structure, separate, chosen):
    if separate or structure != "inference.pdmodel":
        what = "one file for each variable" if separate else f"the name {structure}"
        raise UserError(f"export: {what} is of the format pdmodel; this one is json, {chosen.why}")
    return chosen.structure


def _save(model, specs, path, chosen):
    """Write the two or three files of the model, with Paddle; UserError where it cannot, or writes another format."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            paddle.jit.save(paddle.jit.to_static(model, input_spec=specs, full_graph=True), path)
    except (TypeError, ValueError) as error:
        if chosen.name == "json" or number(paddle.__version__) < NO_PDMODEL:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        raise UserError(
            f"Global.export_format: expected json, found pdmodel: Paddle {paddle.__version__} cannot write this "
            f"network in that format ({reason:.160}); Paddle up to 3.1 can"
        ) from None
    if not Path(f"{path}.{chosen.name}").is_file():
        raise UserError("export: choose_export_format has to be called before Paddle is imported")


def _arrange(fresh, structure, params, separate):
    """Bring a fresh export into the required names and form; returns the names of the files to record sizes of."""
    if structure.endswith(".json"):
        return [params, structure]
    files = ModelFiles(fresh / "inference.pdmodel", fresh / "inference.pdiparams")
    if separate:
        write_separate(files, fresh)
        files.params.unlink()
    elif params != files.params.name:
        files.params.rename(fresh / params)
    if separate or structure != files.structure.name:
        (fresh / "inference.pdiparams.info").unlink()
    files.structure.rename(fresh / structure)
    return [structure] if separate else [params, structure]


def _check_other_forms(folder, structure, params, separate):
    """Raise UserError when an export into `folder` would leave two models there."""
    others = [name for name, _ in NAMES if name != structure]
    for name in [*others, *([params] if separate else [])]:
        if (folder / name).exists():
            raise UserError(f"{folder}: holds {name}, from a model in another form: choose another folder")


def _check_shape(shape, ops, task):
    made = task.read_shape(ops, probe_image(shape))
    if made != shape:
        raise UserError(f"Global.image_shape is {shape}, but Infer.transforms make images of {made}")


def save_persistable(config, path, separate=False, float16=False):
    """Write the weights of the config's network alone: one `.pdparams` file, or a folder with a file per variable.

    Every command reads either as `Global.pretrained_model`. The folder appears when it is complete, and must not
    exist before. `float16` halves the size (see `as_float16`); the commands compute in float32 all the same. Returns
    the path written; raises UserError when it cannot be.
    """
    arrays = {name: tensor.numpy() for name, tensor in load_network(config, True).state_dict().items()}
    if float16:
        arrays = as_float16(arrays)
    try:
        if separate:
            target = Path(path)
            _write_variables(arrays, target)
        else:
            target = with_suffix(path, ".pdparams")
            content = io.BytesIO()  # Paddle writes to nothing else but a path
            paddle.save({name: paddle.to_tensor(array) for name, array in arrays.items()}, content)
            with atomic_write(target, "wb") as stream:
                stream.write(content.getbuffer())
    except OSError as error:
        raise UserError(f"{path}: the weights were not written ({error.strerror})") from error
    logger.info(f"wrote the weights of {deployed_arch(config['Arch'])['name']} to {target}")
    return target


def _write_variables(arrays, target):
    if target.exists():
        raise UserError(f"{target}: exists already; variables are written to a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name, array in arrays.items():
            with open(fresh / name, "wb") as stream:
                write_tensor(stream, array)
        fresh.chmod(0o755)
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
