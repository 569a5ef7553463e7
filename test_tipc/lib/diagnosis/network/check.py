"""The stage of the network: does the exported model, in strict mode, compute what the trained network did?

Where it does not, the first operator that parts from it is looked for.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from agreement.result import AGREES, NOT_COMPARED
from agreement.rows import model_inputs
from diagnosis.network.causes import cause_of, named, told, training_mode_of
from diagnosis.network.operators import Comparison, main_output
from diagnosis.network.trace import Trace
from diagnosis.stage import DIFFERS, Stage, not_compared

NAME = "network"
LIMIT = 1800  # seconds that the program of a large network may take with all its outputs
_ADVICE = {
    "random": "call model.eval() before the export, and leave random operators out of it",
    "batch_norm": "call model.eval() before the export",
    "training_mode": "call model.eval() before predicting and evaluating",
    "frozen_shape": "export with the input shape that is used (InputSpec with -1 or None for sides that vary)",
    "weights": "export the checkpoint that was evaluated",
    "unloaded": "load the checkpoint into the network: set_state_dict, with the names that it has",
    "nan": "look for the layer whose numbers overflow: its input may not be normalised",
    "dead": "train again: the network gives every image the same answer",
    "function": "compare the code of forward in the export with that of the training",
}


def check_network(subject):
    """The `Stage` of the recorded outputs of the trained network against the exported model in strict mode."""
    result, replay = subject.network
    if result.result == NOT_COMPARED:
        return _frozen(subject, result, replay) or not_compared(NAME, result.why)
    stage = Stage(NAME, words=result.words, largest=result.largest)
    stage.more = {"images": result.images, "weights": result.more.get("weights")}
    if result.result == AGREES:
        return stage
    stage.result, stage.why, stage.cause = DIFFERS, result.why, result.cause or "function"
    stage.words = re.sub(r"^largest difference [^,]*, ", "", stage.words)  # the line begins with it
    behind = stage.cause.removesuffix("_missing")
    advice = f"apply {behind} behind the exported model, or export it with the network"
    stage.advice = _ADVICE.get(stage.cause, advice)
    if stage.cause == "frozen_shape":
        _explain_refusal(stage, subject)
    elif stage.cause not in ("training_mode", "unloaded", "dead", "weights"):
        _find_operator(stage, subject, replay)
    return stage


def _explain_refusal(stage, subject):
    """Why the export cannot take the inputs: an operator in training mode, or else the shape that Paddle names."""
    with tempfile.TemporaryDirectory(prefix="diagnose_") as folder:
        program = run_program(subject.exported, None, Path(folder))
        cause = None if isinstance(program, str) else training_mode_of(program)
    if cause:
        stage.cause, stage.advice = cause.name, cause.advice
        stage.why = f"{cause.words}, and Paddle Inference cannot run it: {stage.why.rpartition(': ')[2]}"


def _frozen(subject, result, replay):
    """The `Stage` of an export whose outputs have another shape since one was frozen; None where that is not so."""
    if replay is None or not replay.traced:
        return None
    stage = Stage(NAME, DIFFERS, words=result.why, cause="function")
    _find_operator(stage, subject, replay)
    return stage if stage.cause == "frozen_shape" else None


def _find_operator(stage, subject, replay):
    """Name the first operator that parts from the network, where the network's operators were noted."""
    traced = sorted(replay.traced, key=lambda pair: pair[0].images)  # one image says as much as a batch, and sooner
    if not traced:
        stage.details.append(
            "the operators of the network were not noted: predict with TIPC_OBSERVE_DEEP=1 names the first"
        )
        return
    traced = _of_one_network(traced)
    agreeing = [_agrees(replay, pair) for pair in traced]
    call, orders = next((pair for pair, agrees in zip(traced, agreeing) if not agrees), traced[0])
    arrays, _ = model_inputs(call, replay.order_of(orders))
    fixed = subject.exported.fixed_batch
    if fixed not in (None, call.images):
        stage.details.append(
            f"operators are not compared: the export takes batches of {fixed}, the network got {call.images}"
        )
        return
    subject.progress("computing the output of every operator of the export")
    with tempfile.TemporaryDirectory(prefix="diagnose_") as folder:
        trace = run_program(subject.exported, arrays, Path(folder), replay.threads)
        if isinstance(trace, str):
            stage.details.append(f"the operators of the export cannot be computed one by one: {trace}")
            return
        for limit in (replay.limit, 0.0):  # a difference that is smaller still has a first operator
            comparison = Comparison(Trace(call.trace), trace, limit)
            parting = comparison.parting
            if parting is not None:
                _describe(stage, comparison, parting, (sum(agreeing), len(traced)))
                break


