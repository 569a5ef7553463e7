"""Classify images by the name of a network, in one command or three lines of Python, as PaddleClas's package does."""
