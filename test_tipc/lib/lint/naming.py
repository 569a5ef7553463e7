"""The names of files: people and run_all.sh find a config by them."""

import re
from pathlib import PurePath

from lint import kinds
from lint.findings import WARNING, Finding, check, nearest

# what the name of a config of each chain has in it
WORDS = {
    kinds.TRAIN: ("train", "ptq"),
    kinds.SERVING: ("serving_infer_python", "serving_python"),
    kinds.SERVING_CPP: ("serving_infer_cpp", "serving_cpp"),
    kinds.ONNX: ("paddle2onnx",),
    kinds.LITE: ("lite_arm", "lite"),
    kinds.CPP: ("inference_cpp", "infer_cpp"),
}
NAMES = (
    *(f"train{kind}_infer_python" for kind in ("", "_amp", "_ptq", "_pact", "_fpgm", "_fleet", "_distill")),
    *("train_dy2static_python", "serving_infer_python", "serving_infer_cpp", "paddle2onnx_infer_python"),
    *("lite_arm_cpu_cpp", "inference_cpp"),
)


@check
def file_name(config):
    path = PurePath(config.path)
    stem, suffixes = path.name.partition(".txt")[::2]
    if not config.lines or not path.name:
        return
    if suffixes or path.suffix != ".txt":
        meant = f"{stem}.txt" if ".txt" in path.name else f"{path.stem}.txt"
        yield Finding(
            1,
            "",
            WARNING,
            "file-name",
            f"the name {path.name}",
            "a name that ends in .txt once",
            f"did you mean {meant}?",
        )
    elif config.chain and not any(word in stem for word in WORDS[config.chain]):
        near = nearest(stem, NAMES) or nearest(re.sub(r"^.*?_(?=train|serving|paddle|lite|inf)", "", stem), NAMES)
        expected = f"a name with {' or '.join(WORDS[config.chain])}, as this is for test_{config.chain}.sh"
        suggestion = f"did you mean {near}.txt?" if near else ""
        yield Finding(1, "", WARNING, "file-name", f"the name {path.name}", expected, suggestion)
