"""The class `PaddleClas`: an exported model, or the name of a network, and predictions of any images."""

import importlib.util
from pathlib import Path

import numpy as np

from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.infer.command_line import switched_on, why_no_gpu_here
from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.infer.images import prepare_array
from ppcls_lite.infer.model.config import NAME, choose_processing
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.infer.model.postprocess import Topk, build_postprocess, format_fields
from ppcls_lite.infer.named_config import IMAGENET_LABELS, imagenet_transforms
from ppcls_lite.infer.predict import Predictor
from ppcls_lite.quick.models import check_name, model_folder
from ppcls_lite.quick.options import check_options, why_not
from ppcls_lite.quick.pre_label import save_pre_label
from ppcls_lite.quick.sources import find_inputs
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

_ENGINE = ("gpu_mem", "use_tensorrt", "use_fp16", "enable_mkldnn", "cpu_num_threads", "batch_size")


class PaddleClas:
    """Classify images as the class of this name in PaddleClas's package does.

        clas = PaddleClas(model_name="ResNet50")
        print(next(clas.predict("docs/images/inference_deployment/whl_demo.jpg")))

    Args:
        model_name: a network of `ppcls_lite.quick.models.NAMES`; its official model is downloaded once.
        inference_model_dir: the folder of an exported model, of use without `model_name`. Its `inference.yml` has the
            preprocessing and the class names; without that file both are ImageNet's.
        infer_imgs: what `predict` takes when it is called without images.
        options: the others of `ppcls_lite.quick.options.OPTIONS`, such as `topk` and `batch_size`.

    Raises UserError, one line, for a wrong option, and for a model that cannot be had or loaded.

    Attributes:
        failed: the images that could not be predicted, of all predictions so far.
    """

    def __init__(self, model_name=None, inference_model_dir=None, infer_imgs=None, **options):
        given = {"model_name": model_name, "inference_model_dir": inference_model_dir, **options}
        self.options = check_options(given)
        self.infer_imgs = infer_imgs
        folder = self._find_model()
        transforms, postprocess = _processing(folder, self.options)
        engine = create_engine(None, folder, _engine_options(self.options))
        self._predictor = _Classifier(engine, transforms, postprocess, self.options.get("batch_size", 1))

    @property
    def failed(self):
        return self._predictor.failed

    def _find_model(self):
        name, folder = (self.options.get(key) for key in ("model_name", "inference_model_dir"))
        if not name and not folder:
            raise UserError("model_name: missing: expected the name of a network, or inference_model_dir")
        if name:
            check_name(name)
        else:
            find_model(folder)
        if not importlib.util.find_spec("paddle"):
            raise UserError("PaddlePaddle is missing: pip install paddlepaddle, or paddlepaddle-gpu for a GPU")
        if name and folder:
            logger.warning("inference_model_dir is not used, since model_name is given")
        return model_folder(name) if name else Path(folder)

    def predict(self, input_data=None, print_pred=False, predict_type="cls"):
        """A generator of the predictions of `input_data`: for each batch, a list of one dict per image.

        Args:
            input_data: an image file, a folder or a list file, the http(s) address of an image, an array [H, W, 3]
                (uint8, RGB), or a list of these; None: the constructor's `infer_imgs`.
            print_pred: print one line per image too.
            predict_type: "cls".

        A dict has class_ids, scores and label_names, best first, and filename, unless the image is an array. An image
        that cannot be read is reported on standard error, noted in `failed`, and has no dict. UserError when there is
        no image at all, or when the model's predictions cannot be used.
        """
        if predict_type != "cls":
            raise UserError(why_not("predict_type"))
        inputs = find_inputs(self.infer_imgs if input_data is None else input_data)
        if self.options.get("save_dir") and any(name is None for _, name in inputs):
            raise UserError("save_dir: expected images in files, found an array")
        return self._predictions(inputs, print_pred)

    def _predictions(self, inputs, print_pred):
        names = iter([name for _, name in inputs])
        for batch in self._predictor.predict_all([image for image, _ in inputs]):
            found = []
            for image, result in batch:
                name = next(names)
                if isinstance(result, UserError):
                    continue
                if self.options.get("save_dir"):
                    save_pre_label(self.options["save_dir"], image, result)
                found.append(result if name is None else {**result, "filename": name})
                if print_pred:
                    print(format_fields(found[-1]), flush=True)
            if found:
                yield found


class _Classifier(Predictor):
    """A Predictor that takes arrays too."""

    def read(self, path):
        return prepare_array(path, self.transforms) if isinstance(path, np.ndarray) else super().read(path)


class _ImagenetNames(Topk):
    """ImageNet's names for a model that does not say what its classes are: only where there are a thousand."""

    def check_classes(self, count):
        if self.names and count != len(self.names):
            logger.warning(f"the model has {count} classes, which are not ImageNet's: use class_id_map_file")
            self.names = {}


def _engine_options(options):
    use_gpu = options.get("use_gpu")
    use_gpu = switched_on(None if use_gpu is None else str(use_gpu), "use_gpu", why_no_gpu_here)
    return EngineOptions.from_config({**{name: options.get(name) for name in _ENGINE}, "use_gpu": use_gpu})


def _processing(folder, options):
    """(transforms, post-processing) of the model in `folder`, with what the options change of them."""
    own = Path(folder, NAME).is_file()
    stated = {"PostProcess": {"name": "Topk", **{key: options.get(key) for key in ("topk", "class_id_map_file")}}}
    if not own:
        logger.info(f"{Path(folder, NAME)} is missing: images are prepared and classes named as ImageNet's")
        stated["PreProcess"] = {"transform_ops": imagenet_transforms()}
    ops, post = choose_processing(folder, stated)
    for transform, key, option in (("ResizeImage", "resize_short", "resize_short"), ("CropImage", "size", "crop_size")):
        if option in options:
            _change(ops, transform, key, option, options[option])
    transforms = build_transforms(ops, "PreProcess.transform_ops")
    if own or post.get("class_id_map_file"):
        return transforms, build_postprocess(post)
    return transforms, _ImagenetNames(post.get("topk") or 5, IMAGENET_LABELS)


def _change(ops, transform, key, option, value):
    """Set `key` of the transform in `ops`; UserError where the model's preprocessing has no such thing."""
    for op in ops:
        if key in (op.get(transform) or {}):
            op[transform][key] = value
            return
    raise UserError(f"{option}: the model's preprocessing has no {transform} with {key}")
