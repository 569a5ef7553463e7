"""Checkpoints that a kill cannot tear: `latest`, `best_model` and `epoch_N`.

A checkpoint is three files that belong together (`.pdparams`, `.pdopt`, `.pdstates`), and three renames are not atomic.
So each checkpoint is written to a folder of its own, and a single rename of a link makes all three current at once:

    latest.pdparams -> .checkpoints/latest/latest.pdparams
    .checkpoints/latest -> latest-000012        (the link that moves)

With a moving average of the weights (EMA), `.pdparams` has the average, which is what is evaluated, exported and
deployed, and a fourth file, `.pdema`, the weights that the training goes on with: PaddleClas's names. With a loss that
has parameters, such as CenterLoss, there is `.pdloss` with these: `.pdparams` is the network's alone.
"""

import os
import re
import secrets
import shutil
from pathlib import Path

import numpy as np
import paddle

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import check_finite, load_arrays, load_plain, set_weights, with_suffix

_OWN_WEIGHTS = ".pdema"  # of a training with EMA
_OF_LOSSES = ".pdloss"
_SUFFIXES = (".pdparams", ".pdopt", ".pdstates", _OWN_WEIGHTS, _OF_LOSSES)


def save_checkpoint(output_dir, name, model, optimizer, states, ema=None, losses=None):
    """Write `output_dir/name.{pdparams,pdopt,pdstates}`; whatever happens meanwhile, the previous three stay whole.

    `states` is a dict of plain values (epoch, seed, best metric); with `ema`, its averages are the `.pdparams`, and the
    model's own weights a `.pdema`. `losses` is the layer of the losses' parameters: if it has any, they are a
    `.pdloss`. Raises UserError when the disk refuses.
    """
    contents = {".pdparams": model.state_dict(), ".pdopt": optimizer.state_dict(), ".pdstates": states}
    if ema:  # its own weights first: there is no moment with a link to the averages alone
        contents = {_OWN_WEIGHTS: contents[".pdparams"], **contents, ".pdparams": ema.averages}
    if losses is not None and losses.state_dict():
        contents = {_OF_LOSSES: losses.state_dict(), **contents}
    store = Path(output_dir) / ".checkpoints"
    # a name that was never used: a process id repeats in containers, and the old folder may be the current one
    fresh = store / f"{name}-{states['epoch']:06d}.{secrets.token_hex(4)}"
    try:
        _remove_all_but(store, name, _current(store, name))
        fresh.mkdir(parents=True)
        for suffix, content in contents.items():
            path = fresh / (name + suffix)
            paddle.save(content, str(path))
            _sync(path)
        _point(store / name, fresh.name)
        for suffix in contents:
            _point(Path(output_dir) / (name + suffix), f".checkpoints/{name}/{name}{suffix}")
        for suffix in (_OWN_WEIGHTS, _OF_LOSSES):
            if suffix not in contents:  # of an earlier training
                (Path(output_dir) / (name + suffix)).unlink(missing_ok=True)
        _sync(store)
    except OSError as error:
        if _current(store, name) != fresh.name:  # once it is current it is whole
            shutil.rmtree(fresh, ignore_errors=True)
        raise UserError(f"{Path(output_dir) / name}: checkpoint not written ({error.strerror})") from error
    _remove_all_but(store, name, fresh.name)


def _current(store, name):
    """The name of the folder that holds the checkpoint `name` now, or None."""
    return os.readlink(store / name) if (store / name).is_symlink() else None


def _remove_all_but(store, name, current):
    """Remove the folders of earlier checkpoints of that name, and those that kills have left unfinished."""
    for old in store.glob(f"{name}-*"):
        if old.name != current:
            shutil.rmtree(old, ignore_errors=True)


