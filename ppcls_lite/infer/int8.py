"""INT8 models of exported networks, and of networks that were trained for it: their files, and how they are made."""

import os
import tempfile
from pathlib import Path

import numpy as np
import yaml

from ppcls_lite.arch.from_config import class_count, load_network
from ppcls_lite.data.dataset import ImageNetDataset
from ppcls_lite.infer.engines.effects import NotInEffect
from ppcls_lite.infer.engines.to_onnx import convert_to_onnx, missing_packages
from ppcls_lite.infer.images import read_image
from ppcls_lite.infer.model.config import LABELS, NAME, build_processing, read_model_config
from ppcls_lite.infer.model.files import ONNX, find_model
from ppcls_lite.slim.onnx_int8 import quantise
from ppcls_lite.slim.settings import Calibration
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import logger

FOLDER = "quant_post_static_model"  # of the INT8 model, in that of the exported one


def quantise_exported(config, model_dir):
    """Make the INT8 model of the exported one in the folder `model_dir`, in its folder `quant_post_static_model`.

    The ranges are found with images of the config's training list (`Slim.ptq`), prepared as the exported model wants
    them. The folder has `inference.onnx`, `inference.yml` and the class names; it is changed when all is ready. Returns
    it. Raises UserError for a model or a list that cannot be used, and NotInEffect for missing packages.
    """
    calibration = Calibration.from_config(config)
    files = find_model(model_dir)
    reason = missing_packages("onnxruntime")
    if reason:
        raise NotInEffect(f"an INT8 model needs Paddle2ONNX and ONNX Runtime: {reason}")
    transforms, _ = build_processing(files)
    images = calibration_images(config, transforms, calibration)
    content = quantise(convert_to_onnx(files), images, calibration)
    folder = Path(model_dir, FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    labels = Path(model_dir, LABELS)
    with tempfile.TemporaryDirectory(prefix=".int8.", dir=folder) as fresh:
        Path(fresh, ONNX).write_bytes(content)
        if labels.is_file():
            Path(fresh, LABELS).write_bytes(labels.read_bytes())
        stated = read_model_config(model_dir)
        stated.setdefault("Global", {})["bytes"] = {}  # of files that are not here
        _write_config(fresh, stated, content, len(images), calibration)
        for path in sorted(Path(fresh).iterdir(), key=lambda path: path.name == ONNX):  # the model last
            os.replace(path, folder / path.name)
    logger.info(f"{folder / ONNX}: {len(content)} bytes, {_said(len(images), calibration)}")
    return folder


def calibration_images(config, transforms, calibration):
    """[N, 3, H, W] of the images of the config's training list that `Slim.ptq` chooses."""
    section = require(config, "DataLoader.Train.dataset")
    root, names = (require(config, f"DataLoader.Train.dataset.{key}") for key in ("image_root", "cls_label_path"))
    relabel = section.get("relabel") or False
    paths = ImageNetDataset(root, names, None, section.get("delimiter"), relabel, class_num=class_count(config)).paths
    chosen = np.random.default_rng(calibration.seed).permutation(len(paths))[: calibration.images]
    images = [read_image(paths[number], transforms) for number in sorted(chosen)]
    if len({image.shape for image in images}) > 1:
        raise UserError(f"{names}: the transforms make images of several sizes, and INT8 needs one: is a crop missing?")
    return np.stack(images)


def add_int8(folder, config, export):
    """Write `inference.onnx`, the INT8 form of a network that was trained for it, beside its fresh export in `folder`.

    `export(network, folder)` exports a network. Where the packages are not there, the log says so and nothing is
    written.
    """
    reason = missing_packages("onnxruntime")
    if reason:
        logger.warning(f"the INT8 form ({ONNX}) is not written: {reason}")
        return
    calibration = Calibration.from_config(config)
    images = calibration_images(config, build_processing(folder)[0], calibration)
    content = quantise(unrounded(config, export), images, calibration)
    Path(folder, ONNX).write_bytes(content)
    _write_config(folder, read_model_config(folder), content, len(images), calibration)
    logger.info(f"{ONNX}: {len(content)} bytes in INT8; ranges as trained, others: {_said(len(images), calibration)}")


def unrounded(config, export):
    """The bytes, in ONNX's format, of a network that was trained for INT8, without the rounding; as `add_int8`."""
    from ppcls_lite.slim.pact import stop_rounding

    with tempfile.TemporaryDirectory(prefix="ppcls_lite.") as folder:
        export(stop_rounding(load_network(config, needs_head=False)), folder)
        return convert_to_onnx(find_model(folder))


def _write_config(folder, config, content, images, calibration):
    """`inference.yml` of the INT8 model, from that of the exported one."""
    own = config.setdefault("Global", {})
    own.setdefault("bytes", {})[ONNX] = len(content)
    own.update(int8=ONNX, calibration=_said(images, calibration))
    with atomic_write(Path(folder, NAME)) as stream:
        yaml.safe_dump(config, stream, sort_keys=False, allow_unicode=True)


def _said(images, calibration):
    return f"{calibration}, calibrated on {images} images of the training list, seed {calibration.seed}"
