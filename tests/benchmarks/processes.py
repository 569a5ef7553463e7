"""Is it faster with two CPU processes? Trainings and predictions with one process and with two, in turns.

    python tests/benchmarks/processes.py [--rounds 3] [--model MobileNetV3_small_x1_0] [--config lite_data_64]

Training: images per second of all processes together, from history.jsonl: one process with batches of 16, two with
batches of 8 (gloo). Prediction: seconds of predict_cls.py for a list of 1,000 lines, start included, with one thread
of the engine in each process. The ratio is two processes to one: above 1 means that two are faster. The ratio of the
CPU time of both says what the second process costs in addition, and does not depend on what else the machine does.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.data.image_lists import list_images
from ppcls_lite.train.history import read_history
from ppcls_lite.utils.machine import usable_cores

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ["-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend=gloo"]
LINES = 1000


def run(words, processes, logs):
    """(seconds, CPU seconds) of a command of this repository with so many processes."""
    launcher = [*LAUNCH, f"--log_dir={logs}"] if processes > 1 else []
    began, used = time.perf_counter(), cpu_seconds()
    subprocess.run([sys.executable, *launcher, *map(str, words)], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began, cpu_seconds() - used


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def train(model, config, processes, folder):
    """(images per second, without the first line of the log; CPU seconds) of a training."""
    settings = {"Arch.name": model, "Global.epochs": 4, "Global.eval_during_train": False, "Global.device": "cpu"}
    settings.update({"Global.output_dir": folder, "DataLoader.Train.sampler.batch_size": 16 // processes})
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    words = ["tools/train.py", "-c", f"ppcls_lite/configs/{config}.yaml", *options]
    _, used = run(words, processes, folder / "logs")
    speeds = [event["avg_ips"] for event in read_history(folder / "history.jsonl") if event["event"] == "train"]
    return statistics.median(speeds[1:]) * processes, used


def predict(model_dir, images, processes, folder):
    """(images per second, CPU seconds) of a prediction, start included."""
    settings = {"inference_model_dir": model_dir, "infer_imgs": images, "save_file": folder / "saved.jsonl"}
    settings.update(use_gpu=False, cpu_num_threads=1, batch_size=8)
    options = [word for key, value in settings.items() for word in ("-o", f"Global.{key}={value}")]
    words = ["deploy/python/predict_cls.py", "-c", "deploy/configs/inference_cls.yaml", *options]
    spent, used = run(words, processes, folder / "logs")
    return LINES / spent, used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="MobileNetV3_small_x1_0")
    parser.add_argument("--config", default="lite_data_64")
    args = parser.parse_args()
    print(f"{usable_cores()} cores, load {os.getloadavg()[0]:.1f} before, {args.rounds} rounds in turns")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listed = list_images(ROOT / "lite_data/val")[0]
        images = folder / "list.txt"
        images.write_text("".join(f"{listed[number % len(listed)]}\n" for number in range(LINES)))
        report(
            f"training {args.model}, {args.config}",
            lambda processes: train(args.model, args.config, processes, folder / f"train{processes}"),
            args.rounds,
        )
        weights = ["-o", f"Global.pretrained_model={folder}/train1/latest", "-o", f"Arch.name={args.model}"]
        export = ["tools/export_model.py", "-c", f"ppcls_lite/configs/{args.config}.yaml", *weights]
        run([*export, "-o", f"Global.save_inference_dir={folder}/model"], 1, folder)
        predictor = partial(predict, folder / "model", images, folder=folder)
        report(f"predicting {LINES} images", lambda processes: predictor(processes=processes), args.rounds)


def report(what, measure, rounds):
    """Measure with one process and with two, in turns, and print the medians and their ratios."""
    found = [[measure(processes) for processes in (1, 2)] for _ in range(rounds)]
    (one, used), (two, used_by_two) = (map(statistics.median, zip(*column)) for column in zip(*found))
    print(
        f"{what}: {one:.1f} images/s with 1 process, {two:.1f} with 2: {two / one:.2f}; "
        f"CPU time {used:.1f} s and {used_by_two:.1f} s: {used_by_two / used:.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
