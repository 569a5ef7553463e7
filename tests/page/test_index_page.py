"""index.html: models by chains, with links to the reports that are there."""

import json
import subprocess
import sys

import pytest

from page.index import find_bundles, try_index, write_index
from page.report import write_report
from script import UserError
from tests.helpers.scripts import LIMIT, ROOT
from tests.page.bundles import write_bundle
from tests.page.checker import Page

SCRIPT = ROOT / "test_tipc/lib/page/index.py"


@pytest.fixture
def folder(tmp_path):
    """Three bundles: two chains of a model, and one of a project that the tool is no part of, which failed."""
    change(write_bundle(tmp_path / "log/Net"))
    served = write_bundle(tmp_path / "log/Net/serving")
    change(served, mode="serving_infer", chain="serving", figures={}, steps=[])
    other = write_bundle(tmp_path / "log/other/Their Net", "Their <b>Net</b>")
    verdict = {"passed": False, "compared": False, "whole": False, "sentence": "FAILED: 1 of 3 steps failed: train"}
    change(other, verdict=verdict, tool={"commit": "fedcba987654", "clean": True, "files": None})
    return tmp_path / "log"


def change(folder, **content):
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **content}))


def page_of(folder):
    write_index(folder)
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_it_shows_models_by_chains_and_other_projects(folder):
    page = page_of(folder)
    assert page.faults == []
    assert "3 runs: 1 failed, 2 passed" in page.text
    for text in ("train_inference_python", "serving", "top1 0.35417", "0123456 · 2026-11-26", "Their <b>Net</b>"):
        assert text in page.text, text
    assert page.text.index("Models by chains") < page.text.index("Other projects") < page.text.index("Their <b>Net</b>")


def test_it_links_to_the_reports_that_are_there(folder):
    assert not [tag for tag in page_of(folder).every("a") if "report.html" in tag["href"]]
    for place in find_bundles(folder):
        write_report(place)
    links = {tag["href"]: tag["aria-label"] for tag in page_of(folder).every("a") if "report.html" in tag["href"]}
    assert links == {
        "Net/report.html": "passed: report of Net, lite_train_lite_infer",
        "Net/serving/report.html": "passed: report of Net, serving_infer",
        "other/Their%20Net/report.html": "failed: report of Their <b>Net</b>, lite_train_lite_infer",
    }
    assert all((folder / href.replace("%20", " ")).is_file() for href in links)


def test_runs_of_one_chain_and_mode_are_told_by_their_folders(folder):
    assert "serving_options" not in page_of(folder).text
    other = write_bundle(folder / "Net/serving_options")
    change(other, mode="serving_infer", chain="serving", figures={}, steps=[])
    write_report(other)
    page = page_of(folder)
    assert "serving_options" in page.text
    labels = [tag.get("aria-label") for tag in page.every("a")]
    assert "passed: report of Net, serving_infer, serving_options" in labels


def test_a_folder_named_as_a_script_is_a_folder(folder):
    write_report(write_bundle(folder / "javascript:alert(1)"))
    page = page_of(folder)
    assert page.faults == []
    assert [tag for tag in page.every("a") if tag["href"] == "javascript%3Aalert%281%29/report.html"]


def test_a_bundle_that_cannot_be_read_is_named(folder):
    (folder / "Net/bundle.json").write_text("{")
    page = page_of(folder)
    assert page.faults == []
    assert "Net/bundle.json: expected JSON" in page.text
    assert "2 runs" in page.text
    assert "verdict failed" in [tag.get("class") for tag in page.every("div")]


def test_the_evidence_of_this_repository_has_an_index(tmp_path):
    folder = tmp_path / "test_log"
    for place in find_bundles(ROOT / "test_log"):
        copy = folder / place.relative_to(ROOT / "test_log")
        copy.mkdir(parents=True, exist_ok=True)
        (copy / "bundle.json").write_bytes((place / "bundle.json").read_bytes())
    page = page_of(folder)
    assert page.faults == []
    assert f"{len(find_bundles(folder))} runs: " in page.text
    assert "MobileNetV3_small_x1_0" in page.text


def test_no_bundle_is_one_line(tmp_path, capsys):
    with pytest.raises(UserError, match="expected folders with bundle"):
        write_index(tmp_path)
    try_index(tmp_path)
    assert capsys.readouterr() == ("", "")


def test_the_script_draws_the_reports_too(folder):
    command = [sys.executable, str(SCRIPT), str(folder), "--reports"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{folder}/index.html: 3 runs\n"
    assert len(list(folder.rglob("report.html"))) == len(list(folder.rglob("report.md"))) == 3
