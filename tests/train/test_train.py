"""Training: the log's lines and figures, faults that end it, two processes, the official config."""

import copy
import json
import re
import subprocess
import sys

import numpy as np
import paddle
import pytest
import yaml

from ppcls_lite.train import loop, progress
from ppcls_lite.train.metrics import TopkAcc
from ppcls_lite.train.optimizer import build_schedule
from ppcls_lite.train.progress import Judged, Progress
from ppcls_lite.utils.log import setup_logging
from ppcls_lite.utils.safe_load import load_arrays
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line, run_process, with_library
from train_log import read_train_log

OFFICIAL = "ppcls/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml"
NUMBER = r"\d+\.\d{5}"
# what existing checkers of the certification look for
CERTIFIED = re.compile(
    rf"loss: {NUMBER}, avg_reader_cost: {NUMBER} sec, avg_batch_cost: {NUMBER} sec, "
    rf"avg_samples: \d+(\.\d+)?, avg_ips: {NUMBER} images/sec"
)
LINE = re.compile(
    r"^\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\] ppcls_lite INFO: \[Train\]\[Epoch (\d+)/4\]\[Iter: (\d+)/4\] "
    rf"lr: \d\.\d{{8}}, top1: {NUMBER}, top5: {NUMBER}, {CERTIFIED.pattern}, eta: \d+:\d\d:\d\d$"
)


def trained_log(config):
    loop.train(config)
    path = f"{config['Global']['output_dir']}/log_train.txt"
    with open(path) as stream:
        return stream.read().splitlines()


# ---- the log


def test_log_lines(config, capsys):
    lines = trained_log(config)
    assert capsys.readouterr().out.splitlines() == lines  # the screen shows the same
    trained = [line for line in lines if "[Train]" in line]
    assert [LINE.match(line).group(1, 2) for line in trained] == [(str(e), i) for e in range(1, 5) for i in "24"]
    rates = [float(re.search(r"lr: (\S+),", line)[1]) for line in trained]
    schedule = build_schedule(config["Optimizer"]["lr"], epochs=4, steps_per_epoch=4)
    assert rates == [round(schedule(step), 8) for step in range(1, 16, 2)]  # of the step that the line ends with
    log = read_train_log(f"{config['Global']['output_dir']}/log_train.txt")
    assert [point.iteration for point in log.train] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert [point.iteration for point in log.evals] == [4, 8, 12, 16]


def test_log_without_metric(config):
    del config["Metric"]
    config["Global"]["epochs"] = 1
    lines = trained_log(config)
    assert sum(bool(CERTIFIED.search(line)) for line in lines) == 2
    assert "top1" not in "".join(lines)


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def perf_counter(self):
        return self.now


def test_averages_since_the_last_line(monkeypatch, capsys):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    setup_logging()
    shown = Progress(steps_per_epoch=5, epochs=2, every=2, metric=TopkAcc([1]))
    shown.start()
    logits = paddle.to_tensor(np.eye(4, dtype=np.float32))
    for step, (reading, training, loss, samples) in enumerate(
        [(0.1, 0.4, 1.0, 4), (0.3, 0.2, 2.0, 4), (0.0, 1.0, 3.0, 4), (0.2, 0.8, 5.0, 4), (1.0, 1.0, 7.0, 2)]
    ):
        clock.now += reading
        shown.data_ready()
        clock.now += training
        labels = paddle.to_tensor([0, 1, 0, 0][:samples])
        shown.step_done(1, step, 0.5, {"loss": paddle.to_tensor(loss)}, samples, Judged(logits[:samples], labels))
    lines = [line.partition("INFO: ")[2] for line in capsys.readouterr().out.splitlines()]
    expected = [
        "[Iter: 2/5] lr: 0.50000000, top1: 0.50000, loss: 1.50000, avg_reader_cost: 0.20000 sec, "
        "avg_batch_cost: 0.50000 sec, avg_samples: 4, avg_ips: 8.00000 images/sec, eta: 0:00:04",
        "[Iter: 4/5] lr: 0.50000000, top1: 0.50000, loss: 4.00000, avg_reader_cost: 0.10000 sec, "
        "avg_batch_cost: 1.00000 sec, avg_samples: 4, avg_ips: 4.00000 images/sec, eta: 0:00:04",
        "[Iter: 5/5] lr: 0.50000000, top1: 1.00000, loss: 7.00000, avg_reader_cost: 1.00000 sec, "
        "avg_batch_cost: 2.00000 sec, avg_samples: 2, avg_ips: 1.00000 images/sec, eta: 0:00:05",
    ]
    assert lines == [f"[Train][Epoch 1/2]{line}" for line in expected]


# ---- what ends a training


