"""Measure the service against Paddle Serving's stock settings and against what the bare predictor allows, in one run.

    python deploy/paddleserving/benchmark.py --dirname deploy/models/MobileNetV3_small_x1_0_infer \\
        --image test_images/coffee.jpg --clients 1 4 16 32 --seconds 5 --rounds 5

All servers are started first. In every round, each number of clients sends requests to one service after the other for
some seconds each, so that other work on the machine disturbs all alike. The table shows medians over the rounds.
"of limit" compares with one thread per core that only decodes, transforms and predicts in batches of 4, scaled by the
part of the processor that the clients do not use.
--services chooses from: ours, stock, and the steps from one to the other (see --help). --update renews the table of a
document with what was measured.
Exit code: 0 measured, 1 a service does not start or answers wrongly.
"""

import argparse
import base64
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.running import RunningService, free_ports
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, atomic_write, replace_block
from ppcls_lite.utils.machine import describe_processor, usable_cores

BEGIN, END = "<!-- serving speed: begin -->", "<!-- serving speed: end -->"
HERE = Path(__file__).resolve().parent
LOCAL = "op.imagenet.local_service_conf"
# name: (script, settings that replace its defaults)
SERVICES = {
    "stock": ("benchmark_stock_service.py", []),
    "stock_ir": ("benchmark_stock_service.py", ["ir_optim=True"]),
    "stock_onednn": ("benchmark_stock_service.py", ["ir_optim=True", "use_mkldnn=True"]),
    "ours_one_engine": ("classification_web_service.py", ["op.imagenet.concurrency=1"]),
    "ours_no_batching": ("classification_web_service.py", ["op.imagenet.batch_size=1"]),
    "ours": ("classification_web_service.py", []),
    "ours_two_processes": ("classification_web_service.py", ["processes=2", "op.imagenet.concurrency=1"]),
    "ours_two_threads": ("classification_web_service.py", [f"{LOCAL}.thread_num=2"]),
    "ours_openvino": ("classification_web_service.py", [f"{LOCAL}.engine=openvino"]),
}
BARE_SECONDS = 1.5
BARE_BATCH = 4  # as the service predicts under load
PREDICTOR, LIMIT = "predictor", "decoding and predictor"


def start(name, model, folder):
    """The service of that name in SERVICES, started on free ports."""
    script, settings = SERVICES[name]
    ports = free_ports(2)
    if script.startswith("benchmark_stock"):
        arguments = [model, *map(str, ports), *settings]
    else:
        places = [f"http_port={ports[0]}", f"rpc_port={ports[1]}", f"{LOCAL}.model_config={model}"]
        arguments = ["-o", *places, *settings]
    return RunningService(name, ports[0], [sys.executable, str(HERE / script), *arguments], Path(folder, name))


def bare_rate(threads, work):
    """Calls of `work(thread number)` per second by that many threads together."""
    counts, end = [0] * threads, time.perf_counter() + BARE_SECONDS

    def loop(number):
        while time.perf_counter() < end:
            work(number)
            counts[number] += 1

    workers = [threading.Thread(target=loop, args=(number,)) for number in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - start)


class Bare:
    """The library without a service, one thread and one engine per core: the limit that the processor sets."""

    def __init__(self, model, data, cores):
        import cv2

        from ppcls_lite.infer.engines import EngineOptions, create_engine
        from ppcls_lite.infer.images import stack_images
        from ppcls_lite.infer.model.config import build_processing

        cv2.setNumThreads(1)
        transforms, _ = build_processing(model)
        self.cores = cores
        options = EngineOptions(cpu_num_threads=1)
        engines = [create_engine(None, model, options) for _ in range(cores)]
        batch = stack_images([transforms(data)] * BARE_BATCH)
        self.predict = lambda number: engines[number].run(batch)
        self.both = lambda number: engines[number].run(stack_images([transforms(data) for _ in range(BARE_BATCH)]))
        for number in range(cores):
            self.both(number)

    def measure(self):
        """{name: images per second}"""
        works = {PREDICTOR: self.predict, LIMIT: self.both}
        return {name: BARE_BATCH * bare_rate(self.cores, work) for name, work in works.items()}


def measure(servers, bare, body, args):
    """{(service, clients): [Outcome]} and {(name, clients): [bare rate]}, one value per round."""
    from ppcls_lite.serving.load import Question, run_load

    questions = {}
    for server in servers:
        answer = server.wait(body)
        questions[server.name] = [Question(body, dict(zip(answer["key"], answer["value"])))]
    found, limits = {}, {}
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        for clients in args.clients:
            for name, rate in bare.measure().items():
                limits.setdefault((name, clients), []).append(rate)
            for server in servers:
                outcome = run_load(server.port, "/imagenet/prediction", questions[server.name], clients, args.seconds)
                if outcome.wrong or not outcome.seconds:
                    raise UserError(f"{server.name}: {len(outcome.wrong)} wrong answers: {outcome.wrong[:1]}")
                found.setdefault((server.name, clients), []).append(outcome)
    return found, limits


