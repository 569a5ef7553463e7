"""Is the accuracy better than chance, and the same wherever it is told?"""

import math
import re
from collections import Counter
from functools import lru_cache

from audit.predicted import left_out, read_exact
from audit.registry import BUNDLE, check, judged, skipped
from audit.retrieval import RECALL, numbers_of_queries, random_share, right_queries
from audit.training import OWN
from expected import parse_rule
from figures import read_lines
from history_file import NAME as HISTORY
from history_file import read_points
from predictions import difference, read_log, read_reference
from train_log import LOG

ACCURACY = ("top1", "acc1", "Acc@1", "top1_acc", "acc", "accuracy", RECALL)  # the share of images that are right
LARGEST_P = 0.01  # of the images that are right, or more, by chance
LEAST_AP50, LEAST_AP = 0.01, 0.001  # of a detector: boxes at random places have less
PREDICTION = 1e-3  # absolute and relative, of a score that a reference file has
_LIST_LINE = re.compile(r"(?P<name>\S.*?)[ \t]+(?P<label>\d+)")


def _evaluations(bundle):
    """[(tag, the step's log, figures)] of the evaluations that passed: `Printed` by name."""
    found = []
    for step in bundle.passed("evaluate"):
        name, value = bundle.figure(step, *ACCURACY)
        figures = {"accuracy": value, "name": name}
        figures.update((key, bundle.figure(step, key)[1]) for key in ("AP", "AP50", "images", "gallery"))
        if name == RECALL:
            figures["images"], figures["judged"] = numbers_of_queries(bundle.log_of(step).lines)
        found.append((step["tag"], step["log"], figures))
    return found


def chance_of(right, images, share):
    """The exact one-sided binomial test: the probability of `right` or more of `images` at the `share` of chance."""
    if share >= 1:
        return 1.0
    logs = math.log(share), math.log1p(-share)
    total = math.lgamma(images + 1)
    return min(1.0, math.fsum(
        math.exp(total - math.lgamma(n + 1) - math.lgamma(images - n + 1) + n * logs[0] + (images - n) * logs[1])
        for n in range(right, images + 1)
    ))  # fmt: skip


@check("better than chance", BUNDLE)
def check_chance(bundle):
    """p < 0.01 by a binomial test against the most frequent class (recall1: a random image); detectors AP50 >= 0.01"""
    faults, words = [], []
    for _, log, figures in _evaluations(bundle):
        if figures["AP"] is not None:
            words.append(f"AP {figures['AP']:g}, AP50 {figures['AP50'] or 0:g}")
            if not (figures["AP"] >= LEAST_AP and (figures["AP50"] is None or figures["AP50"] >= LEAST_AP50)):
                faults.append(f"{log}: {words[-1]}")
            continue
        if figures["accuracy"] is None:
            continue
        accuracy = float(figures["accuracy"])
        if figures["name"] == RECALL:
            numbers = figures["images"], figures["gallery"], figures["judged"]
            images, share, source = random_share(lists_of(bundle), *numbers)
        else:
            images, share, source = _chance(bundle, figures["images"])
        if not images or not share:
            return skipped(
                f"{log} has {figures['name']} {accuracy:g}, and neither the images nor the classes are known"
            )
        if not 0 <= accuracy <= 1:
            faults.append(f"{log}: {figures['name']} {accuracy:g}")
            continue
        right = round(accuracy * images)
        p = chance_of(right, images, share)
        words.append(f"{right} of {images} right, {share:.3f} by chance ({source}), p = {p:.2g}")
        if figures["images"] and abs(right / images - accuracy) > max(figures["accuracy"].half, 1e-6) + 1e-9:
            faults.append(f"{log}: {figures['name']} {accuracy:g} is no share of {images} images")
        elif p >= LARGEST_P:
            faults.append(f"{log}: {words[-1]}")
    if not words and not faults:
        return None
    return judged(f"p < {LARGEST_P:g}; of a detector AP >= {LEAST_AP:g}, AP50 >= {LEAST_AP50:g}",
                  "; ".join(words), faults)  # fmt: skip


