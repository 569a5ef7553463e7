"""Do all ways to predict agree? Computed again from the files of predictions, not read from what says so."""

import math
import re

from audit.predicted import applied, read, scores
from audit.registry import BUNDLE, check, judged
from predictions import Prediction, difference
from script import counted

TOP = 5
DEAD = 1e-6  # a network whose outputs for two images differ by less has seen neither
_ROUNDING = 1e-7  # of softmax in double precision, which the engine computes in single
_AGREED = re.compile(r"^(?P<engine>\w+): largest difference (?P<largest>\S+) .*?(?P<same>\d+) of (?P<images>\d+) images? bitwise", re.MULTILINE)


class _Pair:
    """Two entries of `predictions`, and how far they are from each other."""

    def __init__(self, bundle, entry, other):
        self.entry, self.other = entry, other
        self.behind, self.expected = read(bundle, other)
        own, self.found = read(bundle, entry)
        self.behind = None if own == self.behind else self.behind
        self.exact = entry["exact"] and other["exact"]
        self.limit = entry["limit"] if entry["limit"] is not None else 0.0
        self.common = [name for name in self.found if name in self.expected]
        self.largest, self.equal, self.tops = 0.0, 0, 0

    def faults(self):
        """What differs, in words; sets `largest`, `equal` and `tops`, the images with the same top-5."""
        fewest = min(len(self.found), len(self.expected))
        if not self.common or len(self.common) < fewest:
            names = sorted(set(self.found) ^ set(self.expected))[:1]
            return [f"{len(self.common)} images are in both of {len(self.found)} and {len(self.expected)} ({names})"]
        compare = self._exact_fault if self.exact else self._printed_fault
        return [f"{name}: {fault}" for name in self.common if (fault := compare(name))]

    def _exact_fault(self, name):
        expected, found = applied(self.behind, self.expected[name]), self.found[name]
        ours, theirs = scores(expected), scores(found)
        if ours is None or theirs is None:
            self.equal += expected == found
            return difference(expected, found, self.limit, 0.0)
        if ours.keys() != theirs.keys():
            return f"{counted(len(theirs), 'number')}, not {len(ours)}"
        apart = max((abs(theirs[key] - score) for key, score in ours.items()), default=0.0)
        self.largest = max(self.largest, apart)
        self.equal += ours == theirs
        limit = self.limit + (_ROUNDING if self.behind else 0.0)
        if not apart <= limit * max(1.0, *map(abs, ours.values())) or not math.isfinite(apart):
            return f"largest difference {apart:g}, at most {self.limit:g} is allowed"
        self.tops += _same_top(ours, theirs, 2 * limit)
        return "" if _same_top(ours, theirs, 2 * limit) else "another top-5"

    def _printed_fault(self, name):
        expected, found = self.expected[name], self.found[name]
        if expected.kind == found.kind == "classes":
            count = min(len(expected.rows), len(found.rows))
            expected, found = _best(expected, count), _best(found, count)
        fault = difference(expected, found, self.limit, 0.0)
        self.tops += not fault
        return fault


def _best(prediction, count):
    """The first `count` classes; those that were printed are the best already."""
    rows = sorted(prediction.rows, key=lambda row: -row[1]) if len(prediction.rows) > count else prediction.rows
    return Prediction(prediction.kind, rows[:count])


def _same_top(ours, theirs, limit):
    """Whether both have the same best classes; those in a tie may change places."""
    best = sorted(ours, key=lambda key: -ours[key])[:TOP]
    others = sorted(theirs, key=lambda key: -theirs[key])[:TOP]
    return all(abs(ours[a] - ours[b]) <= limit for a, b in zip(best, others) if a != b)


def _pairs(bundle):
    """[(entry, `_Pair`)] of all entries that name another one."""
    by_file = {}
    for entry in bundle["predictions"]:
        by_file.setdefault(entry["file"], entry)
    for entry in bundle["predictions"]:
        if entry["against"] in by_file:
            yield entry, _Pair(bundle, entry, by_file[entry["against"]])


@check("predictions agree", BUNDLE)
def check_agree(bundle):
    """computed again: each file of predictions equals the one that it is compared with, within its limit, same top-5"""
    if not bundle["predictions"]:
        return None
    faults, words = [], []
    for entry, pair in _pairs(bundle):
        found = pair.faults()
        faults += [f"{entry['file']} against {entry['against']}: {fault}" for fault in found]
        words.append(f"{counted(len(pair.common), 'image')} of {entry['engine']}")
    files = {entry["file"] for entry in bundle["predictions"]}
    lost = [entry for entry in bundle["predictions"] if entry["against"] and entry["against"] not in files]
    faults += [f"{entry['file']}: it is compared with {entry['against']}, which is no file of predictions" for entry in lost]
    return judged("equal within their limits, printed ones within rounding", "; ".join(words), faults)


