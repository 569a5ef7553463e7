"""Rehearse a rolling change: instances of the service behind nginx, replaced one after the other under load.

    python deploy/paddleserving/rehearse_rolling.py -o op.imagenet.local_service_conf.model_config=digits_serving

Each instance has a network namespace of this host to itself, as if it were a machine. nginx, with the configuration in
the folder nginx/, and the clients are in one more. They see each other and nothing else. First 1, 2 and 3 instances are
measured. Then, while clients go on asking, each instance in turn gets SIGTERM, ends, and is started again; the next one
follows when it is ready. The clients compare every answer; nginx's log says how often a request was tried. With --kill
it gets SIGKILL instead, which shows how many requests a crash costs.
Exit code: 0 no request was lost and no answer wrong, 1 otherwise, 77 namespaces or nginx are not there (one line).
"""

import argparse
import base64
import collections
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.config import load_service_config
from ppcls_lite.serving.load import Question, exchange, run_load
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO
from ppcls_lite.utils.machine import usable_cores

HERE = Path(__file__).resolve().parent
SCRIPT = HERE / "classification_web_service.py"
FRONT, SPACE, HOST = "serving_front", "serving_{}", "10.213.{}.2"
PORT, RPC_PORT = 18080, 9993  # the same in each namespace
LIMIT = 120  # seconds for a start or an end
FOLDER = Path("/run/serving_rehearsal")  # logs and pids, while it runs
NOT_THERE = 77
# clients of one address, without a name: {file: {text: its replacement}}
SITE = {
    "site.conf": {
        "listen 443 ssl http2;": f"listen 127.0.0.1:{PORT};",
        "    ssl_certificate certificate.pem;\n    ssl_certificate_key key.pem;\n": "",
        "rate=100r/s": "rate=100000r/s",
        "burst=200": "burst=100000",
        "limit_conn connections 64": "limit_conn connections 10000",
    },
    "nginx.conf": {'"" "the service";': '"" off;'},
}


class NotThere(UserError):
    """What the rehearsal needs is not there on this machine."""

    status = NOT_THERE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", default=HERE / "config.yml", help="default: config.yml beside this file")
    parser.add_argument(
        "-o", "--opt", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="of the config"
    )
    parser.add_argument("--image", default=REPO / "test_images/astronaut.jpg", help="what is asked")
    parser.add_argument("--instances", type=checks.argument(), default=3)
    parser.add_argument("--clients", type=checks.argument(), default=8, help="at once")
    parser.add_argument("--seconds", type=float, default=5, help="for each number of instances; 0: no measurement")
    parser.add_argument("--kill", action="store_true", help="SIGKILL in place of SIGTERM")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return rehearse(args)
    load_service_config(args.config, args.opt)  # a wrong one is said at once
    return run_in_namespaces(args.instances)


def run_in_namespaces(count):
    """Run this script once more in the namespace of nginx; returns its exit code. Nothing is left afterwards."""
    for program in ("ip", "nginx"):
        if not shutil.which(program):
            raise NotThere(f"there is no command {program}: apt-get install iproute2 nginx-light")
    if os.geteuid() != 0:
        raise NotThere("network namespaces need root")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with FOLDER.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{lock.name}: another rehearsal is running") from None
        clean()  # after a run that was killed
        try:
            FOLDER.mkdir()
            make_namespaces(count)
            words = [sys.executable, str(Path(__file__).resolve()), "--inside", *sys.argv[1:]]
            return subprocess.run(["ip", "netns", "exec", FRONT, *words]).returncode
        finally:
            clean()


def ip(*words):
    """Run `ip`; NotThere with its last word where it is refused."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        raise NotThere(f"network namespaces are not permitted: ip {' '.join(words)}: {reason}")


def make_namespaces(count):
    """A namespace for nginx and one for each instance, each of these with a cable (veth) to nginx's."""
    for space in (FRONT, *map(SPACE.format, range(count))):
        ip("netns", "add", space)
        ip("-n", space, "link", "set", "lo", "up")
    for number in range(count):
        space, host, near, far = SPACE.format(number), HOST.format(number), f"cable{number}", "cable"
        ip("link", "add", near, "netns", FRONT, "type", "veth", "peer", "name", far, "netns", space)
        for place, device, address in ((FRONT, near, host[:-1] + "1"), (space, far, host)):
            ip("-n", place, "addr", "add", f"{address}/30", "dev", device)
            ip("-n", place, "link", "set", device, "up")


