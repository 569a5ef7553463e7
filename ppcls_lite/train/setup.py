"""Processes and seeds of a training or an evaluation."""

import os
import random
import secrets

import numpy as np
import paddle

from ppcls_lite.utils import checks
from ppcls_lite.utils.device import why_no_gpu
from ppcls_lite.utils.errors import UserError


def start_processes():
    """(rank, world size), after joining the others when paddle.distributed.launch started this process.

    UserError where it started several for GPUs (`--gpus=0,1`) that this one does not see: Paddle's own error, if any,
    would be about groups of processes.
    """
    world = int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))
    if world > 1:
        reason = "" if os.environ.get("PADDLE_DISTRI_BACKEND") == "gloo" else why_no_gpu(paddle)
        if reason:
            raise UserError(
                f"paddle.distributed.launch started {world} processes, each for a GPU, but {reason}: start the script "
                f"without it, or on CPUs with `-m paddle.distributed.launch --nproc_per_node={world} --backend gloo`"
            )
        paddle.distributed.init_parallel_env()
    return paddle.distributed.get_rank(), world


def choose_seed(seed, rank=0, world=1):
    """`seed`, or a fresh one that all processes share when the config has none."""
    if seed is not None:
        return checks.whole("Global.seed", seed, low=0)
    seed = secrets.randbelow(2**31)
    if world > 1:
        shared = paddle.to_tensor([seed])
        paddle.distributed.broadcast(shared, src=0)
        seed = int(shared)
    return seed


def seed_epoch(seed, epoch, rank=0):
    """Seed every generator for one epoch: a resumed run needs no generator state then, only the epoch's number."""
    (value,) = np.random.SeedSequence([seed, epoch, rank]).generate_state(1)
    random.seed(int(value))
    np.random.seed(int(value))
    paddle.seed(int(value))