def test_loss_that_is_not_a_number(config, write_config, run_here, tmp_path):
    config["Optimizer"]["lr"].update(learning_rate=1e30, warmup_epoch=0)
    config["Global"].update(epochs=20)
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert_one_line(outcome, "the loss became nan in epoch", "learning_rate")
    for name in ("latest", "best_model"):  # no checkpoint of it
        path = tmp_path / f"out/{name}.pdparams"
        assert not path.exists() or all(np.isfinite(array).all() for array in load_arrays(path).values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Global.seed": -1}, "Global.seed: expected a whole number of at least 0, found -1"),
        ({"Global.epochs": 0}, "Global.epochs: expected a whole number of at least 1, found 0"),
        ({"Global.epochs": None}, "Global.epochs: expected a whole number of at least 1, found None"),
        ({"Global.print_batch_step": 0}, "Global.print_batch_step: expected a whole number"),
        ({"Global.device": "tpu"}, "Global.device: expected gpu or cpu, found 'tpu'"),
        ({"Global.pretrained_model": "no/such"}, "no/such.pdparams: no such weights file"),
        ({"Global.checkpoints": "no/such"}, "no/such.pdstates: no such weights file"),
        ({"Arch": None}, "'Arch' is missing"),
        ({"Arch.name": None}, "Arch"),
        ({"Arch.name": "MobileNetV3_smal_x1_0"}, "did you mean 'MobileNetV3_small_x1_0'"),
        ({"Arch.class_num": 2}, "label 2 is not below class_num 2"),
        ({"Arch.class_num": 0}, "Arch.class_num: expected a whole number of at least 1, found 0"),
        ({"Arch.class_num": -1}, "Arch.class_num: expected a whole number of at least 1, found -1"),
        ({"Arch.dropout_prob": 7}, "Arch.dropout_prob: expected a number from 0 to 1, found 7"),
        ({"Arch.no_such_option": 2}, "no_such_option"),
        ({"Loss": None}, "'Loss' is missing"),
        ({"Optimizer": None}, "'Optimizer' is missing"),
        ({"Optimizer.lr": None}, "'Optimizer.lr' is missing"),
        ({"DataLoader": None}, "'DataLoader.Train' is missing"),
        ({"DataLoader.Eval": None}, "'DataLoader.Eval' is missing"),
        ({"DataLoader.Train.sampler.batch_size": 0}, "batch_size"),
        ({"DataLoader.Train.dataset.image_root": "no/such"}, "no/such: no such folder"),
        ({"DataLoader.Train.dataset.cls_label_path": "no/such.txt"}, "no/such.txt: no such list file"),
        ({"Metric.Train": [{"TopkAc": {}}]}, "Metric.Train[0]: expected 'TopkAcc"),
        (
            {"Metric.Train": [{"TopkAcc": {"topk": [0]}}]},
            "Metric.Train[0].TopkAcc.topk: expected a whole number of at least 1",
        ),
        ({"Metric.Train": [{"TopkAcc": {"k": [1]}}]}, "Metric.Train[0]"),
    ],
    ids=str,
)
def test_wrong_config(config, write_config, run_here, changes, message):
    for key, value in changes.items():
        *sections, last = key.split(".")
        node = config
        for section in sections:
            node = node[section]
        node[last] = value
    assert_one_line(run_here("tools/train.py", "-c", write_config(config)), message)


def test_output_folder_that_is_a_file(config, write_config, run_here, tmp_path):
    (tmp_path / "out").write_text("a file")
    line = f"Global.output_dir {tmp_path}/out: expected a folder that can be written to; {tmp_path}/out is no folder"
    assert_one_line(run_here("tools/train.py", "-c", write_config(config)), line)


def test_gpu_is_demanded(config, write_config, run_here):
    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle can use a GPU")
    path = write_config(config)
    outcome = run_here("tools/train.py", "-c", path, "-o", "Global.device=gpu")
    assert_one_line(outcome, "-o Global.device=gpu: this Paddle is the CPU build")
    config["Global"].update(device="gpu", epochs=1)  # in a config it is not a requirement
    assert "running on the CPU" in run_here("tools/train.py", "-c", write_config(config)).out


def test_full_log_disk_and_departed_reader(config, write_config):
    path = write_config(config)
    command = f"{sys.executable} {ROOT}/tools/train.py -c {path} -o Global.epochs=1"
    full = subprocess.run(f"{command} >/dev/full", shell=True, capture_output=True, text=True, timeout=LIMIT)
    assert full.returncode != 0
    assert "error: the screen's output cannot be written (No space left on device)" in full.stderr
    assert "Traceback" not in full.stderr
    left = subprocess.run(["bash", "-c", f"{command} | head -1"], capture_output=True, text=True, timeout=LIMIT)
    assert "Traceback" not in left.stderr
    assert "Logging error" not in left.stderr


# ---- ways to train


def test_to_static_trains(config):
    config["Arch"]["name"] = "MobileNetV1_x0_25"  # no dropout, which would draw other numbers there
    config["Global"].update(epochs=1, print_batch_step=1)
    dynamic = trained_log(copy.deepcopy(config))
    names = list(load_arrays(config["Global"]["output_dir"] + "/latest"))
    config["Global"].update(to_static=True, output_dir=config["Global"]["output_dir"] + "_static")
    static = trained_log(config)
    first, second = (list(map(float, re.findall(r"loss: (\S+), avg", "".join(log)))) for log in (dynamic, static))
    assert first == pytest.approx(second, rel=1e-3)
    assert len(first) == 4
    assert list(load_arrays(config["Global"]["output_dir"] + "/latest")) == names


