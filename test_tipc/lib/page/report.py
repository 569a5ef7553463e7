"""Draw report.html and report.md of a bundle: a run's output folder, or a folder of evidence.

    python test_tipc/lib/page/report.py test_log/MobileNetV3_small_x1_0

Reads bundle.json and the logs beside it. report.html is one file that loads
nothing; report.md says the same in Markdown, for a pull request. Test images are looked for in the project, the working
folder unless --project names another.
Exit code: 0 both are written, 1 the folder is no bundle, or cannot be written to.
"""

import argparse
import hashlib
import sys
from pathlib import Path

_LIB = str(Path(__file__).resolve().parents[1])
if __name__ == "__main__":
    sys.path[0] = _LIB  # not this folder

from page.answers import read_answers  # noqa: E402
from page.curves_part import draw_curves, read_curve  # noqa: E402
from page.differences import read_differences  # noqa: E402
from page.element import el  # noqa: E402
from page.frame import breakable, document  # noqa: E402
from page.latency import read_speeds  # noqa: E402
from page.markdown import write_markdown  # noqa: E402
from page.measures_part import draw_differences, draw_speeds  # noqa: E402
from page.origin_part import draw_origin  # noqa: E402
from page.overview import draw_key_figures, draw_matrix, draw_verdict, outcome  # noqa: E402
from page.predictions_part import draw_predictions  # noqa: E402
from page.source import BUNDLE, read_source  # noqa: E402
from page.steps_part import draw_steps  # noqa: E402
from page.thumbnails import kept_thumbnails  # noqa: E402
from script import atomic_write, run_main  # noqa: E402

HTML, MARKDOWN = "report.html", "report.md"
_CONTENTS = {
    "matrix": "Steps by result",
    "curves": "Curves",
    "predictions": "Predictions",
    "differences": "Differences",
    "speed": "Speed",
    "steps": "Steps",
    "origin": "Where it comes from",
}


def write_report(folder, root=None):
    """Write report.html and report.md into the folder; `root` is the project's folder, the working folder unless given.

    UserError where the folder is no bundle, OSError where it cannot be written to. Reports of before are gone then.
    """
    kept = kept_thumbnails(Path(folder))
    for name in (HTML, MARKDOWN):  # of another run, perhaps
        Path(folder, name).unlink(missing_ok=True)
    source = read_source(folder, root)
    found = read_differences(source), read_answers(source)
    for name, content in ((HTML, draw_report(source, *found, kept)), (MARKDOWN, write_markdown(source, *found))):
        with atomic_write(source.folder / name) as stream:
            stream.write(content)


def try_report(folder, root=None):
    """`write_report` for a run, which is not worth less without a page: what goes wrong is a note on standard error."""
    try:
        write_report(folder, root)
    except Exception as error:  # a defect here, too
        print(f"note: {Path(folder) / HTML} could not be drawn: {type(error).__name__}: {error}", file=sys.stderr)


def draw_report(source, differences, predicted, kept):
    """The page of a `Source` as a str, with what `read_differences`, `read_answers` and `kept_thumbnails` found."""
    curve = read_curve(source)
    sections = [
        draw_matrix(source),
        draw_curves(curve),
        draw_predictions(source, predicted, kept),
        draw_differences(differences),
        draw_speeds(read_speeds(source, curve)),
        draw_steps(source),
        draw_origin(source),
    ]
    drawn = {name: part for name, part in zip(_CONTENTS, sections) if part}
    links = el("ul", [el("li", el("a", _CONTENTS[name], href=f"#{name}")) for name in drawn])
    heading = el("h1", breakable(source.model), el("small", source.mode))
    top = el("header", heading, draw_verdict(source), draw_key_figures(source, differences))
    body = [top, el("nav", links, aria_label="Contents"), el("main", list(drawn.values()), id="main"), _footer(source)]
    return document(f"{source.model}, {source.mode}: {outcome(source)}", body)


def _footer(source):
    digest = hashlib.sha256((source.folder / BUNDLE).read_bytes()).hexdigest()
    return el("footer", f"Drawn from {BUNDLE}, SHA-256 {digest}, and the logs beside it.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--project", type=Path, default=Path("."), help="where the test images are")
    parser.add_argument("--try", dest="is_try", action="store_true", help="what goes wrong is a note, and nothing more")
    args = parser.parse_args()
    if args.is_try:
        return try_report(args.folder, args.project)
    write_report(args.folder, args.project)
    print(f"{args.folder / HTML}, {MARKDOWN}")


if __name__ == "__main__":
    run_main(main)
