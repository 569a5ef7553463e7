"""The observed script's results, output and exit code stay the same, whatever happens to the recording."""

import json
import os

import pytest

NETWORK = """
import os, random, sys, threading
import numpy as np
import paddle
from paddle import nn


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.fc.weight.set_value(paddle.arange(12, dtype="float32").reshape([4, 3]))

    def forward(self, x):
        return self.fc(x)


net = Net()
net.eval()
x = paddle.arange(8, dtype="float32").reshape([2, 4])
"""
WHOLE = (
    NETWORK
    + """
random.seed(3), np.random.seed(3), paddle.seed(3)
for number in range(3):
    net(paddle.randint(0, 9, [2, 4]).astype("float32"))  # a warm-up
    print(random.random(), np.random.rand(), paddle.rand([1]).numpy().tobytes().hex())
threads = [threading.Thread(target=lambda: [net(x + place) for place in range(20)]) for _ in range(3)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
out = net(x)
np.save("out.npy", out.numpy())
paddle.save({"out": out}, "out.pdtensor")
print(out.stop_gradient, net.fc.weight.inplace_version, sorted(vars(net)))
(net(x) * 2).sum().backward()
print(net.fc.weight.grad.numpy().tolist())
print(os.listdir("."), sorted(sys.modules["__main__"].__dict__))
try:
    net(paddle.ones([2, 5]))
except ValueError as error:
    print(type(error).__name__)
sys.stdout.flush()
sys.exit(7)
"""
)
FLAGS = ["-W", "ignore"]


def outcome_of(recording):
    return recording.status, recording.out


@pytest.fixture
def whole(run):
    """`whole(**how)`: the large script above, observed and plain, each in a folder of its own."""

    def run_both(**how):
        plain = run(WHOLE, observed=False, flags=FLAGS, place="plain")
        recording = run(WHOLE, flags=FLAGS, place="seen", **how)
        saved = [(found.folder.parent / "out.npy").read_bytes() for found in (plain, recording)]
        assert outcome_of(recording) == outcome_of(plain), recording.err.decode()
        assert recording.status == 7
        assert recording.err == plain.err
        assert saved[0] == saved[1]
        return recording

    return run_both


def test_output_exit_code_and_random_numbers(whole):
    recording = whole()
    assert len(recording.calls) == 3 + 60 + 2
    assert recording.events[-1] == {"event": "end", "calls": 65}
    numbers = [call["number"] for call in recording.calls]
    assert numbers == list(range(65)), "threads do not mix their lines"
    assert {line["file"] for line in recording.of("dropped")}.isdisjoint(os.listdir(recording.folder))


@pytest.mark.parametrize("value", ["/nowhere/at/all", "/dev/null", "/proc", ""])
def test_a_folder_that_cannot_be_written(whole, value):
    assert whole(TIPC_OBSERVE=value).events == []


@pytest.mark.parametrize(
    ("place", "calls"),
    [
        ("tipc_observe.layers.Layers.begin", 0),
        ("tipc_observe.layers.Layers.touched", 1),
        ("tipc_observe.layers._observe_static", 1),
        ("tipc_observe.store.Store.record", 0),
        ("tipc_observe.store.Store.write", 0),
    ],
)
def test_a_fault_of_the_observer_never_reaches_the_script(run, place, calls):
    """As on a Paddle with other internals: what still can be recorded is."""
    owner, _, name = place.rpartition(".")
    fault = f"""
import tipc_observe.layers, tipc_observe.store
def fail(*args, **kwargs):
    raise KeyError("planted")
setattr({owner}, {name!r}, fail)
"""
    recording = run(fault + NETWORK + "print(net(x).numpy().tolist())", flags=FLAGS)
    assert outcome_of(recording) == (0, b"[[42.0, 48.0, 54.0], [114.0, 136.0, 158.0]]\n"), recording.err.decode()
    assert recording.err == b""
    assert len(recording.calls) == calls
    if name != "write":
        assert recording.lost == ["KeyError: 'planted'"]


