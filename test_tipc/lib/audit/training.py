"""Did the network learn, and does its log tell of one training that is possible?"""

import math

from audit.registry import BUNDLE, check, judged, skipped
from audit.training_lines import FIELDS, read_evaluations, read_lines_of
from convergence import MIN_POINTS, judge
from foreign_log import read_foreign_log
from history_file import NAME as HISTORY
from history_file import HistoryError, read_points
from script import UserError, counted
from train_log import LOG

MIN_ITERATIONS = 100
OWN = "ppcls_lite INFO"  # programs that write it leave a history.jsonl
_CLOCK = 2.0  # seconds by which clocks in lines are coarse


def logs_of(bundle):
    """[(tag, name of its log, text)] of the trainings that passed."""
    found = []
    for tag in bundle.trainings:
        name = bundle.named(LOG, tag) or next((step["log"] for step in bundle.passed("train", tag)), None)
        if name is None:
            raise UserError(f"{LOG} of {tag}: expected in the bundle, not there")
        found.append((tag, name, bundle.text(name)))
    return found


def losses_of(text):
    """[(iteration, loss)] of a log in any format; a loss may be nan."""
    lines = read_lines_of(text)
    if not lines:
        return read_foreign_log(text.splitlines())[0]
    places = [line.iteration or number for number, line in enumerate(lines, 1)]
    losses = [line.figures.get("loss") for line in lines]
    return [(place, float("nan") if loss is None else loss) for place, loss in zip(places, losses)]


@check("100 iterations", BUNDLE)
def check_iterations(bundle):
    """log_train.txt tells of at least 100 iterations, and no loss in it is NaN or infinite"""
    faults, counts = [], []
    for _, name, text in logs_of(bundle):
        points = losses_of(text)
        counts.append(max((place for place, _ in points), default=0))
        if counts[-1] < MIN_ITERATIONS:
            faults.append(f"{name}: {counted(counts[-1], 'iteration')}")
        faults += [f"{name}: loss {loss} at iteration {place}" for place, loss in points if not math.isfinite(loss)]
    if not counts:
        return None
    return judged(f"at least {MIN_ITERATIONS} iterations, finite losses", counted(min(counts), "iteration"), faults)


@check("loss falls", BUNDLE)
def check_loss_falls(bundle):
    """the loss falls, by the rule of lib/convergence.py: a trend of z <= -3, and a fall above 1 % and the noise"""
    faults, words = [], []
    for _, name, text in logs_of(bundle):
        losses = [loss for _, loss in losses_of(text) if math.isfinite(loss)]
        if len(losses) < MIN_POINTS:
            faults.append(f"{name}: {counted(len(losses), 'loss')}, {MIN_POINTS} are needed")
            continue
        fell, found = judge(losses)
        words.append(found)
        faults += [] if fell else [f"{name}: {found}"]
    return judged("a loss that falls", words[0], faults) if words or faults else None


@check("log fields", BUNDLE)
def check_fields(bundle):
    """each line of training carries loss, avg_reader_cost, avg_batch_cost, avg_samples, avg_ips and their units"""
    logs = logs_of(bundle)
    lines = {name: read_lines_of(text) for _, name, text in logs}
    if not logs:
        return None
    if not any(lines.values()):
        return skipped(f"{logs[0][1]} is in the format of another project: no line has any of these fields")
    faults = [f"{name}: no line with these fields" for name, found in lines.items() if not found]
    for name, found in lines.items():
        for line in found:
            missing = [field for field in FIELDS if line.figures.get(field) is None]
            faults += [f"{name}:{line.number}: {', '.join(missing)}: no number"] if missing else []
    count = sum(map(len, lines.values()))
    return judged(", ".join(FIELDS), f"all in {counted(count, 'line')}", faults)


@check("log arithmetic", BUNDLE)
def check_arithmetic(bundle):
    """avg_ips is avg_samples / avg_batch_cost within what rounding hides, and avg_reader_cost at most avg_batch_cost"""
    faults, count = [], 0
    for _, name, text in logs_of(bundle):
        for line in read_lines_of(text):
            figures = [line.figures.get(field) for field in FIELDS][1:]
            if None not in figures:
                count += 1
                faults += [f"{name}:{line.number}: {fault}"] if (fault := _impossible(*figures)) else []
    return judged("figures that belong together", counted(count, "line"), faults) if count else None


