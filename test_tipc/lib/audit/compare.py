"""A bundle against that of another run of the same work: the entrant's against the reviewer's own."""

from math import isfinite, sqrt
from statistics import median
from typing import NamedTuple

from audit.accuracy import ACCURACY
from audit.logs import same_commit
from audit.pairing import Pair
from audit.registry import COMPARISON, check, judged, skipped
from audit.training import logs_of, losses_of
from convergence import MIN_POINTS, noise
from script import counted


class Tolerance(NamedTuple):
    """How far two runs may be apart.

    first: the first loss of the log, as a share of it; every: all losses, or None where they may part; last: the median
    of the last tenth, as a share; sigmas: of the accuracies, as two samples of images, None for equality; prediction:
    scores from the same weights.
    """

    first: float
    every: object
    last: float
    sigmas: object
    prediction: float


# the first rounding that differs grows with each update: after some hundred only the course of a training is the same
TOLERANCES = {
    "same machine": Tolerance(1e-5, 1e-5, 1e-5, None, 1e-6),
    "other processor": Tolerance(1e-3, None, 0.15, 3.0, 1e-4),
    "GPU": Tolerance(1e-2, None, 0.15, 3.0, 1e-3),
    "other versions": Tolerance(1e-2, None, 0.15, 3.0, 1e-4),
}
_ORDER = tuple(TOLERANCES)


class Comparison:
    """Two bundles, and how far they may be apart: `relation` is a key of TOLERANCES, the loosest that applies."""

    def __init__(self, ours, theirs, allow_stale=False):
        self.ours, self.theirs, self.allow_stale = ours, theirs, allow_stale
        self.label = f"{ours.label} against {theirs.label}"
        self.relation = max(self._relations(), key=_ORDER.index)
        self.tolerance = TOLERANCES[self.relation]

    def _relations(self):
        found = ["same machine"]
        if _paddle(self.ours) != _paddle(self.theirs):
            found.append("other versions")
        if self.machine("processor") or self.machine("cores"):
            found.append("other processor")
        if _on_gpu(self.ours) != _on_gpu(self.theirs) or (_on_gpu(self.ours) and self.machine("gpus")):
            found.append("GPU")
        return found

    def machine(self, key):
        """(ours, theirs) where the machines differ in it; None where they do not."""
        pair = tuple((bundle["machine"] or {}).get(key) for bundle in (self.ours, self.theirs))
        return pair if pair[0] != pair[1] else None


def _paddle(bundle):
    return next(
        (bundle["versions"][name] for name in ("paddlepaddle-gpu", "paddlepaddle") if name in bundle["versions"]), ""
    )


def _on_gpu(bundle):
    return any(
        step["tag"].startswith("gpu") or "gpus_0" in step["tag"]
        for step in bundle.own_steps
        if step["result"] == "passed"
    )


@check("same work", COMPARISON)
def check_work(pair):
    """both are of one model, mode and chain"""
    keys = ("model", "mode", "chain")
    faults = [
        f"{key} {pair.ours[key]!r:.60} and {pair.theirs[key]!r:.60}"
        for key in keys
        if pair.ours[key] != pair.theirs[key]
    ]
    return judged("one model, mode and chain", ", ".join(str(pair.ours[key]) for key in keys), faults)


@check("two runs", COMPARISON)
def check_runs(pair):
    """they are of two runs: a bundle is equal to its own copy, which proves nothing"""
    ours, theirs = ((bundle["started"], bundle["ended"], bundle["machine"]) for bundle in (pair.ours, pair.theirs))
    faults = [f"one run twice, from {ours[0]} to {ours[1]}"] if ours == theirs and ours[0] else []
    return judged("two runs", f"started {ours[0]} and {theirs[0]}", faults)


