"""Which comparison belongs to a task: scores of classifiers, boxes of detectors, embeddings of recognisers.

Not a method of the task, because comparisons import tasks and never the reverse.
"""

from ppcls_lite.infer.compare.detections import DetectionComparison, compare_detectors
from ppcls_lite.infer.compare.embeddings import EmbeddingComparison, compare_recognizers
from ppcls_lite.infer.compare.engines import compare_rows
from ppcls_lite.infer.compare.scores import ScoreComparison, compare_classifiers
from ppcls_lite.infer.detect import DetectionPredictor, create_detector
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.predict import Predictor
from ppcls_lite.infer.tasks import Classification, Detection, Recognition
from ppcls_lite.utils.errors import UserError

_COMPARISONS = {Classification: compare_classifiers, Detection: compare_detectors, Recognition: compare_recognizers}
_KINDS = {Classification: ScoreComparison, Detection: DetectionComparison, Recognition: EmbeddingComparison}
_PREDICTORS = {
    Classification: (create_engine, Predictor),
    Detection: (create_detector, DetectionPredictor),
    Recognition: (create_engine, Predictor),
}

_MORE = 10  # classes
_LEAST_BATCH = 8  # of the comparison of a batch with its images alone


def compare_task(task, *arguments, watch=None, exact=None):
    """Agreements of the inference engines with the training engine, one after the other; see `compare_classifiers`."""
    return _COMPARISONS[type(task)](*arguments, watch=watch, exact=exact)


def compare_batches(
    task, config, model_dir, inference_config, images, sizes, engines, labels=None, watch=None, exact=None
):
    """Yield the agreements of `compare_task` for each of the batch sizes, and then that of `compare_rows`.

    Where there are several sizes, an agreement's name says which is its own. `watch` sees the first size only.
    `exact` gets the predictions of all.
    """
    for number, size in enumerate(sizes):
        given = task, config, model_dir, inference_config, images, size, engines, labels
        end = f"_batchsize_{size}" if len(sizes) > 1 else ""
        for agreement in compare_task(*given, watch=watch if number == 0 else None, exact=exact):
            agreement.engine += end
            yield agreement
        if exact:
            exact.rename(end)
    rows = compare_rows(_KINDS[type(task)](images), model_dir, inference_config, max(_LEAST_BATCH, *sizes), exact)
    if rows:
        yield rows


def predict_records(task, model_dir, inference_config, batch_size, paths):
    """What tools/infer.py would print of the images `paths`, through the exported model and the plain engine.

    A classifier's records have the next best classes too, which may be in a tie with the last one.
    """
    create, build = _PREDICTORS[type(task)]
    transforms, postprocess = build_processing(model_dir, inference_config)
    if hasattr(postprocess, "topk"):
        postprocess.topk += _MORE
    with create(None, model_dir, EngineOptions.from_config(inference_config["Global"]).strict()) as engine:
        predictor = build(engine, transforms, postprocess, batch_size)
        pairs = [pair for batch in predictor.predict_all(paths) for pair in batch]
    return [task.record(result, path) for path, result in pairs if not isinstance(result, UserError)]
