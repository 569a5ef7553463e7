"""Are the weights of the exported model those of the network that was evaluated, and those of the weights file?"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from agreement.fitting import unknown_weights, weights_of
from agreement.params import is_any_in

EQUAL, OTHER, REWRITTEN = "equal", "other", "rewritten"


class WeightsState(NamedTuple):
    """`EQUAL`: every exported tensor is one of the network's. `OTHER`: others of the same shapes take their place.
    `REWRITTEN`: the export has made new ones of them (re-parameterisation, batch norm merged into convolutions)."""

    state: str
    unknown: int
    total: int


def compare_weights(weights, network):
    """The `WeightsState` of the exported `weights` against a network of a recording."""
    unknown = unknown_weights(weights, network)
    if not unknown:
        return WeightsState(EQUAL, 0, len(weights))
    left = Counter(weights_of(network)) - Counter(weights)
    unused = Counter((one.shape, one.dtype) for one in left.elements())
    replaced = Counter((one.shape, one.dtype) for one in unknown)
    return WeightsState(OTHER if unused == replaced else REWRITTEN, len(unknown), len(weights))


class Loaded(NamedTuple):
    """How much of the weights file is in the network: a `fault`, or `words` for the line, or neither."""

    fault: str = ""
    words: str = ""


def check_loaded(network, file, step, exported):
    """Whether a network of the step `step` has the tensors of the weights file `file`, as far as that was observed.

    Scripts may read weights without paddle.load, which nobody sees: then the tensors of the `exported` model, if they
    are the network's, are searched in the file. Networks with half precision are not judged: their tensors are not
    those of the file, even when they were loaded.
    """
    if file is None:
        return Loaded()
    wanted = {Path(path).resolve() for path in (file, f"{file}.pdparams")}
    name = Path(file).name
    found = [one for one in network.loaded if Path(one["path"]).resolve() in wanted and one["tensors"]]
    if not found:
        if not unknown_weights(exported.weights, network) and _is_nothing_in(exported.params, wanted):
            return Loaded(fault=f"no tensor of the network that {step} used, or of the export, is in {name}")
        return Loaded(words=f"{step} was not seen to load {name}" if network.loaded else "")
    best = max(found, key=lambda one: one["found"])
    total = best["tensors"]
    halved = any(one["dtype"] in ("float16", "bfloat16") for one in network.weights.values())
    is_trained = any(one["trained"] for one in network.weights.values())
    if best["trained" if is_trained else "found"] == 0 and not halved:
        return Loaded(
            fault=f"none of the {total} tensors of {Path(best['path']).name} is in the network that {step} used: "
            "the weights were read and not loaded into it"
        )
    return Loaded(words="" if best["found"] == total else f"{best['found']} of {total} tensors of {name} are in it")


def _is_nothing_in(params, files):
    known = [is_any_in(params, file) for file in files if file.is_file()]
    return bool(known) and all(one is False for one in known)
