"""Does a stop lose a request? SIGTERM under clients that ask again at once, many times over.

    python tests/benchmarks/stops.py --model deploy/paddleserving/digits_serving --stops 20 --clients 32

A request counts as accepted when it was sent over a connection that the service had answered on before, or whose answer
began; a connection that is refused, or closed in an orderly way before a byte of an answer, was not. Printed is what
became of all requests after the signal, and how long the service took to end.
Exit code: 0 no connection was reset, no answer was cut off or wrong, and each service ended with 0; 1 otherwise.
"""

import argparse
import base64
import json
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.load import exchange
from ppcls_lite.serving.running import start_service
from ppcls_lite.utils.errors import UserError, run_main

ROOT = Path(__file__).resolve().parents[2]
IMAGE, SCRIPT = ROOT / "test_images/coffee.jpg", ROOT / "deploy/paddleserving/classification_web_service.py"
GOOD, BUSY, REFUSED, CLOSED = "answered", "refused with 503", "connection refused", "closed before an answer"


def ask(port, data, expected, ended, found, signalled):
    """One client: counts in `found` what becomes of its requests, until nobody listens any longer."""
    connection = None
    while not ended.is_set():
        try:
            connection = connection or socket.create_connection(("127.0.0.1", port), timeout=60)
            answer, closes = exchange(connection, data)
        except ConnectionRefusedError:
            found[REFUSED] += 1
            return
        except ConnectionError as error:
            what = CLOSED if "without an answer" in str(error) else f"lost: {error!r}"
            found[what] += signalled.is_set() or what != CLOSED
            connection = None
            continue
        if signalled.is_set() or answer["err_no"]:
            right = dict(zip(answer["key"], answer["value"])) == expected
            found[GOOD if right else BUSY if answer["err_no"] == 54 else f"wrong: {answer!r:.200}"] += 1
        if closes:
            connection.close()
            connection = None


def stop_once(model, folder, data, clients):
    """(Counter of what became of the requests after the signal, seconds until the end)."""
    service = start_service(SCRIPT, model, folder)
    try:
        body = data.partition(b"\r\n\r\n")[2]
        answer = service.wait(body)
        expected = dict(zip(answer["key"], answer["value"]))
        ended, signalled, found = threading.Event(), threading.Event(), Counter()
        words = (service.port, data, expected, ended, found, signalled)
        threads = [threading.Thread(target=ask, args=words) for _ in range(clients)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        signalled.set()
        start = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        status = service.process.wait(60)
        if status:
            raise UserError(f"the service ended with {status}")
        return found, time.monotonic() - start
    finally:
        service.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder that convert.py made for the server")
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--clients", type=int, default=32)
    args = parser.parse_args()
    body = json.dumps({"key": ["image"], "value": [base64.b64encode(IMAGE.read_bytes()).decode()]}).encode()
    data = b"POST /imagenet/prediction HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    total, longest = Counter(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.stops):
            found, seconds = stop_once(Path(args.model).resolve(), Path(folder, str(number)), data, args.clients)
            total += found
            longest = max(longest, seconds)
    print(f"{args.stops} stops under {args.clients} clients, the longest took {longest:.1f} s; after the signal:")
    for what, count in total.most_common():
        print(f"{count:6} {what}")
    faults = [what for what in total if what.startswith(("lost", "wrong"))]
    if faults:
        raise UserError(f"{sum(total[what] for what in faults)} requests were lost or wrong")


if __name__ == "__main__":
    run_main(main)
