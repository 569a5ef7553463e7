"""Do the logs of the steps belong to this run, and to each other?"""

import re
from datetime import datetime

from audit.registry import BUNDLE, check, judged, skipped
from bundle_machine import versions
from script import counted
from steps import PASSED
from verdict import DEPLOYMENTS, SERVING

LITE_TRAIN = "lite_train_lite_infer"
LITE_SECONDS = 600  # a lite training with all its steps
LONG = ("server", "stop")  # of a program that runs on while other steps do; its log is that of both
SLACK = 2.0  # seconds between a clock that is read in the log and in the record
_HASH = re.compile(r"[0-9a-f]{7,40}")
_CLEAN = "(clean tree)"
_NO_GIT = "none (no git repository)"


@check("step logs", BUNDLE)
def check_step_logs(bundle):
    """each step that passed with a command has its log: it opens with that command and closes with exit code 0"""
    faults, count = [], 0
    for step in bundle.own_steps:
        if step["result"] != PASSED or step["command"] is None:
            continue
        if not step["log"]:
            faults.append(f"'{step['name']}': no log")
            continue
        log, count = bundle.log_of(step), count + 1
        if bundle.local(log.head.get("command", "")) != bundle.local(step["command"]):
            faults.append(f"{step['log']}: command {log.head.get('command', 'none'):.80}, not {step['command']:.80}")
        if step["name"].split(" ")[0] in LONG:
            continue
        if log.code is None:
            faults.append(f"{step['log']}: it has no end (# ended: exit code ...)")
        elif log.code:
            faults.append(f"{step['log']}: exit code {log.code}")
        elif abs(log.seconds - step["seconds"]) > SLACK:
            faults.append(f"{step['log']}: {log.seconds} s, and the record {step['seconds']} s")
    if not count and not faults:
        faults.append("no step with a command passed")
    return judged("its command, exit code 0 and seconds in each log", counted(count, "log"), faults)


@check("one run", BUNDLE)
def check_one_run(bundle):
    """all logs name one commit, tool, processor and list of versions, those of bundle.json and of summary.json"""
    faults = []
    for key in ("commit", "versions", "tool", "processor"):
        found = {}
        for step, log in bundle.logs:
            if key in log.head:
                found.setdefault(log.head[key], step["log"])
        if len(found) > 1:
            words = "; ".join(f"{log}: {value:.60}" for value, log in list(found.items())[:2])
            faults.append(f"{len(found)} values of {key} ({words})")
        faults += [f"{log}: {fault}" for value, log in found.items() if (fault := _contradicts(bundle, key, value))]
    return judged("one commit, tool, processor and versions", f"those of {counted(len(bundle.logs), 'log')}", faults)


def _contradicts(bundle, key, value):
    """How a log's head differs from bundle.json and summary.json, "" where it does not."""
    summary = bundle.json("summary.json").get(key)
    if summary and summary != value:
        return f"{key} {value:.80}, and in summary.json {summary:.80}"
    if key == "versions":
        said = {name.lower(): version for name, version in bundle["versions"].items()}
        other = [f"{name} {version}" for name, version in sorted(versions(value).items() ^ said.items())]
        return f"versions: {', '.join(other):.120} not in both of it and bundle.json" if other else ""
    if key == "tool":
        files, own = re.search(r"\bfiles ([0-9a-f]{12})", value), (bundle["tool"] or {}).get("files")
        return f"tool {value:.60}, and in bundle.json files {own}" if files and files[1] != own else ""
    if key == "commit":
        commit = (bundle["project"] or {}).get("commit") or ""
        return "" if same_commit(value, commit) else f"commit {value:.40}, and in bundle.json {commit:.12}"
    if key == "processor":
        processor = (bundle["machine"] or {}).get("processor")
        is_same = processor and processor.split(",")[0] == value.split(",")[0]
        return "" if is_same else f"processor {value:.60}, and in bundle.json {processor!s:.60}"
    return ""


def same_commit(first, second):
    """Whether two lines name the same commit: one may be longer; those without one are alike."""
    first, second = (_HASH.match(one) for one in (first, second))
    if not (first and second):
        return not (first or second)
    length = min(len(first[0]), len(second[0]))
    return first[0][:length] == second[0][:length]


@check("facts", BUNDLE)
def check_facts(bundle):
    """the hash of the inputs in each step is that of inputs.sha256, and the commit that of the project"""
    content, faults = bundle["inputs"] or {}, []
    name = bundle.inputs_file
    digest = bundle.hashes.of(bundle.path(name))[0]
    if content.get("hash") != digest[:12]:
        faults.append(f"inputs.hash {content.get('hash')}, and {name} has {digest[:12]}")
    commit = (bundle["project"] or {}).get("commit") or "none"
    for step in bundle.recorded:
        inputs = step.facts.get("inputs", digest[:12])
        if inputs != digest[:12]:
            faults.append(f"'{step.name}' saw the inputs {inputs}, not {digest[:12]}")
        if not same_commit(step.facts.get("commit", commit), commit):
            faults.append(f"'{step.name}' saw the commit {step.facts['commit']}, not {commit:.12}")
    return judged(f"inputs {digest[:12]}, commit {commit:.12}", "the same in all steps", faults)


