"""What a check found: one line, and the same in figures."""

from dataclasses import dataclass, field
from typing import Optional

AGREES, DISAGREES, NOT_COMPARED = "agrees", "disagrees", "not compared"


@dataclass
class Result:
    """The outcome of one check; `words` are its figures, `why` the reason of the last two outcomes, and `cause` the
    reason of a disagreement as one word for programs."""

    check: str
    result: str = AGREES
    words: str = ""
    why: str = ""
    cause: str = ""
    largest: Optional[float] = None  # the largest difference
    images: int = 0  # those that were compared
    more: dict = field(default_factory=dict)  # figures for the JSON file

    @property
    def line(self):
        """The printed line; its beginning and end are fixed."""
        if self.result == NOT_COMPARED:
            return f"{self.check}: not compared ({self.why})"
        head = f"{self.check}: {self.words}: " if self.words else f"{self.check}: "
        return head + ("agrees" if self.result == AGREES else f"DISAGREES ({self.why})")

    def as_dict(self):
        """What `--save` writes."""
        largest = None if self.largest is None else (self.largest if self.largest < float("inf") else "inf")
        return {"result": self.result, "line": self.line, "largest": largest, "images": self.images, **self.more}


def not_compared(check, why):
    """The `Result` of a check that could not be made."""
    return Result(check, NOT_COMPARED, why=why)
