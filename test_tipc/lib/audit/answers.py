"""Do all ways to predict agree? Computed again from the files of predictions, not read from what says so."""

import re
from pathlib import PurePosixPath

from audit.pairing import Pair
from audit.predicted import applied, is_embedding, left_out, read, scores
from audit.reading import parse_json
from audit.registry import BUNDLE, check, judged, skipped
from figures import Printed
from script import UserError, counted
from verdict import DEPLOYMENTS

MOST_LIMIT = 0.01  # that a file of predictions may be allowed to differ by, as a share of numbers above 1
NOISE = 5e-6  # of the largest output: a network adds in another order in batches of another size
_NUMBERED = {"classes": "class", "embedding": "number", "boxes": "box"}  # what a kind's places are called
DEAD = 1e-6  # a network whose outputs for two images differ by less has seen neither
_AGREED = re.compile(
    r"^(?P<engine>\w+): largest difference (?P<largest>\S+) \(.*?(?P<same>\d+) of (?P<images>\d+) images? bitwise",
    re.MULTILINE,
)


def _pairs(bundle):
    """[(entry, `Pair`, its faults)] of all entries that name another one."""
    if bundle.pairs is None:
        by_file = {}
        for entry in bundle["predictions"]:
            by_file.setdefault(entry["file"], entry)
        named = [(entry, by_file[entry["against"]]) for entry in bundle["predictions"] if entry["against"] in by_file]
        pairs = [(entry, Pair(bundle, entry, bundle, other)) for entry, other in named]
        bundle.pairs = [(entry, pair, pair.faults()) for entry, pair in pairs]
    return bundle.pairs


@check("predictions agree", BUNDLE)
def check_agree(bundle):
    """computed again: each file of predictions equals the one that it is compared with, within its limit, same top-5"""
    if not bundle["predictions"]:
        return None
    faults, count, images, largest = [], 0, 0, 0.0
    for entry, pair, found in _pairs(bundle):
        faults += [f"{entry['file']} against {entry['against']}: {fault}" for fault in found]
        images += len(pair.common)
        largest = max(largest, pair.largest)
        count += bool(pair.common)
    wide = [entry for entry in bundle["predictions"] if not 0 <= (entry["limit"] or 0) <= MOST_LIMIT]
    faults += [f"{entry['file']}: a limit of {entry['limit']:g}, at most {MOST_LIMIT:g} is accepted" for entry in wide]
    files = {entry["file"] for entry in bundle["predictions"]}
    lost = [entry for entry in bundle["predictions"] if entry["against"] and entry["against"] not in files]
    faults += [
        f"{entry['file']}: it is compared with {entry['against']}, which is no file of predictions" for entry in lost
    ]
    if not images and not faults:
        return skipped(
            "nothing can be compared here: what the export computes behind the network is not known, or of maps"
        )
    words = f"{counted(count, 'pair')} of files, {counted(images, 'image')}, largest difference {largest:.2g}"
    return judged("equal within their limits, printed ones within rounding", words, faults)


@check("predictions there", BUNDLE)
def check_there(bundle):
    """predict, inferences and clients left predictions, all but one compared with another (INT8: by agree int8)"""
    entries = bundle["predictions"]
    steps = [step for kind in ("predict", "infer", "client") for step in bundle.passed(kind)]
    if not steps and not entries:
        return None
    faults = [fault for entry in entries if (fault := _other_count(bundle, entry))]
    faults += [f"none of the engine {name} of {step}" for step, name in _engines_without(bundle)]
    if bundle.mode in DEPLOYMENTS:  # what the deployed model gives is kept by the step that compares it
        needed, pairs = max(1, len(bundle.passed("client"))), sum(bool(entry["against"]) for entry in entries)
        faults += [] if pairs >= needed else [f"{counted(pairs, 'file')} that are compared, {needed} are needed"]
    else:
        # INT8 moves every number: the step `agree int8` has its own limits, and figures only
        compared = not bundle.passed("quantise")
        faults += [fault for step in steps if (fault := _lost_predictions(step, entries, compared))]
    found = f"{counted(len(entries), 'file')} of {counted(len(steps), 'step')}"
    return judged("predictions of each way to predict", found, faults)


