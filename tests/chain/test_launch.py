"""Trainings of several processes and machines: what the launcher is told, and what the summary says when one fails."""

import os
import re
import subprocess
import tarfile

import pytest

from steps import read_steps
from tests.helpers.shell import LIMIT, MODE, OFFICIAL, ROOT, assert_one_error, bash, dry_run

FLEET = ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/train_fleet_infer_python.txt"


@pytest.fixture
def machine(tmp_path):
    """`machine(*addresses, gpus=0)`: a PATH on which this machine has these addresses, and so many GPUs."""

    def make(*addresses, gpus=0):
        cards = "".join(f"echo 'GPU {number}: Fake'\n" for number in range(gpus))
        known = {"hostname": f"echo {' '.join(addresses)}\n", "ip": "exit 1\n", "nvidia-smi": cards or "exit 1\n"}
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, body in known.items():
            (folder / name).write_text(f"#!/bin/sh\n{body}")
            (folder / name).chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    return make


def launched(chain, entry, path):
    """The words between `paddle.distributed.launch` and the script, or the reason why the training is skipped."""
    out = chain.set("gpu_list", entry).run("--dry_run", PATH=path).out
    line = re.search(r"^train: .*$", out, re.M)[0].replace("\\", "")
    if " skipped " in line:
        return line.partition("skipped ")[2]
    assert f"{chain.programs}/train.py" in line
    return re.sub(
        r"--log_dir=\S+_ranks ", "LOGS ", line.partition("launch ")[2].partition(str(chain.programs))[0]
    ).strip()


@pytest.mark.parametrize(
    ("entry", "gpus", "expected"),
    [
        ("-1", 0, ""),
        ("-1,-1", 0, "--nproc_per_node=2 --backend=gloo LOGS"),
        ("-1,-1,-1", 2, "--nproc_per_node=3 --backend=gloo LOGS"),
        ("0,1", 2, "--gpus=0,1 LOGS"),
        ("10.0.0.1,10.0.0.2;0,1", 2, "--ips=10.0.0.1,10.0.0.2 --host=10.0.0.2 --gpus=0,1 LOGS"),
        ("10.0.0.2,10.0.0.3;0", 1, "--ips=10.0.0.2,10.0.0.3 --host=10.0.0.2 --gpus=0 LOGS"),
        ("10.0.0.1,10.0.0.2;-1,-1", 0, "--ips=10.0.0.1,10.0.0.2 --host=10.0.0.2 --nproc_per_node=2 LOGS"),
        ("a-machine,b-machine;-1", 0, "--ips=a-machine,b-machine --nproc_per_node=1 LOGS"),
        ("10.0.0.1,10.0.0.22;-1,-1", 0, "(gpu_list has the machines 10.0.0.1,10.0.0.22, and this is none of them)"),
        ("10.0.0.1,10.0.0.2;0,1", 0, "(gpu_list has GPU 10.0.0.1,10.0.0.2;0,1, and there is no GPU that this Paddle"),
        ("10.0.0.1,10.0.0.2;0,1", 1, "(gpu_list has GPU 10.0.0.1,10.0.0.2;0,1, and there are 1 GPUs)"),
        (
            "10.0.0.2,10.0.0.3;-1,-1",
            1,
            "(gpu_list has 10.0.0.2,10.0.0.3;-1,-1, and the launcher would take this machine's",
        ),
    ],
)
def test_what_the_launcher_is_told(chain, machine, entry, gpus, expected):
    found = launched(chain, entry, machine("10.0.0.2", "172.17.0.1", "b-machine", gpus=gpus))
    assert found == expected or (expected.startswith("(") and found.startswith(expected))


def test_the_device_of_processes_on_the_cpu(chain, machine):
    chain.set("gpu_list", "-1,-1").set("-o Global.device", "gpu")
    out = chain.run("--dry_run", PATH=machine("10.0.0.2", gpus=2)).out
    for step in ("train", "evaluate"):
        assert "Global.device=cpu" in re.search(rf"^{step}: .*$", out, re.M)[0]


def test_mixed_entries_are_refused(chain):
    for entry in ("-1,0", "0,-1", "10.0.0.1;", ";0", "10.0.0.1;10.0.0.2;0", "-1;-1,"):
        assert_one_error(chain.set("gpu_list", entry).run("--dry_run"), "'gpu_list': expected such as -1, 0 or 0,1, or")


def test_a_further_machine_trains_and_leaves_the_rest_to_the_first(chain, machine):
    plans = {}
    for address in ("10.0.0.1", "10.0.0.2"):
        chain.set("gpu_list", "10.0.0.1,10.0.0.2;-1")
        plans[address] = chain.run("--dry_run", PATH=machine(address)).out
    assert "\nevaluate: (in .) " in plans["10.0.0.1"]
    assert (
        "\nevaluate: skipped (the first machine, 10.0.0.1, has the weights, and goes on alone)\n" in plans["10.0.0.2"]
    )
    assert "\nexport: " not in plans["10.0.0.2"]


