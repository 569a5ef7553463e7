"""The second check: does the exported model compute what the network of evaluate (and predict) computed?"""

from agreement import limits
from agreement.behind import steps_for
from agreement.dead import constant_words, ignores_image, is_dead, spreads_of
from agreement.fitting import describe_inputs, fit
from agreement.network_faults import explain, other_weights
from agreement.replay import Replay
from agreement.result import AGREES, DISAGREES, NOT_COMPARED, Result, not_compared
from agreement.rows import keys_of, model_inputs
from agreement.weights import EQUAL, OTHER, REWRITTEN, check_loaded, compare_weights

NAME = "network"


def check_network(exported, recordings, weights_file=None):
    """(the `Result`, the `Replay` behind it or None) of the exported model against what was recorded.

    Args:
        exported: the `Exported` model.
        recordings: {"evaluate": Recording, "predict": Recording}, one of them at least to compare anything.
        weights_file: the file that the steps were told to load, if it is known.
    """
    sources = {}
    for step, recording in recordings.items():
        fittings = fit(recording, exported, ("layer",))
        if fittings:
            sources[step] = fittings[0]
    if not sources:
        return not_compared(NAME, _why_no_source(exported, recordings)), None
    unused = {step: _why_unused(exported, step, source) for step, source in sources.items()} if len(sources) > 1 else {}
    if not all(unused.values()):
        sources = {step: source for step, source in sources.items() if not unused[step]}
    replay = Replay(exported, sources)
    training = _training_fault(sources)
    if not training and not replay.kept:
        return not_compared(NAME, f"the arrays of no call of {' and '.join(sources)} were kept"), None
    states = {step: compare_weights(exported.weights, source.network) for step, source in sources.items()}
    step, worst = max(states.items(), key=lambda pair: pair[1].unknown)
    loaded = {step: check_loaded(source.network, weights_file, step, exported) for step, source in sources.items()}
    if not training:
        replay.run(worst.state == EQUAL)
    result = Result(NAME, more=_figures(sources, worst, replay))
    unloaded = next((one.fault for one in loaded.values() if one.fault), "")
    if training or unloaded:
        result.cause, result.why = ("training_mode", training) if training else ("unloaded", unloaded)
    else:
        _judge(result, replay, worst, step)
    if result.why and result.result == AGREES:
        result.result = DISAGREES
    if result.result == AGREES:
        result.more["outputs"] = {step: _outputs_of(exported, replay, step) for step in sources}
    notes = [one.words for one in loaded.values()]
    left = [step for step in recordings if step not in sources]
    notes += [unused.get(step) or _unused(step, recordings[step]) for step in left]
    result.words = _words(result, replay, worst, notes)
    return result, replay


def _why_unused(exported, step, source):
    """Why the exported model cannot be compared with this network, as long as it can be with another step's; "" where
    it can, or that cannot be tried.

    Scripts that call a backbone and a head one after the other have networks that get the image and give features.
    """
    kept = [pair for pair in zip(source.calls, source.orders) if pair[0].file]
    if not kept or exported.fixed_batch not in (None, kept[0][0].images):
        return ""
    call, orders = kept[0]
    try:
        outputs = exported.run(model_inputs(call, orders[0])[0])
    except RuntimeError:
        why = f"the exported model cannot take the images of {step}, which have another size"
        return "" if source.is_sized else why
    if any(steps_for(array, output) for array in call.arrays("out") for output in outputs):
        return ""
    return f"no network of {step} that gets the image has the outputs of the exported model"


def _unused(step, recording):
    if not recording.calls:
        return f"nothing was observed of {step}"
    return f"no network of {step} has the inputs of the exported model"


def _why_no_source(exported, recordings):
    called = [step for step, recording in recordings.items() if recording.calls]
    if not called:
        lost = next((f": {one.lost}" for one in recordings.values() if one.lost), "")
        return f"nothing was observed of {' or '.join(recordings) or 'evaluate'}{lost}"
    takes = ", ".join(map(str, exported.feeds))
    for step in called:
        words = describe_inputs(recordings[step], ("layer",))
        if words:
            return f"the exported model takes {takes}, and in {step} {words}"
    return f"{' and '.join(called)} called no network in dynamic graph, only exported models"


def _training_fault(sources):
    for step, source in sources.items():
        if any(call.training for call in source.calls):
            return f"in {step} the network was in training mode (dropout, batch norm)"
    return ""


def _judge(result, replay, state, step):
    """Fill in what the comparison of the outputs says: why it disagrees, or that nothing could be compared."""
    if replay.fault:
        why = f"the exported model cannot take the recorded inputs: {replay.fault}"
        sized = all(source.is_sized for source in replay.sources.values())
        result.result, result.cause, result.why = DISAGREES if sized else NOT_COMPARED, "frozen_shape", why
        return
    counted = replay.matches.counted
    if not counted:
        why = f"no output of the export has the shape of one of the network's: {replay.matches.shapes}"
        if state.state == EQUAL:  # the export returns something else: not known to be wrong
            result.result, result.why = NOT_COMPARED, why
        else:
            result.cause = "weights"
            result.why = f"{why}; {state.unknown} of {state.total} of its weights are not those that {step} used"
        return
    if any(match.is_empty for match in counted) and all(match.is_empty or match.total for match in counted):
        result.result, result.why = NOT_COMPARED, "the outputs are empty for all images (no boxes)"
        return
    result.images = sum(replay.images(step) for step in replay.sources)
    result.largest = max(match.largest for match in counted)
    near = _may_be_near(replay, state) and all(match.is_near for match in counted)
    if not near and not replay.matches.is_bitwise:
        result.cause, result.why = explain(replay, state, step)
    elif any(match.nan for match in counted):
        result.cause, result.why = "nan", "its outputs, and those of the network, hold nan"
    elif state.state == OTHER and all(match.total for match in counted):
        # the same class for a few images is no proof
        result.cause, result.why = "weights", other_weights(state, step)
    else:
        result.why = _dead(replay)
        result.cause = result.why and "dead"