def clean():
    """End all that runs in the namespaces, and remove them and the folder."""
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout
    for space in re.findall(r"^serving_(?:front|\d+)\b", listed, re.MULTILINE):
        pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True).stdout.split()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", space], capture_output=True)
    shutil.rmtree(FOLDER, ignore_errors=True)


class Instance:
    """The service in the namespace of its number; it is started by `start()`, and ready after `wait()`."""

    def __init__(self, number, args, name):
        self.host, self.space, self.name = HOST.format(number), SPACE.format(number), name
        self.folder = FOLDER / f"instance_{number}"
        self.folder.mkdir()
        options = [*args.opt, f"host={self.host}", f"http_port={PORT}", f"rpc_port={RPC_PORT}"]
        service = [sys.executable, str(SCRIPT), "-c", str(Path(args.config).resolve()), "-o", *map(absolute, options)]
        self.command = ["ip", "netns", "exec", self.space, *service]

    def start(self):
        with (self.folder / "log").open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen(self.command, cwd=self.folder, **streams)

    def wait(self):
        """Until it is ready; UserError with the end of its log where it ends before."""
        url, end = f"http://{self.host}:{PORT}/{self.name}/ready", time.monotonic() + LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(url, timeout=LIMIT).close()
                return
            except OSError:  # which is also that of a status other than 200
                time.sleep(0.05)
        log = (self.folder / "log").read_text(errors="replace").strip().splitlines()[-3:]
        raise UserError(f"{self.space}: the service did not become ready: {' | '.join(log)}")

    def stop(self, number):
        """End it by that signal; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(LIMIT)


def absolute(option):
    """KEY=VALUE, with the whole path where the value is one: an instance runs in a folder of its own."""
    key, _, value = option.partition("=")
    return f"{key}={Path(value).resolve()}" if value and "/" in value and Path(value).exists() else option


class Front:
    """nginx, with the configuration of the folder nginx/ but for what `SITE` replaces."""

    def __init__(self):
        self.conf, self.path = FOLDER / "nginx", FOLDER / "serving.log"
        shutil.copytree(HERE / "nginx", self.conf)
        for name, replaced in {**SITE, "site.conf": {**SITE["site.conf"], "/var/log/nginx/": f"{FOLDER}/"}}.items():
            text = (self.conf / name).read_text()
            for part, other in replaced.items():
                if text.count(part) != 1:
                    raise UserError(f"{HERE / 'nginx' / name}: expected one {part!r}, found {text.count(part)}")
                text = text.replace(part, other)
            (self.conf / name).write_text(text)
        main = f"user root; pid {FOLDER}/pid; daemon off; error_log {FOLDER}/error.log;"
        self.command = ["nginx", "-p", str(FOLDER), "-c", str(self.conf / "nginx.conf"), "-g", main]

    def use(self, hosts):
        """Start, or go on, with the instances on these addresses."""
        for name, port in (("http", PORT), ("grpc", RPC_PORT)):
            lines = [f"server {host}:{port} max_fails=2 fail_timeout=5s;\n" for host in hosts]
            (self.conf / f"instances_{name}.conf").write_text("".join(lines))
        if not (FOLDER / "pid").exists():
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        else:
            subprocess.run([*self.command, "-s", "reload"], check=True, capture_output=True)
            time.sleep(0.5)  # for the new workers; the old ones answer what they have
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT)):
                return
            time.sleep(0.05)
        raise UserError(f"nginx did not start: {(FOLDER / 'error.log').read_text()[-500:]}")

    def log(self):
        """The access log's records since the last call."""
        text = self.path.read_text()
        os.truncate(self.path, 0)
        return [json.loads(line) for line in text.splitlines()]


class Load:
    """Clients in the background from `start()` to `stop()`, in two processes that take turns in ending."""

    def __init__(self, path, question, clients):
        self.path, self.question, self.clients, self.wrong, self.good = path, question, max(1, clients // 2), [], 0
        self._ended, self._changing = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._go_on, args=(seconds,)) for seconds in (2, 3)]

    def _go_on(self, seconds):
        while not self._ended.is_set():
            outcome = run_load(PORT, self.path, [self.question], self.clients, seconds)
            with self._changing:
                self.good += len(outcome.seconds)
                self.wrong += outcome.wrong

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._ended.set()
        for thread in self._threads:
            thread.join()


