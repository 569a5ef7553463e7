"""The options of the command and of the class, by their names in PaddleClas's package: one table for both."""

from ppcls_lite.infer.command_line import switch
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest

TEXT, NUMBER, SWITCH = "TEXT", "N", "True|False"
# name: what it takes, what it does
OPTIONS = {
    "model_name": (TEXT, "a network of the list below: its official model for ImageNet is downloaded once"),
    "inference_model_dir": (TEXT, "folder of an exported model, instead of a name"),
    "use_gpu": (SWITCH, "default: True, where there is a GPU"),
    "gpu_mem": (NUMBER, "MB of the GPU's memory; default: 8000"),
    "use_tensorrt": (SWITCH, "on a GPU; default: False"),
    "use_fp16": (SWITCH, "with TensorRT; default: False"),
    "enable_mkldnn": (SWITCH, "oneDNN, without a GPU; default: True"),
    "cpu_num_threads": (NUMBER, "default: 2"),
    "batch_size": (NUMBER, "images that are computed together; default: 1"),
    "resize_short": (NUMBER, "pixels of the shorter side before the crop; default: the model's, ImageNet's being 256"),
    "crop_size": (NUMBER, "pixels of each side of the crop; default: the model's, ImageNet's being 224"),
    "topk": (NUMBER, "classes of each image, best first; default: the model's, ImageNet's being 5"),
    "class_id_map_file": (TEXT, "names of the classes, lines `<id> <name>`; default: the model's own, or ImageNet's"),
    "save_dir": (TEXT, "copy each image to a folder of its best class in this one (pre-labels)"),
}
ALIASES = {"pre_label_out_dir": "save_dir"}  # its name in a sentence of PaddleClas's document
_RETRIEVAL = "it belongs to image retrieval (PP-ShiTu), which is not part of this project"
_PULC = "it belongs to the models of PULC, which are not part of this project"
# options of PaddleClas's package that this one does not have
ELSEWHERE = {
    "index_dir": _RETRIEVAL,
    "data_file": _RETRIEVAL,
    "build_gallery": _RETRIEVAL,
    "gallery_image_root": _RETRIEVAL,
    "gallery_data_file": _RETRIEVAL,
    "predict_type": "predictions are classes (cls) here, and nothing else",
    "threshold": _PULC,
    "color_threshold": _PULC,
    "type_threshold": _PULC,
    "override": "deploy/python/predict_cls.py takes -o KEY=VALUE",
}


def check_options(given):
    """{name: value} of the `given` ones that are not None, each of its type; UserError names a wrong or unknown one."""
    found = {}
    for name, value in given.items():
        option = ALIASES.get(name, name)
        if option not in OPTIONS:
            raise UserError(why_not(name))
        if value is not None:
            if found.get(option, value) != value:
                raise UserError(f"{option} and {name}: they mean the same, expected one of them")
            found[option] = _checked(name, OPTIONS[option][0], value)
    return found


def why_not(name):
    """Why there is no option of this name, with the nearest one there is."""
    if name in ELSEWHERE:
        return f"{name}: not here: {ELSEWHERE[name]}"
    known = [*OPTIONS, *ALIASES, "infer_imgs"]
    return f"{name}: no such option{nearest(name, known)}; known: {', '.join(known)}"


def _checked(name, kind, value):
    if kind == SWITCH:
        return switch(value, name)
    if kind == NUMBER:
        return checks.whole(name, value)
    text = str(value)
    if not text:
        raise UserError(f"{name}: expected a text, found nothing")
    return text
