"""What a run depended on, as its output folder tells: inputs.sha256, and what the config names for this mode.

`inputs.sha256` lists hashes as `sha256sum` prints them, and comments; folders of many files have a line `# data: SIZE
TIME PATH` for each. `.config.tsv` has the lines of the config with the value of this mode, `.named_paths` the files and
folders that these values name, and those that the YAML files among them name.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from bundle_lineage import FILE, entry, lines_hash, read_lines

CONFIG, NAMED = ".config.tsv", ".named_paths"
SETTINGS = (".yaml", ".yml", ".toml", ".cfg", ".ini")
_PROGRAMS = (".py", ".sh", ".so", ".c", ".cc", ".cpp", ".cu", ".h")
_SOURCES = re.compile(r"(SOURCES?|NOTICE|LICEN[CS]ES?|README)([._-].*)?", re.IGNORECASE)
_LICENCE = re.compile(r"licen[cs]e|copyright|public domain|CC0|CC BY|GPL|MIT\b|Apache|BSD", re.IGNORECASE)
_MOST_LINES = 12  # of a file of sources


class Inputs(NamedTuple):
    """`lines`: [(path, the line of inputs.sha256)]; `named`: paths, in their order; `config`: its resolved lines."""

    lines: list
    named: list
    config: list

    def hash_of(self, path):
        """The SHA-256 of a file that is listed; None for another one."""
        found = next((line for name, line in self.lines if name == path), "")
        return found[:64] if found and not found.startswith("#") else None

    def below(self, folder):
        """The lines of the files in a folder, in their order."""
        return [line for name, line in self.lines if name.startswith(f"{folder}/")]


def read_inputs(folder):
    """The `Inputs` of a run's output folder; empty where it has no such files."""
    lines = read_lines(folder / FILE) if (folder / FILE).is_file() else []
    rows = [line.split("\t", 3) for line in _lines(folder / CONFIG)]
    config = [
        {"line": int(number), "section": section, "key": key, "value": value}
        for number, section, key, value in (row for row in rows if len(row) == 4 and row[0].isdecimal())
    ]
    return Inputs(lines, list(dict.fromkeys(_lines(folder / NAMED))), config)


def _lines(path):
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def entries(inputs, config):
    """Lineage entries of data, of the config's file and settings, and of the code: all other files as one."""
    found, used = [], set()
    for path in inputs.named:
        hashed, below = inputs.hash_of(path), inputs.below(path)
        if path == config or path.endswith((*SETTINGS, *_PROGRAMS)):
            continue
        if path.endswith(".pdparams") and hashed:
            found.append(entry(f"weights {path}", "weights", hashed, name="provided weights", path=path))
        elif hashed:
            found.append(entry(f"data {path}", "data", hashed, name="file", path=path))
        elif below and not _is_code(below):
            words = f"folder, {len(below)} files"
            found.append(entry(f"data {path}", "data", lines_hash(below), name=words, path=path))
        else:
            continue  # programs, or what was not there
        used |= {path, *(name for name, _ in inputs.lines if name.startswith(f"{path}/"))}
    data = [one["id"] for one in found if one["kind"] == "data"]
    for path in [config, *(path for path in inputs.named if path.endswith(SETTINGS))]:
        if path and path not in used:
            found.append(entry(f"config {path}", "config", inputs.hash_of(path), data, name="config", path=path))
            used.add(path)
    code = [line for name, line in inputs.lines if name not in used]
    if code:
        found.append(entry("code", "code", lines_hash(code), name=f"{len(code)} other files", file=FILE))
    return found


def _is_code(lines):
    """Whether most of a folder's files are programs, settings and documents."""
    return 2 * sum(line.endswith((*SETTINGS, *_PROGRAMS, ".md")) for line in lines) > len(lines)


def sources(inputs):
    """[{path, sha256, licences}] of the files that say where the named data comes from: beside it, or above it."""
    folders = []
    for path in map(Path, inputs.named):
        if path.is_absolute() or path.suffix in (*SETTINGS, *_PROGRAMS):
            continue
        place = path if path.is_dir() else path.parent
        folders += [folder for folder in (place, *place.parents) if folder != Path(".")]
    found = []
    for folder in dict.fromkeys(folders):
        for path in sorted(folder.glob("*")):
            if _SOURCES.fullmatch(path.name) and path.is_file() and path.stat().st_size < 1 << 20:
                content = path.read_bytes()
                text = content.decode("utf-8", "replace").splitlines()
                said = [line.strip()[:200] for line in text if _LICENCE.search(line)][:_MOST_LINES]
                name = (folder / path.name).as_posix()
                found.append({"path": name, "sha256": hashlib.sha256(content).hexdigest(), "licences": said})
    return found


def seeds(inputs, commands, histories):
    """{"Global.seed": 2022, ...} of YAML files, of command lines, and of what trainings noted when they began."""
    found = {}
    for path in (path for path in inputs.named if path.endswith(SETTINGS) and Path(path).is_file()):
        found.update(_yaml_seeds(Path(path).read_text(encoding="utf-8", errors="replace")))
    for command in commands:
        for name, number in re.findall(r"(?:^|\s)(?:-o\s+|--)?([\w.-]*seed)[=\s]\s*(\d+)(?=\s|$)", command):
            found[name.lstrip("-")] = int(number)
    for name, event in histories.items():
        if type(event.get("seed")) is int:
            found[f"{name}: seed"] = event["seed"]
    return found


def _yaml_seeds(text):
    """The seeds of a YAML file of mappings, by their full names; without a library, so block style only."""
    found, parents = {}, []
    for line in text.splitlines():
        match = re.match(r"(\s*(?:- )?)([\w.]+)\s*:\s*(.*?)\s*(?:#.*)?$", line)
        if not match:
            continue
        depth = len(match[1])
        parents = [one for one in parents if one[0] < depth]
        if match[2].lower().endswith("seed") and re.fullmatch(r"\d+", match[3]):
            found[".".join([*(name for _, name in parents), match[2]])] = int(match[3])
        parents.append((depth, match[2]))
    return found
