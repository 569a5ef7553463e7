"""Networks for image classification, one file a paper, weight-compatible with PaddleClas's."""

# Importing a family registers its networks.
from ppcls_lite.arch import mixnet, mobilenet_v1, mobilenet_v3, pphgnet_v2, resnet_vd, shufflenet_v2  # noqa: F401
from ppcls_lite.arch.backbone import Backbone, build_backbone
from ppcls_lite.arch.registry import ARCH, build_model
from ppcls_lite.arch.summary import summarize

__all__ = ["ARCH", "Backbone", "build_backbone", "build_model", "summarize"]
