"""Processes and seeds of a training or an evaluation."""

import fcntl
import os
import random
import re
import secrets
import socket
import struct
from pathlib import Path

import numpy as np
import paddle

from ppcls_lite.utils import checks
from ppcls_lite.utils.device import why_no_gpu
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger, write_held

LOG_NAME = "log_train.txt"
_SIOCGIFADDR = 0x8915  # of Linux


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
        os.environ.update(gloo_interface(os.environ))
        paddle.distributed.init_parallel_env()
    return paddle.distributed.get_rank(), world


def gloo_interface(environ):
    """{"GLOO_SOCKET_IFNAME": the network interface that has this process's address}, or {} where there is no need.

    Without it, gloo listens where the machine's own name points to: on many systems that is 127.0.1.1, and processes on
    another machine cannot come.
    """
    address = environ.get("PADDLE_CURRENT_ENDPOINT", "").rpartition(":")[0]
    if "GLOO_SOCKET_IFNAME" in environ or environ.get("PADDLE_DISTRI_BACKEND") != "gloo":
        return {}
    names = [name for _, name in socket.if_nameindex() if _address_of(name) == address]
    return {"GLOO_SOCKET_IFNAME": names[0]} if names else {}


def _address_of(interface):
    """The IPv4 address of a network interface, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("256s", interface[:15].encode())
        try:
            answer = fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, request)
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def log_name(rank):
    """The name of a process's log: `log_train.txt`, and `log_train_rank1.txt` and so on for further processes."""
    return LOG_NAME if rank == 0 else f"{Path(LOG_NAME).stem}_rank{rank}.txt"


def open_log(output_dir, append, rank, world):
    """Write what was logged since `hold_log`, and all further lines, to this process's file in `output_dir` too.

    Process 0 removes logs that an earlier training with more processes has left there.
    """
    write_held(Path(output_dir) / log_name(rank), append)
    if rank == 0:
        for path in Path(output_dir).glob(log_name("*")):
            number = re.fullmatch(log_name(r"(\d+)"), path.name)
            if number and int(number[1]) >= world:
                path.unlink(missing_ok=True)


def synchronise_batch_norm(model, world, device):
    """`Arch.use_sync_bn`: batch normalisation over the images of all processes, on GPUs; returns the model."""
    if world > 1 and not device.startswith("gpu"):
        logger.warning("Arch.use_sync_bn: Paddle has it for GPUs only: each process normalises by its own images")
    elif world > 1:
        model = paddle.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return model


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
