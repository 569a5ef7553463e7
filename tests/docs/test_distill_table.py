"""The table of docs/distillation.md: made of the kept rows, and of complete settings only."""

import json

import pytest

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import ROOT, assert_one_line
from tools.tables import distill_table as table

DOCUMENT = ROOT / "docs/distillation.md"


def test_the_document_shows_the_kept_rows():
    shown = DOCUMENT.read_text().partition(f"{table.BEGIN}\n")[2].partition(table.END)[0]
    assert shown == table.build_table(table.read_kept()), "run: python tools/tables/distill_table.py --update"


def test_every_row_belongs_to_a_setting():
    kept = table.read_kept()
    for (name, way, seed), row in kept.items():
        setting = table.SETTINGS[name]
        assert row["epochs"] == setting.epochs
        assert row["images"] == (10 * setting.per_class if setting.per_class else 1437)
        assert way in table.WAYS
        assert seed in table.SEEDS
    assert any(all((name, way, seed) in kept for way in table.WAYS for seed in table.SEEDS) for name in table.SETTINGS)


def test_an_incomplete_setting_is_left_out_and_a_changed_row_is_seen():
    kept = table.read_kept()
    whole = table.build_table(kept)
    few = {key: row for key, row in kept.items() if key[0] == "few"}
    changed = {**few, ("few", "alone", 2): {**few["few", "alone", 2], "top1": 0.5}}
    assert "| 2 | 0.50000 |" in table.build_table(changed)
    assert "| 2 | 0.50000 |" not in whole
    del changed["few", "teacher", 3]
    with pytest.raises(UserError, match="has no complete setting"):
        table.build_table(changed)


def test_both_ways_are_usable_configs(monkeypatch):
    monkeypatch.chdir(ROOT)
    for way, names in (("alone", table.STUDENT), ("teacher", "DistillationModel")):
        words = table.WAYS[way]
        assert load_config(words[1], words[3::2])["Arch"]["name"] == names


def test_lists_of_few_images():
    lines = [f"train/{number}.png {label}" for number in range(4) for label in (3, 7)]
    assert table.first_of_each_class(lines, 2) == lines[:4]
    assert table.first_of_each_class([lines[0], *lines], 1) == lines[:2]


def test_only_what_is_missing_is_trained(monkeypatch, tmp_path):
    path = tmp_path / "kept.jsonl"
    monkeypatch.setattr(table, "KEPT", path)
    kept = table.read_kept(ROOT / "docs/measured/distillation.jsonl")
    del kept["few", "teacher", 2]
    asked = []
    monkeypatch.setattr(table, "train_one", lambda *words: asked.append(words) or {"top1": 0.75})
    table.train_missing(tmp_path, kept)
    (words,) = [words for words in asked if "few_" in words[0].name]
    assert words == (tmp_path / "few_teacher_2", table.SETTINGS["few"], "teacher", 2)
    assert json.loads(path.read_text().splitlines()[0]) == {"setting": "few", "way": "teacher", "seed": 2, "top1": 0.75}


def test_wrong_files_are_one_line(run_here, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("none\n")
    assert_one_line(run_here("tools/tables/distill_table.py", "--update", page), "distillation table: begin")
    path = tmp_path / "kept.jsonl"
    path.write_text('{"setting": "few"}\n')
    with pytest.raises(UserError, match=r"kept.jsonl:1: not a row of this table"):
        table.read_kept(path)
