"""tools/list_parts.py prints every registered thing, with the options that its builder takes."""

import inspect
import re

import pytest

from ppcls_lite.utils.registry import Registry
from tests.helpers.scripts import ROOT, assert_one_line
from tools import list_parts

SCRIPT = "tools/list_parts.py"


def test_no_registry_is_forgotten():
    """All `Registry(…)` of the library are listed."""
    library = (ROOT / "ppcls_lite").rglob("*.py")
    found = {name for path in library for name in re.findall(r"^(\w+) = Registry\(", path.read_text(), re.MULTILINE)}
    source = (ROOT / SCRIPT).read_text()
    assert found == set(re.findall(r"^    return ([A-Z_]+)$", source, re.MULTILINE))


@pytest.mark.parametrize("kind", list_parts.KINDS)
def test_every_part_has_a_sentence_and_its_options(kind, run_here):
    out = run_here(SCRIPT, kind).out
    registry = list_parts.registry_of(list_parts.KINDS[kind])
    assert isinstance(registry, Registry)
    lines = out.splitlines()
    described = {}
    for number, line in enumerate(lines):
        match = re.fullmatch(r"  (\w+(?:, \w+)*): (.+)", line)
        if match and not line.startswith("  options of all"):
            more = lines[number + 1] if number + 1 < len(lines) and lines[number + 1].startswith("      ") else ""
            described.update(dict.fromkeys(match[1].split(", "), more))
    assert sorted(described) == registry.names()
    for name, options in described.items():
        for option, parameter in inspect.signature(registry.get(name)).parameters.items():
            is_one = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            assert not is_one or option in list_parts.KINDS[kind].hidden or re.search(rf"\b{option}\b", options), name


def test_a_part_without_words_of_its_own_has_those_of_its_file(run_here):
    assert "MixNet_L, MixNet_M, MixNet_S: MixNet (Tan and Le" in run_here(SCRIPT, "networks").out


def test_the_kinds_and_a_search(run_here):
    kinds = run_here(SCRIPT).out
    assert "optimizers: 5, Optimizer: {name: NAME, lr: {…}, …}" in kinds
    assert len(kinds.splitlines()) == len(list_parts.KINDS)
    found = run_here(SCRIPT, "--name", "crop").out
    assert re.findall(r"^  (\w+): ", found, re.MULTILINE) == ["CropImage", "RandCropImage", "DetScaleCrop"]


def test_unknown_words_are_one_line(run_here):
    assert_one_line(run_here(SCRIPT, "optimizer"), "unknown kind 'optimizer' (did you mean 'optimizers'?); known: ")
    assert_one_line(run_here(SCRIPT, "losses", "--name", "crop"), "--name: none of losses has 'crop' in its name")