def summarise(found, limits, cores):
    """One dict a row: medians over the rounds, the ratio to stock, and the share of the limit."""
    rows = []
    for (name, clients), outcomes in found.items():
        row = {"service": name, "clients": clients, "requests_per_second": middle(o.rate for o in outcomes)}
        for part in (50, 95, 99):
            row[f"p{part}_ms"] = middle(o.percentile(part / 100) for o in outcomes)
        for other in ("stock", "ours"):  # round by round, since the machine changes between rounds
            if (other, clients) in found:
                row[f"to_{other}"] = middle(o.rate / s.rate for o, s in zip(outcomes, found[other, clients]))
        left = [1 - o.cpu / (o.wall * cores) for o in outcomes]  # by the clients
        bare = limits[LIMIT, clients]
        row["of_limit"] = middle(o.rate / (rate * share) for o, rate, share in zip(outcomes, bare, left))
        rows.append(row)
    return sorted(rows, key=lambda row: (row["clients"], list(SERVICES).index(row["service"])))


def middle(values):
    return statistics.median(values)


def print_table(rows, limits):
    for name in (PREDICTOR, LIMIT):
        rates = [rate for (kind, _), found in limits.items() if kind == name for rate in found]
        print(f"bare {name}: {middle(rates):.0f} images per second")
    widths = (7, 18, 7, 8, 8, 8, 9, 10)
    lines = [("clients", "service", "req/s", "p50 ms", "p95 ms", "p99 ms", "x stock", "of limit")]
    for row in rows:
        times = [f"{row[part]:.1f}" for part in ("p50_ms", "p95_ms", "p99_ms")]
        ratios = [f"{row.get('to_stock', float('nan')):.2f}", f"{row['of_limit']:.2f}"]
        lines.append((str(row["clients"]), row["service"], f"{row['requests_per_second']:.0f}", *times, *ratios))
    for line in lines:
        print("".join(cell.rjust(width) for cell, width in zip(line, widths)))


def as_markdown(rows, about):
    """The lines of a document's table: a row for each service, a column for each number of clients."""
    clients = sorted({row["clients"] for row in rows})
    yield from (about, "")
    yield "| " + " | ".join(["service", *(f"{count} client{'s' if count > 1 else ''}" for count in clients)]) + " |"
    yield "| --- |" + " --- |" * len(clients)
    cells = {}
    for row in rows:
        ratio = f"**{row['to_ours']:.2f}** " if "to_ours" in row else ""
        rate, share = row["requests_per_second"], row["of_limit"]
        text = f"{ratio}({rate:.0f}/s, p50 {row['p50_ms']:.0f} ms, {share:.2f} of the limit)"
        cells.setdefault(row["service"], {})[row["clients"]] = text
    for name, found in cells.items():
        yield f"| `{name}` | " + " | ".join(found[count] for count in clients) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dirname", required=True, help="folder of the exported model")
    parser.add_argument("--image", type=Path, default=REPO / "test_images/coffee.jpg")
    parser.add_argument("--services", nargs="+", choices=SERVICES, default=["stock", "ours"])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 4, 16, 32])
    parser.add_argument("--seconds", type=float, default=5, help="for each service and number of clients in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", help="write the figures as JSON to this file")
    parser.add_argument("--update", type=Path, metavar="FILE", help="renew the table between the markers in FILE")
    args = parser.parse_args()
    from ppcls_lite.serving.convert import convert, find_files

    model_file = find_files(args.dirname).structure
    if model_file.suffix == ".json" and any(name.startswith("stock") for name in args.services):
        raise UserError(
            f"{model_file}: Paddle Serving's own predictor cannot read this format; expected .pdmodel, or --services "
            "without stock"
        )
    data = args.image.read_bytes()
    body = json.dumps({"key": ["image"], "value": [base64.b64encode(data).decode()]}).encode()
    cores = usable_cores()
    servers = []
    with tempfile.TemporaryDirectory(prefix="serving.") as folder:
        model = f"{folder}/server"
        convert(args.dirname, model, f"{folder}/client", feed_aliases=["x"], fetch_aliases=["prediction"])
        try:
            for name in args.services:
                servers.append(start(name, model, folder))
                servers[-1].wait(body)
            found, limits = measure(servers, Bare(model, data, cores), body, args)
        finally:
            for server in servers:
                server.stop()
    rows = summarise(found, limits, cores)
    print_table(rows, limits)
    if args.update:
        about = f"{args.image.name}, medians of {args.rounds} rounds of {args.seconds:g} s; {describe_processor()}, "
        replace_block(args.update, BEGIN, END, "\n".join([*as_markdown(rows, f"{about}{cores} cores."), ""]))
    if args.save:
        with atomic_write(args.save) as stream:
            json.dump(
                {
                    "cores": cores,
                    "image": args.image.name,
                    "bare": {f"{name}, {clients}": rates for (name, clients), rates in limits.items()},
                    "rows": rows,
                },
                stream,
                indent=1,
            )


if __name__ == "__main__":
    run_main(main)
