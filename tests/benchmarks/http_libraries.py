"""Which library answers HTTP fastest in front of Python code? The server that waits for a body and answers a line.

    pip install aiohttp uvicorn starlette httptools
    python tests/benchmarks/http_libraries.py --rounds 3

Every server runs in a process of its own, in plain asyncio; the clients send JSON of two sizes over kept connections.
In each round all take turns. Prints medians of the rounds: requests a second, the ratio to aiohttp, p50 and p99.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.load import Question, run_load
from ppcls_lite.utils.errors import run_main

ANSWER = {"err_no": 0, "err_msg": "", "key": ["result"], "value": ["x" * 300]}
BODY = json.dumps(ANSWER).encode()
SIZES = (300, 80_000)


def aiohttp_server(port):
    from aiohttp import web

    async def answer(request):
        json.loads(await request.read())
        return web.Response(body=BODY, content_type="application/json")

    async def serve():
        await asyncio.get_running_loop().create_server(web.Server(answer, access_log=None), "127.0.0.1", port)
        await asyncio.Event().wait()

    asyncio.run(serve())


def uvicorn_server(port, parser):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def answer(request):
        json.loads(await request.body())
        return Response(BODY, media_type="application/json")

    app = Starlette(routes=[Route("/p", answer, methods=["POST"])])
    quiet = {"log_level": "error", "access_log": False}
    uvicorn.run(app, host="127.0.0.1", port=port, http=parser, loop="asyncio", **quiet)


SERVERS = {
    "aiohttp": (aiohttp_server, ()),
    "uvicorn, httptools": (uvicorn_server, ("httptools",)),
    "uvicorn, h11": (uvicorn_server, ("h11",)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--port", type=int, default=19100, help="the first of three")
    args = parser.parse_args()
    ports = {name: args.port + number for number, name in enumerate(SERVERS)}
    running = [
        multiprocessing.Process(target=function, args=(ports[name], *words), daemon=True)
        for name, (function, words) in SERVERS.items()
    ]
    for process in running:
        process.start()
    time.sleep(2)  # until they listen
    found = {}
    for _ in range(args.rounds):
        for size in SIZES:
            body = json.dumps({"key": ["image"], "value": ["A" * size]}).encode()
            questions = [Question(body, dict(zip(ANSWER["key"], ANSWER["value"])))]
            for clients in (1, 16):
                for name, port in ports.items():
                    outcome = run_load(port, "/p", questions, clients, args.seconds)
                    assert not outcome.wrong, outcome.wrong
                    found.setdefault((size, clients, name), []).append(outcome)
    for (size, clients, name), outcomes in found.items():
        others = found[size, clients, "aiohttp"]
        ratio = statistics.median(one.rate / other.rate for one, other in zip(outcomes, others))
        rate, p50, p99 = (
            statistics.median(values)
            for values in zip(*((one.rate, one.percentile(0.5), one.percentile(0.99)) for one in outcomes))
        )
        print(
            f"{size:6} bytes {clients:3} clients {name:20} {rate:6.0f}/s  {ratio:.2f}  p50 {p50:.2f} p99 {p99:.2f} ms"
        )


if __name__ == "__main__":
    run_main(main)
