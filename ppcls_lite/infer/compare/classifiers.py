"""Do all engines predict the same as the trained network?"""

from dataclasses import replace

from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.infer.engines import available_engines, create_engine
from ppcls_lite.infer.engines.agreement import TOLERANCE, Agreement
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.training import TrainingEngine
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.postprocess import build_postprocess
from ppcls_lite.infer.predict import read_image, stack_images
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError

USUAL = "usual"  # how the prediction config runs Paddle Inference on a CPU
_NOT_COMPARED = ("auto", "training")  # one of the others; the reference of `strict`


def check_names(expected, found, model_dir):
    """Raise UserError unless both engines print the same name for every class (dicts of class id to name)."""
    for label in sorted({*expected, *found}):
        if expected.get(label) != found.get(label):
            raise UserError(
                f"{model_dir}: class {label} is {found.get(label)!r} there and {expected.get(label)!r} in the "
                "training config's class_id_map_file"
            )


def choose_engines(text):
    """(engine names to compare, {name: why it cannot be}) for `usual`, `all`, or names separated by commas.

    Raises UserError for a name that is not known, and for one that was asked for and cannot run here.
    """
    if text == USUAL:
        return [USUAL], {}
    if text == "all":
        reasons = {name: reason for name, reason in available_engines().items() if name not in _NOT_COMPARED}
        # the exact ones first: a change of Paddle's number of threads comes after them
        names = sorted((name for name in reasons if not reasons[name]), key=lambda name: not ENGINES.get(name).exact)
        return names, {name: reason for name, reason in reasons.items() if reason}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name != USUAL:
            ENGINES.get(name, "--engines")
        if name in _NOT_COMPARED:
            raise UserError(f"--engines: '{name}' is no engine to compare; try all, or names of the others")
    return names, {}


def compare_engines(config, model_dir, inference_config, images, batch_size=8, engines=(USUAL,), labels=None):
    """Yield an `Agreement` for `strict`, which is the plain engine against the training engine, then each of `engines`.

    Args:
        config: the training config; its network with `Global.pretrained_model` is what `strict` has to equal.
        model_dir: folder of the exported model.
        inference_config: config of `predict_cls.py`.
        images: paths of the images.
        engines: registered names, or `usual`; each is compared with the plain engine.
        labels: the images' true classes, or None; then no accuracy is counted.
    The training engine reads the files with the transforms of its config, all others with the exported model's, so a
    difference there shows too; class names that differ raise UserError.
    """
    return compare_all(ScoreComparison(images, labels), config, model_dir, inference_config, batch_size, engines)


def compare_all(kind, config, model_dir, inference_config, batch_size, engines):
    """Yield the agreement of `strict` and of each of `engines`, as `kind` measures it (see ScoreComparison)."""
    if batch_size < 1:
        raise UserError(f"batch_size: expected a whole number of at least 1, found {batch_size}")
    transforms = kind.build_transforms(require(config, "Infer.transforms"), "Infer.transforms")
    deployed, postprocess = build_processing(model_dir, inference_config)
    check_names(build_postprocess(config["Infer"].get("PostProcess")).names, postprocess.names, model_dir)
    options = replace(EngineOptions.from_config(inference_config["Global"]), batch_size=batch_size)
    strict = options.strict()
    batches = [slice(start, start + batch_size) for start in range(0, len(kind.images), batch_size)]

    def outputs(engine, transforms):
        return (kind.outputs(engine, transforms, batch) for batch in batches)

    def agreement(title, tolerance, expected, found):
        result = kind.agreement(title, tolerance)
        for batch, reference, others in zip(batches, expected, found):
            kind.add(result, reference, others, batch)
        return result

    # One engine after the other: Paddle's number of threads is one for the whole process, and a change of it in
    # between would change the last bits of the next engine's results.
    trained = list(outputs(kind.training_engine(config), transforms))
    plain = list(outputs(kind.create_engine(None, model_dir, strict), deployed))
    yield agreement("strict", 0.0, trained, plain)
    for name in engines:
        title, tolerance, setting = comparison(name, options, strict)
        engine = kind.create_engine(setting.engine, model_dir, setting)
        yield agreement(title, tolerance, plain, outputs(engine, deployed))
        engine.close()


class ScoreComparison:
    """How classifiers are compared: by the probabilities of the images. Another kind has the same members."""

    build_transforms = staticmethod(build_transforms)
    training_engine = TrainingEngine
    create_engine = staticmethod(create_engine)
    agreement = Agreement

    def __init__(self, images, labels=None):
        self.images, self.labels = images, labels

    def outputs(self, engine, transforms, batch):
        """What the engine makes of the images in the slice `batch`."""
        return engine.run(stack_images([read_image(path, transforms) for path in self.images[batch]]))

    def add(self, agreement, expected, found, batch):
        """Count one batch of outputs."""
        agreement.add(expected, found, self.labels[batch] if self.labels else None)


def comparison(name, options, strict):
    """(title, tolerance, options) of one comparison with the plain engine."""
    if name == USUAL:
        # the accelerations that the config states are compared by their own names
        usual = replace(options, engine=None, use_gpu=False, use_tensorrt=False)
        return f"usual_{usual.engine_name}" if usual.enable_mkldnn else USUAL, TOLERANCE, usual
    if ENGINES.get(name).exact and name != "paddle":
        return name, 0.0, replace(strict, engine=name)
    on_gpu = ENGINES.get(name).device == "gpu"
    return name, TOLERANCE, replace(options, engine=name, use_gpu=on_gpu, use_tensorrt=on_gpu and name == "tensorrt")
