"""Prediction: one interface for every engine, one post-processing, one way to print a result."""
