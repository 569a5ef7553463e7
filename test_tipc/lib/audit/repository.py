"""The repository as a whole: its bundles together, its licence, its files."""

import os
import re
from functools import cached_property
from pathlib import Path

from audit.bundle import NAME, Bundle
from audit.reading import Hashes
from audit.registry import REPOSITORY, check, judged, skipped
from script import UserError, counted

EVIDENCE = "test_log"
MOST_BYTES = 100_000_000  # of a file, as GitHub allows
_SIGNS = {"summary.json", "steps.tsv", "evaluate.log", "agree.log", "junit.xml"}  # what chains leave
_OWN = {"training.json"}  # of a training outside the chains
# what a repository does not keep: environments, data that prepare.sh makes, and what runs leave
_NOT_KEPT = {"output", "dataset", "inference", "node_modules", "__pycache__", "build"}


class Repository:
    """A project under `folder`; `allow_stale` as the option."""

    def __init__(self, folder, allow_stale=False):
        self.folder, self.allow_stale, self.hashes = Path(folder), allow_stale, Hashes()

    @cached_property
    def bundles(self):
        """The `Bundle`s of the evidence, in the order of their folders."""
        found = sorted(path.parent for path in _below(self.folder / EVIDENCE) if path.name == NAME)
        return [
            Bundle(path, self.hashes, self.folder, path.relative_to(self.folder).as_posix(), self.allow_stale)
            for path in found
        ]

    @property
    def readable(self):
        """Those whose bundle.json can be read."""
        found = []
        for bundle in self.bundles:
            try:
                found += [bundle] if bundle.content else []
            except UserError:
                continue
        return found

    def texts(self):
        """{path: text} of the documents: README files, docs/, test_tipc/ and deploy/."""
        found = {}
        for pattern in ("*.md", "docs/**/*.md", "test_tipc/*.md", "test_tipc/docs/*.md", "deploy/**/*.md"):
            for path in sorted(self.folder.glob(pattern)):
                name = path.relative_to(self.folder).as_posix()
                if path.is_file() and path.stat().st_size < 1 << 22 and not _NOT_KEPT & set(name.split("/")):
                    found[name] = path.read_text(encoding="utf-8", errors="replace")
        return found

    def find(self, pattern):
        """The names of the files of the root that the pattern fits, in any case of letters."""
        return sorted(path.name for path in self.folder.iterdir() if re.fullmatch(pattern, path.name, re.IGNORECASE))


def _below(folder):
    """All files below a folder, links not followed."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in sorted(names))


@check("evidence", REPOSITORY)
def check_evidence(repository):
    """each folder of test_log with the files of a run has its bundle.json, and none is empty"""
    faults, root = [], repository.folder / EVIDENCE
    if not root.is_dir():
        return judged("evidence in test_log", "", [f"{EVIDENCE}: no such folder"])
    for place, folders, names in os.walk(root):
        folders.sort()
        here = Path(place)
        name = here.relative_to(repository.folder).as_posix()
        if not folders and not names:
            faults.append(f"{name}: an empty folder")
        elif here != root and set(names) & _SIGNS and NAME not in names and not set(names) & _OWN:
            faults.append(f"{name}: the files of a run, and no {NAME}")
        if here.is_symlink() or any((here / one).is_symlink() for one in folders):
            faults.append(f"{name}: a symbolic link")
    if not repository.bundles:
        faults.append("no bundle at all")
    return judged(f"a {NAME} in each folder of evidence", counted(len(repository.bundles), "bundle"), faults)


@check("one commit", REPOSITORY)
def check_one_commit(repository):
    """all bundles are of one commit and one tool; with --allow_stale a note"""
    found = {}
    for bundle in repository.readable:
        commit = (bundle["project"] or {}).get("commit") or "none"
        found.setdefault(commit[:12], []).append(bundle.label)
    if not found:
        return None
    words = ", ".join(f"{commit} ({counted(len(names), 'bundle')})" for commit, names in list(found.items())[:4])
    if len(found) > 1 and repository.allow_stale:
        return skipped(f"{len(found)} commits: {words}")
    return judged("one commit", words, [f"{len(found)} commits: {words}"] if len(found) > 1 else [])


@check("copies", REPOSITORY)
def check_copies(repository):
    """no two bundles have the same training log or the same file of exact predictions: each run is its own"""
    first, faults, count = {}, [], 0
    for bundle in repository.readable:
        exact = {entry["file"] for entry in bundle["predictions"] if entry["exact"]}
        for name, entry in bundle["files"].items():
            if name.rpartition("/")[2] in ("log_train.txt", "history.jsonl", "steps.tsv") or (
                name in exact and bundle.trainings
            ):
                count += 1
                known = first.setdefault(entry["sha256"], (bundle, name))
                # what is deployed later may lie in several folders of one run
                if known[0].folder != bundle.folder and (known[0].model, known[0].mode) != (bundle.model, bundle.mode):
                    faults.append(f"{bundle.label}/{name} is {known[0].label}/{known[1]}")
    return judged("logs and predictions of each run's own", counted(count, "file"), faults) if count else None


@check("licence", REPOSITORY)
def check_licence(repository):
    """the repository has a LICENSE with a text"""
    found = repository.find(r"(LICEN[CS]E|COPYING)(\..*)?")
    full = [name for name in found if (repository.folder / name).stat().st_size > 100]
    return judged("a LICENSE", ", ".join(full), [] if full else [", ".join(found) or "none"])


@check("file sizes", REPOSITORY)
def check_sizes(repository):
    """no file of the repository has 100 MB or more"""
    largest, count, faults = (0, "none"), 0, []
    for root, folders, names in os.walk(repository.folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NOT_KEPT]
        for path in (Path(root) / name for name in names):
            size = 0 if path.is_symlink() else path.stat().st_size
            name = path.relative_to(repository.folder).as_posix()
            largest, count = max(largest, (size, name)), count + 1
            if size >= MOST_BYTES:
                faults.append(f"{name}: {size / 1e6:.0f} MB")
    words = f"{counted(count, 'file')}, the largest {largest[1]} with {largest[0] / 1e6:.1f} MB"
    return judged(f"below {MOST_BYTES // 10**6} MB", words, faults)
