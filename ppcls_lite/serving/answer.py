"""The answer of the service: written and read in one place."""

import json


def make_answer(results, drawn=None):
    """{key: JSON text} for the results of a post-processing, one for each image.

    `result` is the whole prediction; of classes, `label` and `prob` are the best one of each image, as PaddleClas's
    service answers. Names from a gallery go without the embedding that found them. A number has all digits of its
    float32 number, so a reader gets the very number. `drawn`, where it is given, are the images with their boxes, each
    a JPEG file as base64.
    """
    answer = {"result": [_without_features(result) if "rec_docs" in result else result for result in results]}
    if all("class_ids" in result and "boxes" not in result for result in results):
        best = {
            "label": [result["label_names"][0] if result["label_names"] else "" for result in results],
            "prob": [result["scores"][0] for result in results],
        }
        answer = {**best, **answer}
    if drawn is not None:
        answer["drawn"] = drawn
    return {key: json.dumps(value, ensure_ascii=False) for key, value in answer.items()}


def _without_features(result):
    return {key: value for key, value in result.items() if key != "features"}


def read_answer(texts):
    """The results in {key: JSON text}: one dict for each image, with its `label` and `prob` where they were sent.

    Raises ValueError, KeyError or TypeError for texts that are no answer.
    """
    values = {key: json.loads(text) for key, text in texts.items() if key in ("label", "prob", "result")}
    results = values.pop("result")
    for key, value in values.items():
        if not isinstance(value, list) or len(value) != len(results):
            raise ValueError(f"{len(results)} results, and not as many of {key}")
    best = [dict(zip(values, pair)) for pair in zip(*values.values())] or [{}] * len(results)
    return [{**result, **more} for result, more in zip(results, best)]
