"""Ask the chains' own readers (read.sh) what the lines of configs mean."""

import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lint.values import parts_of

SCRIPT = Path(__file__).with_name("read.sh")
PER_PROCESS = 40  # configs; a process of its own reads the tables of the dialects first


def read_all(configs):
    """Set what the reader says of every config whose chain is known."""
    with tempfile.TemporaryDirectory(prefix="tipc_lint.") as folder:
        jobs = []
        for chain in sorted({config.chain for config in configs if config.chain}):
            of_chain = [config for config in configs if config.chain == chain]
            cut = max(1, min(PER_PROCESS, -(-len(of_chain) // _cores())))
            jobs += [(chain, of_chain[at : at + cut], Path(folder)) for at in range(0, len(of_chain), cut)]
        with ThreadPoolExecutor(_cores()) as pool:
            list(pool.map(lambda job: _read(*job), jobs))


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(chain, configs, folder):
    places = [_readable(config, folder) for config in configs]
    lines = []
    for config, place in zip(configs, places):
        lines.append("\037".join([str(place), str(config.project), _plans(config), " ".join(_modes(config))]) + "\n")
    done = subprocess.run(
        ["bash", str(SCRIPT), chain],
        input="".join(lines),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "LC_ALL": "C.UTF-8"},
    )
    records = done.stdout.split("\nF\t") if done.stdout else []
    for config, place, record in zip(configs, places, records):
        _take(config, str(place), record)


def _plans(config):
    """What read.sh is to plan: nothing without scripts; a whole training, too, where it has commands of its own."""
    if not config.checks_scripts:
        return ""
    own = any(re.search(r"(^|\|)whole\w*=\S+\.py\b", line.value) for line in config.lines)
    return "plan whole_train_whole_infer" if own else "plan"


def _modes(config):
    """The modes in which the values have to be checked: in the others, nothing but numbers is different."""
    modes = ["lite_train_lite_infer", "whole_infer"]
    lists = [dict(parts) for parts in map(parts_of, config.lines) if parts]
    for mode, short in (("lite_train_whole_infer", "lite_train"), ("whole_train_whole_infer", "whole_train")):
        values = [parts.get(mode) or parts.get(short, "") for parts in lists]
        if not all(value.isdecimal() and int(value) for value in values):
            modes.append(mode)
    return modes


def _readable(config, folder):
    """The place of a text that the reader accepts: the file, or a copy whose ends of lines and encoding are mended."""
    text = config.text.encode("utf-8")
    if text == config.raw:
        return config.place.resolve()
    copy = Path(tempfile.mkdtemp(dir=folder)) / config.place.name
    copy.write_bytes(text)
    return copy


def _take(config, place, record):
    for line in record.split("\n")[1:]:
        kind, _, said = line.partition("\t")
        words = said.split("\t")
        if kind == "K":
            config.dialect = said
        elif kind == "L":
            config.fields[int(words[0])] = words[1]
        elif kind == "N" and said not in config.notes:
            config.notes.append(said)
        elif kind == "E":
            config.refused = said
        elif kind == "M":
            config.modes.setdefault(words[0], []).extend([words[1]] if words[1] else [])
        elif kind == "P":
            config.commands.append((words[0], words[1]))
    config.notes = [_without(place, note) for note in config.notes]
    config.refused = _without(place, config.refused)
    config.modes = {mode: [_without(place, said) for said in all_said] for mode, all_said in config.modes.items()}


def _without(place, said):
    """`39: 'infer_quant': …` of `PLACE:39: 'infer_quant': …`."""
    return re.sub(rf"^(note: )?{re.escape(place)}:\s*", "", said)
