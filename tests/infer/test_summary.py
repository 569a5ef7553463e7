"""The summary of times and memory: AutoLog's lines, for whatever reads AutoLog's, and lines of our own behind them."""

import re

import pytest

from tests.helpers.autolog import TITLE, WORDS, keys_of, sections_of, words_of
from tests.helpers.scripts import ROOT, assert_one_line

DEPLOYED = "deploy/python/predict_cls.py"
# of AutoLog 1.0, as docs/tipc/train_infer_python/infer_python.md of PaddlePaddle/models (Apache-2.0) shows it
OFFICIAL = (ROOT / "tests/fixtures/autolog.txt").read_text(encoding="utf-8")
OWN = ["Requested, in effect", "Further facts"]


@pytest.fixture(scope="module")
def folder(exported):
    return exported.model


@pytest.fixture
def summary(folder, run_here):
    """What predict_cls.py prints of five images in batches of three."""
    images = f"Global.infer_imgs={ROOT}/test_images"
    options = ["-o", f"Global.inference_model_dir={folder}", "-o", images, "-o", "Global.batch_size=3"]

    def get(*more):
        outcome = run_here(DEPLOYED, "-c", ROOT / "deploy/configs/inference_cls.yaml", *options,
                           "-o", "Global.benchmark=True", *more)  # fmt: skip
        assert outcome.status == 0, outcome
        return outcome.out

    return get


def test_the_lines_are_those_of_autolog(summary):
    official, ours = sections_of(OFFICIAL), sections_of(summary())
    titles = list(ours)
    assert titles[: len(official)] == list(official)
    assert [TITLE.fullmatch(title)[2] for title in titles[len(official) :]] == OWN
    for title, entries in official.items():
        assert keys_of(ours[title]) == keys_of(entries), title


def test_the_values(summary, folder):
    text = summary()
    found = words_of(text)
    assert found.keys() == set(WORDS)
    stated = {"runtime_device:": "cpu", "ir_optim:": "True", "enable_memory_optim:": "True", "precision:": "fp32",
              "enable_tensorrt:": "False", "enable_mkldnn:": "True", "batch_size:": "3", "input_shape:": "3",
              "gpu_rss(MB):": "None", "gpu_util:": "None%"}  # fmt: skip
    assert stated.items() <= found.items()
    assert re.search(r" paddle_commit: [0-9a-f]{40}$", text, re.MULTILINE)
    assert " data_num: 2\n" in text  # batches, as AutoLog counts
    assert float(found["cpu_rss(MB):"]) > 50
    times = dict(part.split(": ") for part in next(one for one in text.splitlines() if "inference_time(ms)" in one)
                 .split("INFO:  ")[1].split(", "))  # fmt: skip
    assert min(map(float, times.values())) > 0
    total = float(re.search(r"total time spent\(s\): (\S+)", text)[1])
    assert total == pytest.approx(sum(map(float, times.values())) * 2 / 1000, abs=1e-3)


def test_our_own_lines_do_not_disturb_the_official_reader(summary):
    text = summary()
    assert words_of(text[: text.index(OWN[0])]) == words_of(text)
    ours = sections_of(text)
    effects, facts = (next(lines for title, lines in ours.items() if name in title) for name in OWN)
    assert effects[0].startswith("oneDNN: on, on (")
    assert {"engine: onednn", "images: 5"} <= set(facts)


def test_memory_optimisation_that_is_not_in_effect(summary, exported_json):
    """Paddle has none for inference.json."""
    assert " enable_memory_optim: False\n" in summary("-o", f"Global.inference_model_dir={exported_json}")


def test_a_file_gets_the_summary_too(summary, tmp_path):
    text = summary("-o", f"Global.save_log_path={tmp_path}/logs/auto.log")
    assert sections_of((tmp_path / "logs/auto.log").read_text()) == sections_of(text)


def test_a_graphics_card_is_asked(summary, tmp_path, monkeypatch):
    """A stand-in of nvidia-smi: what it says is printed, and a driver is no sign that the card was used."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ncase $1 in *driver_version*) echo "550.54.15, 37";; *) echo "A card";; esac\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    text = summary()
    assert " drivier_version: 550.54.15\n" in text
    assert " GPU_model: A card\n" in text
    assert " gpu_util: None%" in text


def test_a_summary_that_cannot_be_written(folder, run_here, tmp_path):
    (tmp_path / "file").write_text("")
    options = ["-o", f"Global.inference_model_dir={folder}", "-o", f"Global.infer_imgs={ROOT}/test_images/chelsea.jpg"]
    outcome = run_here(DEPLOYED, "-c", ROOT / "deploy/configs/inference_cls.yaml", *options,
                       "-o", "Global.benchmark=True", "-o", f"Global.save_log_path={tmp_path}/file/a.log")  # fmt: skip
    assert_one_line(outcome, f"Global.save_log_path={tmp_path}/file/a.log: cannot be written")
