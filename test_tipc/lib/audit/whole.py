"""Is the bundle whole: its files, its steps, its verdict, and everything that says how the run ended?"""

import os
from pathlib import Path
from xml.etree import ElementTree

from audit.bundle import FORMAT, NAME, NOT_LISTED
from audit.reading import is_safe_name
from audit.registry import BUNDLE, check, judged, skipped
from script import UserError, counted
from steps import FAILED, PASSED
from verdict import judge

TEXTS = (".log", ".json", ".jsonl", ".tsv", ".xml", ".sha256")  # of a run's output folder
_ENTITIES = "<!DOCTYPE", "<!ENTITY"
_UNSAID = ("prepare", "server", "stop", "run", "evidence", "inputs")  # steps without a line of the official form


@check("format", BUNDLE)
def check_format(bundle):
    """bundle.json is of format 1, with all its keys and their types, no key twice and no NaN"""
    expected = f"{NAME} of format {FORMAT}"
    try:
        content = bundle.content
    except UserError as error:
        return judged(expected, "", [str(error)])
    return judged(expected, f"{len(content)} keys", [])


@check("files", BUNDLE)
def check_files(bundle):
    """every file of the list is there with its SHA-256 and size, and no file besides; no links, no odd names"""
    listed, faults = bundle["files"], []
    for name, entry in listed.items():
        faults += [fault] if (fault := _fault_of_file(bundle, name, entry)) else []
    there, odd = _files_below(bundle.folder)
    if bundle.is_output:  # of its folders, those of weights, models and recordings are no part of the bundle
        there, odd = {name for name in there if "/" not in name and name.endswith(TEXTS) and name[0] != "."}, []
    faults += odd + [f"{name}: there, and not in the list" for name in sorted(there - set(listed))]
    total = sum(entry["bytes"] for entry in listed.values()) if not faults else 0
    if not listed:
        faults.append("no file at all")
    return judged("the listed files with their SHA-256, no others", f"{len(listed)} files, {total:,} bytes", faults)


def _fault_of_file(bundle, name, entry):
    if not is_safe_name(name):
        return f"{name!r:.80}: not the name of a file of a bundle"
    path = bundle.folder / name
    if path.is_symlink() or bundle.leads_out(path):
        return f"{name}: a symbolic link"
    if not os.path.lexists(path):
        return f"{name}: missing"
    digest, size = bundle.hashes.of(path)
    if size != entry["bytes"]:
        return f"{name}: {size} bytes, not {entry['bytes']}"
    return "" if digest == entry["sha256"] else f"{name}: SHA-256 {digest:.12}, not {entry['sha256']:.12}"


def _files_below(folder):
    """(the files below the folder but for those of other runs there, what is odd).

    A run that left no bundle is a fault of the repository: see the check `evidence`.
    """
    found, odd = set(), []
    for root, folders, names in os.walk(folder):
        here = Path(root)
        for name in [name for name in folders if (here / name).is_symlink()]:
            odd.append(f"{(here / name).relative_to(folder)}: a symbolic link")
        runs = {name for name in folders for one in (NAME, "summary.json") if (here / name / one).is_file()}
        folders[:] = [name for name in sorted(folders) if name not in runs and not (here / name).is_symlink()]
        found |= {(here / name).relative_to(folder).as_posix() for name in names}
    return found - NOT_LISTED, odd


@check("steps", BUNDLE)
def check_steps(bundle):
    """steps.tsv, the record that the chain wrote, has the steps of bundle.json, each with the same outcome"""
    said = [(one["tag"], one["name"], one["result"], one["seconds"], dict(one["facts"])) for one in bundle.own_steps]
    recorded = _recorded(bundle, bundle["tag"])
    faults = [f"steps.tsv has {_words(one)}, and {NAME} has not" for one in recorded if one not in said]
    faults += [f"{NAME} has {_words(one)}, and steps.tsv has not" for one in said if one not in recorded]
    if len(said) != len({one[:2] for one in said}):
        faults.append(f"a step is twice in {NAME}")
    return judged("the steps of steps.tsv", counted(len(said), "step"), faults)


def _recorded(bundle, tag=""):
    """(tag, name, result, seconds, facts) of each step of steps.tsv; of a training's evidence, those of its tag."""
    return [
        (one.tag, one.name, one.result, one.seconds, dict(one.facts))
        for one in bundle.recorded
        if not tag or one.tag in (tag, "")
    ]


def _words(step):
    tag, name, result, seconds, _ = step
    return f"'{name}'{f' of {tag}' if tag else ''}: {result} after {seconds} s"


