"""How many images per second predict_cls.py predicts, compared with its two parts alone and with the official logic.

    python tests/benchmarks/predict.py
    python tests/benchmarks/predict.py MobileNetV3_small_x1_0 --engines openvino --threads 1 --batch_sizes 1 8
    python tests/benchmarks/predict.py --update docs/benchmark.md

Reading (decode + transforms) has all cores to itself, then the engine (the same batch over and over), then both
together as predict_cls.py runs them, its lines included; then the logic of PaddleClas's predict_cls.py: one image at a
time, oneDNN off. They take turns within one process for each line of the table, since a machine is not equally fast at
all times, and the median of the rounds' ratios counts. Loading a model, a second once, is left out.

The 1,000 images of 500 px are parts of test_images/ and lite_data/, made in a temporary folder. "of the slower" is
predict_cls.py's rate over that of the slower part. Two parts that both keep all cores busy share them, so "possible" is
what the processor time of both parts allows at best. Nothing passes or fails here.
"""

import argparse
import contextlib
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.infer.images import read_image, stack_images
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.postprocess import format_line
from ppcls_lite.infer.predict import Predictor
from ppcls_lite.infer.read_ahead import read_ahead
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, replace_block
from ppcls_lite.utils.machine import OthersLoad, describe, usable_cores

NETWORKS = ("MobileNetV3_small_x1_0", "PPHGNetV2_B0", "ResNet50_vd")
HEADINGS = ("reading", "computing", "predict_cls", "official", "of the slower", "possible", "times official", "others")
DECIMALS = {"of the slower": 2, "possible": 2, "times official": 1, "others": 2}
BEGIN, END = "<!-- throughput: begin -->", "<!-- throughput: end -->"
ONE_LINE = "--one_line"
MEAN, STD = (np.array(values, np.float32) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def make_images(folder, count, seed=0):
    """Write `count` JPEG files of 500 x 375 pixels, each a random part of an image of this repository."""
    sources = [*sorted((REPO / "test_images").glob("*.jpg")), *sorted((REPO / "lite_data").rglob("*.jpg"))]
    rng = np.random.default_rng(seed)
    for number in range(count):
        # every second one out of test_images/: scenes without the flat ground of lite_data/
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
    """The four contestants on one exported model, each a method that takes the images' paths."""

    def __init__(self, model, engine, threads, batch_size):
        options = EngineOptions(cpu_num_threads=threads, batch_size=batch_size)
        self.engine = create_engine(engine, model, options)
        self.official_engine = create_engine("paddle", model, options)
        self.transforms, self.postprocess = build_processing(model)
        self.batch_size = batch_size
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
    """(images per second, processor seconds per image) of one contestant."""
    clock, processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        action(paths)
    return len(paths) / (time.perf_counter() - clock), (time.process_time() - processor) / len(paths)


def compare(contest, paths, rounds):
    """{heading: median over the rounds}; each round has its own part of the images."""
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
        shares = (both / slower, possible / slower, both / official, others.share or 0)
        found.append(dict(zip(HEADINGS, (reading, computing, both, official, *shares))))
    return {heading: statistics.median(figures[heading] for figures in found) for heading in HEADINGS}


def run_alone(*words):
    """The last line that a Python script printed."""
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise UserError((done.stderr.strip().splitlines() or [f"{words[0]} failed"])[-1].replace("error: ", "", 1))
    return done.stdout.strip().rpartition("\n")[2]


def images_in(folder):
    return [entry.path for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)]


def one_line(folder, model, engine, threads, batch_size, rounds):
    """Measure one line of the table, and print it as JSON: Paddle has one number of threads for a whole process."""
    contest = Contest(model, engine, int(threads), int(batch_size))
    print(json.dumps(compare(contest, images_in(folder), int(rounds))))


def as_markdown(lines, introduction):
    headings = ["network", "engine", "threads", "batch", *HEADINGS]
    cells = [
        [*map(str, case), *(f"{figures[heading]:.{DECIMALS.get(heading, 0)}f}" for heading in HEADINGS)]
        for case, figures in lines
    ]
    rule = ["---", "---", *["---:"] * (len(headings) - 2)]
    return introduction + "".join("| " + " | ".join(line) + " |\n" for line in [headings, rule, *cells])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--engines", nargs="+", default=["onednn", "openvino"], help="as Global.engine")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="as Global.cpu_num_threads")
    parser.add_argument("--batch_sizes", nargs="+", type=int, default=[1])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--update", type=Path, metavar="DOCUMENT", help="put the table between the markers there")
    args = parser.parse_args()
    cases = list(itertools.product(args.names, args.engines, args.threads, args.batch_sizes))
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        images, models = Path(folder, "images"), Path(folder, "models")
        images.mkdir()
        make_images(images, args.images)
        size = statistics.fmean(os.path.getsize(path) for path in images_in(images)) / 1024
        run_alone("-m", "ppcls_lite.benchmark.filled", *args.names, "--output", models)
        for name, *rest in cases:
            line = run_alone(__file__, ONE_LINE, images, models / f"{name}_infer", *rest, args.rounds)
            lines.append(((name, *rest), json.loads(line)))
            print(*lines[-1], file=sys.stderr)
    machine = describe()
    block = as_markdown(
        lines,
        f"{args.images} images of {size:.0f} KB, medians of {args.rounds} rounds; {machine['cpu']}, "
        f"{machine['cores']} cores. The first four are images per second.\n\n",
    )
    if args.update:
        replace_block(args.update, BEGIN, END, block)
    else:
        print(block, end="")


if __name__ == "__main__":
    run_main(main if sys.argv[1:2] != [ONE_LINE] else lambda: one_line(*sys.argv[2:]))
