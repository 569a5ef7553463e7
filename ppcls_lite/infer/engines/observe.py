"""What Paddle Inference really does with a model: every operator that it runs, seen through its own hook.

Paddle's switches are wishes: on `inference.json`, for example, it leaves OpenVINO out without a word.
"""

from collections import Counter
from typing import NamedTuple, Optional

from ppcls_lite.infer.engines.effects import OFF, ON, UNKNOWN, Effect, word
from ppcls_lite.infer.engines.threads import openmp_threads
from ppcls_lite.infer.model.storage import operators

_SHARED = 0.95  # the share of results with memory of their own, below which memory is shared; without sharing, it is 1
_FEW = 4  # operators; fewer show nothing about passes and memory


class Result(NamedTuple):
    """One output of an operator that was run."""

    operator: str  # its kind, for programs of `.json` with its number in the program: `pd_op.conv2d:3`
    name: str
    layout: str
    place: str
    address: int


class Observed(NamedTuple):
    """One run as Paddle did it."""

    results: list
    threads: Optional[int]


def observe(clone, inputs):
    """`Observed`: one run of a clone of a `paddle.inference` predictor with `inputs` {name: array}.

    Of the predictor itself, the hook would slow each run. The caller has to keep the clone as long as the predictor,
    also when the run fails: Paddle frees what both use with it.
    """
    results, threads = [], []

    def note(operator, name, tensor):
        if not results:
            threads.append(openmp_threads())  # Paddle sets their number for the time of a run
        results.append(Result(operator, name, str(tensor.layout), str(tensor.place), tensor.data_ptr()))

    clone.register_output_hook(note)
    for name, array in inputs.items():
        clone.get_input_handle(name).copy_from_cpu(array)
    clone.run()
    clone.clear_intermediate_tensor()  # the memory that only this run needed
    return Observed(results, threads[0] if threads else None)


def acceleration(results, options, library="", operator=""):
    """The `Effect` of the `library` whose `operator` stands for a part of the network, or else of a GPU, or oneDNN."""
    if library:
        name, asked = library, True
        count = sum(operator in result.operator for result in results)
    elif options.use_gpu:
        name, asked = "GPU", True
        count = sum("gpu" in result.place.lower() for result in results)
    else:
        name, asked = "oneDNN", options.enable_mkldnn
        count = _of_onednn(results)
    why = f"{count} of {len(results)} results" if asked or count else ""
    if asked and not count and not options.ir_optim:
        why += ": it comes by the IR passes, which are off"
    return Effect(name, word(asked), word(count), why)


def optimisations(results, files, options):
    """The `Effect`s of the IR passes and of the memory optimisation; none where another library has the network."""
    whole = operators(files.structure)
    ran = Counter(_kind(one) for one in {_made_by(result, whole.made_by): result for result in results}.values())
    if sum(ran.values()) < _FEW:
        return []
    effects = [_passes(results, ran, whole, options.ir_optim)]
    if files.is_json:
        effects.append(Effect("memory optimisation", ON, OFF, "Paddle has none for inference.json, and would fail"))
    else:
        # those that nobody reads have no memory; and a loop makes one result several times
        addresses = {result.name: result.address for result in results if result.address}.values()
        shared = len(set(addresses)) < _SHARED * len(addresses)
        effects.append(Effect("memory optimisation", ON, word(shared)))
    return effects


def _passes(results, ran, whole, asked):
    """The `Effect` of the IR passes, of which oneDNN's operators come too."""
    if whole.branches:
        return Effect("IR passes", word(asked), UNKNOWN, "branches and loops run what the input asks for")
    replaced = sum((Counter(kind.rstrip("_") for kind in whole.kinds) - ran).values())
    why = f"{replaced} of {len(whole.kinds)} operators replaced" if asked or replaced else ""
    return Effect("IR passes", word(asked), word(replaced or _of_onednn(results)), why)


def _of_onednn(results):
    """How many of the results have oneDNN's own memory layout."""
    return sum(result.layout == "ONEDNN" for result in results)


def _made_by(result, made_by):
    """Which operator made the result: one may have several, and the operators of `.json` have numbers."""
    return result.operator if ":" in result.operator else made_by.get(result.name, result.name)


def _kind(result):
    """`conv2d` of `conv2d` and of `pd_op.conv2d:3`; in place (`relu_`) or not is the same."""
    return result.operator.partition(":")[0].rpartition(".")[2].rstrip("_")
