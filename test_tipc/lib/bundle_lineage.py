"""The chain of hashes of a bundle: data -> config and code -> training -> weights -> exported model -> predictions.

Each entry has an `id`, its `kind`, the `sha256` of what it is, `of`, the ids of what it was made of, and a `link`:

    link = SHA-256 of "<kind>\\n<sha256>\\n" and the links of its parents, sorted, each with "\\n"

so that the link of a prediction changes with every byte that it depends on. Everything here works from a bundle alone.
"""

import hashlib
import re
from pathlib import Path

FILE = "inputs.sha256"
_LINE = re.compile(r"(?P<hash>[0-9a-f]{64})  (?P<path>.+)")
_MANY = re.compile(r"# data: \d+ [\d.]+ (?P<path>.+)")  # size, time
KINDS = ("data", "config", "code", "weights", "model", "predictions", "answers", "training")


def entry(identity, kind, sha256, of=(), **more):
    """One entry, without its link; `more`: name (words), path (in the project), file (of the bundle), files (of it)."""
    return {"id": identity, "kind": kind, **more, "sha256": sha256, "of": list(of), "link": None}


def link_of(one, links):
    """The link of an entry, where `links` are those of its parents; None where its hash or one of these is unknown."""
    if not one["sha256"] or None in links:
        return None
    text = f"{one['kind']}\n{one['sha256']}\n" + "".join(f"{link}\n" for link in sorted(links))
    return hashlib.sha256(text.encode()).hexdigest()


def add_links(entries):
    """Fill in the links; parents come before what is made of them."""
    known = {}
    for one in entries:
        one["link"] = known[one["id"]] = link_of(one, [known[parent] for parent in one["of"]])
    return entries


def faults(bundle, folder=None):
    """[(what, what is wrong, expected, found)] of the hashes of a bundle: [] where all are right.

    Looks at links and parents, at the files of models, and at entries of files that the bundle lists; with the bundle's
    `folder` at every file, too, and at data, config and code, whose hashes follow from inputs.sha256.
    """
    entries, files = bundle.get("lineage") or [], bundle.get("files") or {}
    found = _link_faults(entries)
    for one in entries:
        listed = (files.get(one.get("file")) or {}).get("sha256")
        if one.get("file") and one["kind"] != "code" and listed != one["sha256"]:
            found.append((one["id"], f"is not the file {one['file']}", one["sha256"], listed))
        if one.get("files") and folder_hash(one["files"]) != one["sha256"]:
            found.append((one["id"], "is not the hash of its files", folder_hash(one["files"]), one["sha256"]))
    return found if folder is None else [*found, *_file_faults(files, folder), *_input_faults(bundle, folder)]


def _link_faults(entries):
    found, known = [], {}
    for one in entries:
        lost = [parent for parent in one["of"] if parent not in known]
        if one["id"] in known:
            found.append((one["id"], "is there twice", "one entry", "two"))
        elif lost:
            found.append((one["id"], "is made of what is not listed before it", "its parents", ", ".join(lost)))
        else:
            link = link_of(one, [known[parent] for parent in one["of"]])
            if link != one["link"]:
                found.append((one["id"], "has another link", link, one["link"]))
        known[one["id"]] = one["link"]
    return found


def _file_faults(files, folder):
    found = []
    for name, listed in files.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            found.append((name, "is outside of the bundle", "a file in it", name))
        elif not path.is_file():
            found.append((name, "is missing", listed["sha256"], None))
        elif (hashed := file_hash(path)) != listed["sha256"]:
            found.append((name, "has changed", listed["sha256"], hashed))
    return found


def _input_faults(bundle, folder):
    """Of inputs.sha256 and what follows from it; a bundle without that file has none."""
    said = bundle.get("inputs") or {}
    path = folder / (said.get("file") or FILE)
    if not path.is_file():
        return []
    found = []
    if said.get("hash") and not file_hash(path).startswith(said["hash"]):
        found.append((path.name, "is not the list that the run noted", said["hash"], file_hash(path)[:12]))
    others = unlisted(bundle.get("lineage") or [], read_lines(path))
    return found + [(one, f"is not what {path.name} lists", expected, said) for one, expected, said in others]


def unlisted(entries, lines):
    """[(id, the SHA-256 that follows from the `lines` of inputs.sha256, that of the entry)] where these differ.

    Of data, config, provided weights and code; entries with a `from` are of the run that made the model.
    """
    expected, used = [], set()
    own = [one for one in entries if not one.get("from")]
    for one in own:
        path = one.get("path")
        if one["kind"] not in ("data", "config", "weights") or not path or one.get("files"):
            continue
        listed = [line for name, line in lines if name == path]
        below = {name: line for name, line in lines if name.startswith(f"{path}/")}
        if listed or below:
            used |= {path, *below}
            expected.append((one, listed[0][:64] if listed else lines_hash(below.values())))
    code = lines_hash([line for name, line in lines if name not in used])
    expected += [(one, code) for one in own if one["kind"] == "code"]
    return [(one["id"], hashed, one["sha256"]) for one, hashed in expected if hashed != one["sha256"]]


def read_lines(path):
    """[(path, line)] of an inputs.sha256: files, and those of folders with many files, which have no hash."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.fullmatch(line) or _MANY.fullmatch(line)
        if match:
            found.append((match["path"], line))
    return found


def lines_hash(lines):
    """The hash of several files: of their lines in inputs.sha256, each with its line end."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("utf-8", "replace")).hexdigest()


def file_hash(path):
    """The SHA-256 of a file."""
    with open(path, "rb") as stream:
        return stream_hash(stream)


def stream_hash(stream):
    """The SHA-256 of what can be read from a stream of bytes, block by block: weights may be large."""
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def folder_hash(files):
    """The hash of a model's folder, {name: SHA-256}: of the lines that `sha256sum` prints of ./NAME in their order.

    Its first twelve digits are the fact `model=` of the steps.
    """
    lines = sorted((f"./{name}".encode(), hashed) for name, hashed in files.items())
    text = b"".join(f"{hashed}  ".encode() + name + b"\n" for name, hashed in lines)
    return hashlib.sha256(text).hexdigest()
