"""The exported model as an ONNX file, for ONNX Runtime."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from diagnosis.engines.worker import EngineError

PACKAGES = ("paddle2onnx", "onnx", "onnxruntime")
_CONVERT = Path(__file__).resolve().parents[2] / "convert_onnx.py"


def why_not():
    """Why the model cannot be converted and run here, "" where it can."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return f"no {' and no '.join(missing)} in {sys.executable}" if missing else ""


def convert(exported, folder, limit):
    """The path of an ONNX file in `folder`; EngineError where the model cannot be converted in `limit` seconds."""
    target = Path(folder, "model.onnx")
    words = [f"--model_dir={exported.structure.parent}", f"--model_filename={exported.structure.name}",
             f"--params_filename={exported.params.name}", f"--save_file={target}", "--opset_version=13"]  # fmt: skip
    try:
        done = subprocess.run([sys.executable, str(_CONVERT), *words], capture_output=True, text=True, errors="replace",
                              timeout=limit)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise EngineError("timeout", f"Paddle2ONNX gave no file within {limit:g} seconds") from None
    if done.returncode or not target.is_file():
        lines = done.stderr.strip().splitlines() or [f"Paddle2ONNX ended with status {done.returncode}"]
        raise EngineError("refused", lines[-1].removeprefix("error: ").removeprefix(f"{exported.structure.parent}: "))
    return str(target)
