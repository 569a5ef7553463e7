"""What the scripts in `deploy/python/` do: predict images with an exported model, as a prediction config says."""

import sys
from dataclasses import replace
from functools import partial

from ppcls_lite.infer.detect import DetectionPredictor, create_detector
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.request import of_this_process, onnx_options, usable_options
from ppcls_lite.infer.model.boxes import format_det_line, format_det_record
from ppcls_lite.infer.model.config import build_processing, is_int8_only
from ppcls_lite.infer.model.files import find_onnx
from ppcls_lite.infer.model.postprocess import format_line, format_record
from ppcls_lite.infer.model.shape import shape_made_by
from ppcls_lite.infer.predict import Predictor, find_images
from ppcls_lite.infer.results import predict_and_print
from ppcls_lite.utils.config import require
from ppcls_lite.utils.ignored import warn_of_ignored
from ppcls_lite.utils.log import setup_logging


def classify(config, config_path, overrides=()):
    """Print the classes of the images that a prediction config names; returns the exit code.

    `config` is the content of the file `config_path` with the changes `overrides` of the command line. Raises
    UserError, one line, for an option, an image list or a model that cannot be used.
    """
    return _predict(config, config_path, overrides, create_engine, Predictor, format_line, format_record)


def detect(config, config_path, overrides=()):
    """Print the boxes in the images that a prediction config names, and draw them; as `classify`."""
    predictor = partial(DetectionPredictor, output_dir=config["Global"].get("output_dir"))
    return _predict(config, config_path, overrides, create_detector, predictor, format_det_line, format_det_record)


def _predict(config, config_path, overrides, create, build_predictor, line, record):
    source = require(config, "Global.infer_imgs", config_path)
    model_dir = require(config, "Global.inference_model_dir", config_path)
    setup_logging(stream=sys.stderr)  # standard output is for predictions
    warn_of_ignored(config)
    settings = dict(config["Global"])
    if any(text.startswith("Global.enable_benchmark=") for text in overrides):
        settings["benchmark"] = settings["enable_benchmark"]  # PaddleClas's configs have it at True, to no effect
    options = of_this_process(EngineOptions.from_config(settings), overrides)
    model = find_onnx(model_dir) if settings.get("use_onnx") or is_int8_only(model_dir) else model_dir
    if model is not model_dir:
        options, model_dir = onnx_options(options, overrides), model.folder
    processing = build_processing(model, config)
    paths = find_images(source)
    if options.engine == "auto":
        options = replace(options, sample_shape=shape_made_by(processing[0]))
    engine = create(None, model, usable_options(options, overrides))
    predictor = build_predictor(engine, *processing, settings.get("batch_size", 1), settings.get("num_workers"))
    return predict_and_print(predictor, paths, model_dir, settings, line, record)
