"""Install the packages of a project: as its requirements.txt has them, or as near to that as this machine allows.

    python test_tipc/lib/install.py .venv/bin/python requirements.txt

Tried in this order, until one succeeds:
  1. the list as it is, with the Paddle of lane.txt where the list names none, or leaves the version open;
  2. the list as it is, with the Paddle that pip chooses;
  3. the list with the Paddle of lane.txt in place of its own, which has no wheel for this Python;
  4. each line of the rest by itself: old pins often have no wheel for a newer Python.
What was not installed as the list has it is said on standard output, one `note: ` per line; pip's own words go to
standard error. Without a requirements.txt, all of lane.txt is installed.
Exit code: 0 installed, 1 not: Paddle itself, or nothing, could be installed.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from script import UserError, run_main

LANE = Path(__file__).with_name("lane.txt")
_PADDLE = re.compile(r"paddlepaddle(-gpu)?(?![\w-])[^#;]*", re.IGNORECASE)
_NO_NETWORK = re.compile(r"Failed to establish a new connection|Temporary failure in name resolution|ProxyError")


class Installer:
    """pip of one environment; `words` are options for every call."""

    def __init__(self, python):
        self.command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]

    def install(self, *words):
        """Whether pip could install these. UserError where there is no network: further attempts would fail too."""
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run([*self.command, *map(str, words)], **both, text=True, errors="replace")
        print(done.stdout, file=sys.stderr, flush=True)
        if done.returncode and _NO_NETWORK.search(done.stdout):
            raise UserError("the packages cannot be downloaded: there is no network")
        return done.returncode == 0


def lines_of(path):
    """The requirements in a list, without comments and blank lines."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def paddle_in(lines):
    """The first requirement that is Paddle, "" where there is none."""
    return next((line for line in lines if _PADDLE.match(line)), "")


def install_project(pip, path):
    """Install the list at `path`; yield what could not be installed as it says."""
    lines, lane = lines_of(path), paddle_in(lines_of(LANE))
    wanted = paddle_in(lines)
    if not wanted or "==" not in wanted:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraint:
            print(lane, file=constraint, flush=True)
            if pip.install("-r", path, "-c", constraint.name, *([] if wanted else [lane])):
                return
    rest = [line for line in lines if not _PADDLE.match(line)]
    if wanted:
        if pip.install("-r", path):
            return
        yield f"requirements.txt has {wanted}, which cannot be installed here: {lane} instead"
        # beside the list, since `-r other.txt` in it means a file there
        with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix=".requirements.", dir=path.parent) as others:
            print(*rest, sep="\n", file=others, flush=True)
            if pip.install("-r", others.name, lane):
                return
    if not pip.install("-r", LANE):
        raise UserError(f"{lane} cannot be installed here")
    for line in rest:
        if not pip.install(*line.split()):
            yield f"requirements.txt has {line}, which cannot be installed here: what needs it will fail"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="of the environment")
    parser.add_argument("requirements", type=Path, nargs="?", help="the project's list")
    args = parser.parse_args()
    pip = Installer(args.python)
    if args.requirements is not None:
        for note in install_project(pip, args.requirements):
            print("note:", note, flush=True)
    elif not pip.install("-r", LANE):
        raise UserError(f"{LANE.name}: its packages cannot be installed")


if __name__ == "__main__":
    run_main(main)
