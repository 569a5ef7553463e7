"""What a training says of its data before it begins: nothing here is refused, since a small trial may want it so."""

import os

import numpy as np

from ppcls_lite.utils.files import find_file
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.recognition import is_recognition

_SHOWN = 5  # classes named in a warning


def warn_of_data(config, trained, judged=None, class_num=None):
    """Warn of classes without an image in the data set `trained`, of images of one class or identity alone, and of its
    images that are in `judged`, too; `class_num` is None where labels may be any, or do not count."""
    if (class_num is not None or is_recognition(config)) and _has_one_label(trained):
        logger.warning(
            f"DataLoader.Train: all {len(trained.labels)} images in {trained.cls_label_path} have label "
            f"{trained.labels[0]}: nothing can be learnt from one class or identity alone"
        )
    elif class_num is not None:
        _warn_of_empty_classes(config, trained, class_num)
    if judged is not None:
        _warn_of_shared_images(trained, judged)


def _has_one_label(trained):
    return hasattr(trained, "labels") and (trained.labels == trained.labels[0]).all()


def _warn_of_empty_classes(config, trained, class_num):
    if not hasattr(trained, "labels"):  # of images with boxes
        return
    counts = np.bincount(trained.labels, minlength=class_num)
    empty = np.flatnonzero(counts == 0).tolist()
    if empty:
        names = _class_names(config)
        shown = ", ".join(f"{label} ({names[label]})" if label in names else str(label) for label in empty[:_SHOWN])
        more = ", ..." if len(empty) > _SHOWN else ""
        logger.warning(
            f"DataLoader.Train: {len(empty)} of {class_num} classes have no image in {trained.cls_label_path}, and "
            f"cannot be learnt: {shown}{more}"
        )


def _class_names(config):
    """{label: name} of the config's file of names; empty where it cannot be read: a training does not need it."""
    post_process = (config.get("Infer") or {}).get("PostProcess") or {}
    path = post_process.get("class_id_map_file")
    try:
        lines = find_file(path).read_text(encoding="utf-8-sig").splitlines() if path else []
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition(post_process.get("delimiter") or " ") for line in lines)
    return {int(label): name.strip() for label, _, name in pairs if label.isascii() and label.isdigit()}


def _warn_of_shared_images(trained, judged):
    first, second = ({os.path.abspath(path) for path in getattr(dataset, "paths", ())} for dataset in (trained, judged))
    if shared := first & second:
        logger.warning(
            f"DataLoader.Eval: {len(shared)} of {len(second)} images are trained on too: the accuracy says little "
            f"about new ones; one of them is {min(shared)}"
        )
