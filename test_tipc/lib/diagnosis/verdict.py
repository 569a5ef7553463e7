"""What all stages say together: one sentence that a person can act on, and diagnose.json."""

import json

from diagnosis.stage import DIFFERS, NOT_COMPARED, SAME
from script import atomic_write


def first_of(stages):
    """The first stage that differs, or None."""
    return next((stage for stage in stages if stage.result == DIFFERS), None)


def sentence_of(stages):
    """`the network input is the first stage that differs: …; convert the image to RGB`."""
    first = first_of(stages)
    if first is not None:
        where = "" if first.why else "; no usual fault explains it"
        advice = f"; {first.advice}" if first.advice else ""
        return f"{first.name} is the first stage that differs: {first.why}{where}{advice}"
    compared = [stage for stage in stages if stage.result == SAME]
    left = [stage.name for stage in stages if stage.result == NOT_COMPARED]
    if not compared:
        return f"nothing could be compared: {stages[0].why if stages else 'no stage'}"
    text = "no stage differs: the deployed model computes what the trained network computed"
    return f"{text} (not compared: {', '.join(left)})" if left else text


def save(path, stages, command, versions):
    """Write diagnose.json, whole or not at all."""
    first = first_of(stages)
    content = {
        "verdict": sentence_of(stages),
        "first": first.name if first else None,
        "cause": first.cause if first else None,
        "stages": [stage.as_dict() for stage in stages],
        "command": command,
        "versions": versions,
    }
    with atomic_write(path) as stream:
        json.dump(content, stream, indent=1, allow_nan=False, default=float)
        stream.write("\n")