def _chance(bundle, images):
    """(number of images, the share that is right by chance, where that is from)."""
    images = int(images) if images else 0
    for name, labels in lists_of(bundle):
        if len(labels) == images or not images:
            most = Counter(labels.values()).most_common(1)[0][1]
            return len(labels), most / len(labels), name
    for entry in bundle["predictions"]:
        if entry["exact"] and entry["engine"] == "training engine" and entry["kind"] in ("classes", "numbers"):
            _, found = read_exact(bundle, entry)
            classes = min((len(one.rows) for one in found.values()), default=0)
            if classes > 1:
                seen = len(found) + left_out(bundle, entry) if entry["step"] == "evaluate" else 0
                return images or seen, 1 / classes, f"{classes} classes of {entry['file']}"
    return images, None, ""


def lists_of(bundle):
    """[(path, {image: label})] of the lists of images that the evaluation may have had: those with `val` or `test` in
    their names first."""
    found = []
    paths = [path for path in bundle.inputs if path.endswith(".txt") and "label" not in path.rpartition("/")[2]]
    for path in sorted(paths, key=lambda path: not re.search(r"val|test|eval", path.rpartition("/")[2])):
        place = bundle.in_repository(path)
        if place and place.is_file() and place.stat().st_size < 1 << 24:
            labels = _labels(place, bundle.hashes.of(place.resolve()))
            found += [(path, labels)] if labels else []
    return found


@lru_cache(maxsize=64)  # the bundles of a repository share their lists
def _labels(place, _):
    """{image: label} of a file with this hash, {} where it is no list of images."""
    lines = place.read_text(encoding="utf-8", errors="replace").splitlines()
    matches = [_LIST_LINE.fullmatch(line.strip()) for line in lines if line.strip()]
    return {match["name"]: int(match["label"]) for match in matches} if all(matches) else {}


@check("accuracy", BUNDLE)
def check_accuracy(bundle):
    """the log of the evaluation, bundle.json, the figure of the step and the history have one accuracy"""
    faults, words = [], []
    for tag, log, figures in _evaluations(bundle):
        name = "AP" if figures["AP"] is not None else figures["name"]
        value = figures["AP"] if figures["AP"] is not None else figures["accuracy"]
        if value is None:
            continue
        words.append(f"{name} {value:g}")
        said = _said(bundle, tag).get(name)
        if said is not None and said != value:
            faults.append(f"figures.evaluate.{name} {said:g}, and {log} has {value:g}")
        step = next(one for one in bundle.passed("evaluate", tag))
        shown = [float(number) for number in re.findall(r"(?<![\w.])-?\d+\.\d+", step["figure"] or "")]
        if shown and not any(abs(number - value) < 1e-9 for number in shown):
            faults.append(f"the figure of '{step['name']}' is {step['figure']!r:.60}, and {log} has {value:g}")
        faults += _others(bundle, tag, log, name, value)
    return judged("the same figure everywhere", ", ".join(words), faults) if words else None


def _said(bundle, tag):
    figures = bundle["figures"]
    others = figures.get("others") or {}
    return (others.get(tag) or figures).get("evaluate") or {}


def _others(bundle, tag, log, name, value):
    """What the history, the end of the training's log, and the exact predictions say otherwise."""
    faults = []
    training = bundle.named(LOG, tag)
    text = bundle.text(training) if training else ""
    best = re.findall(rf"training ended, best: .*?\b{name}: (\d\.\d+)", text)
    is_best = "best_model" in (bundle.passed("evaluate", tag)[0]["command"] or "")
    if best and is_best and abs(float(best[-1]) - value) > 1e-9:
        faults.append(f"{training}: best {name} {best[-1]}, and {log} has {value:g}")
    history = bundle.named(HISTORY, tag)
    if history and OWN in text and is_best:
        evaluated = [point.figures[name] for point in read_points(bundle.path(history)).evals if name in point.figures]
        if evaluated and not any(abs(one - value) <= value.half + 1e-9 for one in evaluated):
            faults.append(f"{history}: no evaluation with {name} {value:g}, the best is {max(evaluated):g}")
    return faults


