"""Feature maps of any network here, for detection, segmentation and other uses that need more than logits."""

from paddle import nn

from ppcls_lite.arch.network import Node
from ppcls_lite.arch.registry import begin_with, build_model, canonical_name
from ppcls_lite.utils.errors import UserError

_USUAL_STRIDES = (4, 8, 16, 32)


def trunk_of(network):
    """The trunk of a network, as `Network.follow` has built it; UserError for a network that has none."""
    trunk = getattr(network, "trunk", None)
    if not isinstance(trunk, list) or not any(isinstance(node, Node) and node.index is not None for node in trunk):
        raise UserError(
            f"{type(network).__name__} has no feature maps to choose from; a Network of ppcls_lite.arch.network, whose "
            "layers were given to follow(…, index=…), has. A classifier needs none"
        )
    return trunk


def default_indices(trunk):
    """The index of the last feature map at each of the strides 4, 8, 16 and 32; UserError where one is missing."""
    last = {node.stride: node.index for node in trunk if node.index is not None}
    missing = [stride for stride in _USUAL_STRIDES if stride not in last]
    if missing:
        found = ", ".join(map(str, sorted(last)))
        raise UserError(f"out_indices: the network has no map of stride {missing[0]}, but of {found}: choose yourself")
    return [last[stride] for stride in _USUAL_STRIDES]


class Backbone(nn.Layer):
    """The trunk of `network` up to the last of the chosen maps: images [N, 3, H, W] to a list of feature maps.

    Its state-dict entries keep the official names, so official weights and checkpoints of the classifier fit.

    Attributes:
        out_indices: the indices of the maps, ascending, in the order in which they are returned.
        channels: channels of each map.
        strides: the size of the image over the size of each map.
    """

    def __init__(self, network, out_indices=None):
        super().__init__()
        trunk = trunk_of(network)
        nodes = {node.index: node for node in trunk if node.index is not None}
        chosen = default_indices(trunk) if out_indices is None else list(out_indices)
        if not chosen or chosen != sorted(set(chosen)) or not set(chosen) <= set(nodes):
            raise UserError(f"out_indices: expected ascending numbers out of {sorted(nodes)}, found {out_indices!r}")
        self.out_indices = chosen
        self.channels = [nodes[index].channels for index in chosen]
        self.strides = [nodes[index].stride for index in chosen]
        names = {id(layer): name for name, layer in network.named_sublayers()}
        self._steps = []
        for index, layer, _, _ in trunk:
            self._steps.append((layer, index in chosen))
            _register(self, names[id(layer)], layer)
            if index == chosen[-1]:
                break

    def forward(self, x):
        maps = []
        for step, is_returned in self._steps:
            x = step(x)
            if is_returned:
                maps.append(x)
        return maps


def _register(root, dotted_name, layer):
    """Put `layer` at `dotted_name` below `root`, with plain layers in between."""
    *parents, leaf = dotted_name.split(".")
    for parent in parents:
        children = root._sub_layers
        root = children[parent] if parent in children else root.add_sublayer(parent, nn.Layer())
    root.add_sublayer(leaf, layer)


def build_backbone(name, out_indices=None, pretrained=False, use_ssld=False, **options):
    """The network `name` as a Backbone; `out_indices` None takes the last map at 1/4, 1/8, 1/16 and 1/32.

    Indices follow PaddleDetection: the stem is 1 and the blocks are 2, 3, ... (for MobileNetV3_large_x1_0 the
    default is [4, 7, 13, 16]). `pretrained`, `use_ssld` and `options` as for `build_model`. Raises UserError for
    an unknown name, a wrong option, a network without feature maps, or an index that it does not have.
    """
    network = build_model(name, **options)
    begin_with(network, canonical_name(name), pretrained, use_ssld, "Arch.Backbone")
    return Backbone(network, out_indices)