def test_pretrained_model_is_where_training_begins(config, tmp_path):
    arrays = random_weights()
    config["Global"]["pretrained_model"] = str(save_arrays(arrays, tmp_path / "w.pdparams"))
    trainer = loop.Trainer(config, "cpu")
    assert all((tensor.numpy() == arrays[name]).all() for name, tensor in trainer.model.state_dict().items())


def test_amp_needs_a_gpu_and_says_so(config):
    config["AMP"] = {"use_amp": True, "level": "O1"}
    config["Global"]["epochs"] = 1
    assert any("mixed precision needs a GPU" in line for line in trained_log(config))


def test_official_config_trains_unmodified(tmp_path, run_here, monkeypatch, tiny_data):
    """Only sizes and the data's place are given: everything else is the official recipe."""
    monkeypatch.chdir(ROOT)
    options = ["Global.epochs=2", f"Global.output_dir={tmp_path}", "Global.image_shape=[3, 32, 32]", "Arch.class_num=3"]
    for part, crop in (("Train", "1.RandCropImage"), ("Eval", "2.CropImage")):
        place = f"DataLoader.{part}"
        options += [f"{place}.sampler.batch_size=8", f"{place}.dataset.transform_ops.{crop}.size=32"]
        options += [f"{place}.dataset.image_root={tiny_data}"]
        options += [f"{place}.dataset.cls_label_path={tiny_data}/{'val' if part == 'Eval' else 'train'}_list.txt"]
    options.append("DataLoader.Eval.dataset.transform_ops.1.ResizeImage.resize_short=36")
    outcome = run_here("tools/train.py", "-c", OFFICIAL, *(word for option in options for word in ("-o", option)))
    assert outcome.status == 0, outcome.err
    assert len(read_train_log(tmp_path / "log_train.txt").train) == 2
    assert (tmp_path / "epoch_2.pdparams").is_file()


# ---- two processes

RANK = """
import json
import numpy as np, paddle
from ppcls_lite.train import evaluate, loop
from ppcls_lite.utils.config import load_config
seen = []
update = evaluate.Evaluator._over_processes
def watched(self, loss_sum, count):
    seen.append(count)
    return update(self, loss_sum, count)
evaluate.Evaluator._over_processes = watched
results = []
run = evaluate.Evaluator.run
evaluate.Evaluator.run = lambda self, model: results.append(run(self, model)) or results[-1]
kept = []
init = loop.Trainer.__init__
def remember(self, *options):
    init(self, *options)
    kept.append(self)
loop.Trainer.__init__ = remember
loop.train(load_config({config!r}))
rank = paddle.distributed.get_rank()
np.savez({out!r} + f"/rank{{rank}}.npz", **{{n: t.numpy() for n, t in kept[0].model.state_dict().items()}})
with open({out!r} + f"/rank{{rank}}.json", "w") as stream:
    json.dump({{"seen": seen, "results": results, "seed": kept[0].seed}}, stream)
"""


def test_two_processes(config, write_config, tmp_path):
    config["Global"].update(epochs=2, seed=None)
    script = tmp_path / "rank.py"
    script.write_text(RANK.format(config=str(write_config(config)), out=str(tmp_path)))
    command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend", "gloo"]
    done = subprocess.run(
        [*command, "--log_dir", str(tmp_path / "launch"), str(script)],
        cwd=tmp_path,
        env=with_library(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (np.load(tmp_path / f"rank{rank}.npz") for rank in (0, 1))
    # batch norm's running statistics are each process's own, all that is trained is shared
    trained = [name for name in first.files if not name.endswith(("_mean", "_variance"))]
    assert all(np.array_equal(first[name], second[name]) for name in trained)
    notes = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert notes[0]["results"] == notes[1]["results"]
    assert notes[0]["seed"] == notes[1]["seed"]
    assert [a + b for a, b in zip(notes[0]["seen"], notes[1]["seen"])] == [7, 7]  # every image once
    log = read_train_log(tmp_path / "out/log_train.txt")
    text = (tmp_path / "out/log_train.txt").read_text()
    assert [point.iteration for point in log.train] == [2, 4]  # 14 images, 2 processes, batches of 4: 2 steps
    assert text.count("[Train]") == 2
    assert "batch size 4 x 2" in text


def test_versions_and_yaml_of_the_repository():
    outcome = run_process("test_tipc/lib/versions.py")
    assert re.match(r"Python 3\.\d+\.\d+, paddlepaddle(-gpu)? \d.*numpy \d", outcome.out)
    for path in (ROOT / "ppcls_lite/configs").rglob("*.yaml"):
        assert yaml.safe_load(path.read_text())["Arch"]["name"]
