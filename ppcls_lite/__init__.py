"""Train, evaluate, export and predict with PaddlePaddle image classifiers, in PaddleClas's config schema."""

import os
import warnings

__version__ = "0.1.0"

# Remarks that Paddle makes while it is imported or first used, and a reader can do nothing about.
os.environ.setdefault("GLOG_minloglevel", "2")
for _remark in ("No ccache found", "When training, we now always track global mean and variance"):
    warnings.filterwarnings("ignore", message=f".*{_remark}")


def __getattr__(name):
    if name == "PaddleClas":  # it imports NumPy and OpenCV, which `import ppcls_lite` need not wait for
        from ppcls_lite.quick.classifier import PaddleClas

        return PaddleClas
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
