"""Sections and lines: what the reader refuses, or reads and does not use."""

import re

from lint import kinds
from lint.findings import ERROR, WARNING, Finding, check, did_you_mean
from lint.values import is_typing_error

_PLACED = re.compile(r"(\d+): (.*)", re.DOTALL)
_EXPECTED = re.compile(r"expected '([^']*):…', found '([^']*):…'")
# keys of the sections of benchmarks
BENCHMARK_KEYS = (
    *("batch_size", "fp_items", "epoch", "model_type", "num_workers", "repeat", "log_iters", "--profiler_options"),
    *("flags", "random_infer_input", "numpy_infer_input", "to_static_train", "run_mode", "device_num", "gpu_config"),
    *("cpu_config", "total_iters", "max-iters", "null"),
)


@check
def unread(config):
    """A first title that is none, where another is near."""
    if not config.chain and config.reason.startswith("unknown title"):
        number = config.titles[0][0]
        found, _, suggestion = config.reason.partition("; ")
        yield Finding(number, "", ERROR, "title", found, "a title such as ===train_params===", suggestion)


@check
def refused(config):
    """What makes the chain refuse the file."""
    placed = _PLACED.fullmatch(config.refused)
    if not config.refused:
        return
    number, said = (int(placed[1]), placed[2]) if placed else (1, config.refused)
    line = config.line_at(number)
    if "not UTF-8" in said or "CR LF" in said:
        return  # said by the checks of characters
    if line and is_typing_error(config, line, said):
        return
    suggestion = _nearby(config, said)
    yield Finding(number, line.key if line else "", ERROR, "refused", said, "", suggestion)


def _nearby(config, said):
    """What was probably meant, where the reader expected something else."""
    found = _EXPECTED.search(said)
    if found:
        return did_you_mean(found[2], [found[1]], 0.7)
    missing = re.search(r"the section ===(\w+)=== is missing", said)
    if missing:
        unknown = [title for _, title in config.titles if not kinds.is_known(title)]
        return f"is ==={unknown[0]}=== meant to be it?" if unknown and did_you_mean(missing[1], unknown) else ""
    missing = re.search(r"the line '([^']+)' is missing", said)
    return did_you_mean(missing[1], [line.key for line in config.lines]) if missing else ""


@check
def titles(config):
    for number, title in config.titles[1:]:
        if not kinds.is_known(title):
            suggestion = did_you_mean(title, kinds.known_titles())
            found = f"unknown title ==={title}==="
            yield Finding(number, "", WARNING, "title", found, "a section that a script reads", suggestion)


@check
def notes(config):
    """What the reader says of a file that it can use; typing errors of booleans have a check of their own."""
    for note in config.notes:
        placed = _PLACED.fullmatch(note)
        if placed and "is read as False" not in placed[2]:
            line = config.line_at(int(placed[1]))
            renamed = re.search(r"'(\w+)' is read as (\w+)", placed[2])
            fixed = line.with_value(line.value.replace(renamed[1], renamed[2], 1)) if renamed and line else None
            suggestion = f"did you mean {renamed[2]}?" if renamed else ""
            key, found = (line.key, placed[2].partition(f"'{line.key}'")[2].lstrip(": ")) if line else ("", "")
            yield Finding(int(placed[1]), key, WARNING, "ignored", found or placed[2], "", suggestion, fixed)


@check
def colons(config):
    """Lines without a colon: no script finds their value."""
    for line in config.lines:
        is_meant = line.number in config.fields  # of a dialect that has such a line
        if config.plain or line.has_colon or is_meant or f"found '{line.text.strip()}" in config.refused:
            continue
        key, equals, _ = line.text.strip().partition("=")
        is_key = equals and re.fullmatch(r"[\w.-]+", key)
        suggestion = f"did you mean {key if is_key else line.text.rstrip()}:{'…' if equals else 'null'}"
        yield Finding(
            line.number, line.key if not equals else key, WARNING, "colon", "no colon", "key:value", suggestion
        )


@check
def benchmark_keys(config):
    for line in config.lines:
        if line.title in kinds.BENCHMARKS and line.has_colon and line.key not in BENCHMARK_KEYS:
            suggestion = did_you_mean(line.key, BENCHMARK_KEYS)
            if suggestion:
                yield Finding(line.number, line.key, WARNING, "key", "an unknown key", "", suggestion)


@check
def duplicates(config):
    """The same line twice in one part of the file."""
    seen = {}
    for line in config.lines:
        if line.key in ("", "null") or (not line.value and not config.plain):
            continue
        first = seen.setdefault((line.part, line.key, line.value), line.number)
        if first != line.number:
            found = f"the same as line {first}"
            yield Finding(line.number, line.key, WARNING, "duplicate", found, "every line once", "take one of them out")


@check
def repeated_keys(config):
    """Where lines are known by their keys, the first of two counts."""
    seen = {}
    for line in config.lines:
        if config.chain == kinds.CPP and line.key != "null":
            first = seen.setdefault(line.key, line)
            if first.number != line.number and first.value != line.value:
                found = f"{line.value!r}, and line {first.number} has {first.value!r}, which is the one that is used"
                yield Finding(line.number, line.key, WARNING, "ignored", found, "every key once")


@check
def values_without_option(config):
    """`null:value`: there is no option to pass the value with."""
    for line in config.lines:
        if line.key == "null" and line.value not in ("", "null") and line.title not in kinds.BENCHMARKS:
            found = f"{line.value!r} behind null, which is no option: nothing passes it"
            yield Finding(line.number, "null", WARNING, "ignored", found, "null:null, or an option before the colon")
