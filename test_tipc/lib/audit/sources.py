"""Where the data comes from, under which licence, and how large the evidence is."""

import re
from pathlib import PurePosixPath

from audit.registry import BUNDLE, check, judged, skipped
from script import counted

MOST_EVIDENCE = 16 << 20  # bytes of one folder of evidence
_LICENCE = re.compile(
    r"licen[cs]e|copyright|public domain|\bCC0\b|\bCC BY\b|\bGPL|\bMIT\b|Apache|\bBSD\b|许可|版权|公有领域",
    re.IGNORECASE,
)
_SOURCE = re.compile(r"https?://|\bsources?\b|package|dataset|download|made by|来源|出处|下载", re.IGNORECASE)


@check("sources", BUNDLE)
def check_sources(bundle):
    """beside the data (or above it) lies a file, SOURCES.md or so, that names its source and its licence"""
    data = [one["path"] for one in bundle["lineage"] if one["kind"] == "data" and one.get("path")]
    data = [path for path in data if not path.startswith(("/", "test_tipc/")) and not _is_code(bundle, path)]
    if not data:
        return None
    places = {path: [one for one in bundle["sources"] if _is_beside(one["path"], path)] for path in data}
    places = {path: found or _in_repository(bundle, path) for path, found in places.items()}
    faults = [f"{path}: no file of its sources beside it" for path, found in places.items() if not found]
    if bundle.repository is None:
        named = ", ".join(one["path"] for one in bundle["sources"])
        expected = "a source and a licence of all data"
        return judged(expected, "", faults) if faults else skipped(f"no repository around the bundle; it names {named}")
    for path, found in places.items():
        texts = [(one["path"], _text(bundle, one["path"])) for one in found]
        texts = [(name, text) for name, text in texts if text is not None]
        if found and not texts:
            faults.append(f"{found[0]['path']}: not in the repository")
        elif texts and not any(_LICENCE.search(text) for _, text in texts):
            faults.append(f"{path}: no licence is named in {', '.join(name for name, _ in texts)}")
        elif texts and not any(_SOURCE.search(text) for _, text in texts):
            faults.append(f"{path}: no source is named in {', '.join(name for name, _ in texts)}")
        faults += [fault for name, text in texts if (fault := _without_licence(name, text))]
    found = ", ".join(dict.fromkeys(one["path"] for one in bundle["sources"]))
    return judged("a source and a licence of all data", found, list(dict.fromkeys(faults)))


def _is_code(bundle, path):
    """Whether programs lie in a folder that the config names."""
    return any(one != path and one.endswith((".py", ".sh", ".cc", ".cpp")) for one, _ in bundle.input_lines_of(path))


def _is_beside(source, path):
    """Whether a file of sources lies in the folder of the data, in the data's own folder, or above."""
    folder = source.rpartition("/")[0]
    return bool(folder) and f"{path}/".startswith(f"{folder}/")


def _in_repository(bundle, path):
    """The nearest SOURCES.md of the repository, for data of which the bundle names none."""
    folders = [path, *(str(folder) for folder in PurePosixPath(path).parents)][:-1]
    names = [f"{folder}/SOURCES.md" for folder in folders]
    if bundle.repository is not None and not (bundle.repository / path.partition("/")[0]).exists():
        return [{"path": names[0]}]  # a folder that prepare.sh makes
    found = (name for name in names if (place := bundle.in_repository(name)) is not None and place.is_file())
    return [{"path": name} for name in found][:1]


def _text(bundle, path):
    place = bundle.in_repository(path)
    if place is None or not place.is_file() or place.stat().st_size > 1 << 22:
        made = bundle.repository / path.partition("/")[0]
        return None if made.exists() else "source and licence: in a folder that prepare.sh makes"
    return place.read_text(encoding="utf-8", errors="replace")


def _without_licence(name, text):
    """The first row of a table with a column of licences where that cell is empty; "" for none."""
    column = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            column = None
        elif column is None:
            column = next((n for n, cell in enumerate(cells) if re.search(r"licen[cs]e|许可", cell, re.IGNORECASE)), -1)
        elif column >= 0 and (column >= len(cells) or not cells[column]):
            return f"{name}: no licence of {cells[0]:.60}"
    return ""


@check("size", BUNDLE)
def check_size(bundle):
    """a folder of evidence has at most 16 MiB"""
    if "test_log" not in bundle.folder.resolve().parts:
        return None
    total = sum(bundle.hashes.of(bundle.path(name))[1] for name in bundle["files"])
    faults = [f"{total / (1 << 20):.1f} MiB"] if total > MOST_EVIDENCE else []
    return judged(
        f"at most {MOST_EVIDENCE >> 20} MiB",
        f"{total / (1 << 20):.2f} MiB in {counted(len(bundle['files']), 'file')}",
        faults,
    )
