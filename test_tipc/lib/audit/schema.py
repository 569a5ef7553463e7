"""What bundle.json holds: its keys and their types."""

NUMBER = (int, float)
STEP = {
    "name": str,
    "tag": str,
    "result": str,
    "reason": (str, None),
    "seconds": (*NUMBER, None),
    "started": (str, None),
    "ended": (str, None),
    "command": (str, None),
    "folder": (str, None),
    "log": (str, None),
    "facts": dict,
    "figure": (str, None),
}
PREDICTION = {
    "file": str,
    "engine": (str, None),
    "step": (str, None),
    "kind": (str, None),
    "exact": bool,
    "images": (int, None),
    "against": (str, None),
    "limit": (*NUMBER, None),
}
BUNDLE = {
    "format": int,
    "model": str,
    "mode": str,
    "tag": str,
    "chain": (str, None),
    "verdict": {"passed": bool, "compared": bool, "whole": bool, "sentence": str},
    "config": (
        {"path": (str, None), "sha256": (str, None), "lines": [{"section": (str, None), "key": str, "value": str}]},
        None,
    ),
    "project": ({"commit": (str, None), "clean": (bool, None)}, None),
    "tool": (dict, None),
    "machine": ({"processor": (str, None), "cores": (int, None)}, None),
    "versions": dict,
    "started": (str, None),
    "ended": (str, None),
    "seeds": dict,
    "steps": [STEP],
    "inputs": ({"hash": (str, None), "file": (str, None)}, None),
    "lineage": [{"id": str, "kind": str, "sha256": (str, None), "of": [str], "link": (str, None)}],
    "predictions": [PREDICTION],
    "figures": dict,
    "sources": [{"path": str, "sha256": (str, None)}],
    "files": dict,
}


def faults_of(value, spec, place=""):
    """How `value` is not what `spec` says, in words: a type; a list of one spec; a dictionary of those keys at least;
    or several of these, with None."""
    if isinstance(spec, tuple):
        found = [faults_of(value, one, place) for one in spec]
        return [] if [] in found else max(found, key=lambda faults: _depth(faults, place))
    if spec is None:
        return [] if value is None else [f"{place or 'it'}: expected null, found {_name(value)}"]
    if isinstance(spec, dict):
        if not isinstance(value, dict):
            return [f"{place or 'it'}: expected an object, found {_name(value)}"]
        missing = [f"{place}{'.' if place else ''}{key}: expected, not there" for key in spec if key not in value]
        parts = (
            faults_of(value[key], spec[key], f"{place}{'.' if place else ''}{key}") for key in spec if key in value
        )
        return missing + [fault for part in parts for fault in part]
    if isinstance(spec, list):
        if not isinstance(value, list):
            return [f"{place}: expected a list, found {_name(value)}"]
        parts = (faults_of(one, spec[0], f"{place}[{number}]") for number, one in enumerate(value))
        return [fault for part in parts for fault in part]
    is_one = isinstance(value, spec) and not (spec in NUMBER and isinstance(value, bool))
    return [] if is_one else [f"{place}: expected {spec.__name__}, found {_name(value)}"]


def _depth(faults, place):
    """The alternative that was nearest: the one whose faults lie deepest."""
    return max(len(fault.partition(":")[0]) for fault in faults) if place else 0


def _name(value):
    return "null" if value is None else f"{type(value).__name__} {value!r:.40}"
