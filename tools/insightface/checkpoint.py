"""InsightFace's form of a checkpoint: a folder with one file per parameter, named as Paddle has named the parameter.

Its network makes all convolutions and BatchNorms anew with `paddle.create_parameter`, so their weights are
`create_parameter_0.w_0.pdparam` and so on, in the order of construction; the running means and variances are
`batch_norm2d_0.w_1` and `.w_2`, and the slopes `p_re_lu_0.w_0`. The head is `dist@fc@rank@00000.w`, of several GPUs one
file each, beside each other [embedding_size, classes].
"""

import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import check_finite, load_arrays, load_plain

SUFFIX = ".pdparam"
_HEAD = "dist@fc@rank@"
_COUNTED = re.compile(r"(create_parameter|batch_norm2d|p_re_lu)_(\d+)\.(w_\d)")
_BACKBONE = "backbone."


def parameter_names(entries):
    """{entry: Paddle's name} of the backbone's `entries`, which are in the order of construction."""
    counts, names = {}, {}
    for entry in entries:
        kind = entry.rpartition(".")[2]
        prefix, suffix = {
            "_mean": ("batch_norm2d", "w_1"),
            "_variance": ("batch_norm2d", "w_2"),
            "_weight": ("p_re_lu", "w_0"),
        }.get(kind, ("create_parameter", "w_0"))
        number = counts.setdefault((prefix, suffix), 0)
        counts[prefix, suffix] += 1
        names[entry] = f"{prefix}_{number}.{suffix}"
    return names


def read_backbone(path, entries):
    """{entry: ndarray} of the backbone's `entries` from a folder of InsightFace, or a weights file of either project.

    Raises UserError for what is missing, damaged or not finite, and for a folder of another network.
    """
    path = path or ""
    if not os.path.isdir(path) or os.path.isfile(f"{path}.pdparams"):
        arrays = load_arrays(path)
        of_recogniser = {name[len(_BACKBONE) :]: array for name, array in arrays.items() if name.startswith(_BACKBONE)}
        return of_recogniser or arrays
    names = parameter_names(entries)
    files = _counted_files(path)
    found, wanted = len(files), len(names)
    if found != wanted:
        raise UserError(f"{path}: expected {wanted} files of a MobileFaceNet's parameters, found {found}")
    arrays = {}
    for entry, name in names.items():
        if name not in files:
            raise UserError(f"{path}: not a MobileFaceNet: there is no {name}{SUFFIX}, its {entry}")
        arrays[entry] = _read(files[name])
    check_finite(arrays, path)
    return arrays


def _counted_files(folder):
    """{name, counted from 0: path} of the parameters in a folder, however much was built before the network."""
    groups = {}
    for path in sorted(Path(folder).glob(f"*{SUFFIX}")):
        if match := _COUNTED.fullmatch(path.name[: -len(SUFFIX)]):
            prefix, number, suffix = match.groups()
            groups.setdefault((prefix, suffix), []).append((int(number), path))
    return {
        f"{prefix}_{count}.{suffix}": path
        for (prefix, suffix), members in groups.items()
        for count, (_, path) in enumerate(sorted(members))
    }


def _read(path):
    value = load_plain(path)
    value = value[1] if isinstance(value, tuple) and len(value) == 2 else value
    if not isinstance(value, np.ndarray):
        raise UserError(f"{path}: expected one array of numbers, found {type(value).__name__}")
    return value.astype(np.float32) if value.dtype == np.float16 else value


def read_head(folder):
    """[embedding_size, classes] of the head in a folder of InsightFace, the parts of all GPUs beside each other."""
    paths = sorted(Path(folder).glob(f"{_HEAD}*.w{SUFFIX}"))
    if not paths:
        raise UserError(f"{folder}: there is no {_HEAD}00000.w{SUFFIX}")
    return np.concatenate([_read(path) for path in paths], axis=1)


def write_checkpoint(folder, arrays, epoch):
    """Write the state dict {name: ndarray} of a RecModel as InsightFace's `folder` of the epoch `epoch`, from 0.

    The folder appears when it is complete; an older one is replaced. What a continued training needs is not in it.
    """
    import paddle

    backbone = {name[len(_BACKBONE) :]: array for name, array in arrays.items() if name.startswith(_BACKBONE)}
    files = {name: backbone[entry] for entry, name in parameter_names(backbone).items()}
    head = arrays["head.weight"]
    files[f"{_HEAD}00000.w"] = head
    size, classes = head.shape
    meta = {"pretrain_world_size": 1, "embedding_size": size, "num_classes": classes, "epoch": epoch, "lr_state": {}}
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, array in files.items():
            paddle.save(paddle.to_tensor(array), str(fresh / f"{name}{SUFFIX}"))
        (fresh / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        fresh.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: not written ({error.strerror})") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def build_backbone(config, checkpoint):
    """The RecModel of a `translate.model_config`, in evaluation mode, with the weights of `checkpoint`."""
    from ppcls_lite.arch.from_config import build_network
    from ppcls_lite.utils.safe_load import set_weights

    network = build_network(config)
    entries = [name[len(_BACKBONE) :] for name in network.state_dict()]
    arrays = read_backbone(checkpoint, entries)
    set_weights(network, {_BACKBONE + name: array for name, array in arrays.items()}, checkpoint)
    network.eval()
    return network


@contextmanager
def as_weights_file(network):
    """The path of a temporary weights file with the state of `network`, as the library's commands read it."""
    import paddle

    with tempfile.TemporaryDirectory(prefix="insightface.") as folder:
        path = os.path.join(folder, "network.pdparams")
        paddle.save(network.state_dict(), path)
        yield path
