"""Is it faster with two CPU processes? Trainings and predictions with one process and with two, in turns.

    python tests/benchmarks/processes.py [--rounds 3] [--model MobileNetV3_small_x1_0] [--config lite_data_64]

Training: images per second of all processes together, from history.jsonl: one process with batches of 16, two with
batches of 8 (gloo). Prediction: seconds of predict_cls.py for a list of 3,000 lines, start included, with one thread
of the engine in each process. The ratio is two processes to one: above 1 means that two are faster.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.train.history import read_history
from ppcls_lite.utils.machine import OthersLoad, usable_cores

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ["-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend=gloo"]
LINES = 3000


def run(words, processes, logs):
    """The seconds of a command of this repository with so many processes."""
    launcher = [*LAUNCH, f"--log_dir={logs}"] if processes > 1 else []
    began = time.perf_counter()
    subprocess.run([sys.executable, *launcher, *map(str, words)], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def train(model, config, processes, folder):
    """Images per second of a training, its first line left out."""
    settings = {"Arch.name": model, "Global.epochs": 4, "Global.eval_during_train": False, "Global.device": "cpu"}
    settings.update({"Global.output_dir": folder, "DataLoader.Train.sampler.batch_size": 16 // processes})
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    run(["tools/train.py", "-c", f"ppcls_lite/configs/{config}.yaml", *options], processes, folder / "logs")
    speeds = [event["avg_ips"] for event in read_history(folder / "history.jsonl") if event["event"] == "train"]
    return statistics.median(speeds[1:]) * processes


def predict(model_dir, images, processes, folder):
    settings = {"inference_model_dir": model_dir, "infer_imgs": images, "save_file": folder / "saved.jsonl"}
    settings.update(use_gpu=False, cpu_num_threads=1, batch_size=8)
    options = [word for key, value in settings.items() for word in ("-o", f"Global.{key}={value}")]
    words = ["deploy/python/predict_cls.py", "-c", "deploy/configs/inference_cls.yaml", *options]
    return run(words, processes, folder / "logs")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="MobileNetV3_small_x1_0")
    parser.add_argument("--config", default="lite_data_64")
    args = parser.parse_args()
    speeds, seconds = {1: [], 2: []}, {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, OthersLoad() as load:
        folder = Path(name)
        listed = sorted((ROOT / "lite_data/val").rglob("*.jpg")) or sorted((ROOT / "lite_data/val").rglob("*.png"))
        images = folder / "list.txt"
        images.write_text("".join(f"{listed[number % len(listed)]}\n" for number in range(LINES)))
        for _ in range(args.rounds):
            for processes in (1, 2):
                speeds[processes].append(train(args.model, args.config, processes, folder / f"train{processes}"))
        weights = ["-o", f"Global.pretrained_model={folder}/train1/latest", "-o", f"Arch.name={args.model}"]
        export = ["tools/export_model.py", "-c", f"ppcls_lite/configs/{args.config}.yaml", *weights]
        run([*export, "-o", f"Global.save_inference_dir={folder}/model"], 1, folder)
        for _ in range(args.rounds):
            for processes in (1, 2):
                seconds[processes].append(predict(folder / "model", images, processes, folder))
    report(args, speeds, seconds, load)


def report(args, speeds, seconds, load):
    one, two = (statistics.median(speeds[processes]) for processes in (1, 2))
    print(f"training {args.model}, {args.config}: {one:.1f} images/s with 1 process, {two:.1f} with 2: {two / one:.2f}")
    one, two = (statistics.median(seconds[processes]) for processes in (1, 2))
    print(f"predicting {LINES} images: {one:.1f} s with 1 process, {two:.1f} s with 2: {one / two:.2f}")
    print(f"{usable_cores()} cores, {args.rounds} rounds in turns, CPU time of others: {load.share:.0%}")


if __name__ == "__main__":
    main()
