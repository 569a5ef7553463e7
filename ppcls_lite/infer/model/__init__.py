"""An exported model: its files, the settings that travel with it, and what becomes of its outputs."""

from ppcls_lite.infer.model import boxes  # noqa: F401 (it registers, as postprocess.py does)
