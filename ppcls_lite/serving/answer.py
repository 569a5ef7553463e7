"""The answer of the service: written and read in one place."""

import json


def make_answer(results):
    """{key: JSON text} for `Topk`'s results, one for each image.

    `label` and `prob` are the best class of each image, as PaddleClas's service answers; `result` is the whole
    prediction. A score has all digits of its float32 number, so a reader gets the very number.
    """
    answer = {
        "label": [result["label_names"][0] if result["label_names"] else "" for result in results],
        "prob": [result["scores"][0] for result in results],
        "result": results,
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in answer.items()}


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
