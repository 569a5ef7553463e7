"""Compare the answers of a service with the predictions of Paddle Inference."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ppcls_lite.infer.compare.exact import ExactPredictions, answer_rows
from ppcls_lite.infer.engines.agreement import allowed, is_constant, verdict
from ppcls_lite.serving.answer import make_answer, read_answer
from ppcls_lite.utils.errors import UserError

_EMPTY = {"class_ids": [], "scores": []}
_CLASSES = ("class_ids", "label_names", "label")


@dataclass
class RankedAnswers:
    """Whether the ranked answers of one client, names with scores, are the predictions, over all its images.

    The base of what is answered for classes, from a gallery, and of boxes. Identical is: the same names in the same
    order, and every score the very number: as text, a score has all digits of its float32 number. Nothing less agrees,
    unless there is a `limit`: of a server that computes with another engine, the names are the same, and no score
    differs by more than that. Subclasses count images in `add`, and say how far the answers lie apart.
    """

    client: str
    limit: float = 0.0
    images: int = 0
    identical: int = 0
    largest: float = 0.0  # difference of a score
    topk_mismatches: int = 0  # images with other names, or another order of them

    ranked = "classes"  # what is named
    answered = "scores"  # what depends on the image
    more = ""  # further figures

    @property
    def agrees(self):
        """Whether the client's answers pass: some images, all identical, and not the same answer to all."""
        same = not self.topk_mismatches and self.largest <= self.limit if self.limit else self.images == self.identical
        return self.images > 0 and same and not is_constant(self.share)

    def as_dict(self):
        return {**asdict(self), "different": self.different, "spread": self.spread, "agrees": self.agrees}

    def __str__(self):
        return (
            f"{self.client}: largest difference {self.largest:.3g} ({allowed(self.limit)}), "
            f"{self.identical} of {self.images} images identical, "
            f"{self.images - self.topk_mismatches} of {self.images} with the same {self.ranked}{self.more}: "
            f"{verdict(self, self.answered)}"
        )


class AnswerAgreement(RankedAnswers):
    """Whether the answers of one client are the predictions of `predict_cls.py`, over all its images."""

    def __init__(self, client, limit=0.0):
        super().__init__(client, limit)
        self._answers = {}  # key of an image: {class: score}

    def add(self, expected, found, key=None):
        """Count one image: what `Topk` makes of it, unrounded, and what was answered, which may be any JSON value.

        `key` is that of the image's input (`key_of`); without it, it is not seen that answers are constant.
        """
        self.images += 1
        (expected,) = read_answer(make_answer([expected]))  # as it would be sent
        if not _has_form(found) or len(found["scores"]) != len(expected["scores"]):
            self.topk_mismatches += 1
            self.largest = float("inf")
            return
        if key is not None:
            self._answers[key] = dict(zip(found["class_ids"], found["scores"]))
        self.identical += all(found.get(name, value) == value for name, value in expected.items())
        pairs = list(zip(expected["scores"], found["scores"]))
        if "prob" in found:
            pairs.append((expected["prob"], found["prob"] if type(found["prob"]) in (int, float) else float("inf")))
        self.largest = max([self.largest, *(abs(a - b) for a, b in pairs)])
        self.topk_mismatches += any(found.get(name, expected[name]) != expected[name] for name in _CLASSES)

    @property
    def different(self):
        """The number of images with different inputs of the network."""
        return len(self._answers)

    @property
    def spread(self):
        """The largest difference of a class's score between different images; None for fewer than two.

        A class that is not among an image's best scores no more than they do, and no more than they leave of 1.
        """
        if self.different < 2:
            return None
        answers = list(self._answers.values())
        labels = {label for answer in answers for label in answer}
        rests = [min(*answer.values(), max(1 - sum(answer.values()), 0)) if answer else 0 for answer in answers]
        columns = ([answer.get(label, rest) for answer, rest in zip(answers, rests)] for label in labels)
        return float(max((max(column) - min(column) for column in columns), default=0))

    @property
    def share(self):
        """As `spread`, where a difference that is a unit of the fifth decimal is none."""
        return None if self.spread is None else round(self.spread, 5)

    @staticmethod
    def entry(result, expected):
        """The entry of a result in a file of full precision; `expected` is that of the same image."""
        return answer_rows(result if _has_form(result) else _EMPTY)


def _has_form(found):
    keys = ("class_ids", "scores", "label_names")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in keys):
        return False
    ids, scores = found["class_ids"], found["scores"]
    if len(ids) != len(scores) or not all(type(label) is int for label in ids) or len(set(ids)) != len(ids):
        return False
    return all(type(score) in (int, float) and math.isfinite(score) for score in scores)  # JSON may have NaN


def read_answers(path):
    """[(image path, result)] from the file that a client saved; UserError for anything else and for error answers."""
    try:
        saved = json.loads(Path(path).read_text(encoding="utf-8"))
        pairs = []
        for entry in saved:
            answer = entry["answer"]
            if answer["err_no"]:
                raise UserError(
                    f"{path}: {entry['images'][0]}: answered with error {answer['err_no']}: {answer['err_msg']}"
                )
            results = read_answer(dict(zip(answer["key"], answer["value"])))
            if len(results) != len(entry["images"]):
                raise UserError(f"{path}: {len(entry['images'])} images were sent, and {len(results)} answered")
            pairs += zip(entry["images"], results)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path}: expected the answers of a client, found something else ({error!r:.120})") from None
    return pairs


def compare_answers(files, predict, limit=0.0, exact=None, agreement_of=AnswerAgreement, script="predict_cls.py"):
    """One agreement for each file of answers.

    Args:
        files: {client: path}.
        predict: function from an image's path to Paddle Inference's unrounded result, and the key of its input.
        limit: largest difference of a number that passes; 0: the answers must be identical.
        exact: {}, which gets an `ExactPredictions` for each client: its answers, and what was predicted.
        agreement_of: `AnswerAgreement`, or that of another task.
        script: what predicts the same of that task.
    """
    expected = {}
    agreements = []
    for client, path in files.items():
        agreement = agreement_of(client, limit)
        answers = read_answers(path)
        for image, found in answers:
            if image not in expected:
                expected[image] = predict(image)
            result, key = expected[image]
            agreement.add(result, found, key)
        agreements.append(agreement)
        if exact is not None:
            predicted = [expected[image][0] for image, _ in answers]
            exact[client] = _exact(agreement, answers, predicted, script)
    return agreements


def _exact(agreement, answers, expected, script):
    """The `ExactPredictions` of a client's answers, and of what was predicted of the same images."""
    client = agreement.client
    exact = ExactPredictions([image for image, _ in answers])
    predicted, everything = f"{client}_predicted", slice(0, len(answers))
    exact.add(predicted, everything, map(agreement.entry, expected, expected))
    exact.add(client, everything, [agreement.entry(found, wanted) for (_, found), wanted in zip(answers, expected)])
    exact.describe(predicted, f"Paddle Inference, {script}")
    exact.describe(client, f"service, {client.replace('_', ' ')}")
    exact.compare(client, predicted, agreement.limit)
    return exact
