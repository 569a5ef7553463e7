"""The official configs: the findings in them were read one by one, and nothing else is found."""

import re
import tarfile

import pytest

from tests.helpers.scripts import ROOT
from tests.helpers.shell import OFFICIAL
from tests.lint.conftest import findings, lint

REVIEWED = ROOT / "tests/lint/official_findings.txt"


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """(the folder with all files, {path in it: findings})"""
    folder = tmp_path_factory.mktemp("official")
    with tarfile.open(OFFICIAL / "official_configs.tar.xz") as archive:
        archive.extractall(folder)
    told = findings(folder)
    return folder, {path.relative_to(folder).as_posix(): found for path, found in told.items()}


def lines_with(folder, pattern):
    """{(path, line)} of a text, found without the program under test."""
    return {
        (path.relative_to(folder).as_posix(), number)
        for path in folder.rglob("*.txt")
        if path.name != "CMakeLists.txt"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    }


def places_of(told, *kinds):
    return {(path, one["line"]) for path, found in told.items() for one in found if one["check"] in kinds}


def test_all_are_read(official):
    folder, told = official
    assert len(told) == 570
    assert len(list(folder.rglob("*.txt"))) == 571  # one is a CMakeLists.txt


def test_every_fasle_is_found_and_no_other_typing_error(official):
    folder, told = official
    places = lines_with(folder, r"\bFasle\b")
    assert len(places) == 268
    assert places_of(told, "typing") == places


def test_every_template_that_was_left_is_found(official):
    folder, told = official
    places = lines_with(folder, r" _template_\w+")
    assert len(places) == 238
    addresses = lines_with(folder, r"xx\.xx\.xx\.xx")
    assert len(addresses) == 1
    assert places_of(told, "placeholder") == places | addresses


def test_the_other_findings_are_those_that_were_reviewed(official):
    _, told = official
    found = [
        f"{path}:{one['line']}: {one['level']}: {one['key']}: {one['found']} [{one['check']}]"
        for path, all_found in told.items()
        for one in all_found
        if one["check"] not in ("typing", "placeholder")
    ]
    lines = REVIEWED.read_text(encoding="utf-8").splitlines()
    reviewed = [line for line in lines if line and not line.startswith("#")]
    assert sorted(found) == sorted(reviewed)


def test_our_own_configs_are_without_faults():
    done = lint(ROOT / "test_tipc/configs")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert re.fullmatch(r"\d+ files: 0 errors, 0 warnings\n", done.stdout), done.stdout
