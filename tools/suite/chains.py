"""The test_tipc configs of a network under PaddleClas's names and in the form that its scripts read.

Those scripts cut a value at its second colon, know only whole names of modes, and run on PaddleClas's own small part of
ImageNet; what an entrant's config says of engines, devices and options of training is kept.
"""

import re
import shlex
from pathlib import Path

from ppcls_lite.utils.errors import UserError

_IMAGE = "../dataset/ILSVRC2012/val/ILSVRC2012_val_00000001.JPEG"
_STEADY = (  # what all their configs add to a training: the same numbers in each run
    "-o Global.seed=1234 -o DataLoader.Train.sampler.shuffle=False -o DataLoader.Train.loader.num_workers=0 "
    "-o DataLoader.Train.loader.use_shared_memory=False -o Global.eval_during_train=False -o Global.save_interval=2"
)
_NOT_THEIRS = ("Arch.name", "DataLoader.", "Infer.")  # options that concern the data, or that the YAML has
_SET_ANYWAY = tuple(word.partition("=")[0] for word in _STEADY.split()[1::2])
_BASE = "train_infer_python.txt"
# our file: theirs behind the network's name
NAMES = {
    _BASE: "train_infer_python.txt",
    "serving_infer_python.txt": "linux_gpu_normal_normal_serving_python_linux_gpu_cpu.txt",
    "paddle2onnx_infer_python.txt": "linux_gpu_normal_normal_paddle2onnx_python_linux_cpu.txt",
}
_OTHER_TRAININGS = (
    *("pact_train", "fpgm_train", "distill_train"),
    *("quant_export", "fpgm_export", "distill_export", "kl_quant"),
)
_TITLE = re.compile(r"=+\w*=+\s*")


def write_chains(folder, name, recipe, epochs, size, url):
    """({their file: text}, [what was left out]) of the configs in `folder`, for the network `name`.

    `recipe` is the path of its YAML in PaddleClas, `epochs` the number of its whole training, `size` that of its images
    in pixels, `url` the address of its weights or "". Raises UserError when the base config is missing or is not in
    PaddleClas's dialect.
    """
    folder = Path(folder)
    lines, notes = _read(folder / _BASE), []
    texts = {f"{name}_{NAMES[_BASE]}": _base(lines, folder / _BASE, name, recipe, epochs, size, url, notes)}
    for ours, theirs in NAMES.items():
        if ours != _BASE and (folder / ours).is_file():
            texts[f"{name}_{theirs}"] = _deployed(_read(folder / ours), name)
    left = sorted(path.name for path in folder.glob("*.txt") if path.name not in NAMES)
    if left:
        notes.append(f"configs of {folder} that have no place in a first pull request: {', '.join(left)}")
    return texts, notes


def _read(path):
    """[(key, value or None)] of the lines of a config; None: a title, or a line without a colon."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such config; --tipc names the folder of the network's configs") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    lines = []
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        lines.append((key, value) if colon and not _TITLE.fullmatch(line) else (line.rstrip(), None))
    return lines


def _base(lines, path, name, recipe, epochs, size, url, notes):
    known = dict(lines)
    for key in ("gpu_list", "norm_train", "eval", "norm_export", "pretrained_model_url", "inference", "infer_quant"):
        if known.get(key) is None:
            raise UserError(f"{path}: expected a line '{key}:' as in PaddleClas's dialect")
    options = " ".join(["", *_own_options(known["norm_train"], path)])
    values = {
        "model_name": name,
        "-o Global.epochs": f"lite_train_lite_infer=2|whole_train_whole_infer={epochs}",
        "-o Global.output_dir": "./output/",
        "-o DataLoader.Train.sampler.batch_size": "8",
        "train_model_name": "latest",
        "train_infer_img_dir": "./dataset/ILSVRC2012/val",
        "trainer": "norm_train",
        "norm_train": f"tools/train.py -c {recipe} {_STEADY}{options}",
        "eval": f"tools/eval.py -c {recipe}",
        "norm_export": f"tools/export_model.py -c {recipe}",
        "pretrained_model_url": url or "null",
        "infer_model": "../inference/",
        "infer_export": "True",
        "infer_quant": "False",
        "inference": "python/predict_cls.py -c configs/inference_cls.yaml",
        "-o Global.inference_model_dir": "../inference",
        "-o Global.infer_imgs": _IMAGE,
    }
    written = []
    for key, value in lines:
        if key.strip("=").startswith("expected_params"):
            notes.append(f"{path}: the section of expected values, which their scripts do not read")
            break
        if key == "predict" and value is not None:
            continue  # a line that the chain of this repository adds
        if key in _OTHER_TRAININGS and value not in (None, "null"):
            notes.append(f"{path}: {key}: only the plain training belongs into a first pull request")
            value = "null"
        written.append(key if value is None else f"{key}:{values.get(key, value)}")
    while written and not written[-1].strip():
        written.pop()
    written += ["null:null"] if written[-1] == "null:null" and written[-2] != "null:null" else []
    written += ["=" * 27 + "infer_benchmark_params" + "=" * 26, f"random_infer_input:[{{float32,[3,{size},{size}]}}]"]
    return "\n".join(written) + "\n"


def _own_options(command, path):
    """The `-o` options of a training command that are the network's own: not its name, nor what all configs set."""
    first = command.split("|")[0]
    try:
        words = shlex.split(first)
    except ValueError as error:
        raise UserError(f"{path}: norm_train: {error}") from None
    found = [word for option, word in zip(words, words[1:]) if option == "-o"]
    return [f"-o {word}" for word in found if not word.startswith((*_SET_ANYWAY, *_NOT_THEIRS))]


def _deployed(lines, name):
    """A config of Serving or Paddle2ONNX: folders and names as PaddleClas has them, without the lines that we add."""
    model = f"./deploy/models/{name}_infer/"
    serving = any(key == "serving_dir" for key, _ in lines)
    values = {"model_name": name}
    if serving:
        model = f"./deploy/paddleserving/{name}_infer/"
        values["pipline"] = "pipeline_http_client.py"
    values |= {"--dirname": model, "--model_dir": model}
    kept = [(key, value) for key, value in lines if key not in ("--image_dir", "Global.infer_imgs")]
    return "".join(f"{key}:{values.get(key, value)}\n" if value is not None else f"{key}\n" for key, value in kept)
