"""The table of backbones, the chains that certify them, and the document that shows both."""

import json
import os
import re
import subprocess
import sys

import cv2
import pytest
import yaml

from ppcls_lite.arch import build_backbone
from ppcls_lite.train import loop
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import replace_block
from ppcls_lite.utils.safe_load import as_float16, load_arrays
from tests.helpers.configs import read_in_every_mode
from tests.helpers.detection import make_config, write_set
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line, run_process
from tools.tables import det_measure, trainings
from tools.tables.det_table import TABLE as table

DOCUMENT = ROOT / "docs/lightweight_backbone.md"
CHAINS = [
    f"CenterNet_{name}"
    for name in (
        "MobileNetV1_x1_0",
        "MobileNetV3_large_x1_0",
        "MobileNetV3_small_x1_0",
        "ShuffleNetV2_x1_0",
        "ResNet50_vd",
    )
]
FIGURES = {"AP": 0.31234, "AP50": 0.5, "AP75": 0.25, "differs": "-", "params_m": 1.1, "flops_m": 99.5, "cpu_ms": 3.14}
KEPT = {"versions": "Paddle 0", "schedule": "All alike.", "backbones": {"Net": {**FIGURES, "file_mb": 4.5}}}


# ---- the table


def test_a_row_says_what_was_measured_and_where_its_evidence_is():
    lines = table.as_markdown(KEPT).splitlines()
    assert lines[2].startswith("| Net | 0.312 | 0.500 | 0.250 | - | 1.10 | 100 | 3.1 | 4.5 | [log](../test_log/")
    assert "All alike. Paddle 0." in lines[4]


def test_the_document_shows_what_is_kept():
    kept = table.read_kept() if table.kept.is_file() else None
    block = DOCUMENT.read_text().partition(table.begin + "\n")[2].partition(table.end)[0]
    assert block == table.as_markdown(kept), "run: tools/tables/det_table.py --update docs/lightweight_backbone.md"


def test_every_evidence_of_the_table_is_there():
    kept = table.read_kept()["backbones"] if table.kept.is_file() else {}
    for name in kept:
        folder = ROOT / f"test_log/CenterNet_{name}"
        assert {"log_train.txt", "curves.png", "predictions.jpg", "training.json"} <= set(os.listdir(folder))
        assert json.loads((folder / "training.json").read_text()) == kept[name]


def test_update_replaces_the_block_only(tmp_path):
    path = tmp_path / "a.md"
    path.write_text(f"before\n{table.begin}\nold\n{table.end}\nafter\n")
    replace_block(path, table.begin, table.end, "new\n")
    assert path.read_text() == f"before\n{table.begin}\nnew\n{table.end}\nafter\n"
    path.write_text("no markers\n")
    with pytest.raises(UserError, match="expected one line"):
        replace_block(path, table.begin, table.end, "new\n")


@pytest.mark.parametrize("content", ["{", "{}", '{"backbones": {"Net": {}}}', '{"backbones": {"Net": {"AP": "x"}}}'])
def test_damaged_figures_are_one_line(tmp_path, content):
    path = tmp_path / "kept.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"kept.json: cannot be read .*; delete it, and run --measure"):
        table.read_kept(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(config path, folder of trainings, backbone): one finished training, of another seed than the config's."""
    folder = tmp_path_factory.mktemp("trainings")
    config = make_config(write_set(folder / "set"))
    name = config["Arch"]["Backbone"]["name"]
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    config["Global"].update(output_dir=str(folder / f"det/CenterNet_{name}"), seed=6)
    loop.train(config)
    (folder / f"det/CenterNet_{name}/trained").touch()
    (folder / "det/CenterNet_Unfinished").mkdir()
    return path, folder / "det", name


def test_measuring_leaves_figures_and_evidence(trained, tmp_path):
    config, trainings, name = trained
    kept_path = tmp_path / "kept.json"
    words = ["--measure", trainings, "--config", config, "--kept", kept_path, "--evidence", tmp_path / "log"]
    outcome = run_process("tools/tables/det_table.py", *words, "--weights", tmp_path / "weights")
    assert outcome.status == 0, outcome.err
    kept = table.read_kept(kept_path)
    assert outcome.out == table.as_markdown(kept)
    assert list(kept["backbones"]) == [name]
    row = kept["backbones"][name]
    assert row["differs"] == "seed 6"
    assert row["cpu_ms"] > 0
    weights = trainings / f"CenterNet_{name}/best_model.pdparams"
    assert row["file_mb"] == round(weights.stat().st_size / 1e6, 2)
    assert (tmp_path / f"weights/CenterNet_{name}.pdparams").read_bytes() == weights.read_bytes()
    assert os.listdir(tmp_path / "weights") == [f"CenterNet_{name}.pdparams"]
    assert row["params_m"] * 4 == pytest.approx(row["file_mb"], rel=0.1)
    evidence = tmp_path / f"log/CenterNet_{name}"
    assert json.loads((evidence / "training.json").read_text()) == row
    log = (evidence / "log_train.txt").read_text()
    assert (evidence / "history.jsonl").read_bytes() == weights.with_name("history.jsonl").read_bytes()
    best = max(float(ap) for ap in re.findall(r"\bAP: (-?[.\d]+)", log))
    assert row["AP"] == pytest.approx(best, abs=1e-5)  # evaluated again, and the same
    assert cv2.imread(str(evidence / "curves.png")) is not None
    assert cv2.imread(str(evidence / "predictions.jpg")).shape[1] == 4 * 352
    assert "64x64" in kept["schedule"]


@pytest.mark.parametrize("most_mb", [0.001, 25])
def test_the_figures_are_of_the_weights_as_they_are_kept(trained, tmp_path, monkeypatch, most_mb):
    config, folder, name = trained
    measured = []

    def measure_training(content, *_):
        measured.append(content["Global"]["pretrained_model"])
        return {**FIGURES, "file_mb": 1.0}

    monkeypatch.setattr(det_measure, "measure_training", measure_training)
    monkeypatch.setattr(trainings, "choose_export_format", lambda: None)  # Paddle has been imported long ago
    monkeypatch.setattr(trainings, "MOST_MB", most_mb)
    kept = tmp_path / f"weights/CenterNet_{name}"
    kept.mkdir(parents=True)
    (kept / "former").touch()
    table.measure(folder, config, tmp_path / "kept.json", tmp_path / "log", tmp_path / "weights")
    assert measured == [str(kept)]
    assert os.listdir(kept.parent) == ([kept.name] if most_mb < 1 else [f"{kept.name}.pdparams"])
    found, exact = load_arrays(kept), load_arrays(folder / f"CenterNet_{name}/best_model")
    stored = as_float16(exact) if most_mb < 1 else exact
    assert all((found[entry] == stored[entry]).all() for entry in exact)
    assert (most_mb == 25) == all((found[entry] == exact[entry]).all() for entry in exact)


def test_a_training_on_another_set_is_refused(trained, tmp_path):
    _, trainings, _ = trained
    other = make_config(write_set(tmp_path / "set", (("train", 20), ("val", 5))))
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(other))
    words = ["--measure", trainings, "--config", path, "--kept", tmp_path / "kept.json", "--evidence", tmp_path / "log"]
    outcome = run_process("tools/tables/det_table.py", *words)
    assert_one_line(outcome, "history.jsonl: the training had 12 images, and", "/set has 20: train again on these")
    assert not (tmp_path / "kept.json").exists()
    assert not (tmp_path / "log").exists()


