"""The names of the tensors of an exported model: in its program, and in the network that was exported.

`.pdiparams` has no names. They are in the program, `.pdmodel` or `.json`, and the file holds the tensors in the order
of their sorted names; the shapes must agree, else nothing is named. The names in the network (`fc.weight` for
`linear_0.w_0`) are in `.pdiparams.info`, a pickle that old exports write.
"""

import json
from pathlib import Path

from diagnosis.weights.plain_pickle import read_pickle
from script import UserError

_NO_TENSORS = ("FEED_MINIBATCH", "FETCH_LIST", "RAW", "READER")


def program_names(structure, shapes):
    """[name in the program] of the tensors of a weights file with these `shapes`, in its order; [] where the program
    cannot be read or its parameters have other shapes."""
    try:
        known = _of_json(structure) if structure.suffix == ".json" else _of_program(structure)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OSError):
        return []
    for names in (sorted(known), list(known)):
        if [known[name] for name in names] == list(map(tuple, shapes)):
            return names
    return []


def network_names(params):
    """{name in the program: name in the network} of an exported model, from the file beside its weights file `params`;
    {} where there is none, or it is none."""
    path = Path(f"{params}.info")
    try:
        with path.open("rb") as stream:
            content = read_pickle(path, stream, "the names of an exported model")
        pairs = ((name, entry["structured_name"]) for name, entry in content.items())
        return {name: other for name, other in pairs if isinstance(name, str) and isinstance(other, str)}
    except (OSError, UserError, KeyError, TypeError, AttributeError):
        return {}


def _of_json(structure):
    """{name: shape} of the parameters of a `.json` program."""
    (region,) = json.loads(structure.read_bytes())["program"]["regions"]
    parameters = [op for op in region["blocks"][0]["ops"] if op["#"].rpartition(".")[2] in ("p", "parameter")]
    return {str(op["A"][-1]): tuple(map(int, op["O"]["TT"]["D"][1])) for op in parameters}


def _of_program(structure):
    """{name: shape} of the parameters of a `.pdmodel` program."""
    from paddle.base import core

    program = core.ProgramDesc(structure.read_bytes())  # kept: Paddle frees its parts with it
    known = {}
    for variable in program.block(0).all_vars():
        kind = str(variable.type()).rpartition(".")[2]
        if variable.persistable() and kind not in _NO_TENSORS:
            known[variable.name()] = tuple(variable.shape())
    return known
