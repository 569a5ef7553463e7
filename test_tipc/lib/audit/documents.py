"""Do the documents say how to do each step, with commands that exist, and what the logs say?"""

import re
from pathlib import PurePosixPath

from audit.accuracy import ACCURACY
from audit.registry import REPOSITORY, check, judged, skipped
from script import counted

# the kinds of steps whose command a document must show, and the word for it
SHOWN = {"train": "training", "evaluate": "evaluation", "predict": "prediction", "export": "export",
         "infer": "inference", "server": "serving"}  # fmt: skip
_BLOCK = re.compile(r"^ *```(?:bash|shell|sh|console)?\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_SCRIPT = re.compile(r"(?:^|\s)(?:python[\d.]*|bash|sh|source)\s+(?P<path>[\w./+-]+\.(?:py|sh))(?=\s|$|\\)")
_CD = re.compile(r"(?:^|\s|&&)cd\s+(?P<folder>[\w./+-]+)")
_MADE = re.compile(r"(?:>|tee|cp|mv|curl|wget|git clone|new_model)\s.*")
_METRICS = "|".join(map(re.escape, (*ACCURACY, "top-1", "Recall@1", "AP")))
_HEADER = re.compile(rf"^\W*({_METRICS})\b(?!.*(?:quoted|引用))", re.IGNORECASE)
_STATED = re.compile(r"^\W*(?P<number>\d+(?:\.\d+)?)\s*(?P<percent>%?)\W*$")


@check("documents", REPOSITORY)
def check_documents(repository):
    """there are a README, test_tipc/README.md, and docs/test_<chain>.md of each test_<chain>.sh and each bundle"""
    faults = [] if repository.find(r"README.*\.md") else ["README.md: missing"]
    folder = repository.folder / "test_tipc"
    chains = {path.stem.removeprefix("test_") for path in folder.glob("test_*.sh")}
    chains |= {bundle["chain"] for bundle in repository.readable if bundle["chain"]}
    if not any(path.name.lower().startswith("readme") for path in folder.glob("*.md")):
        faults.append("test_tipc/README.md: missing")
    there = {path.stem for path in [*folder.glob("docs/*.md"), *folder.glob("*.md")]}
    faults += [f"test_tipc/docs/test_{chain}.md: missing" for chain in sorted(chains) if f"test_{chain}" not in there]
    return judged(
        "README, test_tipc/README.md, docs of each chain", f"those of {counted(len(chains), 'chain')}", faults
    )


@check("commands", REPOSITORY)
def check_commands(repository):
    """the documents show a command for training, evaluation, prediction, export, inference and serving: its script"""
    blocks = "\n".join(block for text in repository.texts().values() for block in _BLOCK.findall(text))
    scripts = {}
    for bundle in repository.readable:
        for step in bundle["steps"]:
            kind = step["name"].split(" ")[0]
            found = re.search(r"[\w./+-]+\.(?:py|sh)(?=\s|$)", step["command"] or "")
            if kind in SHOWN and found and step["result"] == "passed":
                scripts.setdefault(kind, set()).add(PurePosixPath(found[0]).name)
    if not scripts:
        return None
    faults = [
        f"{SHOWN[kind]}: no block of commands with {' or '.join(sorted(names))}"
        for kind, names in scripts.items()
        if not any(re.search(rf"(?<![\w-]){re.escape(name)}", blocks) for name in names)
    ]
    return judged("a command for each step", ", ".join(SHOWN[kind] for kind in SHOWN if kind in scripts), faults)


@check("scripts", REPOSITORY)
def check_scripts(repository):
    """each script that a command of the documents names exists"""
    faults, count = [], 0
    for name, text in repository.texts().items():
        for block in _BLOCK.findall(text):
            folders = [match["folder"] for match in _CD.finditer(block)]
            for match in _SCRIPT.finditer(block.replace("\\\n", " ")):
                path = match["path"]
                if path.startswith("/") or path in _made_by(block, path):
                    continue
                count += 1
                if not _exists(repository.folder, name, path, folders):
                    faults.append(f"{name}: {path}")
    return judged("scripts that exist", counted(count, "command"), list(dict.fromkeys(faults))) if count else None


def _made_by(block, path):
    """The path, where a line of the block writes it."""
    return [path for line in block.splitlines() if path in line and _MADE.search(line.partition(path)[0] + " ")]


def _exists(root, document, path, folders):
    """From the root, from the inference's folder, from that of the document, or from one that the block enters."""
    places = [root, root / "deploy", (root / document).parent]
    places += [place / folder for place in list(places) for folder in folders]
    places += [place.parent for place in places]
    return any((place / path).exists() for place in places)


@check("stated accuracy", REPOSITORY)
def check_stated(repository):
    """an accuracy in a table's row that links to a bundle is that of its log, cut after any decimal, not rounded up"""
    logged = {}
    for bundle in repository.readable:
        for step in bundle.passed("evaluate"):
            if step["log"]:
                names = {"AP": ("AP",), "top1": ACCURACY}
                found = {key: bundle.figure(step, *alike)[1] for key, alike in names.items()}
                logged.setdefault(bundle.label, found)
    if not logged:
        return None
    faults, count = [], 0
    for document, text in repository.texts().items():
        for metric, number, percent, link in _stated_in(document, text, logged):
            value = logged[link].get("AP" if metric.upper() == "AP" else "top1")
            if value is None:
                continue
            count += 1
            faults += (
                []
                if _is_cut(number, percent, value)
                else [f"{document}: {metric} {number}{percent}, {link} has {value:g}"]
            )
    if not count:
        return skipped("no table states an accuracy beside a link to its evidence")
    return judged("the logged figures", f"{counted(count, 'figure')} in tables", faults)


def _stated_in(document, text, known):
    """(metric, number, "%" or "", bundle) of each accuracy in a row that links to one of the `known` folders."""
    header = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            header = []
            continue
        header = header or cells
        links = {_folder(document, link) for link in re.findall(r"\]\(([^)#\s]+)", line)}
        links = [link for link in links if link in known]
        if len(links) != 1:
            continue
        for number, cell in enumerate(cells):
            title = header[number] if number < len(header) else ""
            before = cells[number - 1] if number else ""
            stated, metric = _STATED.match(cell), _HEADER.match(title)
            if stated and not metric and re.fullmatch(rf"\W*({_METRICS})\W*", before, re.IGNORECASE):
                metric = _HEADER.match(before)
            if stated and metric:
                percent = stated["percent"] or ("%" if "%" in title else "")
                yield metric[1], stated["number"], percent, links[0]


def _folder(document, link):
    """The folder of the repository that a link of a document leads to."""
    parts = []
    for part in (*PurePosixPath(document).parent.parts, *PurePosixPath(link).parts):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _is_cut(text, percent, value):
    """Whether the text is the value with its last decimals left out, or the value itself."""
    unit = 10.0 ** -len(text.partition(".")[2])
    number, exact = float(text), float(value) * (100 if percent else 1)
    return exact - unit < number <= exact + 1e-9


@check("matrix", REPOSITORY)
def check_matrix(repository):
    """each ✓ of test_tipc/README.md links to a bundle that passed; each folder of configs has evidence or a ○ there"""
    path = next(
        (one for one in (repository.folder / "test_tipc").glob("*.md") if one.name.lower() == "readme.md"), None
    )
    configs = sorted({one.parent.name for one in (repository.folder / "test_tipc/configs").glob("*/*.txt")})
    if path is None or not configs:
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    passed = {bundle.label for bundle in repository.readable if bundle["verdict"]["passed"]}
    document = path.relative_to(repository.folder).as_posix()
    links = {_folder(document, link) for link in re.findall(r"✓ \[[^\]]*\]\(([^)#\s]+)\)", text)}
    faults = [f"✓ {link}: no bundle that passed" for link in sorted(links - passed)]
    models = {bundle.model for bundle in repository.readable}
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for name in configs:
        said = [row for row in rows if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", row)]
        if name not in models and not any("○" in row or "✗" in row for row in said):
            faults.append(f"test_tipc/configs/{name}: no evidence, and no ○ in the matrix")
    return judged("✓ with evidence, ○ without", f"{len(links)} ✓, {counted(len(configs), 'folder')} of configs", faults)
