"""Prediction with the training engine: a network built from a config, and trained weights."""

import paddle
import paddle.nn.functional as F

from ppcls_lite.arch.from_config import load_network


class TrainingEngine:
    """Images [N, 3, H, W] float32 to class probabilities [N, C], computed in dygraph mode on the current device."""

    def __init__(self, config):
        self.model = load_network(config)

    @paddle.no_grad()
    def run(self, images):
        """`images` and the result are NumPy arrays."""
        return F.softmax(self.model(paddle.to_tensor(images)), axis=-1).numpy()