def test_the_fleet_configs_of_the_repository():
    modes = ("lite_train_lite_infer", "whole_train_whole_infer", "whole_infer")
    plans = [(FLEET, mode) for mode in modes]
    plans.append((ROOT / "test_tipc/configs/mobilenet_v3_small/train_fleet_infer_python.txt", modes[0]))
    for config, mode in plans:
        done = dry_run(config, mode)
        assert (done.status, done.err) == (0, "")
        trains = mode != "whole_infer"
        assert ("launch --nproc_per_node=2 --backend=gloo --log_dir=test_tipc/output/" in done.out) == trains


def test_official_fleet_configs(tmp_path):
    """One of each suite: the entries for GPUs are skipped with their reason, and the rest is planned."""
    found = {}
    with tarfile.open(OFFICIAL / "official_configs.tar.xz") as archive:
        for member in archive:
            text = archive.extractfile(member).read().decode() if member.isfile() else ""
            if re.search("^gpu_list:.*;", text, re.M):
                found.setdefault(member.name.split("/")[0], []).append(text)
    assert sum(map(len, found.values())) == 22
    for suite, (text, *_) in found.items():
        config = tmp_path / f"{suite}.txt"
        config.write_text(text)
        done = dry_run(config)
        assert (done.status, done.err) == (0, "")
        machines = re.search("^gpu_list:(.*;[0-9,]*)", text, re.M)[1].rpartition("|")[2]
        assert f"train: skipped (gpu_list has GPU {machines}, and there is no GPU that this Paddle can use)" in done.out
        assert "running on the CPU instead" in done.out
        assert "\ntrain: (in .) python " in done.out


# ---- a process that fails

LAUNCHED = """
rank = os.environ["PADDLE_TRAINER_ID"]
Path(__file__).with_name(f"rank{rank}").write_text(" ".join(sys.argv[1:]))
if FAULT and rank == "1":
    print("error: image 7 is torn", file=sys.stderr)
    sys.exit(1)
if FAULT:
    time.sleep(60)  # as one that waits for the other
if rank == "0":
    folder = Path(options["Global.output_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.pdparams").write_bytes(b"weights")
"""


@pytest.mark.parametrize("fault", [False, True])
def test_two_real_processes(chain, fault):
    chain.program("train", LAUNCHED.replace("FAULT", str(fault)))
    run = chain.set("gpu_list", "-1,-1").run()
    assert (chain.programs / "rank0").read_text() == (chain.programs / "rank1").read_text()
    assert sorted(path.name for path in run.folder.glob("*_ranks/workerlog.*")) == ["workerlog.0", "workerlog.1"]
    assert not (chain.tree / "log").exists()
    (train,) = [step for step in run.steps if step[0] == "train"]
    if fault:
        assert train[1:] == ("failed", "exit code 1: process 1: image 7 is torn")
        assert "process 1: image 7 is torn" in (run.folder / "summary.txt").read_text()
    else:
        assert train[1] == "passed"
    assert run.status == int(fault)


def test_the_chain_on_two_machines(chain):
    """Network namespaces: each runs the whole chain; the first has the weights and goes on, the second has trained."""
    chain.program("train", LAUNCHED.replace("FAULT", "False"))
    chain.set("gpu_list", "10.211.55.1,10.211.55.2;-1")
    words = ["env", f"TIPC_OUTPUT={chain.folder}/output{{machine}}", *chain.command()]
    command = ["bash", str(ROOT / "tests/two_machines.sh"), *words]
    environment = {key: value for key, value in chain.environment().items() if key != "TIPC_OUTPUT"}
    done = subprocess.run(command, cwd=chain.tree, env=environment, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    records = [chain.folder / f"output{machine}/small_net/{MODE}/steps.tsv" for machine in "01"]
    first, second = ({step.name: step.result for step in read_steps(record)} for record in records)
    assert first["train"] == second["train"] == first["evaluate"] == first["export"] == "passed"
    assert second["evaluate"] == "skipped"
    assert "export" not in second


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        (
            ["going on\nerror: the connection to another process is lost: its own log says why\n", "going on\n"],
            "1 killed",
        ),
        (
            [
                "RuntimeError: [gloo/transport/tcp/pair.cc:576] Read error: Connection reset by peer\n",
                "ValueError: x\n",
            ],
            "1: ValueError: x",
        ),
        (["error: no such list\n", "error: no such list\n"], "0: no such list"),
        (
            ["FatalError: `Termination signal` is detected\n", "a\nppcls.error.WrongError: b: c\nmore\n"],
            "1: ppcls.error.WrongError: b: c",
        ),
        (["terminate called: 'gloo::IoException'\nFatalError: `Process abort`\n", "fine\n"], "1 killed"),
        (["fine\n", "error: the connection to another process is lost\n", ""], "0, 2 killed"),
        (["error: the connection to another process is lost\n"] * 2, None),
        ([], None),
    ],
)
def test_which_error_is_the_reason(tmp_path, logs, expected):
    for number, text in enumerate(logs):
        (tmp_path / f"workerlog.{number}").write_text(text)
    done = bash('source "$0/test_tipc/lib/launch.sh"; RUN[ranks]=$1; explain_ranks | tail -n 1', tmp_path)
    assert done.status == 0, done.err
    if expected is None:
        assert done.out == ""
    elif expected.endswith(" killed"):
        assert done.out.startswith(f"error: process {expected[:-7]} was killed, or ended without a word (its log: ")
    else:
        assert done.out == f"error: process {expected}\n"
