"""Each run of a chain ends with its page, passed or not, and the page never decides how it ends."""

import shutil

import pytest

from tests.helpers.shell import Chain, copy_tree
from tests.page.checker import Page, faults_of


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hooks")
    return Chain(copy_tree(folder), folder)


def test_a_run_leaves_its_page_and_evidence_too(chain):
    run = chain.run("--evidence")
    assert run.status == 0, run.out
    kept = chain.tree / "test_log/small_net"
    for folder in (run.folder, kept):
        assert faults_of(folder / "report.html") == []
        assert (folder / "report.md").read_text().startswith("## ✓ small_net, lite_train_lite_infer: passed")
    assert (chain.tree / "test_log/index.html").is_file()
    assert "note:" not in run.err


def test_a_run_that_failed_has_a_page_that_says_so(chain):
    chain.program("eval", "raise SystemExit('error: out of memory')")
    run = chain.run()
    assert run.status == 1
    page = Page((run.folder / "report.html").read_text())
    assert page.faults == []
    assert "Failed · 未通过" in page.text
    assert "error: out of memory" in page.text


def test_a_page_that_cannot_be_drawn_is_a_note(chain):
    shutil.copy(chain.tree / "test_tipc/lib/page/page.css", chain.tree / "kept.css")
    (chain.tree / "test_tipc/lib/page/page.css").unlink()
    chain.program("eval", "print('top1: 0.5')")
    run = chain.run()
    assert run.status == 0, run.out
    assert not (run.folder / "report.html").exists()
    assert "report.html could not be drawn: FileNotFoundError" in run.err
