"""The tables of docs/versions.md: what is kept is what is shown, known to the chains, and found in the logs."""

import json
import re

import pytest

from ppcls_lite.utils.errors import UserError
from tests.helpers.pairs import write_engines, write_pair, write_tried
from tests.helpers.scripts import ROOT, assert_one_line
from tools.tables import versions_table as table

SCRIPT = "tools/tables/versions_table.py"
DOCUMENT = ROOT / "docs/versions.md"
KEPT = table.kept()


@pytest.fixture
def collect(run_here, tmp_path):
    """`collect(pair...)`: what the script makes of these pairs of `tmp_path/tried`; everything is kept in tmp_path."""
    page = tmp_path / "page.md"
    page.write_text(f"above\n{table.BEGIN}\n{table.END}\nbelow\n")

    def run(*names):
        places = ["--measured", tmp_path / "kept.json", "--facts", tmp_path / "facts.tsv"]
        places += ["--evidence", tmp_path / "log", "--update", page]
        outcome = run_here(SCRIPT, "--collect", tmp_path / "tried", *places, *names)
        return outcome, page.read_text()

    return run


def rows(text):
    """The cells of all lines of the tables."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


# ---- what is committed


def test_the_document_shows_what_is_kept(run_here):
    outcome = run_here(SCRIPT)
    assert outcome.status == 0
    block = DOCUMENT.read_text().partition(table.BEGIN + "\n")[2].partition(table.END)[0]
    assert block == outcome.out, f"run: python {SCRIPT} --update docs/versions.md"


def test_the_chains_know_what_is_kept():
    assert table.FACTS.read_text() == table.as_facts(KEPT)


def test_every_pair_has_its_log():
    assert {path.stem for path in table.EVIDENCE.glob("*.log")} == set(KEPT)
    for name, pair in KEPT.items():
        log = (table.EVIDENCE / f"{name}.log").read_text()
        assert f"# commit: {pair['commit']}\n" in log
        for part, outcome in pair["parts"].items():
            assert re.search(rf"^==== {part}: {outcome['result']}, ", log, re.MULTILINE), (name, part)
            assert outcome["verdict"] in log
        assert not re.search(r"/(home|root|tmp)/", log), name


@pytest.mark.parametrize("name", ["README.md", "README_ch.md"])
def test_the_readme_names_the_certified_versions(name):
    certified = [key for key, pair in KEPT.items() if table.outcome_of(pair)[0] == table.CERTIFIED]
    (line,) = [line for line in (ROOT / name).read_text().splitlines() if "(docs/versions.md)" in line]
    for key in certified[:1] + certified[-1:]:
        assert key.split("_")[0] in line, f"{name}: {certified[0]} to {certified[-1]} are certified"


# ---- a pair that was tried


def test_a_pair_that_passed_is_certified(collect, tmp_path):
    write_pair(tmp_path / "tried", "3.1.1", "3.11")
    outcome, text = collect("3.1.1_3.11")
    assert outcome.status == 0, outcome.err
    assert ["Paddle 3.1.1", "certified"] in rows(text)
    chains = ["3.1.1", "3.11.1", "pinned", "1.26.4", "4.11.0.86", "3.20.3", "`.pdmodel`", "passed", "passed", "passed"]
    assert chains in rows(text)
    assert ["3.1.1", "3.11.1", "0", "2e-06", "- [1]", "1.6e-06", "- [2]", "- [1]"] in rows(text)
    assert "\n[2] no OpenVINO in it\n" in text
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert (tmp_path / "facts.tsv").read_text().splitlines()[3:] == ["3.1.1\t3.11\tcertified\t"]


def test_a_planted_failure_is_seen_everywhere(collect, tmp_path):
    """In the table with its reason, in what the chains know, and with the end of the step in the log."""
    folder = tmp_path / "tried/3.3.1_3.13"
    write_pair(tmp_path / "tried", "3.3.1", "3.13", detector=("export", f"error: {folder}/runs/x: planted | here"))
    outcome, text = collect("3.3.1_3.13")
    assert outcome.status == 0, outcome.err
    said = "detector: FAILED: 1 of 4 steps failed: export: error: runs/x: planted"
    assert ["Paddle 3.3.1", "**partly**"] in rows(text)
    (row,) = [row for row in rows(text) if row[:2] == ["3.3.1", "3.13.1"] and len(row) == 10]
    assert row[7:] == ["passed", "**failed** [1]", "passed"]
    assert f"\n[1] {said} \\| here\n" in text
    assert (tmp_path / "facts.tsv").read_text().splitlines()[-1] == f"3.3.1\t3.13\tpartly\t{said} | here"
    log = (tmp_path / "log/3.3.1_3.13.log").read_text()
    assert "---- the end of export ----\n# command: python export.py\nat work\nerror: runs/x: planted | here\n" in log
    assert str(tmp_path) not in log + text


def test_predictions_that_were_not_compared_certify_nothing(collect, tmp_path):
    folder = write_pair(tmp_path / "tried", "3.1.1", "3.11")
    path = folder / "runs/mobilenet_v3_small/serving_infer/summary.json"
    path.write_text(path.read_text().replace('"compared": true', '"compared": false'))
    assert ["Paddle 3.1.1", "**partly**"] in rows(collect("3.1.1_3.11")[1])


def test_a_step_that_was_skipped_is_told_unless_it_needs_a_gpu(collect, tmp_path):
    folder = write_pair(tmp_path / "tried", "3.1.1", "3.11")
    path = folder / "runs/mobilenet_v3_small/serving_infer/summary.json"
    summary = json.loads(path.read_text())
    for name, reason in (("infer gpu", "no GPU that this Paddle can use"), ("infer cpu", f"{folder}/x: a fault")):
        summary["steps"].append({"name": name, "result": "skipped", "log": "", "reason": reason})
    path.write_text(json.dumps(summary))
    _, text = collect("3.1.1_3.11")
    (row,) = [row for row in rows(text) if len(row) == 10 and row[0] == "3.1.1"]
    assert row[7:] == ["passed", "passed", "passed [1]"]
    assert "\n[1] serving: infer cpu skipped: x: a fault\n" in text


def test_a_chain_that_left_no_summary_failed(collect, tmp_path):
    folder = write_pair(tmp_path / "tried", "3.1.1", "3.11")
    (folder / "runs/CenterNet_MobileNetV3_small_x1_0/lite_train_lite_infer/summary.json").unlink()
    (folder / "detector.log").write_text("==== prepare ====\nerror: no disk\n")
    assert "\n[1] detector: error: no disk\n" in collect("3.1.1_3.11")[1]


def test_an_engine_that_failed_alone_does_not_hide_the_others(collect, tmp_path):
    folder = write_pair(tmp_path / "tried", "3.1.1", "3.11")
    text = "ImportError: planted\n# alone: paddle\nfine\n# alone: onnxruntime\nTraceback\nImportError: planted"
    status = write_engines(folder, 1, text)
    parts = (folder / "parts.tsv").read_text().replace("engines\t0", f"engines\t{status}")
    (folder / "parts.tsv").write_text(parts)
    _, shown = collect("3.1.1_3.11")
    assert ["Paddle 3.1.1", "**partly**"] in rows(shown)
    (row,) = [row for row in rows(shown) if len(row) == 8 and row[0] == "3.1.1"]
    assert row[2:4] == ["0", "2e-06"]
    assert re.search(rf"^{re.escape(row[7][2:])} ImportError: planted$", shown, re.MULTILINE)


def test_a_pair_that_is_not_to_be_had_says_why(collect, tmp_path):
    write_tried(tmp_path / "tried/2.6.2_3.13", "2.6.2", "3.13", reason="No matching distribution found", format="")
    write_pair(tmp_path / "tried", "2.6.2", "3.12")
    outcome, text = collect("2.6.2_3.13", "2.6.2_3.12")
    assert outcome.status == 0, outcome.err
    assert ["Paddle 2.6.2", "certified", "not to be had [1]"] in rows(text)
    assert "[1] No matching distribution found\n" in text
    assert "not to be had: No matching" in (tmp_path / "log/2.6.2_3.13.log").read_text()
    assert (tmp_path / "facts.tsv").read_text().endswith("2.6.2\t3.13\tnone\tNo matching distribution found\n")


def test_only_the_named_pair_is_replaced(collect, tmp_path):
    for python in ("3.9", "3.10"):
        write_pair(tmp_path / "tried", "3.1.1", python)
    assert collect("3.1.1_3.10", "3.1.1_3.9")[0].status == 0
    before = json.loads((tmp_path / "kept.json").read_text())["pairs"]
    assert list(before) == ["3.1.1_3.9", "3.1.1_3.10"]
    for python in ("3.9", "3.10"):  # both are tried again, with another outcome
        write_pair(tmp_path / "tried", "3.1.1", python, serving=("server cpu", "error: planted"))
    assert collect("3.1.1_3.10")[0].status == 0
    after = json.loads((tmp_path / "kept.json").read_text())["pairs"]
    assert after["3.1.1_3.9"] == before["3.1.1_3.9"]
    assert after["3.1.1_3.10"]["parts"]["serving"]["result"] == "failed"


# ---- bad input: one line, and nothing is changed


@pytest.mark.parametrize("lost", ["tried", "parts.tsv"])
def test_a_pair_that_was_not_tried_to_its_end_is_refused(collect, tmp_path, lost):
    folder = write_pair(tmp_path / "tried", "3.1.1", "3.11")
    (folder / lost).unlink()
    outcome, text = collect("3.1.1_3.11")
    assert_one_line(outcome, f"{lost}: cannot be read", "try the pair again")
    assert rows(text) == []
    assert not (tmp_path / "kept.json").exists()


def test_a_part_that_is_missing_is_refused(collect, tmp_path):
    folder = write_pair(tmp_path / "tried", "3.1.1", "3.11")
    (folder / "parts.tsv").write_text("classifier\t0\t7.5\t\n")
    assert_one_line(collect("3.1.1_3.11")[0], "parts.tsv: has no detector, engines, serving")


@pytest.mark.parametrize("content", ["{", "{}", '{"pairs": {"x": {}}}', '{"pairs": {"3.1.1_3.11": {}}}'])
def test_damaged_figures_are_one_line(tmp_path, content):
    path = tmp_path / "kept.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"kept.json: cannot be read"):
        table.kept(path)


@pytest.mark.parametrize("words", [["3.1.1_3.11"], ["--collect", "x"], ["--collect", "x", "3.1.1"]])
def test_wrong_words_are_one_line(run_here, words):
    assert_one_line(run_here(SCRIPT, *words), "expected")
