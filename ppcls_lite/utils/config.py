"""YAML configs in PaddleClas's schema, and `-o Section.key=value` or `-o ~Section.key` on top of them."""

import argparse
from pathlib import Path

import yaml

from ppcls_lite.utils import schema as schemas
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.files import find_file
from ppcls_lite.utils.postprocess_forms import flatten_overrides, flatten_postprocess
from ppcls_lite.utils.recognition import complete_infer

_NAMES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
}
_TRUTH = {"true": True, "false": False}
_MISSING = object()
_OPEN = ("Arch",)  # a network's own options are checked by the network


def parse_args(description, argv=None):
    """The `-c CONFIG -o KEY=VALUE …` command line that all entry scripts share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    return parser.parse_args(argv)


def parse_words(words, where):
    """The words of another script's `-c CONFIG -o KEY=VALUE …` command line, read as `parse_args` reads them there.

    UserError that opens with `where` for words which that script would refuse, and for its `--help`.
    """
    parser = _WordsParser(add_help=False)
    parser.where = where
    add_config_arguments(parser)
    return parser.parse_args(words)


class _WordsParser(argparse.ArgumentParser):
    def error(self, message):
        raise UserError(f"{self.where}: {message}")


def add_config_arguments(parser, required=True):
    """Add `-c` and `-o` to an argparse parser."""
    parser.add_argument("-c", "--config", required=required, help="YAML config file")
    add_override_argument(
        parser,
        "replace one config value, e.g. -o Global.epochs=2 (lists by index), or a section, "
        "e.g. -o Optimizer='{name: AdamW, lr: {learning_rate: 0.001}}'; -o '~Optimizer.momentum' takes one out; "
        "may be repeated",
    )


def add_override_argument(parser, text):
    """Add `-o` to an argparse parser; `text` is its help."""
    parser.add_argument("-o", "--override", action="append", default=[], metavar="KEY=VALUE", help=text)


def without_nulls(section):
    """A section (or None) less its keys that are null."""
    return {key: value for key, value in (section or {}).items() if value is not None}


def load_config(path, overrides=(), schema=schemas.TRAIN):
    """Read the YAML at `path`, apply `overrides` ("A.b.c=value" and "~A.b.c" texts) and check names and types.

    Returns nested dicts and lists. Raises UserError that names the file and line or the key, what was found
    and what was expected.
    """
    path = find_file(path)
    config = read_yaml(path)
    for section in config:
        if section not in schema[""]:
            raise UserError(f"{path}: unknown section '{section}'{nearest(section, schema[''])}")
    if "PostProcess" in schema[""]:
        overrides = flatten_overrides(overrides, config, flatten_postprocess(config, path))
    check_types(config, schema, path)
    for text in overrides:
        _override(config, text, schema, path)
    _drop_empty_sections(config, schema)
    for name in ("Global", "Arch", "Arch.name"):  # every script needs these
        if name.partition(".")[0] in schema[""]:
            require(config, name, path)
    if schema is schemas.TRAIN:
        complete_infer(config)
    return config


def read_yaml(path):
    """The mapping in the YAML file at `path`; duplicate keys and anything but a mapping raise UserError."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: expected a YAML file, found a folder")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such config file") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not UTF-8 text (byte 0x{error.object[error.start]:02x})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        config = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else path
        raise UserError(f"{place}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-13-45
        raise UserError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(config, dict):
        found = "an empty file" if config is None else type(config).__name__
        raise UserError(f"{path}: expected sections such as Global, found {found}")
    return config


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a message; a config must not hide a line that way."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str):
                if name in seen:
                    raise yaml.MarkedYAMLError(problem=f"key '{name}' occurs twice", problem_mark=key.start_mark)
                seen.add(name)
        return super().construct_mapping(node, deep)


def parse_value(text):
    """The YAML scalar or flow list that `text` spells; `1e-3` is a number here, unlike in YAML 1.1."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return text
    return value if isinstance(value, (bool, int, float, list, dict, type(None))) else text


def check_types(config, schema, path):
    """Types of the keys that the schema knows; unknown keys are left to the reader of the section."""
    for section, kinds in schema.items():
        node = _section(config, section)
        if isinstance(node, dict):
            for key, value in node.items():
                if key in kinds:
                    name = f"{section}.{key}" if section else key
                    node[key] = _typed(value, kinds[key], f"{path}: {name}")


def _drop_empty_sections(config, schema):
    """A section set to null is one that is left out."""
    for section, kinds in schema.items():
        node = _section(config, section)
        for key in list(node) if isinstance(node, dict) else ():
            if node[key] is None and dict in _kinds_of(kinds.get(key)):
                del node[key]


def _section(config, dotted):
    node = config
    for part in dotted.split(".") if dotted else ():
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _kinds_of(kind):
    return kind if isinstance(kind, tuple) else (kind,)


def _typed(value, kind, where):
    """`value` if it is of `kind` (None always is: a key set to null), else UserError."""
    kinds = _kinds_of(kind)
    hint = nearest(value, ("True", "False")) if bool in kinds and isinstance(value, str) else ""
    if value is None or (type(value) in kinds and not hint):
        return value
    if float in kinds and type(value) is int:
        return float(value)
    if float in kinds and isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        number = parse_value(value)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return float(number)
    if str in kinds and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    expected = " or ".join(_NAMES[k] for k in kinds)
    raise UserError(f"{where}: expected {expected}, found {value!r}{hint}")


def _override(config, text, schema, path):
    """Do what one `-o` says: KEY=VALUE sets a value, or a whole section (KEY={…}); ~KEY takes the key out."""
    key, equals, raw = text.partition("=")
    if key.strip().startswith("~"):
        _remove(config, key.strip(), equals, schema, path)
        return
    if not equals or not key.strip():
        raise UserError(f"-o {text}: expected KEY=VALUE, e.g. -o Global.epochs=2")
    *parents, last = key.strip().split(".")
    node, where = _descend(config, parents, last, key, schema, path)
    old = _child(node, last, where, schema, key, path)
    kind = schema.get(where, {}).get(last)
    if kind is None and type(old) in (bool, str):  # a number may become a list (`size`): its reader checks it
        kind = type(old)
    value = _override_value(raw, kind, f"-o {key}")
    if isinstance(value, dict):
        _check_section(value, f"{where}.{last}" if where else last, schema, f"-o {key}")
    node[_index(node, last, key)] = value


def _remove(config, key, equals, schema, path):
    """Take `~A.b.c` out of the mapping or list that holds it."""
    if equals or key == "~":
        raise UserError(f"-o {key}{equals}: expected ~KEY without a value, e.g. -o '~Optimizer.momentum'")
    *parents, last = key[1:].split(".")
    node, where = _descend(config, parents, last, key, schema, path)
    if _child(node, last, where, schema, key, path) is _MISSING:
        hint = nearest(last, node) or f"; there is: {', '.join(map(str, node)) or 'nothing'}"
        raise UserError(f"-o {key}: there is no '{last}' in {where or path}{hint}")
    del node[_index(node, last, key)]


def _descend(config, parents, last, key, schema, path):
    """(the mapping or list that holds the key `last`, its dotted name); mappings on the way are made."""
    node, where = config, ""
    for depth, part in enumerate(parents):
        child = _child(node, part, where, schema, key, path)
        if child is _MISSING or child is None:
            child = node[_index(node, part, key)] = {}
        if not isinstance(child, (dict, list)):
            name = ".".join(parents[: depth + 1])
            missed = (*parents, last)[depth + 1]
            raise UserError(f"-o {key}: '{name}' is the value {child!r}, which has no key '{missed}'")
        node, where = child, f"{where}.{part}" if where else part
    return node, where


def _child(node, part, where, schema, key, path):
    if isinstance(node, list):
        index = _index(node, part, key)
        return node[index]
    if part in node:
        return node[part]
    known = schema.get(where)
    if known is None or part in known:
        return _MISSING
    names = {*known, *map(str, node)}
    if where in _OPEN and not nearest(part, names):
        return _MISSING
    raise _unknown_key(part, names, where or path, f"-o {key}")


def _unknown_key(part, names, place, where):
    hint = nearest(part, names) or f"; known here: {', '.join(sorted(names))}"
    return UserError(f"{where}: unknown key '{part}' in {place}{hint}")


def _index(node, part, key):
    if not isinstance(node, list):
        return part
    if not part.isdecimal() or int(part) >= len(node):
        raise UserError(f"-o {key}: expected a list index from 0 to {len(node) - 1}, found '{part}'")
    return int(part)


def _override_value(raw, kind, where):
    if raw.lstrip().startswith("{"):
        try:
            yaml.load(raw, Loader=_UniqueKeyLoader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise UserError(f"{where}: not valid YAML: {reason}: {raw!r:.80}") from None
    if kind is None:
        return parse_value(raw)
    kinds = _kinds_of(kind)
    if raw.strip().lower() in ("null", "none", ""):
        return None
    if bool in kinds and raw.strip().lower() in _TRUTH:
        return _TRUTH[raw.strip().lower()]
    return _typed(raw if str in kinds else parse_value(raw), kind, where)


def _check_section(section, name, schema, where):
    """Names and types in a section that is replaced as a whole, and in those below it. The options of a network are
    its own: whoever builds it checks them."""
    known = schema.get(name)
    if known is None or not isinstance(section, dict):
        return
    for key, value in section.items():
        if key in known:
            section[key] = _typed(value, known[key], f"{where}: {name}.{key}")
            _check_section(section[key], f"{name}.{key}", schema, where)
        elif name not in _OPEN:
            raise _unknown_key(key, set(known), name, where)


def require(config, dotted, path="config"):
    """The value at `dotted` ("Arch.name"); UserError when it is absent or null."""
    value = _section(config, dotted)
    if value is None:
        raise UserError(f"{path}: '{dotted}' is missing")
    return value