@check("clean tree", BUNDLE)
def check_clean(bundle):
    """nothing was changed since the commit: said in bundle.json, and in each log"""
    heads = {log.head["commit"]: step["log"] for step, log in bundle.logs if "commit" in log.head}
    project = bundle["project"]
    if project is None and set(heads) <= {_NO_GIT}:
        return skipped("the project is in no git repository")
    faults = [f"{log}: {value:.60}" for value, log in heads.items() if not value.endswith(_CLEAN)]
    if not project or project.get("clean") is not True:
        faults.append(f"bundle.json: project.clean {(project or {}).get('clean')}")
    tool = bundle["tool"] or {}
    if tool.get("clean") is False:
        faults.append("bundle.json: tool.clean False")
    return judged("a clean tree", f"commit {(project or {}).get('commit') or ''!s:.12}, clean", faults)


@check("names", BUNDLE)
def check_names(bundle):
    """the model and the mode are those of the folder, of the config and of all paths in the record"""
    model, mode, faults = bundle.model, bundle.mode, []
    expected = _folder_of(bundle)
    if expected and not _lies_in(bundle, expected):
        faults.append(f"the folder {'/'.join(bundle.folder.resolve().parts[-2:])} of the evidence of {expected}")
    place = f"{model}/{mode}/"
    for step in bundle.recorded:
        if step.log and place not in step.log:
            faults.append(f"'{step.name}' has the log {step.log:.120}")
    named = [line["value"] for line in (bundle["config"] or {}).get("lines", []) if line["key"] == "model_name"]
    faults += [f"the config's model_name is {value!r:.60}" for value in named if value != model]
    for step, log in bundle.logs:
        others = set(re.findall(r"test_tipc/output/([\w.+-]+)/", log.head.get("command", ""))) - {model}
        if others and mode not in DEPLOYMENTS:
            faults.append(f"{step['log']}: it speaks of the model {min(others)}")
    return judged(f"{model}, {mode}", "the same in the folder, the config and the record", faults)


def _folder_of(bundle):
    """Where its evidence lies below test_log, or a run's output below output; "" for a folder anywhere else."""
    parts = bundle.folder.resolve().parts
    if "test_log" in parts:
        return bundle.model
    return f"{bundle.model}/{bundle.mode}" if "output" in parts[:-2] else ""


def _lies_in(bundle, expected):
    parts = bundle.folder.resolve().parts
    if "test_log" not in parts:
        return "/".join(parts[-2:]) == expected
    below = parts[len(parts) - parts[::-1].index("test_log") :]
    if not below or below[0] != bundle.model:
        return False
    places = {SERVING: {"serving", "serving_options"}, LITE_TRAIN: {"", LITE_TRAIN}}
    allowed = places.get(bundle.mode, {bundle.mode})
    rest = [part for part in below[1:] if part != bundle["tag"]]
    return "/".join(rest) in allowed


@check("times", BUNDLE)
def check_times(bundle):
    """the steps began one after the other, between the start and the end of the run"""
    faults, last = [], None
    begin, end = (_moment(bundle[key]) for key in ("started", "ended"))
    if not (begin and end) and any("started" in log.head for _, log in bundle.logs):
        faults.append(f"from {bundle['started']!r:.40} to {bundle['ended']!r:.40}: expected two times")
    if begin and end and end < begin:
        faults.append(f"ended {bundle['ended']} before it started {bundle['started']}")
    for step, log in bundle.logs:
        moment = _moment(log.head.get("started"))
        if moment is None or step["name"].split(" ")[0] in LONG:
            continue
        said = _moment(step["started"])
        if said and abs((said - moment).total_seconds()) > SLACK:
            faults.append(f"{step['log']}: started {moment}, and bundle.json says {said}")
        if last and (moment - last[0]).total_seconds() < last[1] - SLACK:
            faults.append(f"{step['log']}: started {moment}, while {last[2]} was running")
        for limit, is_out in ((begin, lambda a, b: a < b), (end, lambda a, b: a > b)):
            if limit and is_out(moment, limit) and abs((moment - limit).total_seconds()) > SLACK:
                faults.append(f"{step['log']}: started {moment}, and the run was from {begin} to {end}")
        last = moment, log.seconds or 0.0, step["log"]
    return judged("steps one after the other", f"from {bundle['started']} to {bundle['ended']}", faults)


def _moment(text):
    """The local time that a log or an ISO 8601 text says, without its offset."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None) if text else None
    except ValueError:
        return None


@check("time limit", BUNDLE)
def check_time_limit(bundle):
    """lite_train_lite_infer takes less than ten minutes a training, with all its steps"""
    if bundle.mode != LITE_TRAIN:
        return None
    totals = {
        tag: sum(step.seconds for step in bundle.recorded if step.tag in (tag, "") and step.kind != "prepare")
        for tag in bundle.trainings
    }
    faults = [f"{tag}: {seconds:.0f} s" for tag, seconds in totals.items() if seconds >= LITE_SECONDS]
    return judged(f"less than {LITE_SECONDS} s", f"{max(totals.values(), default=0):.0f} s", faults)
