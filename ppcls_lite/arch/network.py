"""The base of every network here: a trunk of layers in order, then a head that ends in one Linear layer."""

from typing import NamedTuple, Optional

from paddle import nn


class Node(NamedTuple):
    """One step of a trunk: its output has `channels` channels at 1/`stride` of the image's size."""

    index: Optional[int]  # the number of its feature map for `Backbone`; None: it has none
    layer: nn.Layer
    channels: int
    stride: int


class Network(nn.Layer):
    """Base of the classifiers: images [N, 3, H, W] to logits [N, class_num].

    A subclass registers its layers under the official names, calls `follow` once for each step of
    the trunk, in order, and defines `head`, and `embed` for it. Prediction and feature maps both run that one trunk.

    Class attributes:
        classifier: name of the last Linear layer, the part that depends on the class count.
        hidden_layer: True where a layer with weights is between the last pooling and the classifier.
        weights_folder: where the official server keeps the weights of this family; None for a network that has none.
    """

    classifier = "fc"
    hidden_layer = False
    weights_folder = None
    ssld_only = False  # True where the official weights exist only as SSLD-distilled ones

    def __init__(self):
        super().__init__()
        self.trunk = []  # Nodes; a plain list, so the layers keep the names they are registered by
        self._steps = []

    def follow(self, layer, channels, stride=1, index=None):
        """Add `layer` to the trunk; it divides the size by `stride` and yields `channels` channels.

        `index` numbers its feature map: an integer, or None for a map that cannot be chosen.
        """
        total = stride * (self.trunk[-1].stride if self.trunk else 1)
        self.trunk.append(Node(index, layer, channels, total))
        self._steps.append(layer)

    def embed(self, x):
        """The last feature map [N, C, H', W'] to what the classifier takes, [N, F]; only recognition needs it."""
        raise NotImplementedError

    def head(self, x):
        """The last feature map [N, C, H', W'] to logits [N, class_num]."""
        raise NotImplementedError

    def forward(self, x):
        for step in self._steps:
            x = step(x)
        return self.head(x)