def _impossible(reader, batch, samples, ips):
    if min(reader, batch, samples, ips) < 0 or batch + batch.half <= 0 or samples <= 0:
        return f"reader {reader:g} s, batch {batch:g} s, {samples:g} samples, {ips:g} images/s"
    if reader - reader.half > batch + batch.half:
        return f"avg_reader_cost {reader:g} above avg_batch_cost {batch:g}"
    least = (samples - samples.half) / (batch + batch.half) - ips.half
    most = (samples + samples.half) / max(batch - batch.half, 1e-12) + ips.half
    if not least * (1 - 1e-9) <= ips <= most * (1 + 1e-9):
        return f"avg_ips {ips:g}, and {samples:g} samples in {batch:g} s are {samples / max(batch, 1e-12):g}"
    return ""


@check("log order", BUNDLE)
def check_order(bundle):
    """the lines of a log are one training: iterations in order, clocks that go on, and costs that fit in between"""
    faults, count = [], 0
    for _, name, text in logs_of(bundle):
        lines = [line for line in read_lines_of(text) if line.epoch]
        count += len(lines)
        for line, after in zip(lines, lines[1:]):
            place = f"{name}:{after.number}"
            if after.iteration <= line.iteration:
                faults.append(f"{place}: iteration {after.iteration} after {line.iteration}")
            elif line.clock and after.clock:
                faults += [f"{place}: {fault}"] if (fault := _clock_fault(line, after)) else []
    return judged("one training, line after line", counted(count, "line"), faults) if count else None


def _clock_fault(line, after):
    passed = (after.clock - line.clock).total_seconds()
    if passed < 0:
        return f"its clock is {-passed:g} s before that of the line before"
    cost = after.figures.get("avg_batch_cost")
    if cost is not None and after.epoch == line.epoch:
        needed = (after.step - line.step) * cost
        if needed > passed + _CLOCK:
            return f"{after.step - line.step} iterations of {cost:g} s in {passed:g} s"
    return ""


@check("history", BUNDLE)
def check_history(bundle):
    """history.jsonl tells the same losses as log_train.txt, and the same accuracies, but for rounding"""
    faults, count = [], 0
    for tag, name, text in logs_of(bundle):
        history = bundle.named(HISTORY, tag)
        if history is None:
            faults += [f"{HISTORY}: missing, and {name} is of a program that writes one"] if OWN in text else []
            continue
        try:
            points = read_points(bundle.path(history))
        except HistoryError as error:
            raise UserError(str(error).replace(f"{bundle.folder}/", "")) from None
        said = {point.iteration: point for point in points.train}
        lines = [line for line in read_lines_of(text) if line.iteration]
        count += len(lines)
        found = {line.iteration for line in lines}
        if found != set(said):
            other = min(found ^ set(said))
            faults.append(f"{name} and {history}: iteration {other} in one of them only")
        faults += [fault for line in lines if (fault := _differs(name, line, said.get(line.iteration)))]
        faults += _other_accuracies(name, text, points, lines[0].steps if lines else 0)
    return judged("the same losses in both", counted(count, "line"), faults) if count or faults else None


def _differs(name, line, point):
    if point is None:
        return ""
    pairs = (("loss", point.loss), ("avg_reader_cost", point.reader_cost), ("avg_batch_cost", point.batch_cost))
    for field, exact in pairs:
        printed = line.figures.get(field)
        if printed is not None and not abs(printed - exact) <= printed.half + 1e-9:
            return f"{name}:{line.number}: {field} {printed:g}, and the history has {exact:g}"
    return ""


def _other_accuracies(name, text, points, steps):
    """Evaluations that the history tells otherwise."""
    said = {point.iteration: point.figures for point in points.evals}
    faults = []
    for epoch, figures in read_evaluations(text).items():
        for key, exact in said.get(epoch * steps, {}).items():
            printed = figures.get(key)
            if printed is not None and not abs(printed - exact) <= printed.half + 1e-9:
                faults.append(f"{name}: {key} {printed:g} after epoch {epoch}, and the history has {exact:g}")
    return faults


@check("log of this step", BUNDLE)
def check_log_of_step(bundle):
    """log_train.txt was written while the step train ran, and its lines are in that step's log"""
    faults, count = [], 0
    for tag, name, text in logs_of(bundle):
        step = bundle.passed("train", tag)[0]
        if not step["log"] or step["log"] == name:
            continue
        own = [line for line in text.splitlines() if line.strip()]
        said = set(bundle.log_of(step).lines)
        lost = [line for line in own if line not in said]
        count += len(own)
        if len(lost) > len(own) // 100 and OWN in text:
            faults.append(f"{name}: {counted(len(lost), 'line')} that {step['log']} has not, such as {lost[0]:.80}")
    return judged("the lines of the step's log", counted(count, "line"), faults) if count else None
