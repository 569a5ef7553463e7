"""What the scripts in `deploy/python/` do: predict images with an exported model, as a prediction config says."""

import sys
from dataclasses import replace
from functools import partial
from typing import Callable, NamedTuple

from ppcls_lite.infer.detect import DetectionPredictor, create_detector
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.request import of_this_process, onnx_options, usable_options
from ppcls_lite.infer.gallery import Gallery, fingerprint
from ppcls_lite.infer.gallery.lookup import Lookup
from ppcls_lite.infer.gallery.settings import IndexSettings
from ppcls_lite.infer.model.boxes import format_det_line, format_det_record
from ppcls_lite.infer.model.config import build_chosen, choose_processing, is_int8_only
from ppcls_lite.infer.model.embedding import format_rec_line, format_rec_record
from ppcls_lite.infer.model.files import find_onnx
from ppcls_lite.infer.model.postprocess import format_line, format_record
from ppcls_lite.infer.model.shape import shape_made_by
from ppcls_lite.infer.predict import Predictor, find_images
from ppcls_lite.infer.rec_config import with_usual_names
from ppcls_lite.infer.results import predict_and_print
from ppcls_lite.utils.config import require, without_nulls
from ppcls_lite.utils.ignored import warn_of_ignored
from ppcls_lite.utils.log import setup_logging


class Kind(NamedTuple):
    """What differs between the tasks."""

    usual: str  # the post-processing where neither the model nor the config names one
    create: Callable = create_engine
    predictor: Callable = Predictor
    line: Callable = format_line  # of a result and its path: what is printed
    record: Callable = format_record  # what is saved


RECOGNITION = Kind("Embedding", line=format_rec_line, record=format_rec_record)


def classify(config, config_path, overrides=()):
    """Print the classes of the images that a prediction config names; returns the exit code.

    `config` is the content of the file `config_path` with the changes `overrides` of the command line. Raises
    UserError, one line, for an option, an image list or a model that cannot be used.
    """
    return _predict(config, config_path, overrides, Kind("Topk"))


def detect(config, config_path, overrides=()):
    """Print the boxes in the images that a prediction config names, and draw them; as `classify`."""
    predictor = partial(DetectionPredictor, output_dir=config["Global"].get("output_dir"))
    kind = Kind("DetectionBoxes", create_detector, predictor, format_det_line, format_det_record)
    return _predict(config, config_path, overrides, kind)


def recognise(config, config_path, overrides=()):
    """Print the embeddings of the images that a prediction config names, or their matches in the gallery
    `IndexProcess.index_dir`, if it is given; as `classify`."""
    setup_logging(stream=sys.stderr)
    config = with_usual_names(config, config_path, overrides)
    if (config.get("IndexProcess") or {}).get("index_dir") is None:
        return _predict(config, config_path, overrides, RECOGNITION)
    settings = IndexSettings.from_config(config, config_path)

    def lookup(deployed):
        gallery = Gallery.load(settings.index_dir, deployed.fingerprint())
        settings.check(gallery)
        return Lookup(deployed.postprocess, gallery, settings.return_k, settings.score_thres)

    return _predict(config, config_path, overrides, RECOGNITION, lookup)


class Deployed:
    """An exported model as a prediction config says that it is used.

    The constructor checks what needs no engine; `predictor` loads the model. `folder` is the model's, `settings` are
    the config's `Global` values.
    """

    def __init__(self, config, config_path, overrides, kind):
        self.kind, self.overrides = kind, overrides
        self.folder = require(config, "Global.inference_model_dir", config_path)
        setup_logging(stream=sys.stderr)  # standard output is for predictions
        warn_of_ignored(config)
        self.settings = dict(config["Global"])
        if any(text.startswith("Global.enable_benchmark=") for text in overrides):
            # PaddleClas's configs have it at True, to no effect
            self.settings["benchmark"] = self.settings["enable_benchmark"]
        options = of_this_process(EngineOptions.from_config(self.settings), overrides)
        self.model = self.folder
        if self.settings.get("use_onnx") or is_int8_only(self.folder):
            self.model = find_onnx(self.folder)
            options, self.folder = onnx_options(options, overrides), self.model.folder
        post = without_nulls(config.get("PostProcess")) or {"name": kind.usual}
        self._ops, post = choose_processing(self.model, {**config, "PostProcess": post})
        self.transforms, self.postprocess = build_chosen(self._ops, post)
        self._options = options

    def fingerprint(self):
        """The `Fingerprint` of the model, for galleries: a recogniser's only."""
        return fingerprint(self.model, self._ops, self.postprocess)

    def predictor(self, postprocess=None, batch_size=None):
        """The predictor with its engine; with another post-processing or batch size than the config's, if given."""
        options = self._options
        if options.engine == "auto":
            options = replace(options, sample_shape=shape_made_by(self.transforms))
        engine = self.kind.create(None, self.model, usable_options(options, self.overrides))
        sizes = batch_size or self.settings.get("batch_size", 1), self.settings.get("num_workers")
        return self.kind.predictor(engine, self.transforms, postprocess or self.postprocess, *sizes)


def _predict(config, config_path, overrides, kind, postprocess=None):
    """`postprocess(deployed)` gives another post-processing than the deployed model's, if it is given."""
    source = require(config, "Global.infer_imgs", config_path)
    deployed = Deployed(config, config_path, overrides, kind)
    paths = find_images(source)
    predictor = deployed.predictor(postprocess and postprocess(deployed))
    return predict_and_print(predictor, paths, deployed.folder, deployed.settings, kind.line, kind.record)
