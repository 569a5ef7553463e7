"""The checks: small functions with a name, registered by a decorator, and the lines that they give."""

from typing import Callable, NamedTuple

from script import UserError

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"
BUNDLE, REPOSITORY, COMPARISON = SCOPES = ("bundle", "repository", "comparison")
CHECKS = {}  # by name
_SHOWN = 3  # faults in a line; the JSON file has all of them
_LONGEST = 400  # characters of a fault


class Check(NamedTuple):
    """A check of one kind of subject; `rule` is what it demands, in one line."""

    name: str
    scope: str
    rule: str
    function: Callable


class Outcome(NamedTuple):
    """What a check found of its subject; `faults` is empty unless it failed."""

    result: str
    expected: str
    found: str
    faults: tuple = ()


class Line(NamedTuple):
    """One line of the report: the `Outcome` of a check, and the bundle or file that it is of."""

    place: str
    check: str
    outcome: Outcome

    def __str__(self):
        result, expected, found, _ = self.outcome
        words = found if result == SKIP else f"expected {expected}, found {found}"
        return clean(f"{result}  {self.place}  {self.check}  {words}")

    def as_dict(self):
        """What `--json` writes."""
        result, expected, found, faults = self.outcome
        return {
            "result": result,
            "place": self.place,
            "check": self.check,
            "expected": expected,
            "found": found,
            "faults": list(faults),
        }


def check(name, scope):
    """Register the function below as the check `name`: given its subject, it returns an `Outcome`, or None where the
    subject has no such thing. The first line of its docstring is its rule."""

    def register(function):
        if name in CHECKS:
            raise ValueError(f"two checks have the name {name!r}")
        CHECKS[name] = Check(name, scope, function.__doc__.strip().splitlines()[0], function)
        return function

    return register


def judged(expected, found, faults):
    """PASS with `found`, or FAIL with the first of the `faults`, which are lines of words."""
    faults = tuple(f"{fault:.{_LONGEST}}" for fault in faults)
    if not faults:
        return Outcome(PASS, expected, found)
    more = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
    return Outcome(FAIL, expected, "; ".join(faults[:_SHOWN]) + more, faults)


def skipped(reason):
    """What cannot be checked here, and why."""
    return Outcome(SKIP, "", f"({reason})")


def run_checks(scope, subject, place):
    """The `Line`s of all checks of the scope, in the order in which they were registered."""
    for one in [one for one in CHECKS.values() if one.scope == scope]:
        outcome = _outcome_of(one, subject)
        if outcome is not None:
            yield Line(place, one.name, outcome)


def _outcome_of(one, subject):
    """A check's `Outcome`; what it cannot read is a fault of the subject: an audit goes on to its end."""
    try:
        return one.function(subject)
    except UserError as error:
        return judged(one.rule, "", [str(error)])
    except OSError as error:
        return judged(one.rule, "", [f"{error.filename}: cannot be read ({error.strerror})"])
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        return judged(one.rule, "", [f"something that cannot be read: {type(error).__name__}: {error}"])


def clean(text):
    """`text` on one line and without control characters: names and logs may hold codes for the terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in str(text))
