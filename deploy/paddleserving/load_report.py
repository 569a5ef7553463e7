"""How much load can this machine take? Latency and throughput of the service against the load that is offered.

    python deploy/paddleserving/load_report.py --dirname deploy/models/MobileNetV3_small_x1_0_infer \\
        --plot docs/measured/serving_load.png --update deploy/paddleserving/load.md

First the capacity: what 32 clients get that each ask again at once. Then requests leave at random times (Poisson), at
rates up to twice the capacity, whatever becomes of those before; latencies count from the time at which a request
should have left. The knee is the largest load at which the service answers 0.98 of what is offered, and p99 is at most
three times that of the smallest load. -o changes the service, for example -o limits.max_wait_ms=20. With --limit 3, the
accepted requests at the largest load must have a p99 of at most three times that of the smallest.
Exit code: 0 measured, 1 a wrong or lost answer, a service that does not start, or the limit exceeded.
"""

import argparse
import base64
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.load_report import BEGIN, END, as_markdown, find_knee, summarise
from ppcls_lite.serving.running import start_service
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, atomic_write, replace_block
from ppcls_lite.utils.machine import describe_processor, usable_cores

SCRIPT = Path(__file__).resolve().with_name("classification_web_service.py")
PATH = "/imagenet/prediction"
STEPS = (0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0)
CLIENTS = 32


def measure(service, body, args):
    """(capacity, [[Load] of each round] for each step)."""
    from ppcls_lite.serving.load import Question, run_load
    from ppcls_lite.serving.open_loop import offer

    answer = service.wait(body)
    questions = [Question(body, dict(zip(answer["key"], answer["value"])))]
    capacity = args.capacity
    if not capacity:
        outcomes = [run_load(service.port, PATH, questions, CLIENTS, args.seconds) for _ in range(args.rounds)]
        capacity = statistics.median(len(outcome.seconds) / outcome.wall for outcome in outcomes)
    print(f"capacity: {capacity:.0f} requests a second, as {CLIENTS} clients get them", flush=True)
    found = []
    for step in args.steps:
        loads = []
        for number in range(args.rounds):
            loads.append(offer(service.port, PATH, questions, step * capacity, args.seconds, seed=number))
            if loads[-1].wrong:
                raise UserError(f"at {step:g} of the capacity: {loads[-1].wrong[0]}")
        found.append(loads)
        print(f"{step:5.2f}: {summarise(capacity, [loads])[0]}", flush=True)
    return capacity, found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dirname", required=True, help="folder of the exported model")
    parser.add_argument("--image", type=Path, default=REPO / "test_images/coffee.jpg")
    parser.add_argument(
        "-o", "--opt", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="of the service"
    )
    parser.add_argument("--steps", nargs="+", type=float, default=STEPS, help="parts of the capacity")
    parser.add_argument("--capacity", type=float, help="requests a second; measured where it is not given")
    parser.add_argument("--seconds", type=float, default=5, help="for each step in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, help="largest p99 at the last step, in those of the first")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures to this PNG")
    parser.add_argument("--save", help="write the figures as JSON to this file")
    parser.add_argument("--update", type=Path, metavar="FILE", help="renew the table between the markers in FILE")
    args = parser.parse_args()
    from ppcls_lite.serving.convert import convert

    body = json.dumps({"key": ["image"], "value": [base64.b64encode(args.image.read_bytes()).decode()]}).encode()
    with tempfile.TemporaryDirectory(prefix="serving.") as folder:
        model = f"{folder}/server"
        convert(args.dirname, model, f"{folder}/client", feed_aliases=["x"], fetch_aliases=["prediction"])
        service = start_service(SCRIPT, model, Path(folder, "service"), args.opt)
        try:
            capacity, found = measure(service, body, args)
        finally:
            service.stop()
    rows = summarise(capacity, found)
    knee = find_knee(rows)
    about = f"{args.image.name}, medians of {args.rounds} rounds of {args.seconds:g} s; {describe_processor()}, "
    about += f"{usable_cores()} cores" + (f"; {' '.join(args.opt)}" if args.opt else "")
    print(f"knee: {knee.offered:.0f} requests a second, {knee.part:.2f} of the capacity" if knee else "knee: none")
    if args.plot:
        from ppcls_lite.serving.load_plot import draw

        draw(rows, knee, about, args.plot)
    if args.update:
        replace_block(args.update, BEGIN, END, "\n".join([*as_markdown(rows, knee, about), ""]))
    if args.save:
        with atomic_write(args.save) as stream:
            json.dump({"about": about, "capacity": capacity, "rows": [row._asdict() for row in rows]}, stream, indent=1)
    ratio = rows[-1].p99 / rows[0].p99
    print(f"p99 of accepted requests at {rows[-1].part:g} of the capacity: {ratio:.1f} times the quiet one")
    if args.limit and ratio > args.limit:
        raise UserError(
            f"p99 at {rows[-1].part:g} of the capacity: {ratio:.1f} times the quiet one; at most {args.limit:g}"
        )


if __name__ == "__main__":
    run_main(main)
