"""One engine after the other against the plain one: shared by the comparisons of all tasks."""

from dataclasses import replace

from ppcls_lite.infer.compare.exact import ROWS, STRICT, TRAINING
from ppcls_lite.infer.compare.processing import check_names, names_of
from ppcls_lite.infer.engines import available_engines
from ppcls_lite.infer.engines.agreement import TOLERANCE
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.postprocess import build_postprocess
from ppcls_lite.utils import checks
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError

USUAL = "usual"  # how the prediction config runs Paddle Inference on a CPU
_NOT_COMPARED = ("auto", "training")  # one of the others; the reference of `strict`


def choose_engines(text, stated=None, model=None):
    """(engine names to compare, {name: why it cannot be}) for `usual`, `all`, or names separated by commas.

    `stated` is the prediction config's `Global.engine`, which is compared beside `usual`; `model` the exported model's
    folder. Raises UserError for a name that is not known, and for a named engine that is not for comparing. One that
    cannot run here is refused when it is created.
    """
    if text == USUAL:
        if stated:
            ENGINES.get(stated, "Global.engine")
        return [USUAL, *([stated] if stated and stated not in _NOT_COMPARED else [])], {}
    if text == "all":
        reasons = {name: reason for name, reason in available_engines(None, model).items() if name not in _NOT_COMPARED}
        # the exact ones first: a change of Paddle's number of threads comes after them
        names = sorted((name for name in reasons if not reasons[name]), key=lambda name: not ENGINES.get(name).exact)
        return names, {name: reason for name, reason in reasons.items() if reason}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name != USUAL:
            ENGINES.get(name, "--engines")
        if name in _NOT_COMPARED:
            raise UserError(f"--engines: '{name}' is not an engine to compare; try all, or names of the others")
    return names, {}


def compare_all(kind, config, model_dir, inference_config, batch_size, engines, watch=None, exact=None):
    """Yield the agreement of `strict` (the plain engine against the training engine), then of each of `engines`.

    Args:
        kind: what is compared: an object with the members of `ScoreComparison`.
        config: the training config; `strict` has to equal its network with `Global.pretrained_model`.
        model_dir: folder of the exported model.
        inference_config: config of `predict_cls.py` or another such script.
        engines: registered names, or `usual`; each is compared with the plain engine.
        watch: called with the plain engine's outputs for each batch, and what else `kind.outputs` returns of it.
        exact: an `ExactPredictions` that gets what each engine gave.
    The training engine reads the files with the transforms of its config, all others with the exported model's, so a
    difference there shows too; class names that differ raise UserError.
    """
    checks.whole("batch_size", batch_size)
    transforms = kind.build_transforms(require(config, "Infer.transforms"), "Infer.transforms")
    deployed, postprocess = build_processing(model_dir, inference_config)
    trained = build_postprocess(config["Infer"].get("PostProcess"))
    check_names(names_of(trained), names_of(postprocess), model_dir)
    options = replace(EngineOptions.from_config(inference_config["Global"]), batch_size=batch_size)
    strict = options.strict()
    batches = [slice(start, start + batch_size) for start in range(0, len(kind.images), batch_size)]

    def outputs(engine, transforms):
        return (kind.outputs(engine, transforms, batch) for batch in batches)

    def agreement(title, tolerance, expected, found, against=STRICT):
        result = kind.agreement(title, tolerance)
        for batch, reference, others in zip(batches, expected, found):
            kind.add(result, reference, others, batch)
            keep(title, batch, others)
        if exact:
            exact.compare(title, against, result.limit)
        return result

    def keep(title, batch, outputs):
        if exact:
            exact.add(title, batch, kind.entries(outputs))

    # One engine after the other: Paddle's number of threads is one for the whole process, and a change of it in
    # between would change the last bits of the next engine's results.
    trained = list(outputs(kind.training_engine(config), transforms))
    plain = list(outputs(kind.create_engine(None, model_dir, strict), deployed))
    for batch in plain if watch else ():
        watch(*batch)
    for batch, found in zip(batches, trained):
        keep(TRAINING, batch, found)
    yield agreement(STRICT, 0.0, trained, plain, TRAINING)
    for name in engines:
        title, tolerance, setting = comparison(name, options, strict)
        engine = kind.create_engine(setting.engine, model_dir, setting)
        if name == USUAL and engine.name != "paddle":  # the one in effect
            title = f"{USUAL}_{engine.name}"
        yield agreement(title, tolerance, plain, outputs(engine, deployed))
        engine.close()


def compare_rows(kind, model_dir, inference_config, batch_size, exact=None):
    """The agreement `rows_batchsize_<n>`: the first images in one batch against the same images alone.

    The plain engine computes both: an export that mixes the images of a batch, or is made for a batch of one size,
    gives the training engine's answers for equal batches, and other ones in practice. Arguments as `compare_all`; None
    where there is one image only.
    """
    count = min(batch_size, len(kind.images))
    if count < 2:
        return None
    deployed, _ = build_processing(model_dir, inference_config)
    title, alone = f"{ROWS}batchsize_{count}", f"{ROWS}alone"
    result = kind.agreement(title, TOLERANCE)
    options = EngineOptions.from_config(inference_config["Global"]).strict()
    with kind.create_engine(None, model_dir, replace(options, batch_size=count)) as plain:
        together = kind.rows(kind.outputs(plain, deployed, slice(0, count)))
        for number, found in enumerate(together):
            one = slice(number, number + 1)
            expected = kind.outputs(plain, deployed, one)
            kind.add(result, expected, found, one)
            if exact:
                exact.add(alone, one, kind.entries(expected))
                exact.add(title, one, kind.entries(found))
    if exact:
        exact.compare(title, alone, result.limit)
    return result


def comparison(name, options, strict):
    """(title, tolerance, options) of one comparison with the plain engine."""
    if name == USUAL:
        # the accelerations that the config states are compared by their own names
        usual = replace(options, engine=None, use_gpu=False, use_tensorrt=False)
        return USUAL, TOLERANCE, usual
    if ENGINES.get(name).exact and name != "paddle":
        return name, 0.0, replace(strict, engine=name)
    on_gpu = ENGINES.get(name).device == "gpu"
    return name, TOLERANCE, replace(options, engine=name, use_gpu=on_gpu, use_tensorrt=on_gpu and name == "tensorrt")
