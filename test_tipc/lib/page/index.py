"""Draw index.html of a folder of bundles: models by chains, with links to their reports.

    python test_tipc/lib/page/index.py test_log
    python test_tipc/lib/page/index.py test_log --reports

A bundle is a folder, at any depth, with bundle.json. --reports draws the report of each one, too; the
test images are looked for in the working folder. Bundles of other projects, certified with a tool that is no
part of them, have a table of their own.
Exit code: 0 written, 1 the folder has no bundle, or cannot be written to.
"""

import argparse
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # not this folder

from page.element import el, link
from page.frame import badge, breakable, document, section, table
from page.overview import accuracy, date, outcome
from page.report import HTML, try_report
from page.source import BASE, BUNDLE, mapping, read_source, text
from script import UserError, atomic_write, counted, run_main
from steps import FAILED, PASSED, SKIPPED

INDEX = "index.html"
_ORDER = (BASE, "serving", "paddle2onnx", "lite_arm_cpu_cpp", "inference_cpp", "serving_infer_cpp")
_DEEPEST = 5
_SHORT = 7  # digits of a commit, as git abbreviates


def find_bundles(folder):
    """The paths of all bundles below the folder, sorted; hidden folders are not looked into."""
    found = []
    for place, folders, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and depth < _DEEPEST)
        if BUNDLE in files:
            found.append(Path(place))
    return found


def write_index(folder):
    """Write index.html into the folder, and return how many bundles it shows; UserError where there is none."""
    folder = Path(folder)
    sources, broken = [], []
    for place in find_bundles(folder):
        try:
            sources.append(read_source(place))
        except UserError as error:
            broken.append(str(error))
    if not sources:
        raise UserError(f"{folder}: expected folders with {BUNDLE} below it, found none that can be read")
    with atomic_write(folder / INDEX) as stream:
        stream.write(draw_index(folder, sources, broken))
    return len(sources)


def try_index(folder):
    """`write_index` after a run, where there is a bundle: what goes wrong is a note on standard error."""
    try:
        if find_bundles(folder):
            write_index(folder)
    except Exception as error:  # a defect here, too
        print(f"note: {Path(folder) / INDEX} could not be drawn: {type(error).__name__}: {error}", file=sys.stderr)


def draw_index(folder, sources, broken=()):
    """The page as a str."""
    own = [source for source in sources if not is_foreign(source)]
    foreign = [source for source in sources if is_foreign(source)]
    results = [outcome(source) for source in sources]
    words = [f"{results.count(one)} {one}" for one in (FAILED, SKIPPED, PASSED) if one in results]
    result = FAILED if FAILED in results or broken else PASSED
    lead = el("div", el("strong", f"{counted(len(sources), 'run')}: {', '.join(words)}"), class_=f"verdict {result}")
    parts = [el("header", el("h1", "Models and chains", el("small", folder.resolve().name)), lead)]
    inner = [_matrix(folder, own, "models", "Models by chains", "模型与链条") if own else None]
    inner.append(_matrix(folder, foreign, "foreign", "Other projects", "其他项目") if foreign else None)
    if broken:
        lines = el("ul", [el("li", line) for line in broken])
        inner.append(section("broken", "Bundles that cannot be read", "无法读取", lines))
    return document(f"Models and chains in {folder.resolve().name}", [*parts, el("main", inner, id="main")])


def is_foreign(source):
    """Whether the project is another one than that which the tool is a part of."""
    return mapping(source.content.get("tool")).get("commit") is not None


def _matrix(folder, sources, identity, title, chinese):
    chains = sorted({chain_of(source) for source in sources}, key=_place)
    models = list(dict.fromkeys(source.model for source in sources))
    rows = []
    for model in models:
        ours = [source for source in sources if source.model == model]
        cells = [_entries(folder, [source for source in ours if chain_of(source) == chain]) for chain in chains]
        rows.append([breakable(model), *cells])
    return section(identity, title, chinese, table(title, ["model", *map(breakable, chains)], rows, "index"))


def chain_of(source):
    """The name of the chain that left the bundle."""
    return text(source.content.get("chain")) or BASE


def _place(chain):
    return (_ORDER.index(chain), "") if chain in _ORDER else (len(_ORDER), chain)


def _entries(folder, sources):
    """A cell: runs of the same model, chain and mode are told by their folders."""
    modes = [source.mode for source in sources]
    return [_entry(folder, source, modes.count(source.mode) > 1) for source in sources] or "-"


def _entry(folder, source, is_named):
    """The verdict of one bundle, which leads to its report where it has one; mode, accuracy, commit and date."""
    place, result = source.folder.relative_to(folder), outcome(source)
    drawn, named = badge(result), [place.name] if is_named else []
    if (source.folder / HTML).is_file():
        words = ", ".join([source.model, source.mode, *named])
        drawn = link(place / HTML, drawn, aria_label=f"{result}: report of {words}")
    loose = source.passed and source.verdict.get("compared") is False
    lines = [source.mode if chain_of(source) == BASE else "", *named, "predictions NOT compared" if loose else ""]
    lines.append(" · ".join(filter(None, [_code(source), date(source)])))
    figure = el("span", accuracy(source), class_="whole")
    return el("div", drawn, " ", figure, [el("small", breakable(line)) for line in lines if line], class_="entry")


def _code(source):
    """The commit as git abbreviates it, and whether the tree was another."""
    project = mapping(source.content.get("project"))
    changed = project and project.get("clean") is not True
    return text(project.get("commit"))[:_SHORT] + (" with changes" if changed else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reports", action="store_true", help="draw the report of each bundle, too")
    parser.add_argument("--try", dest="is_try", action="store_true", help="what goes wrong is a note, and nothing more")
    args = parser.parse_args()
    for place in find_bundles(args.folder) if args.reports else ():
        try_report(place)
    if args.is_try:
        return try_index(args.folder)
    count = write_index(args.folder)
    print(f"{args.folder / INDEX}: {counted(count, 'run')}")


if __name__ == "__main__":
    run_main(main)
