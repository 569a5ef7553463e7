"""A training of which several processes can be compared with one, and faults to plant in it."""

import pytest

# a network whose output for an image does not depend on the batch: without batch normalisation and dropout
TRAIN = """
import os, sys
import numpy as np, paddle
from paddle import nn
from ppcls_lite.arch.registry import ARCH
from ppcls_lite.train import loop
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import run_main

@ARCH.register
def plain_net(class_num=3):
    return nn.Sequential(
        nn.Conv2D(3, 6, 5, stride=4), nn.ReLU(), nn.Conv2D(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(200, class_num)
    )

FAULT = sys.argv[2]
first_seeds = loop.seed_epoch
if FAULT == "other weights":
    def seeded(seed, epoch, rank=0):
        first_seeds(seed, epoch, paddle.distributed.get_rank())
    loop.seed_epoch = seeded
if FAULT in ("other weights", "gradients of its own"):
    loop.paddle.DataParallel = lambda network: network
if FAULT == "statistics of its own":
    loop.average_buffers = lambda model: None

def main():
    config = load_config(sys.argv[1])
    if FAULT == "a shorter list" and os.environ["PADDLE_TRAINER_ID"] == "1":
        config["DataLoader"]["Train"]["dataset"]["cls_label_path"] = sys.argv[3]
    kept = []
    init = loop.Trainer.__init__
    def remember(self, *options):
        init(self, *options)
        kept.append(self)
    loop.Trainer.__init__ = remember
    loop.train(config)
    rank = paddle.distributed.get_rank()
    state = {n: t.numpy() for n, t in kept[0].model.state_dict().items()}
    np.savez(config["Global"]["output_dir"] + f"/end{rank}.npz", **state)

if __name__ == "__main__":
    run_main(main)
"""


@pytest.fixture
def plain(config):
    """A config in which two processes with batches of 3 see what one process with batches of 6 sees."""
    config["Arch"] = {"name": "plain_net", "class_num": 3}
    config["Global"].update(epochs=2, print_batch_step=1)
    config["Optimizer"]["lr"].update(learning_rate=0.01)
    config["DataLoader"]["Train"]["sampler"]["batch_size"] = 3
    return config


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(TRAIN)
    return path
