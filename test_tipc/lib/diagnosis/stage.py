"""What a stage of a diagnosis found: one line, and the same in figures."""

from dataclasses import dataclass, field
from typing import Optional

SAME, DIFFERS, NOT_REACHED, NOT_COMPARED = "same", "differs", "not reached", "not compared"


@dataclass
class Stage:
    """The outcome of one stage.

    `words` are its figures; `why` names what explains a difference, or why nothing was compared; `cause` is the same as
    one word for programs (`bgr`, `other_epoch`, …); `advice` is what a person can do about it.
    """

    name: str
    result: str = SAME
    words: str = ""
    why: str = ""
    cause: str = ""
    advice: str = ""
    largest: Optional[float] = None  # the largest difference
    allowed: Optional[float] = None  # how large it may be
    details: list = field(default_factory=list)  # further lines for a person
    more: dict = field(default_factory=dict)  # figures for diagnose.json

    @property
    def line(self):
        """`network input: differs by 2.1, 5 images: the channels are in reverse order (BGR for RGB)`."""
        if self.result == NOT_REACHED:
            return f"{self.name}: not reached"
        if self.result == NOT_COMPARED:
            return f"{self.name}: not compared ({self.why})"
        if self.result == SAME:
            return f"{self.name}: same{f', {self.words}' if self.words else ''}"
        by = "" if self.largest is None else f" by {self.largest:.3g}"
        words = f", {self.words}" if self.words else ""
        return f"{self.name}: differs{by}{words}: {self.why}"

    def as_dict(self):
        """What `diagnose.json` has of it."""
        finite = {
            key: value if value is None or value < float("inf") else "inf"
            for key, value in (("largest", self.largest), ("allowed", self.allowed))
        }
        return {"name": self.name, "result": self.result, "line": self.line, "cause": self.cause, "why": self.why,
                "advice": self.advice, "details": self.details, **finite, **self.more}  # fmt: skip


def differs(name, cause, why, advice, **more):
    """The `Stage` of a difference that is explained."""
    return Stage(name, DIFFERS, why=why, cause=cause, advice=advice, **more)


def not_compared(name, why):
    """The `Stage` of a comparison that could not be made."""
    return Stage(name, NOT_COMPARED, why=why)


def not_reached(name):
    """The `Stage` behind the first one that differs."""
    return Stage(name, NOT_REACHED)
