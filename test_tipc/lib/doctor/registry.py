"""A finding, and the registry of the checks."""

from collections import namedtuple

OK, NOTE, FAULT = LEVELS = ("OK", "NOTE", "FAULT")
CHECKS = []  # functions (Around) -> iterable of Finding, in the order of their registration

# level, the name of its check, what was found, what it means, and what to do: a command where there is one
Finding = namedtuple("Finding", "level check found means remedy")


def check(function):
    """Register a check; its name, with blanks for underscores, is that of its findings."""
    CHECKS.append(function)
    return function


def ok(name, found, means=""):
    return Finding(OK, name, found, means, "")


def note(name, found, means, remedy=""):
    return Finding(NOTE, name, found, means, remedy)


def fault(name, found, means, remedy=""):
    return Finding(FAULT, name, found, means, remedy)


def gib(count):
    """`3.8 GiB` of a number of bytes."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count // 2**20} MiB"


def numbers(version):
    """(3, 1, 1) of `3.1.1`, `3.1.1rc2` or `3.1.1.post117`; () of anything else."""
    found = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if digits:
            found.append(int(digits))
        if digits != part:
            break
    return tuple(found[:3])
