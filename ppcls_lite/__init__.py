"""Train, evaluate, export and predict with PaddlePaddle image classifiers, in PaddleClas's config schema."""

__version__ = "0.1.0"
