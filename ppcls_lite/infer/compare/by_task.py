"""Which comparison belongs to a task: scores of classifiers, boxes and maps of detectors.

Not a method of the task, because comparisons import tasks and never the reverse.
"""

from ppcls_lite.infer.compare.detections import compare_detectors
from ppcls_lite.infer.compare.scores import compare_classifiers
from ppcls_lite.infer.tasks import Classification, Detection

_COMPARISONS = {Classification: compare_classifiers, Detection: compare_detectors}


def compare_task(task, *arguments):
    """Agreements of the inference engines with the training engine, one after the other; see `compare_classifiers`."""
    return _COMPARISONS[type(task)](*arguments)