@check("accuracy recomputed", BUNDLE)
def check_recomputed(bundle):
    """the predictions of the training engine, with the labels of the list of images, give the logged accuracy"""
    evaluated = {tag: (log, figures) for tag, log, figures in _evaluations(bundle) if figures["accuracy"] is not None}
    lists = lists_of(bundle)
    faults, words = [], []
    for entry in bundle["predictions"]:
        tag = entry.get("tag") or next(iter(evaluated), "")
        if tag not in evaluated or not entry["exact"] or entry["kind"] not in ("classes", "embedding"):
            continue
        log, figures = evaluated[tag]
        _, found = read_exact(bundle, entry)
        if entry["kind"] == "embedding":
            fault, said = _other_recall(found, lists, figures)
            words += [f"{said} by {entry['engine']}"] if said else []
            faults += [f"{entry['file']}: {fault}, and {log} says {figures['accuracy']:g}"] if fault else []
            continue
        pairs = next((pairs for _, labels in lists if (pairs := _with_labels(found, labels))), None)
        if not pairs or len(pairs) != int(figures["images"] or len(pairs)):
            continue
        right = sum(max(rows, key=lambda row: row[1])[0] == label for rows, label in pairs)
        logged = round(figures["accuracy"] * len(pairs))
        words.append(f"{right} of {len(pairs)} by {entry['engine']}")
        if right != logged:
            faults.append(f"{entry['file']}: {right} of {len(pairs)} right, and {log} says {logged}")
    if not words:
        return skipped("no list of labels for the predictions here") if bundle.passed("agree") and evaluated else None
    return judged("as many right as logged", "; ".join(words), faults)


def _other_recall(found, lists, figures):
    """(what is wrong with Recall@1 of these embeddings, how many queries find their identity); "" where not known."""
    if figures["name"] != RECALL:
        return "", ""
    counts = right_queries(found, lists, figures["images"], figures["gallery"], figures["judged"])
    if counts is None:
        return "", ""
    least, most = counts
    images = int(figures["judged"] or figures["images"])
    logged = round(figures["accuracy"] * images)
    said = f"{least} of {images}" if least == most else f"{least} to {most} of {images}"
    return ("" if least <= logged <= most else f"{said} right"), said


def _with_labels(found, labels):
    """[(rows, label)] of all predictions; None where an image is not in the list."""
    pairs = []
    for name, prediction in found.items():
        known = [label for listed, label in labels.items() if f"/{listed}".endswith(f"/{name}")]
        if len(known) != 1:
            return None
        pairs.append((prediction.rows, known[0]))
    return pairs


@check("expected figures", BUNDLE)
def check_expected(bundle):
    """the figures and predictions that the config expects of this mode (expected_params) are those of the logs"""
    lines = [line for line in (bundle["config"] or {}).get("lines", []) if line["section"] == "expected_params"]
    lines = [line for line in lines if line["value"] and line["value"] != "null"]
    faults, words = [], []
    for line in lines:
        key, value = line["key"], line["value"]
        if key == "predictions":
            reference = bundle.in_repository(value)
            if reference is None or not reference.is_file():
                continue
            faults += _other_predictions(bundle, value, read_reference(reference))
        elif any(sign in value for sign in ("+-", "±", ">=", "<=")) and "(" not in key:
            found = [(log, figure) for log, figure in _figures_named(bundle, key) if figure is not None]
            faults += [] if found else [f"{key}: expected {value}, no log has it"]
            faults += [f"{log}: {key} {figure:g}, expected {value}" for log, figure in found
                       if not parse_rule(value).holds(figure)]  # fmt: skip
        else:
            continue
        words.append(f"{key} {value}")
    return judged("; ".join(words), "as expected", faults) if words else None


def _figures_named(bundle, key):
    kinds = ("agree",) if key.startswith(("top1_", "bytes_ratio", "latency_ratio")) else ("evaluate", "infer")
    steps = [step for kind in kinds for step in bundle.passed(kind) if step["log"]]
    return [(step["log"], bundle.figure(step, key)[1]) for step in steps]


def _other_predictions(bundle, name, reference):
    """How printed predictions differ from the reference file by more than is allowed."""
    faults = []
    for step in [step for step in bundle.passed("infer") if step["log"]]:
        found = read_log(read_lines(bundle.path(step["log"])), reference)
        for image, expected in reference.items():
            fault = difference(expected, found[image], PREDICTION, PREDICTION) if image in found else "no prediction"
            faults += [f"{step['log']}: {image}: {fault} ({name})"] if fault else []
    return faults