def rehearse(args):
    """Start everything, measure, change, and print what was seen; returns the exit code."""
    name = load_service_config(args.config, args.opt).names[0]
    instances = [Instance(number, args, name) for number in range(args.instances)]
    for instance in instances:
        instance.start()
    for instance in instances:
        instance.wait()
    front, path = Front(), f"/{name}/prediction"
    question = ask_first(instances[0].host, path, args.image)
    print(f"{args.instances} instances on {usable_cores()} cores of one machine, {args.clients} clients", flush=True)
    hosts = [instance.host for instance in instances]
    bad = measure(front, hosts, path, question, args) if args.seconds else 0
    front.use(hosts)
    front.log()
    load = Load(path, question, args.clients)
    load.start()
    codes = []
    try:
        for instance in instances:
            time.sleep(1)  # with all of them
            codes.append(instance.stop(signal.SIGKILL if args.kill else signal.SIGTERM))
            instance.start()
            instance.wait()
        time.sleep(1)
    finally:
        load.stop()
    bad += report_change(load, front.log(), codes)
    for instance in instances:
        instance.stop(signal.SIGTERM)
    front.process.terminate()
    front.process.wait(LIMIT)
    return int(bad > 0)


def ask_first(host, path, image):
    """The `Question` of all clients: the image, and what the instance on that address answers to it."""
    try:
        data = base64.b64encode(Path(image).read_bytes()).decode()
    except OSError as error:
        raise UserError(f"{image}: cannot be read ({error.strerror})") from None
    body = json.dumps({"key": ["image"], "value": [data]}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, PORT), timeout=LIMIT) as connection:
        answer, _ = exchange(connection, head.encode() + body)
    if answer["err_no"]:
        raise UserError(f"{image}: the service answers {answer['err_no']}: {answer['err_msg']}")
    return Question(body, dict(zip(answer["key"], answer["value"])))


def measure(front, hosts, path, question, args):
    """Print the throughput of 1, 2, … instances; returns how many requests were lost or wrong."""
    print("instances  requests/s  p50 ms  p99 ms  lost  wrong")
    total = 0
    for count in range(1, len(hosts) + 1):
        front.use(hosts[:count])
        outcome = run_load(PORT, path, [question], args.clients, args.seconds)
        wrong = sum(map(is_wrong, outcome.wrong))
        lost = len(outcome.wrong) - wrong
        total += lost + wrong
        times = [f"{outcome.percentile(part):.1f}" if outcome.seconds else "-" for part in (0.5, 0.99)]
        row = (count, f"{outcome.rate:.1f}", *times, lost, wrong)
        print("{:>9}  {:>10}  {:>6}  {:>6}  {:>4}  {:>5}".format(*row), flush=True)
    print("all on the same cores: this is what nginx and the division cost, not what more machines would give")
    return total


def is_wrong(text):
    """Whether a client's complaint is of a prediction that differs; otherwise there was none."""
    return text.startswith("wrong: {'err_no': 0")


def report_change(load, records, codes):
    """Print what became of the requests during the change; returns how many were lost, wrong, or predicted twice."""
    tries = [tries_of(record) for record in records]
    first = collections.Counter(outcome for listed in tries for outcome in listed[:-1])
    twice = first["worked on"]
    wrong = sum(map(is_wrong, load.wrong))
    failed = sum(record["status"] != 200 for record in records)
    lost = max(len(load.wrong) - wrong, failed)
    told = f"{len(records)} requests, {load.good} right, {lost} lost, {wrong} wrong"
    print(f"change of {len(codes)} instances: {told}; exit codes {codes}")
    for text in load.wrong[:3]:
        print(f"  {text[:150]}")
    print(
        f"tried at another instance: {first['no connection']} without a connection, "
        f"{first['refused']} refused with 503, {twice} predicted twice"
    )
    return lost + wrong + twice


def tries_of(record):
    """What became of each try of a request, as nginx logs it: [a text]; the last one was answered."""
    # one value for each try; a colon is between those of a redirection after 503
    statuses, sent = (record[key].replace(" : ", ", ").split(", ") for key in ("instance_status", "instance_bytes"))
    kinds = {"503": "refused"}
    return [
        "no connection" if size in ("0", "-") else kinds.get(status, "worked on")
        for status, size in zip(statuses, sent)
    ]


if __name__ == "__main__":
    run_main(main)