def _engines_without(bundle):
    """(tag, engine) of the figures of a comparison that have no file of predictions."""
    files = [(entry.get("tag"), PurePosixPath(entry["file"]).stem) for entry in bundle["predictions"]]
    for tag, engine in _saved_figures(bundle):
        own = [name for one, name in files if one == tag]
        if tag in bundle.trainings and not any(name == engine or name.endswith(f"agree_{engine}") for name in own):
            yield tag, engine


def _other_count(bundle, entry):
    """Where a file has not the number of images that is said, or none."""
    count = len(read(bundle, entry)[1])
    is_right = count and entry["images"] in (None, count)
    return "" if is_right else f"{entry['file']}: {counted(count, 'image')}, not {entry['images']}"


def _lost_predictions(step, entries, compared):
    own = [one for one in entries if one["step"] == step["name"] and one.get("tag", step["tag"]) == step["tag"]]
    if not own:
        return f"none of '{step['name']}'"
    if compared and step["name"].startswith("infer") and not any(one["against"] for one in own):
        return f"those of '{step['name']}' are compared with nothing"
    return ""


@check("printed as computed", BUNDLE)
def check_printed(bundle):
    """what a step printed of an image is a row of its file of full precision, once, within rounding and noise"""
    entries = bundle["predictions"]
    faults, count = [], 0
    for entry in entries:
        if entry["exact"] or entry["kind"] not in ("classes", "embedding"):
            continue
        for exact in (one for one in entries if one["exact"] and _is_of_step(one, entry)):
            if left_out(bundle, exact):
                continue
            behind, rows = read(bundle, exact)
            left = [(scores(applied(behind, row)), _most(row)) for row in rows.values()]
            if behind is None or any(row is None or len(row) < 2 for row, _ in left):
                continue
            if entry["kind"] == "embedding" and not all(is_embedding(applied(behind, row)) for row in rows.values()):
                continue  # the script may have divided them by their length
            for image, printed in read(bundle, entry)[1].items():
                count += 1
                row = next((each for each in left if _is_printed_of(printed, *each)), None)
                if row is None:
                    faults.append(f"{entry['file']}: {image}: no row of {exact['file']} was printed so")
                else:
                    left.remove(row)
    return (
        judged("rows of full precision behind all that is printed", counted(count, "image"), faults) if count else None
    )


def _is_of_step(one, other):
    return (one["step"], one.get("tag")) == (other["step"], other.get("tag"))


def _most(row):
    """The largest output of a prediction of full precision, of either sign."""
    return max((abs(score) for score in (scores(row) or {}).values()), default=0.0)


def _is_printed_of(printed, row, most):
    """Whether the best classes of a row, rounded, are what was printed; `most`: the largest output behind it."""
    if printed.kind == "embedding":
        numbers = scores(printed)
        return numbers.keys() == row.keys() and all(abs(numbers[key] - score) <= DEAD for key, score in row.items())
    noise = {key: 1e-6 + NOISE * most * score for key, score in row.items()}
    if any(key not in row or abs(row[key] - score) > _half(score) + noise[key] for key, score in printed.rows):
        return False
    least = min((row[key] for key, _ in printed.rows), default=0.0)
    shown = {key for key, _ in printed.rows}
    return all(score <= least + noise[key] for key, score in row.items() if key not in shown)


def _half(score):
    """Half a unit of a printed number's last decimal."""
    return Printed(repr(float(score))).half


@check("live network", BUNDLE)
def check_dead(bundle):
    """the outputs differ between images: one answer to all is that of a dead network, or of one that was not loaded"""
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


