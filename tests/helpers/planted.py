"""Faults that diagnose.py has to name: where each is planted, and what the verdict must say.

python -m tests.helpers.planted     # prints the table of docs/diagnose.md
"""

import re
from typing import Callable, NamedTuple

from tests.helpers.observed import STEPS, first_step


class Planted(NamedTuple):
    """`plant(trial)` changes a copy of the project or network `where`, and returns the first step to run again;
    `words` are a part of the verdict."""

    where: str
    fault: str
    plant: Callable
    stage: str
    cause: str
    words: str


# ------------------------------------------------------------------------------------------------ ways to plant a fault


def edit(file, old, new):
    """Another text in a file of the project, or of the exported model (MODEL/…)."""

    def plant(trial):
        trial.edit(file, old, new)
        return "infer" if file.startswith("MODEL/") else first_step(file)

    return plant


def option(step, *words):
    """More words in the command of a step."""

    def plant(trial):
        trial.more[step] = words
        return step

    return plant


def together(*plants):
    """Several changes at once."""

    def plant(trial):
        return min((one(trial) for one in plants), key=STEPS.index)

    return plant


def turned_images(trial):
    """The images state in EXIF that they have to be turned, as those of phones do."""
    import shutil

    from PIL import Image

    folder = next(trial.folder / name for name in ("images", "demo") if (trial.folder / name).is_dir())
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as image:
            state = image.getexif()
            state[0x0112] = 6
            image.convert("RGB").save(path, exif=state, quality=95)
    shutil.rmtree(trial.out / "evaluate.log_observed", ignore_errors=True)
    return "predict"


def planted():
    """All faults."""
    from tests.helpers.planted_models import MODELS
    from tests.helpers.planted_projects import PROJECTS

    return [*PROJECTS, *MODELS]


# ----------------------------------------------------------------------------------------------------------- the table


def table():
    """The Markdown table of all faults."""
    rows = [("fault", "planted in", "stage", "cause", "what the verdict says of it"), ("---",) * 5]
    rows += [(one.fault, one.where, one.stage, f"`{one.cause}`", one.words) for one in planted()]
    return "\n".join("| " + " | ".join(re.sub(r"\|", r"\\|", cell) for cell in row) + " |" for row in rows)


if __name__ == "__main__":
    print(table())