def _may_be_near(replay, state):
    """Whether equality bit by bit cannot be expected: another device or batch, lengths of embeddings, or weights that
    the export rewrote."""
    as_it_is = replay.on_gpu or replay.by_rows or replay.matches.is_normalized
    return state.state == REWRITTEN or (state.state == EQUAL and as_it_is)


def _dead(replay):
    """What is wrong where the outputs do not depend on the image, or ""."""
    orders = {id(call): replay.order_of(orders) for call, orders in replay.kept}
    calls = [call for call, _ in replay.kept]
    spreads = spreads_of(calls, lambda call: keys_of(call, orders[id(call)]), lambda call: call.arrays("out"))
    words = constant_words(spreads)
    known = any(spread.share is not None for spread in spreads)
    if known and not words:
        # a detector's boxes depend on the size of the image, too: exchange the images, and leave the rest
        if ignores_image(replay.exported, [(call, orders[id(call)]) for call in calls]):
            return "its outputs stay the same when the images are exchanged: they do not depend on the image"
        return ""
    probe = is_dead(replay.exported, *replay.first)
    if words and probe is not False:
        return words
    if not known and probe:
        return "the exported model gives the same outputs for an image, its mirror image and its negative"
    return ""


def _words(result, replay, state, more):
    """The figures of the line."""
    if not result.images:
        return ""
    counted = replay.matches.counted
    where = " and ".join(_counted(replay, step) for step in replay.sources if replay.images(step))
    if replay.matches.is_bitwise:
        text = f"bitwise equal for {where}"
    else:
        equal = sum(all(match.equal.get(key, True) for match in counted) for key in _keys(counted))
        top = f", {max(match.tops for match in counted)} with another top-{limits.TOP}"
        vectors = "".join(f", {match.embeddings.words}" for match in counted if match.embeddings)
        elements = sum(match.elements for match in counted), sum(match.total for match in counted)
        integers = f", {elements[0]:,} of {elements[1]:,} integers differ" if elements[1] else ""
        text = (
            f"largest difference {result.largest:.3g}, {max(match.share for match in counted):.3g} of the outputs' "
            f"scale ({_allowed(replay, state)}), for {where}, {equal} bitwise equal"
            f"{top if any(match.scored for match in counted) else ''}{vectors}{integers}"
        )
    notes = [*_behind(counted), *_computed(replay), *_rewritten(replay, state), *more]
    unmatched = replay.matches.unmatched
    if unmatched:
        notes.append(f"{unmatched} of {len(replay.matches.names)} outputs of the export have no counterpart")
    notes = list(dict.fromkeys(filter(None, notes)))
    return f"{text} ({'; '.join(notes)})" if notes else text


def _counted(replay, step):
    count = replay.images(step)
    return f"{count} {'image' if count == 1 else 'images'} of {step}"


def _allowed(replay, state):
    return f"at most {replay.limit:.3g} allowed" if _may_be_near(replay, state) else "bitwise equality required"


def _keys(counted):
    return {key for match in counted for key in match.equal}


def _behind(counted):
    proven = [match.step.name for match in counted if match.is_bitwise or match.is_near]
    return [f"{name} is behind the network in the export" for name in dict.fromkeys(proven) if name]


def _computed(replay):
    if replay.threads > 1:
        yield f"with {replay.threads} threads, as they computed it"
    if replay.by_rows:
        yield "image by image, since the batch of the export is fixed"
    if replay.on_gpu:
        yield "they ran on a GPU"


def _rewritten(replay, state):
    if state.state == REWRITTEN and not replay.matches.is_bitwise:
        yield f"the export rewrote {state.unknown} of {state.total} tensors"
    if state.state == OTHER and replay.matches.is_bitwise:
        yield f"{state.unknown} of {state.total} of its tensors are others, without any effect"


def _outputs_of(exported, replay, step):
    """[{output, position, behind, axis}] of the exported model's outputs that equal one of the network's: its position
    among these, and what the export computes behind it, "" for nothing."""
    return [
        {"output": name, "position": match.position, "behind": match.step.name, "axis": match.step.axis}
        for name, match in zip(exported.outputs, replay.matches.best(step))
        if match
    ]


def _figures(sources, state, replay):
    return {
        "network": next(iter(sources.values())).network.layer,
        "steps": list(sources),
        "weights": {"state": state.state, "unknown": state.unknown, "exported": state.total},
        "on_gpu": replay.on_gpu,
    }