def _point(link, target):
    """Make `link` a symbolic link to `target` in one step."""
    if link.is_symlink() and os.readlink(link) == target:
        return
    fresh = link.with_name(f"{link.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_states(prefix):
    """The states of the checkpoint at `prefix` (`output/latest`): its epoch, seed and best figures.

    Raises UserError when they are missing, damaged, or not those of a training.
    """
    path = with_suffix(_without_suffix(prefix), ".pdstates")
    states = load_plain(path)
    if not isinstance(states, dict) or not isinstance(states.get("epoch"), int):
        raise UserError(f"{path}: expected the states of a training, found {type(states).__name__}")
    return states


def _without_suffix(prefix):
    prefix = str(prefix)
    for suffix in _SUFFIXES:
        if prefix.endswith(suffix):
            prefix = prefix[: -len(suffix)]
    return prefix


def load_checkpoint(prefix, model, optimizers, ema=None, losses=None):
    """Put the checkpoint at `prefix` (`output/latest`) into model, `Optimizers`, `ema` and the losses' parameters;
    returns its states.

    Raises UserError when one of the files is missing, damaged, or of another network, and when only one of the
    checkpoint and this training has a moving average, or losses with parameters.
    """
    prefix = _without_suffix(prefix)
    states = read_states(prefix)
    moments = load_plain(with_suffix(prefix, ".pdopt"))
    averages = load_arrays(prefix)
    set_weights(model, averages, prefix + ".pdparams")
    has_own = Path(prefix + _OWN_WEIGHTS).is_file()
    if has_own != bool(ema):
        begun = "with EMA, and this config has none" if has_own else f"without EMA: there is no {prefix}{_OWN_WEIGHTS}"
        raise UserError(f"EMA: {prefix} was begun {begun}; Global.pretrained_model begins anew from its weights")
    if ema:
        ema.load(averages)
        set_weights(model, load_arrays(prefix, _OWN_WEIGHTS), prefix + _OWN_WEIGHTS)
    parameters = [*model.parameters(), *_load_losses(prefix, losses)]
    _check_moments(moments, parameters, prefix, optimizers.stateless())
    optimizers.set_state_dict(_tensors(moments))
    return states


def _load_losses(prefix, losses):
    """The parameters of the losses, which have those of the checkpoint now."""
    needed, there = losses is not None and bool(losses.state_dict()), Path(prefix + _OF_LOSSES).is_file()
    if needed != there:
        without = f"without {', '.join(losses or ())}: there is no {prefix}{_OF_LOSSES}"
        begun = "with a loss that has parameters, and this config has none" if there else without
        raise UserError(f"Loss.Train: {prefix} was begun {begun}; Global.pretrained_model begins anew from its weights")
    if not needed:
        return []
    set_weights(losses, load_arrays(prefix, _OF_LOSSES), prefix + _OF_LOSSES)
    return losses.parameters()


def _tensors(moments):
    """An optimizer's state with tensors for arrays.

    With float16 weights (O2) there is a dict of their float32 copies in it, and Paddle writes all tensors as pairs
    (name, array); the moments are found by the names of the copies.
    """
    if isinstance(moments, dict):
        return {key: _tensors(value) for key, value in moments.items()}
    tensor = _array(moments)
    if isinstance(tensor, np.ndarray):
        tensor = paddle.to_tensor(tensor)
        if isinstance(moments, tuple):
            tensor.name = moments[0]
    return tensor


def _array(value):
    return value[1] if isinstance(value, tuple) and len(value) == 2 else value


def _check_moments(moments, parameters, prefix, stateless):
    shapes = {parameter.name: list(parameter.shape) for parameter in parameters if not parameter.stop_gradient}
    if not isinstance(moments, dict):
        raise UserError(f"{prefix}.pdopt: expected an optimizer's state, found {type(moments).__name__}")
    copies = moments.get("master_weights")
    for entries in (moments, copies if isinstance(copies, dict) else {}):
        arrays = {key: _array(value) for key, value in entries.items()}
        check_finite({key: value for key, value in arrays.items() if isinstance(value, np.ndarray)}, f"{prefix}.pdopt")
    found = set()
    for key, value in ((key, _array(value)) for key, value in moments.items()):
        name = re.sub(r"_[a-z]\w*_\d+$", "", str(key))  # conv2d_0.w_0_velocity_0 is the velocity of conv2d_0.w_0
        if name in shapes:
            found.add(name)
            if not isinstance(value, np.ndarray) or (value.size > 1 and list(value.shape) != shapes[name]):
                raise UserError(f"{prefix}.pdopt: {key} is not an array of the parameter's shape {shapes[name]}")
    missing = [name for name in shapes if name not in found and name not in stateless]
    if missing:
        raise UserError(
            f"{prefix}.pdopt: holds nothing for {len(missing)} of {len(shapes)} parameters, e.g. {missing[0]}"
        )
