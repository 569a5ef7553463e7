"""The stage of the weights: are those of the exported model the checkpoint's, and those that evaluate and predict used?

Against the checkpoint by name and by value; where none is known, against the hashes in the recordings. What an export
has made of several tensors (batch norm merged into convolutions) is left to the stage of the network.
"""

from pathlib import Path

from agreement.weights import EQUAL, OTHER, REWRITTEN, check_loaded, compare_weights
from diagnosis.stage import DIFFERS, Stage, differs, not_compared
from diagnosis.weights.checkpoint import find_checkpoint, read_checkpoint
from diagnosis.weights.faults import Comparison, all_initial
from diagnosis.weights.pairing import read_exported
from script import UserError, counted

NAME = "weights"
_ALLOWED = 0.0  # an export copies them
_EXPORT_AGAIN = "export the checkpoint again that evaluate and predict load"
_MOST_FILES = 40  # of a training that kept each epoch


def check_weights(subject):
    """The `Stage` of the exported model's weights."""
    file = _checkpoint_file(subject)
    stage, notes = None, []
    if file:
        try:
            subject.progress(f"weights: reading {file.name}")
            stage = _compare(subject, file).stage(NAME, _others_beside(subject, file))
        except UserError as error:
            notes.append(str(error))
    elif subject.weights_file:
        notes.append(f"{subject.weights_file}: no such file")
    states = _states(subject)
    if stage is None or (stage.result == DIFFERS and _used_the_same(subject, file, states)):
        stage = _against_networks(subject, states, notes)
    for found in (stage, _predict_unloaded(subject, file, states), _other_model(subject)):
        if found is not None and found.result == DIFFERS:
            stage = found
            break
    stage.allowed = _ALLOWED
    stage.more["weights_file"] = str(file) if file else None
    stage.more["steps"] = {step: state._asdict() for step, state in states.items()}
    return stage


def _checkpoint_file(subject):
    """The file of the trained weights: the given one, else that of which most was seen in the recorded networks."""
    if subject.weights_file:
        return find_checkpoint(subject.weights_file)
    loaded = [one for fitting in subject.fittings.values() for one in fitting.network.loaded if one["trained"]]
    there = [one for one in loaded if Path(one["path"]).is_file()]
    return Path(max(there, key=lambda one: (one["found"], -one["tensors"]))["path"]) if there else None


def _compare(subject, file):
    networks = [fitting.network for fitting in subject.fittings.values()]
    return Comparison(read_exported(subject.exported), read_checkpoint(file), file, networks)


def _states(subject):
    """{step: WeightsState} of the exported weights against each recorded network."""
    weights = subject.exported.weights
    return {step: compare_weights(weights, fitting.network) for step, fitting in subject.fittings.items()}


def _used_the_same(subject, file, states):
    """Whether the recorded networks have exactly the exported weights, and some of the checkpoint's: averaged weights,
    or networks that were merged before they were called."""
    if not states or any(state.state != EQUAL for state in states.values()):
        return False
    return not any(_loaded(subject, file, step).fault for step in states)


def _loaded(subject, file, step):
    return check_loaded(subject.fittings[step].network, file, step, subject.exported)


def _against_networks(subject, states, notes):
    """The stage by the hashes of the recorded networks alone."""
    if not states:
        why = notes or ["neither the weights file is known, nor was a network of evaluate or predict recorded"]
        return not_compared(NAME, "; ".join(why))
    step, worst = max(states.items(), key=lambda pair: (pair[1].state == OTHER, pair[1].unknown))
    note = "".join(f"; {one}" for one in notes)
    total = f"all {counted(worst.total, 'tensor')}"
    if worst.state == EQUAL:
        return Stage(NAME, words=f"{total} equal those of the network that {' and '.join(states)} used{note}")
    if worst.state == REWRITTEN:
        return Stage(NAME, words=f"the export rewrote {worst.unknown} of {worst.total} tensors{note}")
    words = f"{worst.unknown} of {counted(worst.total, 'tensor')}{note}"
    if all_initial(read_exported(subject.exported)):
        why = f"the export holds an initialisation (all running means are 0, all variances 1), and {step} used another"
        return differs(NAME, "unloaded", why, "load the checkpoint in the export script before it exports", words=words)
    return differs(NAME, "other_weights", f"they are not those of the network that {step} used", _EXPORT_AGAIN,
                   words=words)  # fmt: skip


def _predict_unloaded(subject, file, states):
    """What is wrong where the export has the checkpoint's weights, and a step used others; None where none did."""
    if not file:
        return None
    for step, state in states.items():
        fault = _loaded(subject, file, step).fault
        if not fault and state.state != OTHER:
            continue
        why = fault or (
            f"{step} used other weights than {file.name}: {state.unknown} of {counted(state.total, 'tensor')} of the "
            "export, which are the file's, are not in its network"
        )
        advice = (
            f"load {file.name} into the network in the script of {step}: the figures of {step} are of other weights"
        )
        return differs(NAME, "predict_unloaded", why, advice, words=f"{state.unknown} of {state.total} tensors")
    return None


def _other_model(subject):
    """What is wrong where infer loaded another model than the exported one; None where it did not."""
    for engine in subject.engines:
        if engine.is_other_model:
            why = f"infer loaded {engine.files[0]}, whose weights are not those of {subject.exported.structure}"
            advice = "give the inference script the folder of the exported model"
            return differs(NAME, "infer_other_model", why, advice, words=engine.name.removeprefix("engine "))
    return None


def _others_beside(subject, file):
    """A function that yields (path, Checkpoint) of the other weights files near the checkpoint, one at a time."""

    def others():
        paths = [*file.parent.glob("*.pdparams"), *file.parent.parent.glob("*/*.pdparams")]
        least = subject.exported.params.stat().st_size // 2  # half precision
        seen = {file.resolve()}
        for path in sorted(paths, key=lambda path: (path.parent != file.parent, not _has_number(path), path)):
            if path.resolve() in seen or len(seen) > _MOST_FILES or path.stat().st_size < least:
                continue
            seen.add(path.resolve())
            subject.progress(f"weights: looking for them in {path}")
            try:
                yield path, read_checkpoint(path)
            except UserError:
                continue  # it is no checkpoint, and nobody named it

    return others


def _has_number(path):
    """`epoch_5` says more than `best`, which is often the same."""
    return any(letter.isdigit() for letter in path.stem)
