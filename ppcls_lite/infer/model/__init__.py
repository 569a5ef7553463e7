"""An exported model: its files, the settings that travel with it, and what becomes of its outputs."""

from ppcls_lite.infer.model import boxes, embedding, thresholds  # noqa: F401 (they register, as postprocess.py does)