@check("predictions there", BUNDLE)
def check_there(bundle):
    """predict, each inference and each client have left predictions, and all but one are compared with another"""
    kinds = ("predict", "infer", "client")
    steps = [step for kind in kinds for step in bundle.passed(kind)]
    entries, faults = bundle["predictions"], []
    for step in steps:
        own = [entry for entry in entries if entry["step"] == step["name"] and entry.get("tag", step["tag"]) == step["tag"]]
        if not own:
            faults.append(f"none of '{step['name']}'")
        elif step["name"].split(" ")[0] != "predict" and not any(entry["against"] for entry in own) and bundle.passed("predict"):
            faults.append(f"those of '{step['name']}' are compared with nothing")
    for entry in entries:
        if entry["images"] is not None:
            count = len(read(bundle, entry)[1])
            if count != entry["images"] or not count:
                faults.append(f"{entry['file']}: {counted(count, 'image')}, not {entry['images']}")
    if not steps and not entries:
        return None
    return judged("predictions of each way to predict", f"{len(entries)} files of {counted(len(steps), 'step')}", faults)


@check("live network", BUNDLE)
def check_dead(bundle):
    """the outputs differ between images: a network that gives one answer to all has learned nothing, or is not loaded"""
    faults, count = [], 0
    exact = {(entry["step"], entry.get("tag")) for entry in bundle["predictions"] if entry["exact"]}
    for entry in bundle["predictions"]:
        if not entry["exact"] and (entry["step"], entry.get("tag")) in exact:
            continue  # two decimals may hide what the file of full precision shows
        found = list(read(bundle, entry)[1].values())
        if len(found) < 2:
            continue
        count += 1
        if all(_is_same(found[0], other) for other in found[1:]):
            faults.append(f"{entry['file']}: the same for all {len(found)} images")
    return judged("outputs that differ between images", counted(count, "file"), faults) if count else None


def _is_same(first, second):
    ours, theirs = scores(first), scores(second)
    if ours is None or theirs is None:
        return first == second and bool(first.rows)
    return ours.keys() == theirs.keys() and all(abs(theirs[key] - score) <= DEAD for key, score in ours.items())


@check("figures of the comparison", BUNDLE)
def check_figures(bundle):
    """largest differences and equal images in agree.log, agree.json and bundle.json are those computed again"""
    faults, words = [], []
    saved = _saved_figures(bundle)
    for entry, pair in _pairs(bundle):
        engine = re.sub(r"\.json$", "", entry["file"].rpartition("/")[2])
        figures = saved.get((entry.get("tag"), engine)) or saved.get(("", engine))
        if not entry["exact"] or not figures:
            continue
        pair.faults()
        words.append(f"{engine} {pair.largest:.3g}")
        largest = figures.get("largest")
        if isinstance(largest, (int, float)) and abs(largest - pair.largest) > 1e-12 + 1e-6 * pair.largest:
            faults.append(f"{engine}: largest difference {largest:g}, computed again {pair.largest:g}")
        if figures.get("images") not in (None, len(pair.common)):
            faults.append(f"{engine}: {figures['images']} images, found {len(pair.common)}")
        unequal = len(pair.common) - pair.equal
        if figures.get("bitwise_mismatches") not in (None, unequal):
            faults.append(f"{engine}: {figures['bitwise_mismatches']} images differ, computed again {unequal}")
    faults += _other_lines(bundle)
    if not words and not faults:
        return None
    return judged("figures as computed again", ", ".join(words), faults)


def _saved_figures(bundle):
    """{(tag, engine): figures} of the content of agree.json in bundle.json."""
    figures = bundle["figures"]
    parts = {"": figures.get("agree"), bundle["tag"]: figures.get("agree")}
    parts.update({tag: one.get("agree") for tag, one in (figures.get("others") or {}).items()})
    return {
        (tag, one["engine"]): one
        for tag, content in parts.items() if isinstance(content, list)
        for one in content if isinstance(one, dict) and isinstance(one.get("engine"), str)
    }  # fmt: skip


def _other_lines(bundle):
    """Where agree.json or a line of agree.log has other figures than bundle.json."""
    faults, figures = [], bundle["figures"].get("agree")
    if not isinstance(figures, list):
        return faults
    name = next((name for name in bundle["files"] if re.search(r"(^|_)agree\.json$", name)), None)
    if name and len(bundle.trainings) < 2 and _without_paths(bundle.json(name)) != _without_paths(figures):
        faults.append(f"{name}: other figures than in bundle.json")
    said = {one["engine"]: one for one in figures if "engine" in one}
    for step in [step for step in bundle.passed("agree") if step["name"] == "agree" and step["log"]]:
        for match in _AGREED.finditer("\n".join(bundle.log_of(step).lines)):
            one = said.get(match["engine"])
            if one and len(bundle.trainings) < 2:
                same = one["images"] - one["bitwise_mismatches"]
                printed = f"{one['largest']:.3g}"
                if (match["largest"], int(match["same"]), int(match["images"])) != (printed, same, one["images"]):
                    faults.append(f"{step['log']}: {match[0]:.90}, and in bundle.json {printed}, {same} of {one['images']}")
    return faults


def _without_paths(content):
    """The figures without the names of logs, whose folders differ between machines."""
    return [{key: value for key, value in one.items() if key != "log"} for one in content]
