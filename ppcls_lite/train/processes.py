"""What the processes of one training or evaluation tell each other; with a single process everything is a no-op.

All of it is called by every process at the same place: whoever stays away makes the others wait.
"""

import os
import time
from contextlib import contextmanager

import numpy as np
import paddle

from ppcls_lite.utils.errors import UserError

_LOST = ("gloo/transport", "Connection reset by peer", "Connection closed by peer", "NCCL error", "TCP receive error")
_CLOSE = 1e-5  # relative: the last bits of a sum may differ between two kinds of processors


def count_processes():
    return paddle.distributed.get_world_size()


def sum_over_processes(array):
    """The element-wise sum of a float64 array over all processes; the array itself with one process."""
    if count_processes() == 1:
        return array
    shared = paddle.to_tensor(array)
    paddle.distributed.all_reduce(shared)
    return shared.numpy()


def mean_over_processes(figures):
    """A dict of numbers with the mean over all processes in place of each."""
    if count_processes() == 1:
        return figures
    sums = sum_over_processes(np.array(list(figures.values()), np.float64))
    return {name: float(value) / count_processes() for name, value in zip(figures, sums)}


def gather(array):
    """A list of the arrays of all processes, which have the same shape and type, by rank."""
    if count_processes() == 1:
        return [array]
    parts = []
    paddle.distributed.all_gather(parts, paddle.to_tensor(array))
    return [part.numpy() for part in parts]


def wait_for_all(patience=600):
    """Wait until every process has come here, up to `patience` seconds; UserError when one has not.

    gloo gives up when a process comes 30 seconds after another one, and Paddle has no setting for that: so this goes
    before the first collective operation after work that takes the processes differently long, such as a checkpoint
    that process 0 writes. It asks the store by which the processes have found each other, which process 0 has and takes
    with it when it ends: an operation of all must follow. It takes a tenth of a second. NCCL waits by itself.
    """
    if count_processes() == 1 or os.environ.get("PADDLE_DISTRI_BACKEND") != "gloo":
        return
    _meetings[0] += 1
    store, key, end = paddle.base.core.create_or_get_global_tcp_store(), f"all/{_meetings[0]}", time.time() + patience
    here = store.add(key, 1)
    while here < count_processes():
        if time.time() > end:
            raise UserError(f"only {here} of {count_processes()} processes have come so far in {patience} seconds")
        time.sleep(0.02)
        here = store.add(key, 0)


_meetings = [0]  # how often the processes have waited for each other


def gather_rows(rows):
    """[M, D]: the rows [N, D] of all processes, by rank, of which each may have another number or none ([0, 0])."""
    counts, widths = np.stack(gather(np.array(rows.shape, np.float64))).astype(np.int64).T
    padded = np.zeros((counts.max(), widths.max()), rows.dtype)
    padded[: rows.shape[0], : rows.shape[1]] = rows
    return np.concatenate([part[:count] for part, count in zip(gather(padded), counts)])


@paddle.no_grad()
def average_gradients(parameters):
    """Give the gradients of `parameters` their mean over the processes, as paddle.DataParallel does for a network's."""
    for parameter in parameters if count_processes() > 1 else ():
        if parameter.grad is not None:
            paddle.distributed.all_reduce(parameter.grad)
            parameter.grad.scale_(1 / count_processes())


def average_buffers(model):
    """Give the running statistics of batch normalisation, which each process has of its own images, their mean.

    Gradients keep the trained parameters alike; this makes the whole network the same on all processes, so that one
    evaluation judges one network, the one that process 0 saves. (As `--dist-bn reduce` of timm.)
    """
    # Paddle keeps them among the parameters; frozen weights are alike anyway
    buffers = [tensor for tensor in model.state_dict().values() if tensor.stop_gradient and tensor.is_floating_point()]
    if count_processes() == 1 or not buffers:
        return
    flat = np.concatenate([buffer.numpy().astype(np.float64).reshape(-1) for buffer in buffers])
    parts = np.split(sum_over_processes(flat) / count_processes(), np.cumsum([buffer.size for buffer in buffers])[:-1])
    for buffer, part in zip(buffers, parts):
        buffer.set_value(part.reshape(buffer.shape).astype(buffer.numpy().dtype))


def check_alike(**figures):
    """UserError on every process unless all have the same whole numbers: `check_alike(iterations=4, epochs=2)`."""
    found = np.stack(gather(np.array(list(figures.values()), np.float64)))
    for name, values in zip(figures, found.T):
        if (values != values[0]).any():
            other = int((values != values[0]).argmax())
            raise UserError(
                f"the processes do not train the same: {name.replace('_', ' ')} is {values[0]:.0f} on process 0 and "
                f"{values[other]:.0f} on process {other}; do they read the same config, lists and checkpoint?"
            )


def check_same_weights(when, *layers):
    """UserError on every process unless all have the same weights, but for rounding; `when` is said in the message.

    For each parameter and statistic, the sum and the sum of absolute values are compared.
    """
    if count_processes() == 1:
        return
    entries = [entry for layer in layers for entry in layer.state_dict().items()]
    state = {name: tensor.numpy().astype(np.float64) for name, tensor in entries}
    sums = np.array([[value.sum(), np.abs(value).sum()] for value in state.values()])
    for rank, other in enumerate(gather(sums)):
        differs = np.abs(other - sums).max(axis=1) > _CLOSE * (1 + sums[:, 1])
        if differs.any():
            name = list(state)[int(differs.argmax())]
            raise UserError(
                f"the processes do not have the same weights {when}: {name} differs between process "
                f"{paddle.distributed.get_rank()} and process {rank} ({differs.sum()} of {len(state)} tensors differ)"
            )


@contextmanager
def explain_lost_process():
    """One line for the error of a collective operation when another process has ended: the reason is in its log."""
    try:
        yield
    except (RuntimeError, OSError, ValueError) as error:
        if count_processes() > 1 and any(text in str(error) for text in _LOST):
            raise UserError("the connection to another process is lost: its own log says why it ended") from error
        raise
