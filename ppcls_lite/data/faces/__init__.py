"""Pairs of face images: LFW's and CFP's lists, plain lists, and the `.bin` files of InsightFace."""

from ppcls_lite.data.faces.bin_file import read_bin, write_bin
from ppcls_lite.data.faces.pairs import PairSet, load_pairs

__all__ = ["PairSet", "load_pairs", "read_bin", "write_bin"]
