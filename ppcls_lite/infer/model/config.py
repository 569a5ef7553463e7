"""`inference.yml`: the preprocessing and post-processing that belong to an exported model, and travel with it."""

import shutil
from pathlib import Path

import yaml

from ppcls_lite.data.detection import build_det_transforms
from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.infer.model.files import NAMES, ONNX, find_model
from ppcls_lite.infer.model.postprocess import build_postprocess
from ppcls_lite.utils import checks
from ppcls_lite.utils.config import check_types, read_yaml, without_nulls
from ppcls_lite.utils.distilled import deployed_arch
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write, find_file
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.postprocess_forms import flatten_postprocess
from ppcls_lite.utils.schema import MODEL

NAME = "inference.yml"
LABELS = "label_list.txt"
_DETECTION = "DetectionBoxes"
_SCRIPTS = {_DETECTION: "predict_det.py", "Embedding": "predict_rec.py"}  # of all others, predict_cls.py
_CLASS_NAMES = ("class_id_map_file", "label_list")  # two ways to give them


def write_model_config(folder, config, paddle_version, files):
    """Write `inference.yml` and the label names beside a model, from the `Infer` section of its training config.

    `paddle_version` is None where it is not known. `files` are the names of the model's files whose sizes are recorded,
    so that a cut file is noticed.
    """
    infer = config["Infer"]
    post = dict(infer.get("PostProcess") or {"name": "Topk", "topk": 5})
    labels = post.get("class_id_map_file")
    if labels:
        shutil.copyfile(find_file(labels), Path(folder) / LABELS)
        post["class_id_map_file"] = LABELS
    content = {
        "Global": {
            "model_name": deployed_arch(config["Arch"])["name"],
            "image_shape": config["Global"]["image_shape"],
            **({"exported_with": f"paddlepaddle {paddle_version}"} if paddle_version else {}),
            "bytes": {name: Path(folder, name).stat().st_size for name in files},
        },
        "PreProcess": {"transform_ops": infer["transforms"]},
        "PostProcess": post,
    }
    with atomic_write(Path(folder) / NAME) as stream:
        yaml.safe_dump(content, stream, sort_keys=False, allow_unicode=True)


def build_processing(model, config=None):
    """(transforms, post-processing) for the exported model in the folder `model` (or its `ModelFiles`).

    They are the model's own (`inference.yml`). What the prediction config states takes their place, with a
    warning where the two differ: that is the usual cause of predictions that disagree.
    Raises UserError when there is no model, when neither has them, and when a file of the model is cut.
    """
    return build_chosen(*choose_processing(model, config))


def build_chosen(ops, post):
    """(transforms, post-processing) of what `choose_processing` returns."""
    build = build_det_transforms if post.get("name") == _DETECTION else build_transforms
    return build(ops, "PreProcess.transform_ops"), build_postprocess(post)


def choose_processing(model, config=None):
    """(list of transforms, `PostProcess` section) that are in force for the exported model; see `build_processing`."""
    files = find_model(model)
    model_dir = files.folder
    own_path = Path(model_dir) / NAME
    own = read_model_config(model_dir)
    if not files.is_onnx:  # which may be without the files that it was made of
        _check_sizes(model_dir, own)
    stated = config or {}
    _check_task(model_dir, own, stated)
    ops = _choose("PreProcess", own, stated, own_path)
    post = _choose_post(own, stated, own_path)
    labels = post.get("class_id_map_file")
    if labels and not (stated.get("PostProcess") or {}).get("class_id_map_file"):
        post["class_id_map_file"] = str(Path(model_dir) / labels)
    return ops.get("transform_ops"), post


def image_shape(model_dir):
    """[3, height, width] of the images that the exported model takes: its own `inference.yml`, else ImageNet's."""
    return _stated(model_dir, "image_shape") or [3, 224, 224]


def model_name(model_dir):
    """The network's name that the exported model states, else the name of its folder."""
    return _stated(model_dir, "model_name") or Path(model_dir).resolve().name


def is_int8_only(model_dir):
    """Whether the folder has nothing but an INT8 model in ONNX's format, and says so: no other file can be meant."""
    if not (Path(model_dir) / ONNX).is_file() or any((Path(model_dir) / name).is_file() for name, _ in NAMES):
        return False
    return _stated(model_dir, "int8") == ONNX


def _stated(model_dir, key):
    """The value of `key` in `Global` of the model's `inference.yml`, or None."""
    return (read_model_config(model_dir).get("Global") or {}).get(key)


def read_model_config(model_dir):
    """The content of the model's `inference.yml`, {} where there is none; UserError for a value of a wrong type."""
    path = Path(model_dir) / NAME
    content = read_yaml(path) if path.is_file() else {}
    flatten_postprocess(content, path)
    check_types(content, MODEL, path)
    sizes = (content.get("Global") or {}).get("bytes") or {}
    for name, size in sizes.items():
        checks.whole(f"{path}: Global.bytes.{name}", size, low=0)
    if (content.get("Global") or {}).get("image_shape") is not None:
        checks.image_shape(f"{path}: Global.image_shape", content["Global"]["image_shape"])
    return content


def _check_sizes(model_dir, own):
    """Paddle loads a cut weights file without an error and reads stray memory instead, so the sizes are compared."""
    for name, expected in ((own.get("Global") or {}).get("bytes") or {}).items():
        path = Path(model_dir, Path(name).name)
        found = path.stat().st_size if path.is_file() else 0
        if found != expected:
            raise UserError(
                f"{path}: has {found} bytes, and its export had {expected}: the file is damaged or of another model"
            )


def _check_task(model_dir, own, stated):
    mine, theirs = ((config.get("PostProcess") or {}).get("name") for config in (own, stated))
    if mine and theirs and mine != theirs and not _SCRIPTS.keys().isdisjoint((mine, theirs)):
        raise UserError(
            f"{model_dir}: its predictions need {mine}, but the prediction config has {theirs}: predict_cls.py is for "
            "classifiers, predict_det.py for detectors, predict_rec.py for recognisers"
        )


def _choose_post(own, stated, own_path):
    """The `PostProcess` section in force; another post-processing than the model's takes none of its options."""
    mine, theirs = own.get("PostProcess") or {}, without_nulls(stated.get("PostProcess"))
    if mine and theirs.keys() <= {"name"}:  # no more than predict_cls.py's default
        return dict(mine)
    chosen = _choose("PostProcess", own, stated, own_path)
    if mine.get("name", chosen.get("name")) != chosen.get("name"):
        chosen = {**{key: mine[key] for key in _CLASS_NAMES if key in mine}, **theirs}
    if not theirs.keys().isdisjoint(_CLASS_NAMES):
        chosen = {key: value for key, value in chosen.items() if key not in _CLASS_NAMES or key in theirs}
    return chosen


def _choose(section, own, stated, own_path):
    mine, theirs = own.get(section) or {}, without_nulls(stated.get(section))
    for key, value in theirs.items():
        if key in mine and mine[key] != value and key not in ("topk", "threshold"):
            logger.warning(f"{section}.{key} of the prediction config is used; {own_path} has another")
    chosen = {**mine, **theirs}
    if not chosen and section == "PreProcess":
        raise UserError(f"{own_path}: missing, and the prediction config has no PreProcess.transform_ops either")
    return chosen
