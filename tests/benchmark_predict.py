"""How many photographs a second predict_cls.py predicts, beside its two parts alone and beside the official logic.

    python tests/benchmark_predict.py
    python tests/benchmark_predict.py MobileNetV3_small_x1_0 --engine openvino --threads 2 --batch_size 8

Reading (decode + transforms) has all cores to itself, then the engine (the same batch over and over), then both
together as predict_cls.py runs them, its lines included; then the logic of PaddleClas's predict_cls.py: one image at a
time, oneDNN off. They take turns within one process, since a machine is not equally fast at all times, and the median
of the rounds' ratios counts. Loading a model, a second once, is left out.

The 1,000 photographs of 500 px are parts of test_images/ and lite_data/, made in a temporary folder. "of the slower" is
predict_cls.py's rate over that of the slower part. Two parts that both keep all cores busy share them, so "possible" is
what the processor time of both parts allows at best. Nothing passes or fails here.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.benchmark.machine import OthersLoad
from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.infer.model_config import build_processing
from ppcls_lite.infer.postprocess import format_line
from ppcls_lite.infer.predict import Predictor, read_image, stack_images
from ppcls_lite.infer.read_ahead import read_ahead, usable_cores
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO

MEAN, STD = (np.array(values, np.float32) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def make_photographs(folder, count, seed=0):
    """Write `count` JPEG files of 500 x 375 pixels, each a random part of a picture of this repository."""
    sources = [*sorted((REPO / "test_images").glob("*.jpg")), *sorted((REPO / "lite_data").rglob("*.jpg"))]
    rng = np.random.default_rng(seed)
    for number in range(count):
        # every second one out of test_images/: photographs without the flat ground of lite_data/
        image = cv2.imread(str(sources[number // 2 % 5 if number % 2 else number // 2 % len(sources)]))
        height, width = image.shape[:2]
        cut = min(width / 4, height / 3) * rng.uniform(0.6, 1)
        left, top = (int(rng.integers(0, room + 1)) for room in (width - int(cut * 4), height - int(cut * 3)))
        image = image[top : top + int(cut * 3), left : left + int(cut * 4)]
        image = cv2.resize(image, (500, 375), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(f"{folder}/{number:05}.jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])


def read_like_official(path):
    """Decode, resize the shorter side to 256, cut out 224 x 224, normalise: PaddleClas's steps, written plainly."""
    image = cv2.imread(path)[:, :, ::-1]
    height, width = image.shape[:2]
    scale = 256 / min(height, width)
    image = cv2.resize(image, (int(round(width * scale)), int(round(height * scale))))
    top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
    image = image[top : top + 224, left : left + 224]
    image = (image.astype("float32") * np.float32(1 / 255) - MEAN) / STD
    return image.transpose((2, 0, 1))


class Contest:
    """The four contestants on one exported model, each a method that takes the photographs' paths."""

    def __init__(self, model, args):
        options = EngineOptions(cpu_num_threads=args.threads, batch_size=args.batch_size)
        self.engine = create_engine(args.engine, model, options)
        self.official_engine = create_engine("paddle", model, options)
        self.transforms, self.postprocess = build_processing(model)
        self.batch_size = args.batch_size
        self.cores = usable_cores()

    def reading(self, paths):
        def read(path):
            return np.ascontiguousarray(read_image(path, self.transforms))

        for _ in read_ahead(read, paths, self.cores, 2 * self.batch_size + self.cores):
            pass

    def computing(self, paths):
        batch = stack_images([read_image(path, self.transforms) for path in paths[: self.batch_size]])
        for _ in range(0, len(paths), self.batch_size):
            self.engine.run(batch)

    def predict_cls(self, paths):
        for batch in Predictor(self.engine, self.transforms, self.postprocess, self.batch_size).predict_all(paths):
            for path, result in batch:
                print(format_line(result, path))

    def official(self, paths):
        for path in paths:
            scores = self.official_engine.run(np.ascontiguousarray(read_like_official(path)[np.newaxis]))
            print(format_line(self.postprocess(scores)[0], path))


def timed(action, paths):
    """(images a second, processor seconds an image) of one contestant."""
    clock, processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        action(paths)
    return len(paths) / (time.perf_counter() - clock), (time.process_time() - processor) / len(paths)


def compare(contest, paths, rounds):
    """The medians over the rounds, each of which has its own part of the photographs."""
    contestants = (contest.reading, contest.computing, contest.predict_cls, contest.official)
    for action in contestants:
        timed(action, paths[: 2 * contest.batch_size])  # the first run allocates
    found = []
    for number in range(rounds):
        part = paths[number::rounds]
        few = part[: max(len(part) // 4, 1)]  # the official logic is slow
        with OthersLoad() as others:
            results = [timed(action, few if action == contest.official else part) for action in contestants]
        (reading, cost_of_reading), (computing, cost_of_computing), (both, _), (official, _) = results
        slower = min(reading, computing)
        possible = min(slower, contest.cores / (cost_of_reading + cost_of_computing))
        found.append(
            (reading, computing, both, both / slower, possible / slower, official, both / official, others.share)
        )
    return [statistics.median(column) if None not in column else None for column in zip(*found)]


def export(names, folder):
    command = [sys.executable, str(REPO / "tools/export_filled.py"), *names, "--output", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"tools/export_filled.py: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", default=["MobileNetV3_small_x1_0", "PPHGNetV2_B0", "ResNet50_vd"], metavar="NETWORK"
    )
    parser.add_argument("--engine", default="onednn", help="as Global.engine")
    parser.add_argument("--threads", type=int, default=1, help="of the engine, as Global.cpu_num_threads")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_photographs(folder, args.photographs)
        paths = [entry.path for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)]
        size = statistics.fmean(os.path.getsize(path) for path in paths)
        print(f"{len(paths)} photographs of {size / 1024:.0f} KB, {usable_cores()} cores; images a second:")
        headings = ("reading", "computing", "predict_cls", "of the slower", "possible", "official", "times official")
        print(f"{'network':24}" + "".join(f"{heading:>16}" for heading in headings) + f"{'others':>10}")
        export(args.names, f"{folder}/models")
        for name in args.names:
            *figures, others = compare(Contest(f"{folder}/models/{name}_infer", args), paths, args.rounds)
            busy = "-" if others is None else f"{others:.0%}"
            print(f"{name:24}" + "".join(f"{figure:16.2f}" for figure in figures) + f"{busy:>10}")


if __name__ == "__main__":
    run_main(main)
