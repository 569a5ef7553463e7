"""What tools/tables/versions.sh left of one pair of Paddle and Python, as figures and as a short log.

A pair's folder has `tried` (key=value lines, written last), `parts.tsv` (part, exit code, seconds, why it was not run),
`packages.txt` (what pip installed), a log for each part, and `runs/`, where the chains left their summaries.
"""

import json
import re
from pathlib import Path

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO

CHAINS = {  # part: the mode of its chain's summary, and the beginning of its model's name
    "classifier": ("lite_train_lite_infer", "mobilenet"),
    "detector": ("lite_train_lite_infer", "CenterNet"),
    "serving": ("serving_infer", "mobilenet"),
}
PARTS = (*CHAINS, "engines")
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
SHOWN = ("numpy", "protobuf", "opencv-python-headless", "paddle2onnx", "onnxruntime", "paddle-serving-server")
_HEAD = re.compile(r"^# (?:command|folder|versions|commit|processor|started): .*$", re.MULTILINE)
_NO_WORDS = re.compile(r"\s*|# .*|\x1b.*")  # blank lines, heads of logs, and the coloured lines of the chains
_LAST_LINES, _WIDTH = 12, 240


def read_pair(folder):
    """The figures of a pair, as docs/measured/versions.json keeps them; UserError when it was not tried to its end."""
    folder = Path(folder)
    tried = dict(line.split("=", 1) for line in _read(folder / "tried").splitlines())
    try:
        pair = {key: tried[key] for key in ("paddle", "python", "packages", "reason")}
        pair.update({key: tried[key] for key in ("format", "processor", "date", "commit")})
    except KeyError as error:
        raise UserError(f"{folder / 'tried'}: has no line {error.args[0]}=; try the pair again") from error
    if pair["reason"]:
        return {**pair, "versions": {}, "parts": {}}
    installed = read_packages(folder)
    pair["versions"] = {name: installed[name] for name in SHOWN if name in installed}
    pair["parts"] = {}
    for line in _read(folder / "parts.tsv").splitlines():
        name, status, seconds, reason = line.split("\t")
        outcome = _outcome(folder, name, status, reason)
        pair["parts"][name] = {**outcome, "seconds": float(seconds)}
    missing = set(PARTS) - set(pair["parts"])
    if missing:
        raise UserError(f"{folder / 'parts.tsv'}: has no {', '.join(sorted(missing))}; try the pair again")
    return pair


def read_packages(folder):
    """{package: version} of what is installed in the pair's environment."""
    lines = _read(folder / "packages.txt").splitlines()
    return dict(line.split("==", 1) for line in lines if "==" in line)


def short_log(folder, pair):
    """The evidence of a pair: versions, commands, the table of each chain, and the last lines of what failed."""
    folder = Path(folder)
    lines = [f"# {key}: {pair[key]}" for key in ("paddle", "python", "packages", "processor", "date", "commit")]
    if pair["reason"]:
        return "\n".join([*lines, f"not to be had: {pair['reason']}", ""])
    lines.append("# installed: " + " ".join(_read(folder / "packages.txt").split()))
    for name in PARTS:
        part = pair["parts"][name]
        lines += ["", f"==== {name}: {part['result']}, {part['seconds']:.0f} s ===="]
        lines += [part["reason"]] if part["reason"] else []
        if part["result"] == NOT_RUN:
            continue
        text = _read(folder / f"{name}.log")
        if name == "engines":
            wanted = re.compile(r"\w+: (largest|not compared)|# alone: |error: |\w*(Error|Exception): ")
            lines += [_cut(line) for line in text.splitlines() if wanted.match(line)]
        else:
            lines += _chain_lines(folder, name, text)
    return without_paths("\n".join(lines) + "\n", folder)


