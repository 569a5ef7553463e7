"""The commands of docs/inference.md print the outputs that it shows, and its tables name every engine."""

import re

import pytest

from ppcls_lite.infer.engines import available_engines
from ppcls_lite.infer.engines.base import ENGINES
from tests.helpers.documents import Document, examples_of, short_ids
from tests.helpers.scripts import ROOT

TEXT = (ROOT / "docs/inference.md").read_text(encoding="utf-8")
EXAMPLES = examples_of(TEXT)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return Document(EXAMPLES, tmp_path_factory.mktemp("inference"))


def test_examples_are_there():
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=short_ids(EXAMPLES))
def test_output(document, number):
    engines = EXAMPLES[number].command.partition("--engines ")[2].strip().split(",")
    missing = [name for name in engines if name and available_engines()[name]]
    if missing:
        pytest.skip(f"this Paddle has no {', '.join(missing)}")
    document.check(number)


def test_every_engine_is_named():
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) >= set(ENGINES.names())
