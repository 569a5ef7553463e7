"""Audit bundles from their files alone: see test_tipc/check_submission.sh, which starts this.

    python test_tipc/lib/check_submission.py test_log/MobileNetV3_small_x1_0 --json audit.json

Exit code: 0 no check failed, 1 one did, or nothing was checked, 2 wrong usage.
"""

import argparse
import gc
import json
import os
from pathlib import Path

from audit.bundle import NAME, Bundle
from audit.compare import Comparison
from audit.parallel import in_order
from audit.reading import Hashes
from audit.registry import (
    BUNDLE,
    CHECKS,
    COMPARISON,
    FAIL,
    PASS,
    REPOSITORY,
    SCOPES,
    SKIP,
    Line,
    clean,
    judged,
    run_checks,
)
from audit.repository import EVIDENCE, Repository
from script import ROOT, UserError, atomic_write, counted, run_main


def main():
    gc.disable()  # nothing here is a cycle; looking for them takes a sixth of the time
    args = _arguments()
    if args.list:
        for scope in SCOPES:
            print(*(f"{scope}: {one.name}: {one.rule}" for one in CHECKS.values() if one.scope == scope), sep="\n")
        return 0
    lines = []
    for line in audit(args.places, args.compare, args.allow_stale):
        print(line, flush=True)
        lines.append(line)
    counts = {result: sum(line.outcome.result == result for line in lines) for result in (PASS, FAIL, SKIP)}
    ok = counts[PASS] > 0 and not counts[FAIL]
    said = f"{counted(counts[PASS], 'check')} passed, {counts[FAIL]} failed, {counts[SKIP]} skipped"
    subjects = counted(len({line.place for line in lines}), "subject")
    print(f"{'passed' if ok else 'FAILED'}: {said}, of {subjects}" + ("" if lines else "; nothing was checked"))
    if args.json:
        _save(args.json, lines, counts, ok)
    return int(not ok)


def _arguments():
    parser = argparse.ArgumentParser(
        "check_submission.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("places", nargs="*", type=_place, metavar="BUNDLE", help="bundle, folder, repository")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all lines, with all faults")
    parser.add_argument("--allow_stale", action="store_true", help="files that changed since are a note, not a failure")
    parser.add_argument("--compare", type=Path, metavar="OTHER_BUNDLE", help="that of another run of the same work")
    parser.add_argument("--list", action="store_true", help="print the checks and their rules")
    args = parser.parse_args()
    if args.compare and len(args.places) != 1:
        parser.error(f"--compare: expected one bundle to compare with, found {len(args.places)}")
    for place in [*args.places, *([args.compare] if args.compare else [])]:
        if not place.is_dir():
            parser.error(f"{clean(place)}: expected the folder of a bundle or of a repository, found none")
    if args.json and not args.json.absolute().parent.is_dir():
        parser.error(f"--json: {clean(args.json.parent)}: no such folder")
    if args.json and args.json.is_dir():
        parser.error(f"--json: {clean(args.json)}: expected a file, found a folder")
    return args


def _place(word):
    if not word:
        raise argparse.ArgumentTypeError("expected a folder, found an empty word")
    return Path(word)


def audit(places, other=None, allow_stale=False):
    """The `Line`s of all checks of these folders; with an `other` bundle, of the one named against it. Without places,
    the repository that holds this script."""
    if other:
        ours, theirs = (_bundle(place, Hashes(), allow_stale) for place in (places[0], other))
        for bundle in (ours, theirs):
            yield from _of_bundle(bundle, only_format=True)
        try:
            pair = Comparison(ours, theirs, allow_stale)
        except UserError:  # the lines above say what cannot be read
            return
        yield from run_checks(COMPARISON, pair, pair.label)
        return
    hashes = Hashes()
    for place in places or [ROOT]:
        if (place / NAME).exists() or (place / NAME).is_symlink():
            yield from _of_bundle(_bundle(place, hashes, allow_stale))
        elif (place / "test_tipc").is_dir() or (place / EVIDENCE).is_dir():
            yield from _of_repository(Repository(place, allow_stale))
        else:
            yield from _of_folder(place, hashes, allow_stale)


def _of_repository(repository):
    yield from _of_bundles(repository.bundles)
    yield from run_checks(REPOSITORY, repository, clean(repository.folder.name or "."))


def _of_folder(place, hashes, allow_stale):
    """A folder of bundles; one without any is a failure."""
    found = sorted(Path(root) for root, _, names in os.walk(place) if NAME in names)
    yield from _of_bundles([_bundle(folder, hashes, allow_stale) for folder in found])
    if not found:
        yield Line(clean(place), "bundle", judged(f"a {NAME}", "", ["none in this folder, or below it"]))


def _of_bundles(bundles):
    for lines in in_order(lambda bundle: list(_of_bundle(bundle)), bundles):
        yield from lines


def _bundle(folder, hashes, allow_stale):
    return Bundle(folder, hashes, _repository_of(folder), clean(folder), allow_stale)


def _repository_of(folder):
    """The repository around a bundle: the nearest folder above with a test_tipc or a .git; None where there is none."""
    parts = Path(os.path.abspath(folder)).parents
    return next((one for one in parts if (one / ".git").exists() or (one / "test_tipc/configs").is_dir()), None)


def _of_bundle(bundle, only_format=False):
    """The lines of a bundle; of one that cannot be read only that of its format."""
    for line in run_checks(BUNDLE, bundle, bundle.label):
        yield line
        if (line.outcome.result == FAIL and line.check == "format") or only_format:
            return


def _save(path, lines, counts, ok):
    content = {"passed": ok, "counts": counts, "lines": [line.as_dict() for line in lines]}
    with atomic_write(path) as stream:
        json.dump(content, stream, indent=1, ensure_ascii=False)
        stream.write("\n")


if __name__ == "__main__":
    run_main(main)
