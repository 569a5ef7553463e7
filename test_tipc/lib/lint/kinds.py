"""For which chain a config is: by its first section, then by its lines."""

import functools
import re
from pathlib import Path

from lint.findings import did_you_mean

TRAIN, SERVING, SERVING_CPP = "train_inference_python", "serving", "serving_infer_cpp"
ONNX, LITE, CPP = "paddle2onnx", "lite_arm_cpu_cpp", "inference_cpp"
CHAIN_OF_TITLE = {
    "cpp_infer_params": CPP,
    "paddle2onnx_params": ONNX,
    "serving_infer_cpp_params": SERVING_CPP,
}
# sections of the official suites that no chain reads, and why
UNREAD = {
    "serving_infer_python_params": "the Python service of PaddleDetection",
    "pipeline_infer_python_params": "PaddleDetection's pipelines of several models",
}
# further sections, which official scripts read and the chains leave alone
BENCHMARKS = (
    "train_benchmark_params",
    "infer_benchmark_params",
    "to_static_train_benchmark_params",
    "disable_train_benchmark",
    "disable_infer_benchmark",
    "disable_to_static_train_benchmark",
)
LEFT_TO_DO = "left_to_do"  # what new_model.sh leaves to a person; no chain reads it
_TABLES = Path(__file__).resolve().parents[1] / "dialects"


@functools.cache
def titles_of_tables():
    """The titles of the dialects of train_infer_python.txt, some of them patterns such as `*_train`."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(_TABLES.glob("*.txt"))]
    return sorted({title for text in texts for title in re.findall(r"^=+([^=\n]+?)=+\??$", text, re.MULTILINE)})


def known_titles():
    """Every title that has a meaning, patterns included."""
    return [*titles_of_tables(), "serving_params", "expected_params", LEFT_TO_DO, *CHAIN_OF_TITLE, *UNREAD, *BENCHMARKS]


@functools.cache
def is_known(title):
    return any(re.fullmatch(known.replace("*", r"\w+"), title) for known in known_titles())


def sort_out(config):
    """Set `config.chain`, or `config.reason`: why no chain reads it."""
    config.chain, config.reason = _chain_of(config)


def _chain_of(config):
    keys = {line.key for line in config.lines}
    first = config.titles[0][1] if config.titles else ""
    if not config.lines:
        return TRAIN, ""  # whose reader says that the file is empty
    if config.lines[0].key == "runtime_device" and not config.titles:
        return LITE, ""
    if config.plain:
        if "model_name" in keys and any(key.endswith("model_path") for key in keys):
            return CPP, ""
        return "", "no title such as ===train_params=== is in it"
    if first in UNREAD:
        return "", f"{UNREAD[first]}, which no chain runs"
    if first == "serving_params":
        return _serving_chain(config, keys)
    if first in CHAIN_OF_TITLE:
        return CHAIN_OF_TITLE[first], ""
    if any(re.fullmatch(known.replace("*", r"\w+"), first) for known in titles_of_tables()):
        return TRAIN, ""
    return "", f"unknown title ==={first}===; {did_you_mean(first, known_titles()) or 'no chain reads it'}"


def _serving_chain(config, keys):
    if "cls_inference_model_url" in keys:
        return "", "a service of two models, a detector and a classifier, which no chain runs"
    name = Path(config.path).name
    web = next((line.value for line in config.lines if line.key == "web_service"), "")
    if "serving_cpp" in name or "serving_infer_cpp" in name or (web in ("", "null") and "python" not in name):
        if "cpp_client" in keys and "--op" not in keys:
            return "", "the C++ service of PaddleVideo, which no chain runs"
        return SERVING_CPP, ""
    if "--output_name" in keys:
        return "", "the Python service of PaddleSeg, which no chain runs"
    return SERVING, ""
