"""The commands of docs/inference.md print the outputs that it shows, and its tables name every engine."""

import re

import pytest

from ppcls_lite.infer.engines import available_engines
from ppcls_lite.infer.engines.base import ENGINES
from tests.docs.test_readme import BLOCKS, run_and_compare
from tests.helpers.scripts import ROOT

TEXT = (ROOT / "docs/inference.md").read_text(encoding="utf-8")
EXAMPLES = [(match["command"], match["output"]) for match in BLOCKS.finditer(TEXT)]


def test_examples_are_there():
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_output(command, output):
    """In the order of the document: the first one exports what the others use."""
    engines = command.partition("--engines ")[2].strip().split(",")
    missing = [name for name in engines if name and available_engines()[name]]
    if missing:
        pytest.skip(f"this Paddle has no {', '.join(missing)}")
    run_and_compare(command, output)


def test_every_engine_is_named():
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) >= set(ENGINES.names())