@check("answers", BUNDLE)
def check_answers(bundle):
    """each answer of the service is without an error, is in a client's log, and is what inference predicts"""
    names = bundle.matching(r"answers.*\.json")
    if not names:
        return None
    printed = "\n".join("\n".join(log.lines) for step, log in bundle.logs if step["name"].startswith("client"))
    predicted = _inferred(bundle)
    faults, count = [], 0
    for name in names:
        for one in bundle.json(name):
            answer, count = one["answer"], count + 1
            values = [value for value in answer.get("value") or [] if isinstance(value, str)]
            place = f"{name}: {', '.join(one['images'])[-60:]}"
            if answer.get("err_no") != 0:
                faults.append(f"{place}: err_no {answer.get('err_no')}")
            elif not values or any(repr(value) not in printed and value not in printed for value in values):
                faults.append(f"{place}: no client has printed this answer")
            else:
                faults += [f"{place}: {fault}" for fault in _other_answers(one["images"], values[-1], predicted)]
    return judged("answers that clients printed", counted(count, "answer"), faults)


def _inferred(bundle):
    """{kind: {image's name in a file: {class, name or place: number}}} of the exact predictions of engines."""
    found = {"classes": {}, "embedding": {}, "boxes": {}}
    for entry in bundle["predictions"]:
        if entry["exact"] and entry["kind"] in found and entry["engine"] != "training engine":
            for image, prediction in read(bundle, entry)[1].items():
                known = _places(prediction.rows) if entry["kind"] == "boxes" else scores(prediction)
                found[entry["kind"]].setdefault(image, known)
    return found


def _places(rows):
    """{place: number} of boxes, rows of class, score and four corners; the classes are part of the places."""
    numbers = {
        f"{at} of class {row[0]}, {part}": number for at, row in enumerate(rows) for part, number in enumerate(row[1:])
    }
    return {"boxes": len(rows), **numbers}


def _other_answers(images, value, predicted):
    """How the numbers of an answer, for each image, are not those of inference; for images that it had."""
    try:
        results = parse_json(value, "the answer")
    except UserError:
        return []
    faults = []
    for image, result in zip(images, results if isinstance(results, list) else []):
        kind, answered = _answered(result)
        known = _of_image(image, predicted[kind])
        faults += [
            f"{_NUMBERED[kind]} {key}: {number:g}"
            for key, number in answered.items()
            if known and not abs(known.get(key, -1) - number) <= 1e-4 * max(1, abs(number))
        ]
    return faults


def _of_image(image, predicted):
    """What was predicted of the image at a path, by the longest of the names that may be its own."""
    names = [name for name in predicted if f"/{image}".endswith(f"/{name}")]
    return predicted[max(names, key=len)] if names else {}


def _answered(result):
    """(kind, {class, name or place: number}) of one image's answer; the second of equal names is `name (2)`."""
    if isinstance(result, dict) and "features" in result:
        return "embedding", dict(enumerate(result["features"]))
    if isinstance(result, dict) and "boxes" in result:
        labels, numbers = result.get("class_ids") or [], result.get("scores") or []
        return "boxes", _places([[label, number, *box] for label, number, box in zip(labels, numbers, result["boxes"])])
    if not isinstance(result, dict) or not result.keys() & {"class_ids", "rec_docs"}:
        return "classes", {}
    pair = ("rec_docs", "rec_scores") if "rec_docs" in result else ("class_ids", "scores")
    keys, numbers = (result.get(name) or [] for name in pair)
    keys = [key if keys.index(key) == at else f"{key} ({keys[: at + 1].count(key)})" for at, key in enumerate(keys)]
    return "classes", dict(zip(keys, numbers))


@check("figures of the comparison", BUNDLE)
def check_figures(bundle):
    """largest differences and equal images in agree.log, agree.json and bundle.json are those computed again"""
    faults, words = [], []
    saved = _saved_figures(bundle)
    for entry, pair, _ in _pairs(bundle):
        engine = entry["file"].rpartition("/")[2].removesuffix(".json").removeprefix("agree_")
        figures = saved.get((entry.get("tag"), engine)) or saved.get(("", engine))
        if not entry["exact"] or not figures or entry["kind"] == "boxes" or left_out(bundle, entry):
            continue
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
                    faults.append(
                        f"{step['log']}: {match[0]:.90}, and in bundle.json {printed}, {same} of {one['images']}"
                    )
    return faults


def _without_paths(content):
    """The figures without the names of logs, whose folders differ between machines."""
    return [{key: value for key, value in one.items() if key != "log"} for one in content]
