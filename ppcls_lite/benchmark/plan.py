"""The plan of a measurement: which networks, in which groups; and the file that keeps the results."""

import datetime
import json
import math
import subprocess
import sys
from pathlib import Path

from ppcls_lite.benchmark.rows import Case
from ppcls_lite.infer.model.config import image_shape, model_name
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.utils import machine
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO, atomic_write

_BATCHES_OF_MIXNET = (1, 4, 8)  # those of its document's table


def read_json(path):
    """The mapping in the JSON file at `path`; UserError when it cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def network_flops(path):
    """{network: FLOPs in millions}, a multiply-add counted once, from the file that model_table.py keeps at `path`.

    UserError when it cannot be read.
    """
    try:
        return {name: figures["flops_m"] for name, figures in read_json(path)["networks"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: expected the FLOPs of networks, found something else ({error!r})") from error


def export_networks(names, folder):
    """{network: its exported model below `folder`}; those that are missing there are exported with filled weights."""
    command = [sys.executable, "-m", "ppcls_lite.benchmark.filled", *names, "--output", str(Path(folder).absolute())]
    done = subprocess.run(command, cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["failed without a message"]
        raise UserError(f"ppcls_lite.benchmark.filled: {said[-1].replace('error: ', '', 1)}")
    return {name: Path(folder, f"{name}_infer") for name in names}


def given_models(folders):
    """{network: folder}, named by each `inference.yml` or else by the folder; UserError for two of the same name."""
    models = {}
    for folder in folders:
        name = model_name(find_model(folder).folder)
        if name in models:
            raise UserError(f"{folder}: {name} is already given, {models[name]}")
        models[name] = folder
    return models


def groups(models, engines, batch_sizes, threads, precisions):
    """Lists of `Case`s that take turns with each other: one list for each network, batch size and number of threads."""
    for name, folder in models.items():
        shape = tuple(image_shape(folder))
        for batch_size in batch_sizes or (_BATCHES_OF_MIXNET if name.startswith("MixNet") else (1,)):
            for number in threads:
                yield [
                    Case(name, engine, str(Path(folder).resolve()), shape, batch_size, number, precision)
                    for precision in precisions
                    for engine in engines
                ]


def conditions(protocol):
    """The circumstances of a measurement: machine, protocol, commit and date."""
    return {
        **machine.describe(),
        "runs": protocol.runs,
        "skip": protocol.skip,
        "seconds": None if math.isinf(protocol.seconds) else protocol.seconds,
        "slow_runs": protocol.slow_runs,
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
    }


def resume(path, conditions):
    """What an earlier call has kept at `path`, to be continued under `conditions`; commits and dates are those of both.

    Without that file there is nothing to continue. UserError where it was made on another machine or to another plan.
    """
    if not Path(path).exists():
        return {"conditions": conditions, "rows": []}
    kept = read_json(path)
    for key, value in conditions.items():
        found = kept["conditions"].get(key)
        if key in ("commit", "date"):
            conditions = {**conditions, key: found if value in str(found).split(", ") else f"{found}, {value}"}
        elif found != value:
            raise UserError(f"{path}: cannot go on: its rows were measured with {key} {found}, and now it is {value}")
    return {"conditions": conditions, "rows": kept["rows"]}


def case_of(row):
    """What a row, or a `Case` as a dict, is of: (network, engine, batch size, threads, precision)."""
    return tuple(row[key] for key in ("network", "engine", "batch_size", "threads", "precision"))


def _commit():
    command = ["git", "-C", str(REPO), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def save(path, measured):
    """Write {"conditions", "rows"} as JSON, one line per row."""
    rows = ",\n".join("    " + json.dumps(row) for row in measured["rows"])
    with atomic_write(path) as stream:
        stream.write(f'{{\n  "conditions": {json.dumps(measured["conditions"])},\n  "rows": [\n{rows}\n  ]\n}}\n')
