"""Measure the latency of exported networks with every engine, after the protocol of the documents.

    python deploy/python/benchmark.py                                  all fifteen networks: this takes hours
    python deploy/python/benchmark.py MobileNetV3_small_x1_0 --runs 300 --skip 50
    python deploy/python/benchmark.py --model_dir deploy/models/MobileNetV3_small_x1_0_infer --engines onednn openvino
    python deploy/python/benchmark.py --output docs/measured --seconds 180 --resume      go on after an interruption
    python deploy/python/benchmark.py --update docs/benchmark.md       the tables of the kept rows: measures nothing

The protocol: batch 1 (MixNet: 1, 4 and 8), 2,100 runs; the first 100 of them are not counted. With --seconds, a row
that would take longer makes only --slow_runs; the tables say how many runs each row made. Networks are exported
with filled weights, unless --model_dir names exported models. Each row has a process of its own, and the engines of a
network take turns, so that a slow minute of the machine affects all of them. `onnxruntime-raw` and
`openvino-raw` are those packages by themselves, for comparison.

Prints a table; --output FOLDER also writes benchmark.json, .csv and .png there, again after each network, and
benchmark.part.json after each turn. --resume goes on from these files, and measures only what they do not have. The
rows of docs/benchmark.md are kept with --output docs/measured.
Exit code: 0, 1 for a wrong option, a model that cannot be used or a file that cannot be written, 130 interrupted.
"""

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest, run_main
from ppcls_lite.utils.files import REPO, atomic_write, replace_block

KEPT = REPO / "docs/measured"
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
ENGINES = ("paddle", "onednn", "openvino", "onnxruntime", "gpu", "tensorrt", "onnxruntime-raw", "openvino-raw")


def parse():
    positive, not_negative = checks.argument(), checks.argument(0)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NETWORK", help="default: the fifteen of the documents")
    parser.add_argument("--model_dir", nargs="+", metavar="FOLDER", help="exported models, instead of names")
    parser.add_argument("--engines", nargs="+", default=ENGINES, metavar="ENGINE", help=f"out of {', '.join(ENGINES)}")
    parser.add_argument("--batch_sizes", nargs="+", type=positive, metavar="N", help="default: 1, for MixNet 1 4 8")
    parser.add_argument("--threads", nargs="+", type=positive, metavar="N", help="default: as many as CPU cores")
    parser.add_argument("--precisions", nargs="+", default=["fp32"], choices=("fp32", "fp16", "int8"))
    parser.add_argument("--runs", type=positive, default=2100, help="of each row, counted or not")
    parser.add_argument("--skip", type=not_negative, default=100, help="first runs, which are not counted")
    parser.add_argument("--seconds", type=positive, default=math.inf, help="a row that needs more time is slow")
    parser.add_argument("--slow_runs", type=positive, default=210, help="runs of a slow row; default: 210")
    parser.add_argument("--turns", type=positive, default=10, help="parts of a row, between which the others run")
    parser.add_argument("--models", default=REPO / "output/benchmark/models", metavar="FOLDER", help="where to export")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write benchmark.json, .csv and .png there")
    parser.add_argument("--resume", action="store_true", help="go on from what --output has")
    parser.add_argument("--update", type=Path, metavar="DOCUMENT", help="renew the tables of a document")
    kept = KEPT / "benchmark.json"
    parser.add_argument("--measured", default=kept, metavar="FILE", help=f"rows for --update; default: {name_of(kept)}")
    kept = KEPT / "models.json"
    parser.add_argument("--flops", default=kept, metavar="FILE", help=f"FLOPs of networks; default: {name_of(kept)}")
    kept = KEPT / "quoted.yaml"
    parser.add_argument("--quoted", default=kept, metavar="FILE", help=f"quoted figures; default: {name_of(kept)}")
    args = parser.parse_args()
    for name in args.engines:
        if name not in ENGINES:
            raise UserError(f"--engines {name}: no such engine{nearest(name, ENGINES)}; known: {', '.join(ENGINES)}")
    if args.skip >= args.runs:
        raise UserError(f"--skip {args.skip}: expected less than --runs {args.runs}")
    if args.resume and not args.output:
        raise UserError("--resume: expected --output FOLDER with the rows to go on from")
    if args.names and args.model_dir:
        raise UserError("expected names of networks or --model_dir, found both")
    return args


def name_of(path):
    return path.relative_to(REPO)


def measure_all(args):
    """{"conditions", "rows"}; kept in --output whenever a group of rows is ready."""
    from ppcls_lite.benchmark import plan
    from ppcls_lite.benchmark.rows import Part, Protocol, measure
    from ppcls_lite.utils.machine import usable_cores

    protocol = Protocol(args.runs, args.skip, args.seconds, args.slow_runs, args.turns)
    threads = args.threads or [usable_cores()]
    measured = {"conditions": plan.conditions(protocol), "rows": []}
    part = Part(args.output / "benchmark.part.json") if args.output else None
    if args.resume:
        measured = plan.resume(args.output / "benchmark.json", measured["conditions"])
    elif part:
        part.forget()
    if args.model_dir:
        models = plan.given_models(args.model_dir)
    else:
        models = plan.export_networks(args.names or list(plan.network_flops(args.flops)), args.models)
    for cases in plan.groups(models, args.engines, args.batch_sizes, threads, args.precisions):
        wanted = [plan.case_of(vars(case)) for case in cases]
        if set(wanted) <= {plan.case_of(row) for row in measured["rows"] if "absent" not in row}:
            continue
        first = cases[0]
        what = f"{first.network}, batch {first.batch_size}, threads {first.threads}"
        rows = measure(cases, protocol, lambda text, what=what: print(f"{what}: {text}", file=sys.stderr), part)
        measured["rows"] = [row for row in measured["rows"] if plan.case_of(row) not in wanted] + rows
        if args.output:
            keep(args.output, measured, args)
            part.forget()
    return measured


def keep(folder, measured, args):
    """Write benchmark.json, .csv and .png to `folder`; the figure is of the largest number of threads."""
    from ppcls_lite.benchmark import figure, plan, report
    from ppcls_lite.utils.config import read_yaml

    rows, conditions = measured["rows"], measured["conditions"]
    try:
        plan.save(folder / "benchmark.json", measured)
        with atomic_write(folder / "benchmark.csv") as stream:
            stream.write(report.as_csv(rows, conditions))
        threads = max(row["threads"] for row in rows)
        flops, quoted = plan.network_flops(args.flops), read_yaml(args.quoted)
        figure.draw(folder / "benchmark.png", rows, conditions, flops, quoted, threads)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error


def main():
    args = parse()
    from ppcls_lite.benchmark import plan, report
    from ppcls_lite.utils.config import read_yaml

    if args.update:
        measured = plan.read_json(args.measured)
        block = report.as_markdown(measured["rows"], measured["conditions"], read_yaml(args.quoted))
        replace_block(args.update, BEGIN, END, block)
        return
    measured = measure_all(args)
    print(report.as_text(measured["rows"], measured["conditions"]), end="")


if __name__ == "__main__":
    run_main(main)
