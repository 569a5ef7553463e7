"""The stage of the post-processing: do predict and infer print the same of the same images, behind networks and engines
that agree?

Scores are compared by their values in the recordings (softmax missing, or applied twice), and then what the logs say of
each image: ids and names of classes, how many, and of boxes which. Where a log cannot be read with certainty, nothing
is compared and nobody is blamed.
"""

from agreement.printed import compare_printed, output_pairs
from agreement.printed_embeddings import compare_printed_embeddings
from diagnosis.printed.faults import Comparison
from diagnosis.printed.rows import read_rows
from diagnosis.stage import DIFFERS, NOT_COMPARED, Stage, differs, not_compared
from script import UserError, counted

NAME = "post-processing"
_STEPS = ("softmax", "sigmoid", "normalize")


def check_postprocessing(subject):
    """The `Stage` of what predict and each inference command printed."""
    if not subject.predict_log or not any(subject.infer_logs):
        return not_compared(NAME, f"it is not known what {'infer' if subject.predict_log else 'predict'} printed")
    stages = []
    vectors = _vectors(subject)
    for engine, log in zip(subject.engines, subject.infer_logs):
        if log:
            subject.progress(f"post-processing: {engine.name}")
            try:
                stages.append(_compare(subject, log, *vectors.get(engine.name, ([], False))))
            except UserError as error:
                stages.append(not_compared(NAME, str(error)))
            if stages[-1].result == DIFFERS and len(subject.engines) > 1:
                stages[-1].words = f"{stages[-1].words}, {engine.name.removeprefix('engine ')}"
    order = {DIFFERS: 0, NOT_COMPARED: 2}
    return min(stages, key=lambda stage: order.get(stage.result, 1), default=not_compared(NAME, "nothing was inferred"))


def _vectors(subject):
    """{name of an engine: ([(outputs of predict, of infer)] of each image that both computed, whether they are
    embeddings)}; {} where the recordings do not say it."""
    _, replay = subject.network
    if replay is None or "predict" not in replay.sources or replay.matches is None:
        return {}
    if not all(match.is_near for match in replay.matches.of("predict")):
        return {}  # the stages before name what is wrong
    _, pairings = subject.preprocessing
    return {name: tuple(output_pairs(pairing, replay)) for name, pairing in pairings.items()}


def _compare(subject, log, vectors, are_embeddings):
    compare = compare_printed_embeddings if are_embeddings else compare_printed
    printed = compare(vectors, subject.predict_log, log)
    more = {"printed": printed.more}
    if printed.fault:
        step = next((name for name in _STEPS if name in printed.fault), "softmax")
        cause = "normalize" if are_embeddings else step
        once = (
            "apply it once" if "twice" in printed.fault else f"apply {cause} behind the exported model, as predict does"
        )
        return differs(NAME, cause, printed.fault, once, words=_images(len(vectors)), more=more)
    if are_embeddings:
        return _of_embeddings(printed, len(vectors), more)
    comparison = Comparison(read_rows(subject.predict_log), read_rows(log), vectors)
    fault = comparison.fault
    if fault:
        cause, why, advice = fault
        words = _images(comparison.images)
        return differs(NAME, cause, why, advice, words=words, more={**more, **comparison.figures})
    if not comparison.images and printed.more["result"] != "the same":
        return not_compared(NAME, f"{comparison.why_nothing}; {printed.more['result']}")
    return Stage(NAME, words=comparison.words or f"the scores of {_images(len(vectors))}", more=more)


def _images(count):
    return counted(count, "image")


def _of_embeddings(printed, images, more):
    if printed.more["result"] != "the same":
        return not_compared(NAME, printed.more["result"])
    return Stage(NAME, words=f"embeddings of {_images(images)} of the same length", more=more)