def test_bounds_on_memory_and_disk(run):
    script = NETWORK + "for number in range(200):\n    net(x + number)\n"
    recording = run(script, flags=FLAGS, TIPC_OBSERVE_IMAGES="16", TIPC_OBSERVE_MEGABYTES="1")
    assert len(recording.calls) == 200
    dropped = {line["file"] for line in recording.of("dropped")}
    kept = {call["file"] for call in recording.calls} - {None} - dropped
    assert kept == {name for name in os.listdir(recording.folder) if name.endswith(".npz")}
    assert len(kept) == 8
    assert {f"{recording.of('process')[0]['pid']}_{number}.npz" for number in (0, 1)} <= kept, (
        "a quarter: the first ones"
    )
    hashes = sorted(call["inputs"][0]["hash"] for call in recording.calls[2:])
    assert len(hashes) == len(set(hashes))


def test_too_many_lines_end_the_recording(run):
    script = NETWORK + "y = paddle.zeros([4000, 4])\nfor number in range(10):\n    net(y + number)\nprint('done')\n"
    recording = run(script, flags=FLAGS, TIPC_OBSERVE_MEGABYTES="1")
    assert outcome_of(recording) == (0, b"done\n")
    assert 0 < len(recording.calls) < 10
    assert recording.events[-1]["event"] == "lost"
    assert sum(path.stat().st_size for path in recording.folder.glob("*.jsonl")) <= 1.1 * 2**20


def test_a_full_disk(run):
    """The script may write 20 kB to one file: its recording ends at a whole line, and the script goes on."""
    script = (
        NETWORK
        + """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
for number in range(400):
    net(x + number)
print("done")
"""
    )
    recording = run(script, flags=FLAGS)
    assert outcome_of(recording) == (0, b"done\n")
    assert recording.err == b""
    assert 5 < len(recording.calls) < 400
    assert any("OSError" in why for why in recording.lost), "read_events has read whole lines"


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_process_that_is_killed_leaves_whole_lines(run, end):
    recording = run(NETWORK + f"net(x)\nnet(x + 1)\n{end}\n", flags=FLAGS)
    assert recording.status == (3 if "exit" in end else -9)
    assert len(recording.calls) == 2
    assert recording.of("end") == []


def test_children(run):
    """Workers of a data loader leave nothing; each other process that calls a network has a file of its own."""
    script = (
        NETWORK
        + """
import multiprocessing, subprocess


class Data(paddle.io.Dataset):
    def __getitem__(self, index):
        return net.fc.weight.numpy()[0] * 0 + net(paddle.ones([1, 4]) * index).numpy().sum()

    def __len__(self):
        return 6


def work(number):
    net(x * number)


if __name__ == "__main__":
    net(x)
    print(len(list(paddle.io.DataLoader(Data(), batch_size=2, num_workers=2))))
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        net(x)
        os._exit(0)
    print(os.waitpid(pid, 0)[1])
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        sys.exit(0)  # a child that calls nothing: no file, and no end of its parent's
    os.waitpid(pid, 0)
    spawned = multiprocessing.get_context("spawn").Process(target=work, args=(3,))
    spawned.start(), spawned.join()
    print(spawned.exitcode)
    net(x)
    if "again" not in sys.argv:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-W", "ignore", "-c", "import paddle; print('after exec')"])
"""
    )
    plain = run(script, observed=False, flags=FLAGS, place="plain")
    recording = run(script, flags=FLAGS)
    assert outcome_of(recording) == outcome_of(plain), recording.err.decode()
    files = {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in recording.folder.glob("*.jsonl")
    }
    parent = min(files, key=lambda stem: (len(stem), stem))
    calls = {stem: len([line for line in lines if line["event"] == "call"]) for stem, lines in files.items()}
    assert calls.pop(parent) == 2
    assert calls.pop(f"{parent}_1") == 0, "after exec"
    assert sorted(calls.values()) == [1, 1], "fork and spawn"
    assert all(lines[0]["event"] == "process" for lines in files.values())
    networks = [line["network"] for line in recording.of("network")]
    assert len(set(networks)) == len(networks) == 3


def test_a_script_that_closes_all_files_and_leaves(run):
    """No file is held open: its number may be another file's by now."""
    script = (
        NETWORK
        + """
net(x)
os.closerange(3, 256)
with open("mine.txt", "w") as mine:
    os.chdir("/")
    net(x + 1)
    mine.write("mine")
"""
    )
    recording = run(script, flags=FLAGS)
    assert (recording.status, recording.err) == (0, b"")
    assert len(recording.calls) == 2
    assert (recording.folder.parent / "mine.txt").read_text() == "mine"
