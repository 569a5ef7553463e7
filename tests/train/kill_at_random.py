"""Kill a training at random moments with `kill -9`, resume it each time, and compare its end with an undisturbed one.

    python tests/train/kill_at_random.py config.yaml /tmp/killed --kills 20 --seed 0

Trains in FOLDER/undisturbed, then again in FOLDER/killed. Each moment is a number of further lines in the training's
history.jsonl, and a part of the time that the undisturbed training took for a line behind it, so that a fast machine
comes no further between two kills than a slow one. Every process is a fork of this one, which has imported Paddle and
computed nothing: 20 processes start in the time of one import.
Exit code: 0 the same weights, moments, states and losses, 1 they differ, or the training ended before the last kill.
"""

import argparse
import copy
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.train import loop
from ppcls_lite.train.history_file import NAME, read_points
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.machine import speed_up_mkl
from ppcls_lite.utils.safe_load import load_plain
from tests.helpers.checkpoints import assert_same_checkpoint

MOST_LINES = 5  # of the history between two kills
PATIENCE = 300  # seconds


def start(config, folder):
    """The process id of a training in `folder`, which goes on from its latest checkpoint."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        own = copy.deepcopy(config)
        own["Global"]["output_dir"] = str(folder)
        if (folder / "latest.pdstates").exists():
            own["Global"]["checkpoints"] = str(folder / "latest")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        loop.train(own)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def lines_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_once(config, folder, draw, pace):
    """Start, wait for a moment of the generator `draw`, and kill. Returns what was hit, None where it had ended.

    `pace` is the seconds from one line of the history to the next.
    """
    history, lines, delay = folder / NAME, draw.randrange(MOST_LINES + 1), draw.random() * pace
    wanted = lines_of(history) + lines
    child, begun = start(config, folder), time.monotonic()
    while lines_of(history) < wanted and time.monotonic() - begun < PATIENCE:
        time.sleep(0.002)
        if os.waitpid(child, os.WNOHANG)[0]:
            return None
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
        return None
    epoch = load_plain(folder / "latest.pdstates")["epoch"] if (folder / "latest.pdstates").exists() else 0
    return f"after {time.monotonic() - begun:.2f} s, {lines} lines; the checkpoint has epoch {epoch}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    speed_up_mkl()
    config, draw, begun = load_config(args.config), random.Random(args.seed), time.monotonic()
    straight, killed = args.folder / "undisturbed", args.folder / "killed"
    os.waitpid(start(config, straight), 0)
    taken = time.monotonic() - begun
    pace = taken / lines_of(straight / NAME)
    print(f"undisturbed: {config['Global']['epochs']} epochs in {taken:.1f} s", flush=True)
    for number in range(1, args.kills + 1):
        hit = kill_once(config, killed, draw, pace)
        if hit is None:
            print(f"the training ended before kill {number}: it needs more epochs")
            return 1
        print(f"kill {number} {hit}", flush=True)
    os.waitpid(start(config, killed), 0)
    for name in ("latest", "best_model"):
        assert_same_checkpoint(straight / name, killed / name)
    one, two = ([point.loss for point in read_points(folder / NAME).train] for folder in (straight, killed))
    assert one == two, "the losses differ"
    print(f"the same weights, moments, states and losses after {args.kills} kills, {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
