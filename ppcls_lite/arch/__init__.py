"""Networks, one file per paper: classifiers, weight-compatible with PaddleClas's, and a detector around any of them."""

# Importing a family registers its networks.
from ppcls_lite.arch import (  # noqa: F401
    centernet,
    mixnet,
    mobilenet_v1,
    mobilenet_v3,
    pphgnet,
    pphgnet_v2,
    resnet,
    resnet_vd,
    shufflenet_v2,
)
from ppcls_lite.arch.backbone import Backbone, build_backbone
from ppcls_lite.arch.registry import ARCH, DETECTORS, build_model
from ppcls_lite.arch.summary import summarize

__all__ = ["ARCH", "DETECTORS", "Backbone", "build_backbone", "build_model", "summarize"]
