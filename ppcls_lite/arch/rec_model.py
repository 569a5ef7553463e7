"""PaddleClas's RecModel: a backbone, a neck and, for the training, a head that tells identities from each other.

What is used afterwards is the features: two images show the same when their features point in the same direction.
"""

import paddle
from paddle import nn

from ppcls_lite.arch.features import check_stop, stop
from ppcls_lite.arch.layers import unit
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH, BACKBONES, HEADS, NECKS, RECOGNIZERS, begin_with, build_model, canonical_name
from ppcls_lite.utils import checks
from ppcls_lite.utils.distilled import without_unset
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.recognition import FEATURES


@RECOGNIZERS.register
class RecModel(nn.Layer):
    """Images [N, 3, H, W] and, in training, labels [N] to a mapping of features and logits.

    Returns:
        backbone [N, F]: the output of the backbone.
        features [N, D]: that of the neck, or of the backbone where there is no neck.
        logits [N, C]: that of the head, where there is one: with the margin and scaled in training with labels, else
            the plain cosines (of FC its scores).

    Args:
        Backbone: {name, pretrained, use_ssld, …}: a classifier with its options, or a network without a classifier.
        BackboneStopLayer: {name: flatten}: take what the classifier would take. Without, the backbone's output is that
            of its classifier, of `Backbone.class_num` numbers.
        Neck: {name: FC or BNNeck, …}. Head: {name: ArcMargin, CosMargin, CircleMargin or FC, class_num, …}. Their
            `embedding_size` (`num_features`) is found where it is missing.
        infer_output_key: what the exported model gives, features or backbone.
        infer_add_softmax: False; PaddleClas's key, of no use for features.
        head_feature_from: what the head takes, neck or backbone.

    Raises UserError for unknown names and options, with the nearest, and for sizes that do not fit each other.
    """

    def __init__(
        self,
        Backbone,
        BackboneStopLayer=None,
        Neck=None,
        Head=None,
        infer_output_key="features",
        infer_add_softmax=False,
        head_feature_from="neck",
    ):
        super().__init__()
        self.output = checks.choice("Arch.infer_output_key", infer_output_key or "features", FEATURES)
        if str(infer_add_softmax).lower() not in ("none", "false"):
            raise checks.wrong("Arch.infer_add_softmax", "False: the features of RecModel have none", infer_add_softmax)
        self.head_takes = checks.choice("Arch.head_feature_from", head_feature_from or "neck", ("neck", "backbone"))
        self.backbone, size = _build_backbone(Backbone, BackboneStopLayer)
        self.neck = _build_part(NECKS, Neck, "Arch.Neck", size)
        self.feature_size = size if self.neck is None else self.neck.feature_size
        taken = size if self.head_takes == "backbone" else self.feature_size
        self.head = _build_part(HEADS, Head, "Arch.Head", taken)

    def forward(self, images, labels=None):
        outputs = {"backbone": self.backbone(images)}
        outputs["features"] = outputs["backbone"] if self.neck is None else self.neck(outputs["backbone"])
        if self.head is not None:
            taken = outputs["backbone" if self.head_takes == "backbone" else "features"]
            outputs["logits"] = self.head(taken, labels)
        return outputs

    def deployed(self):
        """This network as it is exported, without its head."""
        return DeployedRecModel(self)


class DeployedRecModel(nn.Layer):
    """Images x [N, 3, H, W] to features [N, D] of length 1, as a gallery compares them; zeros stay zeros."""

    def __init__(self, network):
        super().__init__()
        self.backbone = network.backbone
        self.neck = network.neck if network.output == "features" else None

    def forward(self, x):
        x = self.backbone(x)
        return unit(x if self.neck is None else self.neck(x), 1)

    @staticmethod
    def input_specs(image_shape):
        """The input specification for `paddle.jit.to_static`, for images of [3, H, W]."""
        return [paddle.static.InputSpec([None, *image_shape], dtype="float32", name="x")]


def _build_backbone(options, stop_layer):
    """(network, number of features)."""
    where = "Arch.Backbone"
    options = _named(options, where)
    name = canonical_name(options["name"])
    if name not in ARCH and name not in BACKBONES:
        known = [*ARCH.names(), *BACKBONES.names()]
        raise UserError(f"{where}.name: unknown network '{name}'{nearest(name, known)}; known: {', '.join(known)}")
    options = without_unset(options)
    pretrained, use_ssld = options.pop("pretrained", False), options.pop("use_ssld", False)
    if name in BACKBONES:
        network = BACKBONES.build_at(name, {key: options[key] for key in options if key != "name"}, where)
    else:
        network = build_model(**options)
    if stop_layer is not None:
        _stop(network, _named(stop_layer, "Arch.BackboneStopLayer"))
    begin_with(network, name, pretrained, use_ssld, where)
    if stop_layer is None and name in ARCH:
        return network, options.get("class_num", 1000)
    return network, network.feature_size


def _stop(network, options):
    where = "Arch.BackboneStopLayer"
    for key in options:
        if key not in ("name", "output_dim"):
            raise UserError(f"{where}: no option '{key}'{nearest(key, ('name', 'output_dim'))}")
    if not isinstance(network, Network) and not hasattr(network, "feature_size"):
        raise UserError(f"{where}: {type(network).__name__} is no Network of arch.network: remove the section")
    try:
        check_stop(options["name"])
        if isinstance(network, Network):  # others have no classifier to lose
            stop(network, options["name"])
    except UserError as error:
        raise UserError(f"{where}.name: {error}") from None
    if options.get("output_dim", network.feature_size) != network.feature_size:
        raise checks.wrong(f"{where}.output_dim", network.feature_size, options["output_dim"])


def _build_part(table, section, where, size):
    """The neck or head of a section, for `size` features; None without a section."""
    if section is None:
        return None
    options = _named(section, where)
    part = table.get(options.pop("name"), f"{where}.name")
    options = {key: value for key, value in options.items() if value is not None}
    found = options.setdefault(part.takes, size)
    if found != size:
        raise checks.wrong(f"{where}.{part.takes}", f"{size}, the features that it is given", found)
    if "class_num" not in options and part.takes == "embedding_size":
        raise UserError(f"{where}.class_num: is missing")
    return table.build_at(part.__name__, options, where)


def _named(section, where):
    if not isinstance(section, dict) or not isinstance(section.get("name"), str):
        raise UserError(f"{where}: expected a mapping with a name, found {section!r:.80}")
    return dict(section)
