"""Start the processes of one run as paddle.distributed.launch starts them, without the seconds that it waits itself."""

import socket
import subprocess
import sys
from contextlib import ExitStack, closing

from tests.helpers.scripts import LIMIT, ROOT, Outcome, with_library


def free_ports(count):
    """Ports of this machine that nobody uses now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def rank_environments(world=2):
    """The environment variables of each process, as the launcher sets them for CPUs (gloo)."""
    endpoints = [f"127.0.0.1:{port}" for port in free_ports(world)]
    shared = {
        "PADDLE_DISTRI_BACKEND": "gloo",
        "PADDLE_TRAINERS_NUM": str(world),
        "PADDLE_TRAINER_ENDPOINTS": ",".join(endpoints),
        "CUDA_VISIBLE_DEVICES": "",
    }
    ranks = enumerate(endpoints)
    return [{**shared, "PADDLE_TRAINER_ID": str(rank), "PADDLE_CURRENT_ENDPOINT": place} for rank, place in ranks]


def start_ranks(script, *options, world=2, cwd=ROOT, **environment):
    """The running processes of `world` ranks of a script."""
    return [
        subprocess.Popen(
            [sys.executable, str(ROOT / script), *map(str, options)],
            cwd=cwd,
            env=with_library(**rank, **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in rank_environments(world)
    ]


def run_ranks(script, *options, world=2, cwd=ROOT, **environment):
    """The `Outcome`s of the ranks of a script, after all have ended."""
    processes = start_ranks(script, *options, world=world, cwd=cwd, **environment)
    ended = [process.communicate(timeout=LIMIT) for process in processes]
    return [Outcome(process.returncode, *texts) for process, texts in zip(processes, ended)]
