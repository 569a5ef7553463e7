"""Quantise classifiers in several ways, measure each on the validation list, and make the table of docs/compression.md.

    python tools/tables/int8_table.py --measure MobileNetV3_small_x1_0=pretrain_models/MobileNetV3_small_x1_0_digits
    python tools/tables/int8_table.py --update docs/compression.md

--measure NETWORK=WEIGHTS... exports each network with weights for the scanned digits, makes an INT8 model of it in each
of the ways of WAYS, and keeps accuracy, bytes and the ratio of the times in docs/measured/int8.json; networks that are
not named keep their rows. Without it, only the kept rows are printed, or put into the document by --update. The times
are those of two models in turns on ONNX Runtime, one image; they are of one machine, which the table names.
Exit code: 0, or 1 for weights that cannot be used.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import REPO, atomic_write, show_block
from ppcls_lite.utils.machine import describe

KEPT = REPO / "docs/measured/int8.json"
CONFIG = REPO / "ppcls_lite/configs/digits.yaml"
BEGIN, END = "<!-- int8: begin -->", "<!-- int8: end -->"
WAYS = (  # options of Slim.ptq: the default first
    {},
    {"method": "entropy"},
    {"method": "percentile"},
    {"per_channel": False},
    {"reduce_range": False},
    {"per_channel": False, "reduce_range": False},
    {"float_first": True, "float_last": True},
)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="+", default=[], metavar="NETWORK=WEIGHTS", help="what to measure anew")
    parser.add_argument("--update", type=Path, metavar="FILE", help="put the table between the markers of a document")
    return parser.parse_args()


def measure(network, weights):
    """The rows of a network: {"fp32": {...}, "ways": [{...}]}, the ways as WAYS has them."""
    with quick_import():
        from ppcls_lite.infer.compare import int8
        from ppcls_lite.infer.export import export
        from ppcls_lite.infer.int8 import calibration_images
        from ppcls_lite.infer.model.config import build_processing
        from ppcls_lite.infer.model.files import ONNX, ModelFiles
        from ppcls_lite.infer.tasks import task_of
        from ppcls_lite.slim.onnx_int8 import quantise
        from ppcls_lite.slim.settings import Calibration

    with tempfile.TemporaryDirectory() as folder:
        changes = [f"Arch.name={network}", f"Global.pretrained_model={weights}", f"Global.save_inference_dir={folder}"]
        config = load_config(CONFIG, changes)
        export(config)
        transforms, _ = build_processing(folder)
        paths, labels = task_of(config).validation_images(config)
        batches = int8.read_batches(paths, transforms)
        models = []
        for number, way in enumerate((None, *WAYS)):
            models.append(ModelFiles(Path(folder, str(number), ONNX), None))
            models[-1].structure.parent.mkdir()
            if way is None:
                content = fp32 = int8.fp32_of_exported(folder)
            else:
                calibration = replace(Calibration(), **way)
                content = quantise(fp32, calibration_images(config, transforms, calibration), calibration)
            models[-1].structure.write_bytes(content)
        found = [int8.measure(model, batches, labels) for model in models]
        times = int8.latencies(models, batches[0][:1], runs=100)
        sizes = [model.structure.stat().st_size for model in models]
        rows = [
            {
                "way": str(replace(Calibration(), **way)),
                "top1": one.top1,
                "same": float((one.best == found[0].best).mean()),
                "bytes": size,
                "ratio": time / times[0],
            }
            for way, one, size, time in zip(WAYS, found[1:], sizes[1:], times[1:])
        ]
        machine = f"{describe()['cpu']}, {int8.instructions()}"
    return {"top1": found[0].top1, "bytes": sizes[0], "images": len(paths), "machine": machine, "ways": rows}


def table(kept):
    """The kept rows as Markdown; the default's row of each network is in bold."""
    lines = ["| network | quantised | top1 | same best class | MB | time, of FP32's |", "|---|---|---:|---:|---:|---:|"]
    for network, rows in kept.items():
        lines.append(f"| {network} | FP32 | {rows['top1']:.5f} | | {rows['bytes'] / 1e6:.2f} | 1 |")
        for number, row in enumerate(rows["ways"]):
            mark = "" if number else "**"
            shares = [f"{row[key]:.5f}" for key in ("top1", "same")]
            cells = [row["way"], *shares, f"{row['bytes'] / 1e6:.2f}", f"{row['ratio']:.2f}"]
            lines.append(f"| | {' | '.join(f'{mark}{cell}{mark}' for cell in cells)} |")
    machines = sorted({rows["machine"] for rows in kept.values()})
    images = sorted({rows["images"] for rows in kept.values()})
    return "\n".join([*lines, "", f"{images[0]} images of the validation list; {'; '.join(machines)}.", ""])


def main():
    args = parse()
    choose_export_format(None)
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    for text in args.measure:
        network, found, weights = text.partition("=")
        if not found:
            raise UserError(f"--measure: expected NETWORK=WEIGHTS, found {text!r}")
        kept[network] = measure(network, weights)
        with atomic_write(KEPT) as stream:
            json.dump(kept, stream, indent=1)
            stream.write("\n")
    if not kept:
        raise UserError(f"{KEPT}: nothing is measured yet; use --measure")
    show_block(args.update, BEGIN, END, table(kept))


if __name__ == "__main__":
    run_main(main)
