"""Install the packages of a project: as its requirements.txt has them, or as near to that as this machine allows.

    python test_tipc/lib/install.py .venv/bin/python requirements.txt

One call of pip installs the list as it is, with the Paddle of lane.txt where the list names none, or leaves the
version open. Where that fails, Paddle comes first: the one of the list or, if it cannot be installed (old ones have no
wheel for a newer Python), that of lane.txt; then the others one by one. For a project without a list, lane.txt is it.
What was not installed as the list has it is said on standard output, one `note: ` per line, and kept in the file
`notes` of the environment; pip's own words go to standard error. Further lists that decided what was installed (with
`-r` and `-c`, and lane.txt) are named in its file `lists`.
Exit code: 0 installed, 1 not: Paddle itself cannot be, or nothing can (one line says why where it is not pip's to say).
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from requirements_list import RequirementsList
from script import UserError, run_main

LANE = Path(__file__).with_name("lane.txt")
MODULES = ("paddle", "setuptools")  # Paddle 3 imports the second, and does not always bring it along
# Faults of the machine, not of a package: further attempts would end in the same way. An index is asked for
# /…/NAME/; a page of `--find-links` that cannot be reached is another matter.
HOPELESS = {
    r"Retry\(total=0.*after connection broken by .*: /(\S*/)?[\w.-]+/\s*$": (
        "the packages cannot be downloaded: there is no connection to the package index; connect this machine, "
        "or set TIPC_PYTHON to an interpreter that has Paddle"
    ),
    r"^(?!\s*WARNING).*(Read timed out|IncompleteRead|Connection aborted|Connection reset by peer)": (
        "a download was cut off; run this again"
    ),
    r"No space left on device": "the disk is full",
}


class Installer:
    """pip of one environment."""

    def __init__(self, python):
        self.python = python
        self.folder = Path(python).parents[1]

    def install(self, lines, constraints=()):
        """Whether pip could install these lines of a list. UserError where further attempts would fail too."""
        command = [self.python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        command += ["-r", self._write("requirements.txt", lines)]
        if constraints:
            command += ["-c", self._write("constraints.txt", constraints)]
        said = []
        with subprocess.Popen(
            command,
            env={**os.environ, "PIP_USER": "0"},  # a user's setting that pip refuses in an environment
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as pip:
            for line in pip.stdout:
                print(line, end="", file=sys.stderr, flush=True)
                said.append(line)
        if pip.returncode:
            for pattern, why in HOPELESS.items():
                if re.search(pattern, "".join(said), re.MULTILINE):
                    raise UserError(why)
        return pip.returncode == 0

    def missing(self):
        """Those of MODULES that the environment does not have."""
        code = "import importlib.util as u, sys; print(*(n for n in sys.argv[1:] if u.find_spec(n) is None))"
        return subprocess.check_output([self.python, "-I", "-c", code, *MODULES], text=True).split()

    def _write(self, name, lines):
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return str(path)


def install_project(pip, wanted, lane):
    """Install the list `wanted`, where need be with packages of the list `lane`; yield what is not as `wanted` has it.

    Exits with 1 after pip's own words if no Paddle can be installed.
    """
    name, ours, kept = wanted.path.name, lane.paddle, lane.paddle
    added = [] if wanted.paddle else ours + ([] if wanted.lines_of("setuptools") else lane.lines_of("setuptools"))
    choice = ours if wanted.paddle and not wanted.has_pinned_paddle else []
    if added:
        print(f"{name} names no Paddle: {ours[0]} is added", flush=True)
    if install_either(pip, [*wanted.lines, *added], choice):
        return
    if wanted.paddle and install_either(pip, [*wanted.options, *wanted.paddle], choice):
        kept = []
    elif wanted.paddle and wanted.paddle != ours:
        yield f"{name} has {', '.join(wanted.paddle)}, which cannot be installed here: {ours[0]} is used instead"
        if pip.install([*wanted.options, *wanted.others, *ours]):
            return
    if kept and not pip.install([*wanted.options, *(added or ours)]):
        sys.exit(1)
    for line in wanted.others:
        if not pip.install([*wanted.options, line], kept):
            yield f"{name} has {line}, which cannot be installed here: what needs it will fail"


def install_either(pip, lines, constraints):
    """The same with the constraints, or else without: `paddlepaddle>=3.2` contradicts those of the lane."""
    return pip.install(lines, constraints) or (bool(constraints) and pip.install(lines))


def add_missing(pip, wanted, lane):
    """What a list leaves out for this Python, by a marker or since its Paddle forgets it."""
    missing = pip.missing()
    if "paddle" in missing:
        print(f"{wanted.path.name} has no Paddle for this Python: {lane.paddle[0]} is added", flush=True)
    added = [*(lane.paddle if "paddle" in missing else []), *(lane.lines_of("setuptools") if missing else [])]
    if added and not pip.install(added):
        sys.exit(1)
    return bool(added)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="of the environment")
    parser.add_argument("requirements", type=Path, help="the project's list, or lane.txt")
    args = parser.parse_args()
    pip, lane = Installer(args.python), RequirementsList(LANE)
    wanted = RequirementsList(args.requirements)
    notes = []
    for note in install_project(pip, wanted, lane):
        print("note:", note, flush=True)
        notes.append(f"note: {note}\n")
    added = add_missing(pip, wanted, lane)
    (pip.folder / "notes").write_text("".join(notes), encoding="utf-8")
    used = [LANE] if added or notes or not wanted.has_pinned_paddle else []
    (pip.folder / "lists").write_text("".join(f"{path.absolute()}\n" for path in [*wanted.further, *used]))
    return 0


if __name__ == "__main__":
    run_main(main)