@check("verdict", BUNDLE)
def check_verdict(bundle):
    """judged again from steps.tsv: passed, whole, predictions compared; bundle.json says the same"""
    verdict, said = judge(bundle.recorded, bundle.mode), bundle["verdict"]
    faults = [
        f"{NAME}: {key} {said[key]!r}, judged again {value!r}"
        for key, value in verdict._asdict().items() if said[key] != value
    ]  # fmt: skip
    if verdict.skipped and not faults:
        return skipped(verdict.sentence)
    if not (verdict.passed and verdict.whole and verdict.compared):
        faults.append(verdict.sentence)
    return judged("passed, whole and compared", verdict.sentence, faults)


@check("summary", BUNDLE)
def check_summary(bundle):
    """summary.json says of each step, of the verdict and of the versions what the record says"""
    summary, verdict = bundle.json("summary.json"), judge(bundle.recorded, bundle.mode)
    expected = {"model": bundle.model, "mode": bundle.mode, "passed": verdict.passed, "compared": verdict.compared,
                "whole": verdict.whole, "verdict": verdict.sentence}  # fmt: skip
    faults = [
        f"{key}: {summary.get(key)!r:.80}, not {value!r}"
        for key, value in expected.items()
        if summary.get(key) != value
    ]
    said = [(one["tag"], one["name"], one["result"], one["seconds"], one["facts"]) for one in summary["steps"]]
    recorded = _recorded(bundle)
    faults += [f"it has {_words(one)}, and steps.tsv has not" for one in said if one not in recorded]
    faults += [f"steps.tsv has {_words(one)}, and it has not" for one in recorded if one not in said]
    figures = {(one["tag"], one["name"]): one["figure"] for one in bundle["steps"]}
    faults += [
        f"figure of '{one['name']}': {one['figure']!r:.80}, and in {NAME} {figures[one['tag'], one['name']]!r:.80}"
        for one in summary["steps"]
        if figures.get((one["tag"], one["name"])) not in (None, one["figure"])
    ]
    return judged("summary.json as steps.tsv", f"{len(said)} steps, {verdict.sentence}", faults)


@check("junit", BUNDLE)
def check_junit(bundle):
    """junit.xml has the steps of the record, with their outcomes and times"""
    text = bundle.text("junit.xml")
    if any(word in text for word in _ENTITIES):
        raise UserError("junit.xml: it declares entities")
    try:
        suite = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UserError(f"junit.xml: not XML ({error})") from None
    cases = list(suite.iter("testcase"))
    faults = []
    if len(cases) != len(bundle.recorded):
        faults.append(f"{len(cases)} cases of {len(bundle.recorded)} steps")
    for case, step in zip(cases, bundle.recorded):
        found = {"failure": FAILED, "skipped": "skipped or not run"}.get(next(
            (child.tag for child in case if child.tag in ("failure", "skipped")), ""), PASSED)  # fmt: skip
        result = step.result if step.result in (PASSED, FAILED) else "skipped or not run"
        name, seconds = case.get("name", ""), case.get("time", "")
        if not name.startswith(step.name) or found != result or seconds != f"{step.seconds:.1f}":
            faults.append(
                f"'{name:.80}' {found} after {seconds} s, not '{step.name}' {result} after {step.seconds:.1f}"
            )
    name = f"{bundle.model}.{bundle.mode}"
    if suite.get("name") != name:
        faults.append(f"name {suite.get('name')!r:.80}, not {name}")
    return judged("junit.xml as steps.tsv", counted(len(cases), "case"), faults)


@check("results", BUNDLE)
def check_results(bundle):
    """results_*.log has a line `Run successfully with command` for each step that passed, and none that failed"""
    names = bundle.matching(r"results_\w+\.log")
    if not names:
        raise UserError("results_*.log: expected in the bundle, not there")
    text = bundle.local("\n".join(bundle.text(name) for name in names))
    lines = [line for line in text.splitlines() if line.strip()]
    faults = [f"a line that says failed: {line.strip():.120}" for line in lines if "Run failed with command" in line]
    start = f"Run successfully with command - {bundle.model} - "
    faults += [f"not of {bundle.model}: {line.strip():.120}" for line in lines if start not in line]
    for step in bundle.own_steps:
        if step["result"] != PASSED or not step["command"] or step["name"].split(" ")[0] in _UNSAID:
            continue
        if not any(bundle.local(step["command"]) in line for line in lines):
            faults.append(f"no line with the command of '{step['name']}'")
    return judged("a line for each step that passed", counted(len(lines), "line"), faults)
