"""Compare the answers of a service with the predictions of Paddle Inference."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ppcls_lite.infer.engines.agreement import TOLERANCE
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

    def add(self, expected, found):
        """Count one image's two results, dicts as `Topk` makes them; `found` may be any JSON value."""
        self.images += 1
        self.identical += expected == found
        if not _has_form(found) or len(found["scores"]) != len(expected["scores"]):
            self.topk_mismatches += 1
            self.largest = float("inf")
            return
        near = [abs(a - b) for a, b in zip(expected["scores"], found["scores"])]
        self.largest = max([self.largest, *near])
        names = dict(zip(expected["class_ids"], expected["label_names"]))
        their_names = dict(zip(found["class_ids"], found["label_names"]))
        self.topk_mismatches += not (
            _same_ids(expected, found, self.tolerance)
            and all(names.get(label, name) == name for label, name in their_names.items())
            and len(found["label_names"]) == len(expected["label_names"])
        )

    @property
    def agrees(self):
        """Whether the client's answers pass: some images, close enough, the same classes and names."""
        return self.images > 0 and self.largest <= self.tolerance and self.topk_mismatches == 0

    def as_dict(self):
        return {**asdict(self), "agrees": self.agrees}

    def __str__(self):
        return (
            f"{self.client}: largest difference {self.largest:.3g} (at most {self.tolerance:g} allowed), "
            f"{self.identical} of {self.images} images identical, "
            f"{self.images - self.topk_mismatches} of {self.images} with the same classes: "
            f"{'agrees' if self.agrees else 'DISAGREES'}"
        )


def _has_form(found):
    keys = ("class_ids", "scores", "label_names")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in keys):
        return False
    return len(found["class_ids"]) == len(found["scores"]) and all(isinstance(x, (int, float)) for x in found["scores"])


def _same_ids(expected, found, tolerance):
    """Whether the ids have the same order; two ids may change places only where their scores are within tolerance."""
    scores = dict(zip(expected["class_ids"], expected["scores"]))
    lowest = expected["scores"][-1]
    return all(
        ours == theirs or abs(score - scores.get(theirs, lowest)) <= tolerance
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
        predict: function from an image's path to Paddle Inference's result for it.
    """
    expected = {}
    agreements = []
    for client, path in files.items():
        agreement = AnswerAgreement(client)
        for image, found in read_answers(path):
            if image not in expected:
                expected[image] = predict(image)
            agreement.add(expected[image], found)
        agreements.append(agreement)
    return agreements


def compare_predictions(name, images, expected, found):
    """The `AnswerAgreement` between two functions from an image's path to its result."""
    agreement = AnswerAgreement(name)
    for image in images:
        agreement.add(expected(image), found(image))
    return agreement
