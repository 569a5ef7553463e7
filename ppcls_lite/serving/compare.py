"""Compare the answers of a service with the predictions of Paddle Inference."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ppcls_lite.infer.engines.agreement import TOLERANCE, allowed, is_constant, least_tolerance, verdict
from ppcls_lite.utils.errors import UserError


@dataclass
class AnswerAgreement:
    """How far the answers of one client are from the predictions of `predict_cls.py`, over all its images."""

    client: str
    tolerance: float = TOLERANCE
    images: int = 0
    identical: int = 0  # every id, score (5 decimals) and name
    largest: float = 0.0  # difference of a score
    topk_mismatches: int = 0  # images whose ids differ by more than a tie explains, or whose names differ

    def __post_init__(self):
        self._answers = {}  # key of an image: {class: score}

    def add(self, expected, found, key=None, scores=None):
        """Count one image's two results, dicts as `Topk` makes them; `found` may be any JSON value.

        `key` is that of the image's input (`key_of`); without it, it is not seen that answers are constant. `scores`
        are the expected ones of all classes [C]; without them, any class may be in a tie with the last one.
        """
        self.images += 1
        self.identical += expected == found
        if not _has_form(found) or len(found["scores"]) != len(expected["scores"]):
            self.topk_mismatches += 1
            self.largest = float("inf")
            return
        if key is not None:
            self._answers[key] = dict(zip(found["class_ids"], found["scores"]))
        near = [abs(a - b) for a, b in zip(expected["scores"], found["scores"])]
        self.largest = max([self.largest, *near])
        names = dict(zip(expected["class_ids"], expected["label_names"]))
        their_names = dict(zip(found["class_ids"], found["label_names"]))
        self.topk_mismatches += not (
            _same_ids(expected, found, self.tolerance, scores)
            and all(names.get(label, name) == name for label, name in their_names.items())
            and len(found["label_names"]) == len(expected["label_names"])
        )

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
        """The spread itself: of answers with 5 decimals, a unit of the last one is no difference."""
        return None if self.spread is None else round(self.spread, 5)

    @property
    def limit(self):
        """The difference of a score that is allowed."""
        return least_tolerance(self.tolerance, self.spread)

    @property
    def agrees(self):
        """Whether the client's answers pass: some images, close enough, the same classes and names, not all alike."""
        close = self.images > 0 and self.largest <= self.limit and self.topk_mismatches == 0
        return close and not is_constant(self.share)

    def as_dict(self):
        return {**asdict(self), "different": self.different, "spread": self.spread, "agrees": self.agrees}

    def __str__(self):
        return (
            f"{self.client}: largest difference {self.largest:.3g} ({allowed(self.limit)}), "
            f"{self.identical} of {self.images} images identical, "
            f"{self.images - self.topk_mismatches} of {self.images} with the same classes: "
            f"{verdict(self)}"
        )


def _has_form(found):
    keys = ("class_ids", "scores", "label_names")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in keys):
        return False
    ids, scores = found["class_ids"], found["scores"]
    if len(ids) != len(scores) or not all(type(label) is int for label in ids) or len(set(ids)) != len(ids):
        return False
    return all(type(score) in (int, float) and math.isfinite(score) for score in scores)  # JSON may have NaN


def _same_ids(expected, found, tolerance, all_scores=None):
    """Whether the ids have the same order; two ids may change places only where their scores are within tolerance."""
    if all_scores is None:
        scores = dict.fromkeys(found["class_ids"], expected["scores"][-1])
        scores.update(zip(expected["class_ids"], expected["scores"]))
    else:
        scores = dict(enumerate(all_scores))
    return all(
        ours == theirs or abs(score - scores.get(theirs, math.inf)) <= tolerance
        for ours, theirs, score in zip(expected["class_ids"], found["class_ids"], expected["scores"])
    )


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
            results = json.loads(dict(zip(answer["key"], answer["value"]))["result"])
            if len(results) != len(entry["images"]):
                raise UserError(f"{path}: {len(entry['images'])} images were sent, and {len(results)} answered")
            pairs += zip(entry["images"], results)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path}: expected the answers of a client, found something else ({error!r:.120})") from None
    return pairs


def compare_answers(files, predict):
    """One `AnswerAgreement` for each file of answers.

    Args:
        files: {client: path}.
        predict: function from an image's path to the arguments of `AnswerAgreement.add` for Paddle Inference:
            its result, and in a dict the key of its input and the scores of all classes.
    """
    expected = {}
    agreements = []
    for client, path in files.items():
        agreement = AnswerAgreement(client)
        for image, found in read_answers(path):
            if image not in expected:
                expected[image] = predict(image)
            result, more = expected[image]
            agreement.add(result, found, **more)
        agreements.append(agreement)
    return agreements


def compare_predictions(name, images, expected, found):
    """The `AnswerAgreement` between two functions such as `predict` of `compare_answers`."""
    agreement = AnswerAgreement(name)
    for image in images:
        (reference, more), (result, _) = expected(image), found(image)
        agreement.add(reference, result, **more)
    return agreement
