"""The driver when it is interrupted or killed, and several runs at once: nothing is left running, nothing is mixed."""

import json
import os
import signal

import pytest

from tests.helpers.scripts import LIMIT
from tests.helpers.shell import PROGRAMS, is_running, wait_for

STEM = "norm_train_gpus_-1_autocast_null_nodes_1"


# writes its own number, its child's, and that of a grandchild in a session of its own, as launchers of Paddle do
SLEEPER = """
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
child = subprocess.Popen(["sleep", "300"])
other = subprocess.Popen(["sleep", "300"], start_new_session=True)
if os.environ.get("STUBBORN"): signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("before the end", flush=True)
path = Path(__file__).with_name("pids")
path.with_suffix(".new").write_text(f"{os.getpid()} {child.pid} {other.pid}")
path.with_suffix(".new").rename(path)
time.sleep(300)
"""


def sleeping(chain):
    """The numbers of the processes of a training that has been started."""
    path = chain.programs / "pids"
    assert wait_for(path.exists)
    return path.read_text().split()


@pytest.mark.parametrize(
    ("number", "to_group", "status"),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143), (signal.SIGHUP, False, 129)],
)
def test_an_interrupted_run_leaves_nothing_running_and_says_so(chain, number, to_group, status):
    chain.program("train", SLEEPER)
    process = chain.start()
    pids = sleeping(chain)
    (os.killpg if to_group else os.kill)(process.pid, number)
    run = chain.finish(process)
    assert run.status == status, run.out + run.err
    assert not any(map(is_running, pids))
    assert run.steps[-1] == ("train", "failed", "interrupted")
    assert "before the end" in (run.folder / f"{STEM}.log").read_text()
    summary = json.loads((run.folder / "summary.json").read_text())
    assert (summary["passed"], summary["steps"][-1]["reason"]) == (False, "interrupted")
    assert run.err == "\ninterrupted: ending what was started\n"
    assert list(run.folder.parent.iterdir()) == [run.folder]  # no lock


def test_a_step_that_does_not_want_to_end_is_ended(chain):
    chain.program("train", SLEEPER)
    process = chain.start(STUBBORN="1")
    pids = sleeping(chain)
    process.terminate()
    assert chain.finish(process).status == 143
    assert not any(map(is_running, pids))


def test_a_killed_run_leaves_nothing_running(chain):
    chain.program("train", SLEEPER)
    process = chain.start()
    pids = sleeping(chain)
    process.kill()
    assert wait_for(lambda: not any(map(is_running, pids)))
    chain.finish(process)
    assert wait_for(lambda: list(chain.output().parent.iterdir()) == [chain.output()])  # no lock


@pytest.mark.parametrize("kill", [os.kill, os.killpg])  # the latter with the process that watches over it
def test_the_next_run_takes_over_from_a_killed_one(chain, kill):
    chain.program("train", SLEEPER)
    process = chain.start()
    pids = sleeping(chain)
    kill(process.pid, signal.SIGKILL)
    chain.program("train", PROGRAMS["train"])
    run = chain.run("--stop_stage", "1")
    assert not any(map(is_running, pids))
    assert [step[:2] for step in run.steps[:2]] == [("prepare", "passed"), ("train", "passed")]
    chain.finish(process)
    assert wait_for(lambda: list(run.folder.parent.iterdir()) == [run.folder])


def test_a_reader_that_goes_away_leaves_nothing_running(chain):
    chain.program(
        "train", SLEEPER.replace("time.sleep(300)", "while True: print('more', flush=True); time.sleep(0.01)")
    )
    process = chain.start()
    pids = sleeping(chain)
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=LIMIT) != 0
    assert wait_for(lambda: not any(map(is_running, pids)))


def test_an_interruption_during_the_set_up_ends_it(chain):
    """prepare.sh is busy with an interpreter that never answers."""
    slow = chain.folder / "python"
    note = f"echo $$ >{chain.programs}/new; mv {chain.programs}/new {chain.programs}/pids"
    slow.write_text(f"#!/bin/sh\n{note}; exec sleep 300\n")
    slow.chmod(0o755)
    process = chain.start(TIPC_PYTHON=str(slow))
    pids = sleeping(chain)
    process.terminate()
    assert chain.finish(process).status == 143
    assert not any(map(is_running, pids))


def test_a_second_run_of_the_same_config_waits_and_other_modes_do_not(chain):
    wait = "if 'GO' in os.environ:\n    Path(os.environ['GO']).with_name('begun').touch()\n"
    wait += "    while not Path(os.environ['GO']).exists(): time.sleep(0.05)\n"
    chain.program("train", PROGRAMS["train"] + wait)
    first = chain.start("--stop_stage", "1", GO=str(chain.folder / "go"))
    assert wait_for((chain.folder / "begun").exists)
    other = chain.run("--stop_stage", "1", mode="lite_train_whole_infer")
    assert other.status == 0, other.out + other.err
    assert "waiting" not in other.out
    second = chain.start("--stop_stage", "1")
    line = second.stdout.readline().decode()
    assert line.startswith("waiting: another run is using ")
    assert f"(process {first.pid})" in line
    assert len(chain.calls("train")) == 2
    (chain.folder / "go").touch()
    assert chain.finish(first).status == 0
    run = chain.finish(second)
    assert run.status == 0, run.out + run.err
    assert len(chain.calls("train")) == 3
    assert [name for name, *_ in run.steps] == ["prepare", "train", "converge"]
