"""Is the network of a generated architecture file the one of this repository? Both are built, filled and compared."""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import paddle

from ppcls_lite.arch import build_model
from ppcls_lite.utils.errors import UserError
from tools.suite.architecture import LOADER

_SEED = 2022
_BATCH = 2
_NOT_OPTIONS = ("name", "pretrained", "use_ssld", "use_sync_bn")  # of Arch, and not for the network


def load_module(text):
    """The module that `text` is, without PaddleClas: its one import of it is only for weights that are fetched."""
    if text.count(LOADER) != 1:
        raise UserError(f"the architecture file: expected one line '{LOADER.strip()}'")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "generated.py")
        path.write_text(text.replace(LOADER, ""), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def compare(text, name, arch, size):
    """Build `name` from `text` and from this repository, with the options `arch`; (entries, what was found equal).

    Equal must be: names, shapes, initial values, learning rates and regularisers of all parameters, and, with the same
    random weights, the logits of images of `size` pixels, bit by bit. UserError names the first difference.
    """
    options = {key: value for key, value in arch.items() if key not in _NOT_OPTIONS}
    ours = _built(lambda: build_model(name, **options))
    try:
        theirs = _built(lambda: getattr(load_module(text), name)(**options))
    except Exception as error:  # whatever a network's own code may raise outside of this repository
        raise UserError(f"{name}: cannot be built from the new file: {type(error).__name__}: {error}") from error
    _compare_entries(ours, theirs, name)
    _compare_parameters(ours, theirs, name)
    state = _random_state(ours)
    images = paddle.to_tensor(np.random.default_rng(_SEED).standard_normal((_BATCH, 3, size, size)).astype("float32"))
    logits = []
    for network in (ours, theirs):
        missing, unexpected = network.set_state_dict(state)
        if missing or unexpected:
            raise UserError(f"{name}: weights do not load: {(missing or unexpected)[0]}")
        network.eval()
        with paddle.no_grad():
            logits.append(network(images).numpy())
    if not np.isfinite(logits[0]).all() or not np.ptp(logits[0], axis=0).any():
        raise UserError(f"{name}: its logits do not depend on the image, so that they prove nothing")
    if not np.array_equal(*logits):
        raise UserError(f"{name}: the logits of both networks differ by {np.abs(logits[0] - logits[1]).max():.3g}")
    return len(state)


def _built(build):
    paddle.seed(_SEED)
    with paddle.utils.unique_name.guard():
        return build()


def _compare_entries(ours, theirs, name):
    state, other = ours.state_dict(), theirs.state_dict()
    for key in [*state, *other]:
        if key not in state or key not in other:
            raise UserError(f"{name}: entry {key} is in {'ours' if key in state else 'the new file'} only")
        if state[key].shape != other[key].shape or state[key].dtype != other[key].dtype:
            raise UserError(f"{name}: entry {key}: {state[key].shape} here, {other[key].shape} in the new file")
    for key in state:
        if not np.array_equal(state[key].numpy(), other[key].numpy()):
            raise UserError(f"{name}: entry {key} is initialised otherwise in the new file")


def _compare_parameters(ours, theirs, name):
    other = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        here, there = _training_of(parameter), _training_of(other[key])
        if here != there:
            raise UserError(f"{name}: entry {key} is trained otherwise: {here} here, {there} in the new file")


def _training_of(parameter):
    """How a parameter is trained: its learning rate's factor, its regulariser, whether at all."""
    regularizer = parameter.regularizer
    strength = getattr(regularizer, "_coeff", getattr(regularizer, "_regularization_coeff", None))
    kind = type(regularizer).__name__, strength
    return parameter.optimize_attr.get("learning_rate"), kind, parameter.stop_gradient


def _random_state(network):
    """{entry: array}: random weights that keep the numbers in range; variances are positive."""
    rng = np.random.default_rng(_SEED)
    state = {}
    for key, tensor in network.state_dict().items():
        shape = tuple(tensor.shape)
        if key.endswith("._variance"):
            state[key] = rng.uniform(0.5, 1.5, shape).astype("float32")
        elif len(shape) > 1:
            scale = (2 / np.prod(shape[1:] if len(shape) == 4 else shape[:1])) ** 0.5
            state[key] = (rng.standard_normal(shape) * scale).astype("float32")
        else:
            state[key] = (tensor.numpy() + 0.1 * rng.standard_normal(shape)).astype(tensor.numpy().dtype)
    return state
