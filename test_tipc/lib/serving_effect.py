"""Is what a service was told in effect? The service's own log is asked, and the answers that it gave.

    python test_tipc/lib/serving_effect.py settings --log python_server_cpu.log --expected oneDNN=on threads=6
    python test_tipc/lib/serving_effect.py batches --log python_server_cpu.log --answers answers.json --batch_size 6
    python test_tipc/lib/serving_effect.py summary --log python_server_cpu.log --answers answers.json --batch_size 6 \\
        --model_name MobileNetV3_small_x1_0 --data test_images --protocol HTTP --versions "paddlepaddle 3.1.1"

`settings` compares each expected NAME=VALUE with the engine's line in the log, `engine onednn: oneDNN on (94 of 95
results); …; threads 6`, and with the line `precision: fp32`. `batches` compares the requests that the service got by
its own account, when it ends (`asked: 6 requests of 6 images`), with the batch size. `summary` prints what is in
effect, in the form of AutoLog.
Exit code: 0 in effect, 1 it is not, or nothing says so, 77 the service was told, and cannot have it here.
"""

import argparse
import json
import os
import platform
import re
import sys
from collections import Counter
from pathlib import Path

from script import UserError, counted, run_main
from step_figures import engines_in

NOT_IN_EFFECT = 77  # the exit code with which test suites skip
EXPECTED = "'[DATE] ppcls_lite INFO: engine onednn: oneDNN on; threads 6'"
ASKED = re.compile(r"^asked: (.*)$", re.MULTILINE)
REQUESTS = re.compile(r"(\d+) requests? of (\d+) images?")
WIDTH = 56


class NotInEffect(Exception):
    """The service was told, and says that it cannot have it here."""


# ------------------------------------------------------------------------------------------------------ the settings


def settings_in(log):
    """{name: {"requested", "in_effect", "why"}} as the service's log says them last; UserError where it does not."""
    engines = engines_in(log)
    if not engines:
        raise UserError(f"{log}: the service does not say what is in effect; expected a line such as {EXPECTED}")
    found = {one["name"]: one for one in engines[-1]["settings"]}
    text = read(log)
    if stated := re.findall(r"^precision: (\w+)$", text, re.MULTILINE):
        found["precision"] = {"name": "precision", "requested": stated[-1], "in_effect": stated[-1], "why": ""}
    return found


def check_settings(log, wanted):
    """Print a line for each of `wanted` {name: value} that is in effect; UserError or NotInEffect for the first that is
    not: what the service was not told by its own account was ignored."""
    found = settings_in(log)
    for name, value in wanted.items():
        setting = found.get(name)
        if setting is None:
            told = "; ".join(f"{one['name']} {one['in_effect']}" for one in found.values())
            raise UserError(f"{name} {value} was passed to the service, which says nothing of it: {told}")
        why = f" ({setting['why']})" if setting["why"] else ""
        if setting["in_effect"] == value:
            print(f"in effect: {name} {value}{why}")
        elif setting["requested"] == value:
            raise NotInEffect(f"{name} {value} is not in effect: {setting['in_effect']}{why}")
        else:
            raise UserError(f"{name} {value} was passed to the service, which ignores it: {setting['in_effect']}{why}")


# ------------------------------------------------------------------------------------------------------- the batches


def sizes_sent(answers):
    """The number of images of each request, in their order, from the file that a client saved."""
    try:
        return [len(entry["images"]) for entry in json.loads(read(answers))]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{answers}: expected the answers of a client, found something else ({error!r:.80})") from None


def expected_batches(images, size):
    """Counter {size: number of batches} of so many images, of which the last batch may have fewer."""
    whole, rest = divmod(images, size)
    return Counter({size: whole} if whole else {}) + Counter({rest: 1} if rest else {})


def check_sent(answers, size):
    """The number of images sent; UserError unless they were sent in batches of `size`."""
    sent = sizes_sent(answers)
    if not sent:
        raise UserError(f"{answers}: no image was sent")
    if Counter(sent) != expected_batches(sum(sent), size):
        raise UserError(f"{answers}: batches of {size} were requested, and the client sent {told(Counter(sent))}")
    return sum(sent)