def _chain_lines(folder, name, text):
    """The heads of a chain's first log, its table, and the end of each step that failed."""
    head = list(dict.fromkeys(_HEAD.findall(text)))[:6]
    table = text.rpartition("\n==== ")[2].splitlines()[1:]
    lines = [_cut(line) for line in head + [line for line in table if line.strip()]]
    for step in (read_summary(folder, name) or {"steps": []})["steps"]:
        if step["result"] == FAILED and text_of(step["log"]):
            lines += ["", f"---- the end of {step['name']} ----"]
            lines += [_cut(line) for line in text_of(step["log"]).splitlines()[-_LAST_LINES:]]
    return lines


def _outcome(folder, name, status, reason):
    """{"result", "verdict", "reason"} of a part, and of the engines what each of them gave."""
    if status == "-":
        return {"result": NOT_RUN, "verdict": "", "reason": reason}
    if name == "engines":
        return _engines(folder, status)
    summary = read_summary(folder, name)
    if summary is None:
        return {"result": FAILED, "verdict": "", "reason": _said(text_of(folder / f"{name}.log"), folder)}
    if status == "0" and all(summary[key] for key in ("passed", "compared", "whole")):
        return {"result": PASSED, "verdict": summary["verdict"], "reason": "", "skipped": _skipped(folder, summary)}
    failed = [step for step in summary["steps"] if step["result"] == FAILED]
    said = _said(text_of(failed[0]["log"]), folder) if failed else ""
    return {"result": FAILED, "verdict": summary["verdict"], "reason": said}


def _skipped(folder, summary):
    """Why steps were skipped, one line each; that there is no GPU goes without saying."""
    steps = [(step["name"], step.get("reason", "")) for step in summary["steps"] if step["result"] == "skipped"]
    return [without_paths(f"{name} skipped: {reason}", folder) for name, reason in steps if " GPU" not in reason]


def _engines(folder, status):
    """The outcome of comparing all engines: the largest difference of each that ran, and why the others did not."""
    whole, *alone = _read(folder / "engines.log").split("\n# alone: ")
    reasons = dict(re.findall(r"^(\w+): not compared: (.*)$", whole, re.MULTILINE))
    absent = folder / "engines.missing"
    for engine, reason in reasons.items():
        if "requirements-engines.txt" in reason and absent.is_file():
            reasons[engine] = _read(absent).strip()  # what pip said tells more
    figures = {}
    for saved in sorted((folder / "runs").glob("engines_*.json")):
        for one in json.loads(_read(saved)):
            figures[one["engine"]] = {"largest": float(f"{one['largest']:.3g}"), "agrees": one["agrees"]}
    for text in alone:  # those that were tried one at a time, since comparing all of them failed
        engine, _, said = text.partition("\n")
        if engine not in figures and engine not in reasons:
            reasons[engine] = _said(said, folder)
    reason = "" if status == "0" else _said(whole, folder)
    result = PASSED if status == "0" and figures else FAILED
    return {"result": result, "verdict": "", "reason": reason, "largest": figures, "not_compared": reasons}


def read_summary(folder, name):
    """The summary.json that the chain of a part left; None where it left none."""
    mode, model = CHAINS[name]
    for path in sorted((folder / "runs").glob(f"{model}*/{mode}/summary.json")):
        return json.loads(_read(path))
    return None


def last_words(text):
    """The last error that a log names, or else its last line of words."""
    lines = text.splitlines()
    errors = [line for line in lines if re.match(r"(error: |\w*(Error|Exception): )", line)]
    said = errors or [line for line in lines if not _NO_WORDS.fullmatch(line)]
    return _cut(said[-1].strip()) if said else ""


def text_of(log):
    """A log's content, "" where there is no such file."""
    return Path(log).read_text(encoding="utf-8", errors="replace") if log and Path(log).is_file() else ""


def _said(text, folder):
    return without_paths(last_words(text), folder)


def without_paths(text, folder):
    """The text without the folders of this machine."""
    for place in (Path(folder), Path(folder).resolve(), REPO):
        text = text.replace(f"{place}/", "").replace(str(place), ".")
    return re.sub(r"/[\w./+-]*/(?=(?:site-packages|bin|lib)/)", "", text)


def _cut(line):
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _read(path):
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); try the pair again") from error