@check("same versions", COMPARISON)
def check_versions(pair):
    """the versions of Python and of all packages are the same; other ones are a note, and have wider tolerances"""
    ours, theirs = pair.ours["versions"], pair.theirs["versions"]
    if not (ours and theirs):
        return judged("versions in both", "", ["no versions in one of them"])
    other = [
        f"{name} {ours.get(name, 'none')} and {theirs.get(name, 'none')}"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    if other:
        return skipped(f"other versions: {'; '.join(other)}")
    return judged("one set of versions", counted(len(ours), "version"), [])


@check("same machine", COMPARISON)
def check_machine(pair):
    """processor, cores and GPUs are the same; another machine is a note, and has wider tolerances"""
    if not all((bundle["machine"] or {}).get("processor") for bundle in (pair.ours, pair.theirs)):
        return judged("a processor in both", "", ["no processor in one of them"])
    other = [
        f"{key} {found[0]} and {found[1]}" for key in ("processor", "cores", "gpus") if (found := pair.machine(key))
    ]
    if other:
        return skipped(f"{'; '.join(other)}: the tolerances of '{pair.relation}' apply")
    return judged("one kind of machine", f"{(pair.ours['machine'] or {}).get('processor')}", [])


@check("same commit", COMPARISON)
def check_commit(pair):
    """both are of one commit of the project, with a clean tree; with --allow_stale another one is a note"""
    ours, theirs = ((bundle["project"] or {}).get("commit") or "none" for bundle in (pair.ours, pair.theirs))
    if not same_commit(ours, theirs):
        words = f"commits {ours:.12} and {theirs:.12}"
        return skipped(words) if pair.allow_stale else judged("one commit", "", [words])
    unclean = [
        bundle.label for bundle in (pair.ours, pair.theirs) if bundle["project"] and not bundle["project"]["clean"]
    ]
    return judged("one commit, clean", f"{ours:.12}", [f"{label}: with changes" for label in unclean])


@check("same config", COMPARISON)
def check_config(pair):
    """the config has the same lines, for this mode, and the trainings the same seeds"""
    ours, theirs = ([(line["key"], line["value"]) for line in (bundle["config"] or {}).get("lines", [])]
                    for bundle in (pair.ours, pair.theirs))  # fmt: skip
    faults = [f"only in {pair.ours.label}: {key}:{value}" for key, value in ours if (key, value) not in theirs]
    faults += [f"only in {pair.theirs.label}: {key}:{value}" for key, value in theirs if (key, value) not in ours]
    seeds = pair.ours["seeds"], pair.theirs["seeds"]
    faults += [f"seed {name}: {seeds[0].get(name)} and {seeds[1].get(name)}" for name in sorted({*seeds[0], *seeds[1]})
               if seeds[0].get(name) != seeds[1].get(name)]  # fmt: skip
    return judged("one config, the same seeds", f"{len(ours)} lines, {counted(len(seeds[0]), 'seed')}", faults)


@check("same data", COMPARISON)
def check_data(pair):
    """the data of the lineage has the same hashes"""
    ours, theirs = ({one.get("path") or one["id"]: one["sha256"] for one in bundle["lineage"] if one["kind"] == "data"}
                    for bundle in (pair.ours, pair.theirs))  # fmt: skip
    faults = [f"{path}: {ours.get(path) or 'none'!s:.12} and {theirs.get(path) or 'none'!s:.12}"
              for path in sorted({*ours, *theirs}) if ours.get(path) != theirs.get(path)]  # fmt: skip
    return judged("the same hashes", f"{len(ours)} of the lineage", faults) if ours or theirs else None


@check("same verdict", COMPARISON)
def check_verdicts(pair):
    """both runs passed as a whole, and their predictions were compared"""
    faults = [f"{bundle.label}: {bundle['verdict']['sentence']}" for bundle in (pair.ours, pair.theirs)
              if not all(bundle["verdict"][key] for key in ("passed", "whole", "compared"))]  # fmt: skip
    return judged("both passed", pair.ours["verdict"]["sentence"], faults)


@check("same losses", COMPARISON)
def check_losses(pair):
    """the losses of both logs: the first, on the same machine all, and the median of the last tenth"""
    ours, theirs = ([losses_of(text) for _, _, text in logs_of(bundle)] for bundle in (pair.ours, pair.theirs))
    if not ours and not theirs:
        return None
    faults, words, limit = [], [], pair.tolerance
    if len(ours) != len(theirs):
        faults.append(f"{counted(len(ours), 'training')} and {len(theirs)}")
    for first, second in zip(ours, theirs):
        if [place for place, _ in first] != [place for place, _ in second]:
            faults.append(f"logs of {len(first)} and {len(second)} lines, or of other iterations")
            continue
        faults += _other_losses(first, second, limit, words)
    expected = f"the first within {limit.first:g}, " + (f"all within {limit.every:g}, " if limit.every else "")
    return judged(f"{expected}the last within {limit.last:g} ({pair.relation})", "; ".join(words), faults)


def _other_losses(first, second, limit, words):
    """Faults of two lists of (iteration, loss); adds what was found to `words`."""
    faults = []
    apart = [(abs(b - a) / max(abs(a), 1e-12), place) for (place, a), (_, b) in zip(first, second)]
    losses = [[loss for _, loss in points] for points in (first, second)]
    part = max(len(first) // 10, min(len(first), 3))
    ends = [median(values[-part:]) for values in losses]
    allowed = limit.last * abs(ends[0])
    if limit.every is None and min(map(len, losses)) >= MIN_POINTS and all(map(isfinite, [*losses[0], *losses[1]])):
        allowed = max(allowed, 2 * max(map(noise, losses)))
    last = f"at last {ends[0]:.5f} and {ends[1]:.5f}"
    words.append(f"first {apart[0][0]:.2g}, largest {max(apart)[0]:.2g} at iteration {max(apart)[1]}, {last}")
    if not apart[0][0] <= limit.first:
        faults.append(f"the first losses are {apart[0][0]:.2g} apart")
    if limit.every is not None and not max(apart)[0] <= limit.every:
        faults.append(f"the losses at iteration {max(apart)[1]} are {max(apart)[0]:.2g} apart")
    if not abs(ends[0] - ends[1]) <= allowed:
        faults.append(f"at last {ends[0]:.5f} and {ends[1]:.5f}, {allowed:.3g} is allowed")
    return faults


@check("same accuracy", COMPARISON)
def check_accuracies(pair):
    """the accuracies are equal on the same machine; elsewhere within 3 standard deviations of two samples of images"""
    faults, words, sigmas = [], [], pair.tolerance.sigmas
    for first, second in zip(pair.ours.passed("evaluate"), pair.theirs.passed("evaluate")):
        name, ours = pair.ours.figure(first, *ACCURACY, "AP")
        theirs = pair.theirs.figure(second, name)[1] if name else None
        images = pair.ours.figure(first, "images")[1]
        if ours is None or theirs is None:
            continue
        words.append(f"{name} {ours:g} and {theirs:g}")
        same_weights = first["facts"].get("weights") == second["facts"].get("weights")
        allowed = 1e-9 if sigmas is None else _deviation(ours, theirs, images) * sigmas
        allowed = 1.5 / images if same_weights and images and sigmas is not None else allowed
        if not abs(ours - theirs) <= allowed:
            faults.append(f"{words[-1]}: {allowed:.3g} is allowed")
    expected = "equal" if sigmas is None else f"within {sigmas:g} standard deviations; one image from the same weights"
    return judged(f"{expected} ({pair.relation})", "; ".join(words), faults) if words else None


def _deviation(first, second, images):
    """The standard deviation of the difference of two shares, each of so many images."""
    share = (first + second) / 2
    return sqrt(max(2 * share * (1 - share), 1 / (images or 1)) / (images or 1)) if images else 0.05


@check("same predictions", COMPARISON)
def check_predictions(pair):
    """from the same weights: the scores of each file of predictions; other weights are a note"""
    entries = {(one["step"], one["file"].rpartition("/")[2]): one for one in pair.theirs["predictions"]}
    faults, words = [], []
    if not pair.ours["predictions"]:
        return None
    weights = [{step["facts"][key] for step in bundle.own_steps for key in ("weights", "model") if key in step["facts"]}
               for bundle in (pair.ours, pair.theirs)]  # fmt: skip
    if weights[0] != weights[1]:
        return skipped(
            f"other weights were trained ({pair.relation}); each bundle's predictions are compared by its own checks"
        )
    for entry in pair.ours["predictions"]:
        other = entries.get((entry["step"], entry["file"].rpartition("/")[2]))
        if other is None:
            faults.append(f"{entry['file']}: in one of them only")
            continue
        both = Pair(pair.ours, entry, pair.theirs, other, pair.tolerance.prediction)
        faults += [f"{entry['file']}: {fault}" for fault in both.faults()]
        words.append(f"{entry['file'].rpartition('/')[2]} {both.largest:.2g}")
    return judged(f"scores within {pair.tolerance.prediction:g} ({pair.relation})", "; ".join(words), faults)
