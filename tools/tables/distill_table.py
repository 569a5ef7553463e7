"""The table of docs/distillation.md: a small network on the digits, trained alone and with a teacher.

    nice -n 5 python tools/tables/distill_table.py --run output/distill
    python tools/tables/distill_table.py --update docs/distillation.md

--run trains what docs/measured/distillation.jsonl does not have yet: each setting, alone and with a teacher, for three
seeds, one after the other; a run that is stopped goes on with the training that it was in. A training is judged by the
accuracy of its last epoch on the validation list, so nothing is chosen by that list. --update puts the table between
its two markers in FILE; without either, it is printed.
Exit code: 0, or 1 for a training or a file that cannot be used.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, show_block

KEPT = REPO / "docs/measured/distillation.jsonl"
BEGIN, END = "<!-- distillation table: begin -->", "<!-- distillation table: end -->"
LIST = REPO / "dataset/digits/train_list.txt"
SEEDS = (1, 2, 3)
STUDENT = "MobileNetV3_small_x0_35"
# way: its config and options
WAYS = {
    "alone": ["-c", "ppcls_lite/configs/digits.yaml", "-o", f"Arch.name={STUDENT}"],
    "teacher": ["-c", "ppcls_lite/configs/distillation/digits.yaml", "-o", f"Arch.models.1.Student.name={STUDENT}"],
}


class Setting(NamedTuple):
    """How much a training sees."""

    title: str
    per_class: Optional[int]  # the first so many of each class of the list; None: all
    epochs: int


SETTINGS = {
    "few": Setting("20 images of each class, 60 epochs (420 steps)", 20, 60),
    "whole": Setting("all 1,437 images, 10 epochs (450 steps)", None, 10),
}


def read_kept(path=KEPT):
    """The rows of the file, {(setting, way, seed): row}; empty where there is none yet."""
    rows = {}
    if path.is_file():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                rows[row["setting"], row["way"], row["seed"]] = {**row, "top1": float(row["top1"])}
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}:{number}: not a row of this table ({error!r})") from error
    return rows


def first_of_each_class(lines, count):
    """The first `count` lines of each label, in their order."""
    seen, kept = {}, []
    for line in lines:
        label = line.rsplit(" ", 1)[-1]
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= count:
            kept.append(line)
    return kept


def train_missing(folder, kept):
    """Train what is missing in `kept`, in `folder`, and add one row to the file for each."""
    for name, setting in SETTINGS.items():
        for seed in SEEDS:
            for way in WAYS:
                if (name, way, seed) not in kept:
                    row = train_one(folder / f"{name}_{way}_{seed}", setting, way, seed)
                    with open(KEPT, "a", encoding="utf-8") as stream:
                        stream.write(json.dumps({"setting": name, "way": way, "seed": seed, **row}) + "\n")


def train_one(output, setting, way, seed):
    """One training in the folder `output`, continued if it was stopped; returns its figures."""
    output.mkdir(parents=True, exist_ok=True)
    if not LIST.is_file():
        raise UserError(f"{LIST}: is missing; bash test_tipc/prepare.sh makes the digits")
    listed = LIST.read_text(encoding="utf-8").splitlines()
    chosen = listed if setting.per_class is None else first_of_each_class(listed, setting.per_class)
    images = output / "train_list.txt"
    images.write_text("".join(f"{line}\n" for line in chosen), encoding="utf-8")
    options = {
        "Global.seed": seed,
        "Global.epochs": setting.epochs,
        "Global.eval_interval": setting.epochs,
        "Global.output_dir": output,
        "DataLoader.Train.dataset.cls_label_path": images,
    }
    if (output / "latest.pdstates").exists():
        options["Global.checkpoints"] = output / "latest"
    command = [sys.executable, "tools/train.py", *WAYS[way]]
    command += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    started = time.time()
    if subprocess.run(command, cwd=REPO).returncode:
        raise UserError(f"{output}: the training failed; its log is there")
    events = [json.loads(line) for line in (output / "history.jsonl").read_text().splitlines()]
    begun = next(event for event in events if event["event"] == "start")
    result = [event for event in events if event["event"] == "eval"][-1]
    return {
        "top1": result["top1"],
        "loss": result["loss"],
        "epochs": result["epoch"],
        "images": begun["images"],
        "seconds": round(time.time() - started),
        "paddle": begun["paddle"],
        "processor": begun["processor"],
    }


def build_table(kept):
    """The table in Markdown; settings that are not complete are left out."""
    lines = ["| training | seed | alone | with a teacher | difference |", "|---|---:|---:|---:|---:|"]
    notes = set()
    for name, setting in SETTINGS.items():
        rows = {(way, seed): kept.get((name, way, seed)) for way in WAYS for seed in SEEDS}
        if not all(rows.values()):
            continue
        pairs = [(rows["alone", seed]["top1"], rows["teacher", seed]["top1"]) for seed in SEEDS]
        for seed, (alone, taught) in zip(SEEDS, pairs):
            lines.append(f"| {setting.title} | {seed} | {alone:.5f} | {taught:.5f} | {taught - alone:+.5f} |")
        means = [statistics.mean(column) for column in zip(*pairs)]
        gain = f"{means[1] - means[0]:+.5f}"
        lines.append(f"| **mean** |  | **{means[0]:.5f}** | **{means[1]:.5f}** | **{gain}** |")
        notes |= {f"Paddle {row['paddle']}, {row['processor']}" for row in rows.values()}
    if not notes:
        raise UserError(
            f"{KEPT}: has no complete setting; run: python tools/tables/distill_table.py --run output/distill"
        )
    note = f"Top-1 accuracy of the last epoch on the 360 images of the validation list. {'; '.join(sorted(notes))}."
    return "\n".join(lines) + f"\n\n{note}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--run", type=Path, metavar="FOLDER", help="train what is missing; logs are kept there")
    what.add_argument("--update", type=Path, metavar="FILE", help="renew the table between the markers in FILE")
    args = parser.parse_args()
    if args.run:
        train_missing(args.run.resolve(), read_kept())
    else:
        show_block(args.update, BEGIN, END, build_table(read_kept()))


if __name__ == "__main__":
    run_main(main)