def test_every_setting_that_differs_is_reported(trained, tmp_path):
    _, trainings, name = trained
    from tools.tables.training_evidence import differences

    folder = trainings / f"CenterNet_{name}"
    config = make_config(write_set(tmp_path / "set"))
    config["Global"].update(seed=6)
    assert differences(folder, config, 12, "the set") == "-"
    config["Global"].update(epochs=9)
    config["DataLoader"]["Train"]["sampler"]["batch_size"] = 2
    assert differences(folder, config, 12, "the set") == "epochs 4, batch size 4"
    config["Global"].update(epochs=4, seed=5)
    assert differences(folder, config, 12, "the set") == "seed 6, batch size 4"


def test_rows_of_another_schedule_are_not_kept(trained, tmp_path):
    config, trainings, name = trained
    kept_path = tmp_path / "kept.json"
    kept_path.write_text(json.dumps(KEPT))
    words = ["--measure", trainings, "--config", config, "--kept", kept_path, "--evidence", tmp_path / "log"]
    assert run_process("tools/tables/det_table.py", *words).status == 0
    assert list(table.read_kept(kept_path)["backbones"]) == [name]


def test_weights_that_are_kept_are_where_the_configs_want_them():
    for path in table.read_kept()["backbones"] if table.kept.is_file() else ():
        config = ROOT / f"test_tipc/configs/CenterNet_{path}/train_infer_python.txt"
        assert f"pretrained_model_url:{table.weights_path(path)}\n" in config.read_text()


def test_nothing_trained_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no finished training"):
        table.measure(tmp_path)


# ---- the chains and the document


@pytest.mark.parametrize("name", CHAINS)
def test_chain_names_its_backbone_everywhere_and_can_be_read_in_every_mode(name):
    path = ROOT / f"test_tipc/configs/{name}/train_infer_python.txt"
    text = path.read_text()
    backbone = name.partition("_")[2]
    assert set(re.findall(r"Arch.Backbone.name=([^ |\n]+)", text)) == {backbone}
    assert f"model_name:{name}\n" in text
    for config in set(re.findall(r"-c (ppcls_lite\S+\.yaml)", text)):
        assert (ROOT / config).is_file()
    lines = read_in_every_mode(name)
    assert len(lines) == 4
    assert all(f" {name} tools/export_model.py -c ppcls_lite/configs/detection/" in line for line in lines)


def test_listing_and_taps_of_the_document_are_true():
    text = DOCUMENT.read_text()
    command = "python tools/print_features.py -m MobileNetV3_large_x1_0 --size 640"
    listing = text.partition(command)[2].partition("```text\n")[2].partition("```")[0]
    words = [sys.executable, *command.split()[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert done.stdout == listing
    backbone = build_backbone("MobileNetV3_large_x1_0")
    assert f"{backbone.out_indices} {backbone.channels} {backbone.strides}" in text


def test_a_sixth_backbone_needs_a_config_made_as_the_document_says(tmp_path):
    """Its `sed` line gives a chain's config of PPHGNetV2_B0 that the driver reads."""
    (line,) = re.findall(r"^(sed 's/.*?\.txt)$", DOCUMENT.read_text().replace(" \\\n    ", " "), re.MULTILINE)
    line = line.replace("/tmp/", f"{tmp_path}/")
    subprocess.run(["bash", "-c", line], cwd=ROOT, check=True, timeout=LIMIT)
    text = (tmp_path / "CenterNet_PPHGNetV2_B0.txt").read_text()
    assert "model_name:CenterNet_PPHGNetV2_B0" in text
    assert set(re.findall(r"Arch.Backbone.name=([^ |\n]+)", text)) == {"PPHGNetV2_B0"}


def test_files_and_links_of_the_document_are_there():
    text = DOCUMENT.read_text()
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", text):
        assert (DOCUMENT.parent / target).exists(), target
    for path in re.findall(r"(?:ppcls_lite/configs|deploy/configs|test_tipc/configs|tools)/[\w./-]+\.\w+", text):
        assert (ROOT / path).is_file(), path
