"""Does the service grow while it works? Half an hour at half its capacity, then five minutes at twice.

    python tests/benchmarks/soak.py --model deploy/paddleserving/digits_serving --save docs/measured/serving_soak

A tenth of the requests is bad: no JSON, no image, too large, cut off. Requests leave at their times (open loop).
Memory, descriptors and threads of the service are read every five seconds, and written to samples.jsonl, the summary to
summary.json and a plot to soak.png. Growth is the median of the last tenth of a part less that of its second tenth.
Exit code: 0 sound; 1 for a wrong or lost answer, or where memory grew by more than 50 MiB, or descriptors or threads by
more than 20.
"""

import argparse
import base64
import json
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.load import Question, run_load
from ppcls_lite.serving.open_loop import offer
from ppcls_lite.serving.running import start_service
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.machine import describe_processor, usable_cores

PATH = "/imagenet/prediction"
ROOT = Path(__file__).resolve().parents[2]
IMAGE, SCRIPT = ROOT / "test_images/coffee.jpg", ROOT / "deploy/paddleserving/classification_web_service.py"
LIMITS = {"memory": 50.0, "descriptors": 20.0, "threads": 20.0}  # MiB, and numbers
SLICE_SECONDS = 60  # of the load: figures of each are kept


class Watch(threading.Thread):
    """Reads what a process holds every `every` seconds: `samples`, dicts."""

    def __init__(self, number, every):
        super().__init__(daemon=True)
        self.number, self.every, self.samples, self.part = number, every, [], ""
        self.ended, self.began = threading.Event(), time.monotonic()
        self.start()

    def run(self):
        while not self.ended.wait(self.every):
            self.samples.append(self.read())

    def read(self):
        status = Path(f"/proc/{self.number}/status").read_text()
        return {
            "seconds": round(time.monotonic() - self.began, 1),
            "part": self.part,
            "memory": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
            "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
            "descriptors": sum(1 for _ in Path(f"/proc/{self.number}/fd").iterdir()),
        }


def growth(samples, key):
    """How much a figure grew in the samples of a part: the median of its last tenth less that of its second."""
    values = [sample[key] for sample in samples]
    tenth = max(len(values) // 10, 1)
    return statistics.median(values[-tenth:]) - statistics.median(values[tenth : 2 * tenth] or values[:tenth])


def judge(samples, loads):
    """({part: figures}, [what is wrong]) of the samples, and {part: [Load]}."""
    summary, faults = {}, []
    for part, found in loads.items():
        own = [sample for sample in samples if sample["part"] == part]
        figures = {f"{key}_growth": round(growth(own, key), 2) for key in LIMITS}
        figures.update(
            seconds=round(sum(load.wall for load in found)),
            sent=sum(load.sent for load in found),
            good=sum(len(load.seconds) for load in found),
            refused=sum(len(load.refused) for load in found),
            wrong=sum(len(load.wrong) for load in found),
            p50_ms=round(statistics.median(load.percentile(0.5) for load in found), 1),
            p99_ms=round(statistics.median(load.percentile(0.99) for load in found), 1),
        )
        summary[part] = figures
        faults += [
            f"{part}: {key} grew by {figures[f'{key}_growth']:g}, more than {limit:g}"
            for key, limit in LIMITS.items()
            if figures[f"{key}_growth"] > limit
        ]
        faults += [f"{part}: {text}" for load in found for text in load.wrong[:1]]
    return summary, faults


def bad_bodies(image):
    """Bodies that are answered with an error."""
    text = base64.b64encode(image).decode()
    values = ("", "!!!", base64.b64encode(b"no image").decode(), text[: len(text) // 8 * 4])
    wrong = [json.dumps({"key": ["image"], "value": [value]}).encode() for value in values]
    many = json.dumps({"key": [str(number) for number in range(100)], "value": ["x"] * 100}).encode()
    return [b"{", b"{}", many, b"x" * 20_000_000, *wrong]


def draw(samples, about, path):
    """Memory, descriptors and threads over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(LIMITS), 1, sharex=True, figsize=(8, 6.5), constrained_layout=True)
    minutes = [sample["seconds"] / 60 for sample in samples]
    for axis, (key, unit) in zip(axes, (("memory", "memory, MiB"), ("descriptors",) * 2, ("threads",) * 2)):
        axis.plot(minutes, [sample[key] for sample in samples], linewidth=1)
        axis.set_ylabel(unit)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        for number in range(1, len(samples)):
            if samples[number]["part"] != samples[number - 1]["part"]:
                axis.axvline(minutes[number], color="tab:red", linewidth=1)
                axis.annotate(f" {samples[number]['part']}", (minutes[number], 0), fontsize=8, color="tab:red")
    axes[-1].set_xlabel("minutes")
    figure.suptitle(about, fontsize=9)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def soak(service, watch, args):
    """(capacity, {part: [Load]})."""
    image = IMAGE.read_bytes()
    body = json.dumps({"key": ["image"], "value": [base64.b64encode(image).decode()]}).encode()
    answer = service.wait(body)
    good = Question(body, dict(zip(answer["key"], answer["value"])))
    questions = [one for bad in bad_bodies(image) for one in (*[good] * 9, Question(bad))]
    capacity = run_load(service.port, PATH, [good], 32, min(10, 60 * args.half)).rate
    loads = {}
    for part, share, minutes in (("half", 0.5, args.half), ("twice", 2.0, args.twice)):
        watch.part, left = part, 60 * minutes
        while left > 0:
            seconds = min(SLICE_SECONDS, left)
            load = offer(service.port, PATH, questions, share * capacity, seconds, seed=int(left))
            loads.setdefault(part, []).append(load)
            left -= seconds
            text = f"{len(load.seconds)} good, {len(load.refused)} refused, {len(load.wrong)} wrong"
            print(f"{part}: {text}, p99 {load.percentile(0.99):.0f} ms, {watch.read()['memory']:.0f} MiB", flush=True)
    return capacity, loads


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder that convert.py made for the server")
    parser.add_argument("--half", type=float, default=30, help="minutes at half the capacity")
    parser.add_argument("--twice", type=float, default=5, help="minutes at twice the capacity")
    parser.add_argument("--every", type=float, default=5, help="seconds between two samples")
    parser.add_argument("--save", type=Path, help="a folder for the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serving.") as folder:
        service = start_service(SCRIPT, Path(args.model).resolve(), Path(folder, "service"))
        watch = Watch(service.process.pid, args.every)
        try:
            capacity, loads = soak(service, watch, args)
        finally:
            watch.ended.set()
            service.stop()
    summary, faults = judge(watch.samples, loads)
    about = f"{describe_processor()}, {usable_cores()} cores; capacity {capacity:.0f} requests a second"
    for part, figures in summary.items():
        print(f"{part}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    if args.save:
        args.save.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(sample) + "\n" for sample in watch.samples)
        (args.save / "samples.jsonl").write_text(lines)
        (args.save / "summary.json").write_text(json.dumps({"about": about, **summary}, indent=1) + "\n")
        draw(watch.samples, about, args.save / "soak.png")
    if faults:
        raise UserError("; ".join(faults))


if __name__ == "__main__":
    run_main(main)
