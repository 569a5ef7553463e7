"""The table of recognisers: measured from finished trainings, and shown in the documents as it is kept."""

import json
import os

import cv2
import pytest
import yaml

from ppcls_lite.train import loop
from tests.helpers.recognition import SIDE, make_rec_config, write_rec_set
from tests.helpers.scripts import ROOT, run_process
from tools.tables.rec_table import TABLE

DOCUMENTS = [ROOT / "docs/recognition.md", ROOT / "docs/recognition_ch.md"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(config path, folder of trainings, backbone): one finished training."""
    folder = tmp_path_factory.mktemp("trainings")
    config = make_rec_config(write_rec_set(folder / "set"))
    name = config["Arch"]["Backbone"]["name"]
    config["Metric"]["Eval"][0]["Recallk"]["topk"] = [1, 5]
    config["Infer"] = {
        "transforms": [*config["DataLoader"]["Eval"]["Query"]["dataset"]["transform_ops"], {"ToCHWImage": None}],
        "PostProcess": {"name": "Embedding"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    config["Global"].update(output_dir=str(folder / f"rec/ArcFace_{name}"))
    loop.train(config)
    (folder / f"rec/ArcFace_{name}/trained").touch()
    return folder / "config.yaml", folder / "rec", name


def test_measuring_leaves_figures_and_evidence(trained, tmp_path):
    config, trainings, name = trained
    kept_path = tmp_path / "kept.json"
    words = ["--measure", trainings, "--config", config, "--kept", kept_path, "--evidence", tmp_path / "log"]
    outcome = run_process("tools/tables/rec_table.py", *words, "--weights", tmp_path / "weights")
    assert outcome.status == 0, outcome.err
    kept = TABLE.read_kept(kept_path)
    assert outcome.out == TABLE.as_markdown(kept)
    row = kept["backbones"][name]
    assert 0 <= row["recall1"] <= row["recall5"] <= 1
    assert row["cpu_ms"] > 0
    assert row["differs"] == "-"
    assert f"{SIDE}x{SIDE}" in kept["schedule"]
    assert os.listdir(tmp_path / "weights") == [f"ArcFace_{name}.pdparams"]
    evidence = tmp_path / f"log/ArcFace_{name}"
    assert json.loads((evidence / "training.json").read_text()) == row
    assert cv2.imread(str(evidence / "neighbours.jpg")) is not None
    assert cv2.imread(str(evidence / "curves.png")) is not None
    assert f"recall1: {row['recall1']:.5f}" in (evidence / "log_train.txt").read_text()  # evaluated again, and the same


def test_the_documents_show_what_is_kept():
    kept = TABLE.read_kept() if TABLE.kept.is_file() else None
    for document in DOCUMENTS:
        if document.is_file():
            block = document.read_text(encoding="utf-8").partition(TABLE.begin + "\n")[2].partition(TABLE.end)[0]
            assert block == TABLE.as_markdown(kept), f"run: tools/tables/rec_table.py --update {document.name}"


def test_every_evidence_of_the_table_is_there_and_names_no_folder_of_a_machine():
    for name, row in TABLE.read_kept()["backbones"].items() if TABLE.kept.is_file() else ():
        folder = ROOT / f"test_log/ArcFace_{name}"
        assert {"log_train.txt", "curves.png", "neighbours.jpg", "training.json"} <= set(os.listdir(folder))
        assert json.loads((folder / "training.json").read_text()) == row
        for file in ("log_train.txt", "history.jsonl"):
            assert "/work/" not in (folder / file).read_text()