def _of_one_network(traced):
    """The traced calls of the network with the most operators: an evaluation's often has no softmax behind it, which a
    prediction's has."""
    first = {call.network: call for call, _ in reversed(traced)}
    counts = {network: len(Trace(call.trace).operators) for network, call in first.items()}
    most = max(counts, key=counts.get)
    return [pair for pair in traced if pair[0].network == most]


def _agrees(replay, pair):
    try:
        return replay.agrees_on(*pair)
    except RuntimeError:
        return False


def run_program(exported, arrays, folder, threads=1):
    """The `Trace` of the exported program for one array for each of its inputs; or why it has none, in words.

    With None for the arrays its operators are listed only.
    """
    inputs, trace = "-", folder / "program.trace"
    if arrays is not None:
        inputs = folder / "inputs.npz"
        np.savez(inputs, **{feed.name: array for feed, array in zip(exported.feeds, arrays)})
    lib = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-W", "ignore", lib / "diagnosis/network/program.py", exported.structure, inputs, trace]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIPC_OBSERVE")}
    environment.update(PYTHONPATH=str(lib), OMP_NUM_THREADS=str(threads), GLOG_minloglevel="4")
    try:
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {LIMIT} seconds"
    if done.returncode < 0:
        return f"Paddle ended with signal {-done.returncode}"
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        return lines[-1][:200]
    return Trace(trace)


def _describe(stage, comparison, parting, takes_export):
    """Write what was found into the stage: the operator, both values, and the curve of all operators."""
    program = comparison.program
    cause = cause_of(parting, program, takes_export)
    stage.more["operators"] = _curve(comparison, parting)
    if parting.operator is None and stage.cause != "function":
        return  # what is missing behind the export is known already
    stage.cause, stage.why, stage.advice = cause
    if parting.operator is None:
        return
    operator, output = parting.operator, parting.operator.outputs[main_output(parting.operator)]
    total = len(program.operators)
    known = {one.name: list(one.shape) for other in program.operators for one in other.outputs}
    shapes = ", ".join(f"{one['name']} {known.get(one['name'], one['shape'])}" for one in operator.inputs)
    attributes = ", ".join(f"{name}={value}" for name, value in operator.attributes.items()) or "none"
    stage.details += [
        f"first operator that differs: {named(operator)} {list(output.shape)}, {operator.number + 1} of {total}",
        f"its inputs: {shapes}; its attributes: {attributes}",
    ]
    if parting.counterpart is not None:
        stage.details.append(f"the network has there: {told(parting.counterpart)}, {_values(parting)}")
    stage.more["operator"] = {
        "number": operator.number + 1, "of": total, "type": operator.type, "name": output.name,
        "shape": list(output.shape), "attributes": operator.attributes, "inputs": operator.inputs,
        "layer": parting.counterpart.layer if parting.counterpart else "",
        "expected": parting.values and parting.values[0], "found": parting.values and parting.values[1],
    }  # fmt: skip


def _values(parting):
    shape = list(parting.counterpart.outputs[0].shape)
    if parting.values is None:
        return f"whose output is {shape}"
    expected, found = parting.values
    return f"where it differs most, {expected:.6g} in the network and {found:.6g} in the export"


def _curve(comparison, parting):
    """[{number, type, layer, share}] of the program's operators that have a counterpart."""
    known = comparison.program.operators
    return [
        {"number": number + 1, "type": known[number].type,
         "name": known[number].outputs[main_output(known[number])].name, "share": share}
        for number, share in parting.curve
    ]  # fmt: skip