def check_asked(log, files, size):
    """UserError unless the service says, in `log`, that it got all images of these answers in requests of `size`."""
    lines = ASKED.findall(read(log))
    if not lines:
        raise UserError(f"{log}: the service does not say what it was asked; expected 'asked: 6 requests of 6 images'")
    found = Counter({int(images): int(count) for count, images in REQUESTS.findall(lines[-1])})
    wanted = sum((expected_batches(sum(sizes_sent(path)), size) for path in files), Counter())
    if found != wanted:
        raise UserError(f"batches of {size} were requested, and the service got {lines[-1]}; expected {told(wanted)}")
    print(f"in effect: {told(found)}")


def told(requests):
    parts = (f"{counted(count, 'request')} of {counted(size, 'image')}" for size, count in sorted(requests.items()))
    return ", ".join(parts) or "nothing"


# ------------------------------------------------------------------------------------------------------- the summary


def summary(args):
    """The lines of AutoLog's sections; what the hardware or the service does not have is None."""
    found = settings_in(args.log)
    device = "gpu" if {"GPU", "TensorRT"} & found.keys() else "cpu"
    sections = {
        "Env info": {
            "OS_version": platform.platform(),
            "CPU_model": processor(),
            "CPU_cores": len(os.sched_getaffinity(0)),
            "CUDA_version": None,
            "CUDNN_version": None,
            "drivier_version": None,  # AutoLog's own spelling, which checkers look for
        },
        "Paddle info": {
            "paddle_version": version_in(args.versions, r"paddlepaddle(?:-gpu)?"),
            "paddle_serving_version": version_in(args.versions, "paddle-serving-server"),
        },
        "Conf info": {
            "runtime_device": device,
            "ir_optim": truth(found, "IR passes"),
            "enable_memory_optim": truth(found, "memory optimisation"),
            "enable_tensorrt": truth(found, "TensorRT", False),
            "enable_mkldnn": truth(found, "oneDNN", False),
            "cpu_math_library_num_threads": found.get("threads", {}).get("in_effect"),
        },
        "Model info": {"model_name": args.model_name, "precision": found.get("precision", {}).get("in_effect")},
        "Data info": {
            "batch_size": args.batch_size,
            "input_shape": "dynamic",
            "data_num": check_sent(args.answers, args.batch_size),
            "data_path": args.data,
        },
        "Serving info": {"protocol": args.protocol, "security_gateway": False, "model_encryption": False},
    }
    for title, entries in sections.items():
        yield f" {title} ".center(WIDTH, "-")
        yield from (f"{name}: {value}" for name, value in entries.items())


def truth(found, name, missing=None):
    """True or False for on and off; `missing` where the service has no such setting, None where it cannot be seen."""
    return {"on": True, "off": False}.get(found[name]["in_effect"]) if name in found else missing


def version_in(versions, package):
    match = re.search(rf"(?<![\w-]){package} ([\w.+-]+)", versions)
    return match and match[1].rstrip(",")


def processor():
    """Its name as Linux gives it, or else what Python knows of it."""
    path = Path("/proc/cpuinfo")
    match = path.is_file() and re.search(r"^model name\s*: (.*)$", read(path), re.MULTILINE)
    return match[1] if match else platform.processor() or None


def read(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")


def named(text):
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found {text!r}")
    return name, value


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("settings", "batches", "summary"))
    parser.add_argument("--log", required=True, help="of the service")
    parser.add_argument("--expected", nargs="+", type=named, default=[], metavar="NAME=VALUE")
    parser.add_argument("--answers", nargs="+", default=[], help="files that the clients saved")
    parser.add_argument("--batch_size", type=int, default=1)
    for name in ("model_name", "data", "protocol", "versions"):
        parser.add_argument(f"--{name}", default="")
    return parser.parse_args()


def main():
    args = parse_args()
    try:
        if args.what == "settings":
            check_settings(args.log, dict(args.expected))
        elif args.what == "batches":
            check_asked(args.log, args.answers, args.batch_size)
        else:
            (args.answers,) = args.answers
            print("\n".join(summary(args)))
    except NotInEffect as reason:
        print(reason, file=sys.stderr)
        return NOT_IN_EFFECT
    return 0


if __name__ == "__main__":
    run_main(main)
