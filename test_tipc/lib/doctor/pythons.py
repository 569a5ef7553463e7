"""Interpreters: which are there, and which of them the scripts can use."""

from doctor.registry import check, fault, ok

# those that prepare.sh tries, in its order (lib/packages.sh)
NAMES = ("python3.11", "python3.12", "python3.10", "python3.13", "python3.9", "python3", "python")
USABLE = ("3.9", "3.10", "3.11", "3.12", "3.13")
ASK = (
    "import importlib.util as u, sys;"
    "print('%d.%d' % sys.version_info[:2], all(u.find_spec(name) for name in ('venv', 'ensurepip')))"
)


def _found(around):
    """[(name, version, whether it makes environments)] of what is on PATH and can be started."""
    found, seen = [], set()
    for name in NAMES:
        path = around.which(name)
        if not path or path in seen:
            continue
        seen.add(path)
        status, printed = around.run(path, "-c", ASK)
        words = printed.split()
        if status == 0 and len(words) == 2:
            found.append((name, words[0], words[1] == "True"))
    return found


@check
def python(around):
    """Whether prepare.sh finds one that it can make .venv from."""
    found = _found(around)
    shown = ", ".join(dict.fromkeys(version for _, version, _ in found)) or "none"
    usable = [(name, version, makes) for name, version, makes in found if version in USABLE]
    complete = [(name, version) for name, version, makes in usable if makes]
    if complete:
        yield ok("python", f"{shown} on PATH", "prepare.sh uses {} ({})".format(*complete[0]))
    elif usable:
        version = usable[0][1]
        means = "it has no module venv or ensurepip, so that prepare.sh cannot make an environment"
        yield fault("python", f"Python {version}, incomplete", means, f"apt-get install python{version}-venv")
    elif around.python:
        yield ok("python", f"{shown} on PATH", f"the chains use {around.python}")
    else:
        means = "Paddle has wheels for Python 3.9 to 3.13 only"
        yield fault(
            "python", f"{shown} on PATH", means, "install Python 3.11, or export TIPC_PYTHON=/path/to/python3.11"
        )


@check
def interpreter(around):
    """The one that the chains use."""
    named = around.environ.get("TIPC_PYTHON")
    if named and not around.python:
        yield fault("interpreter", "TIPC_PYTHON=" + named, "no such program: the chains stop", "unset TIPC_PYTHON")
    elif not around.python:
        yield ok("interpreter", "no .venv yet", "prepare.sh makes it")
    else:
        version = version_of_chains(around)
        if not version:
            means = "it does not start, as after the Python that it was made from was removed"
            remedy = "unset TIPC_PYTHON" if named else "rm -r .venv, and run prepare.sh again"
            yield fault("interpreter", around.python, means, remedy)
        elif version not in USABLE:
            means = "Paddle has wheels for Python 3.9 to 3.13 only"
            remedy = "export TIPC_PYTHON=/path/to/python3.11" if named else "rm -r .venv, and run prepare.sh again"
            yield fault("interpreter", f"{around.python} (Python {version})", means, remedy)
        else:
            yield ok("interpreter", f"{around.python} (Python {version})")


def version_of_chains(around):
    """`3.11` of the interpreter that the chains use, "" without one."""
    if not around.python:
        return ""
    status, printed = around.run(around.python, "-c", ASK)
    return printed.split()[0] if status == 0 and printed.split() else ""
