"""Which model an embedding comes from: embeddings of two models have nothing to do with each other."""

import hashlib
import json
from typing import NamedTuple

from ppcls_lite.infer.model.config import choose_processing, model_name
from ppcls_lite.infer.model.files import find_model, find_onnx
from ppcls_lite.infer.model.postprocess import build_postprocess
from ppcls_lite.infer.model.storage import joined_params
from ppcls_lite.utils.errors import UserError


class Fingerprint(NamedTuple):
    """The network's name, and the sha256 of its weights and of the processing of images and features."""

    name: str
    weights: str
    processing: str


def fingerprint(model, ops=None, postprocess=None):
    """The `Fingerprint` of an exported recogniser, its folder or its `ModelFiles`.

    `ops` (a config's list of transforms) and `postprocess` (an `Embedding`) are what is in force; None: the model's
    own, of its `inference.yml`. A folder has one fingerprint, whether its Paddle model computes or the ONNX model that
    was made of it. UserError for a folder without a model.
    """
    if ops is None:
        ops, section = choose_processing(model)
        postprocess = build_postprocess({"name": "Embedding", **section})
    processing = json.dumps([ops, postprocess.feature_normalize], sort_keys=True, default=str)
    files = _files(model)
    weights = joined_params(files) if files.is_separate else _read(files.params or files.structure)
    return Fingerprint(model_name(files.folder), _sha256(weights), _sha256(processing.encode()))


def _files(model):
    try:
        return find_model(getattr(model, "folder", model))
    except UserError:
        return find_onnx(getattr(model, "structure", model))


def _read(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
