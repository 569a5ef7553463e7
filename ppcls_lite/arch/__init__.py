"""Networks, one file per paper: classifiers, weight-compatible with PaddleClas's, and what is built around them."""

# Importing a family registers its networks.
from ppcls_lite.arch import (  # noqa: F401
    centernet,
    margins,
    mixnet,
    mobilefacenet,
    mobilenet_v1,
    mobilenet_v3,
    necks,
    pphgnet,
    pphgnet_v2,
    rec_model,
    resnet,
    resnet_vd,
    shufflenet_v2,
)
from ppcls_lite.arch.backbone import Backbone, build_backbone
from ppcls_lite.arch.registry import ARCH, BACKBONES, DETECTORS, HEADS, NECKS, RECOGNIZERS, build_model
from ppcls_lite.arch.summary import summarize

__all__ = [
    "ARCH",
    "BACKBONES",
    "DETECTORS",
    "HEADS",
    "NECKS",
    "RECOGNIZERS",
    "Backbone",
    "build_backbone",
    "build_model",
    "summarize",
]
