"""Checkpoints: whole after a kill at any moment and on a full disk, and what cannot be resumed from."""

import os
import pickle
import resource
import shutil
import subprocess
import sys

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import build_model
from ppcls_lite.train import evaluate, loop
from ppcls_lite.train.checkpoint import load_checkpoint, save_checkpoint
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays, load_plain
from tests.helpers.checkpoints import alone
from tests.helpers.configs import NETWORK
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line

SUFFIXES = (".pdparams", ".pdopt", ".pdstates")


def small_training(class_num=3):
    with paddle.utils.unique_name.guard():
        model = build_model(NETWORK, class_num=class_num)
        optimizer = paddle.optimizer.Momentum(parameters=model.parameters())
        model(paddle.randn([4, 3, 32, 32])).sum().backward()
        optimizer.step()
    return model, alone(optimizer, model)


# ---- a kill at any moment

# Saves for ever; weights, moments and states of one checkpoint all hold its number.
SAVER = """
import os, pathlib, signal, sys, time
import paddle
from ppcls_lite.train import checkpoint

out, way = sys.argv[1:]

class Holder:
    def __init__(self, scale):
        self.scale, self.number = scale, 0
    def state_dict(self):
        return {f"w{i}": paddle.full([400, 50], self.number * self.scale, "float32") for i in range(4)}

def naive(output_dir, name, model, optimizer, states):
    paddle.save(model.state_dict(), f"{output_dir}/{name}.pdparams")
    paddle.save(optimizer.state_dict(), f"{output_dir}/{name}.pdopt")
    paddle.save(states, f"{output_dir}/{name}.pdstates")

save = naive if way == "naive" else checkpoint.save_checkpoint
model, optimizer = Holder(1), Holder(2)
number = 0
for delay in map(float, sys.stdin):
    child = os.fork()
    if child == 0:
        while True:
            number += 1
            model.number = optimizer.number = number
            save(out, "latest", model, optimizer, {"epoch": number})
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    number += 1000
    print("killed", flush=True)
"""


@pytest.fixture(params=["whole", "naive"])
def killed_saver(request, tmp_path):
    """(which way it saves, a function that lets it save for some seconds, then kills it), output in tmp_path/out."""
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", SAVER, str(tmp_path / "out"), request.param],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def save_and_kill(seconds):
        process.stdin.write(f"{seconds}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "killed\n"

    with process:
        yield request.param, save_and_kill
        process.stdin.close()


def whole(prefix):
    """The number that all three files of a checkpoint agree on; None when they are torn."""
    try:
        numbers = {load_plain(f"{prefix}.pdstates")["epoch"]}
        for suffix, scale in ((".pdparams", 1), (".pdopt", 2)):
            path = shutil.copyfile(prefix + suffix, f"{prefix}.copy.pdparams")
            numbers |= {float(value) / scale for array in load_arrays(path).values() for value in np.unique(array)}
    except (UserError, OSError):
        return None
    return numbers.pop() if len(numbers) == 1 else None


def test_killed_at_random_moments(killed_saver, tmp_path):
    way, save_and_kill = killed_saver
    prefix, rng, found = str(tmp_path / "out/latest"), np.random.default_rng(1), []
    save_and_kill(0.3)  # the first one is there
    while len(found) < 25 or (len(set(found)) <= 10 and len(found) < 250):  # a busy machine saves less between kills
        save_and_kill(0.02 + 0.06 * rng.random())
        found.append(whole(prefix))
    if way == "naive":
        assert None in found  # the fault that this test must see
    else:
        assert None not in found
        assert found == sorted(found)
        assert len(set(found)) > 10
        kept = [path.name for path in (tmp_path / "out/.checkpoints").iterdir() if path.is_dir()]
        assert len(kept) <= 3  # the link, its folder, and what the last kill left


def test_whole_between_any_two_calls_of_the_system(tmp_path, monkeypatch):
    """What a kill at random would have to hit by luck: the moments just before and after each call."""

    class Holder:
        number = 1

        def state_dict(self):
            return {"w": paddle.full([3], self.number * self.scale, "float32")}

    model, optimizer = Holder(), Holder()
    model.scale, optimizer.scale = 1, 2
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 1})
    seen = []

    def watched(call):
        def run(*arguments, **options):
            seen.append(whole(f"{tmp_path}/latest"))
            result = call(*arguments, **options)
            seen.append(whole(f"{tmp_path}/latest"))
            return result

        return run

    model.number = optimizer.number = 2
    for owner, name in [(os, "replace"), (os, "symlink"), (os, "fsync"), (paddle, "save"), (shutil, "rmtree")]:
        monkeypatch.setattr(owner, name, watched(getattr(owner, name)))
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 2})
    assert seen == sorted(seen, key=lambda number: number or 0)
    assert set(seen) == {1, 2}


# ---- a disk that refuses


def fail_to_save(monkeypatch, suffix):
    real = paddle.save

    def save(content, path, *options, **more):
        if path.endswith(suffix):
            with open(path, "wb") as stream:
                stream.write(b"half")
            raise OSError(28, "No space left on device")
        return real(content, path, *options, **more)

    monkeypatch.setattr(paddle, "save", save)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_disk_keeps_the_previous_one(tmp_path, monkeypatch, suffix):
    model, optimizer = small_training()
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 1})
    before = load_arrays(tmp_path / "latest")
    with monkeypatch.context() as patch:
        fail_to_save(patch, suffix)
        model.fc.bias.set_value(model.fc.bias + 1)
        with pytest.raises(UserError, match=r"latest: checkpoint not written \(No space left on device\)"):
            save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 2})
    assert load_checkpoint(tmp_path / "latest", model, optimizer)["epoch"] == 1
    assert all((array == before[name]).all() for name, array in load_arrays(tmp_path / "latest").items())
    assert len(list((tmp_path / ".checkpoints").glob("latest-*"))) == 1


def test_training_on_a_full_disk_ends_with_one_line(config, write_config):
    """A real limit on the size of files: half a checkpoint fits."""
    path = write_config(config)
    limit = 1_000_000
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/train.py"), "-c", str(path), "-o", "Global.epochs=1"],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if "ccache" not in line]
    assert len(errors) == 1, done.stderr
    assert errors[0].endswith("best_model: checkpoint not written (File too large)")  # the first that is due


# ---- which checkpoints there are


def test_names_links_and_modes(tmp_path):
    model, optimizer = small_training()
    for epoch in (1, 2):
        save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": epoch})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".checkpoints", *sorted("latest" + s for s in SUFFIXES)]
    moved = tmp_path.with_name("moved")
    shutil.copytree(tmp_path, moved, symlinks=True)  # links are relative: a copied folder stands alone
    shutil.rmtree(tmp_path / ".checkpoints")
    assert load_checkpoint(moved / "latest.pdparams", model, optimizer)["epoch"] == 2
    mask = os.umask(0)
    os.umask(mask)
    assert (moved / ".checkpoints/latest/").stat().st_mode & 0o777 == 0o777 & ~mask


def test_regular_files_of_the_same_name_are_replaced(tmp_path):
    model, optimizer = small_training()
    for suffix in SUFFIXES:
        (tmp_path / f"latest{suffix}").write_text("something else")
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 3})
    assert load_checkpoint(tmp_path / "latest", model, optimizer)["epoch"] == 3


def test_best_and_epoch_rules(config, tmp_path, monkeypatch):
    scores = iter([0.5, 0.7, 0.7, 0.6, 0.9])
    monkeypatch.setattr(evaluate.Evaluator, "run", lambda self, model: {"loss": 1.0, "top1": next(scores)})
    config["Global"].update(epochs=5, save_interval=2)
    best = []
    save = loop.save_checkpoint

    def watched(output_dir, name, model, optimizers, states, *more):
        best.extend([states["epoch"]] if name == "best_model" else [])
        save(output_dir, name, model, optimizers, states, *more)

    monkeypatch.setattr(loop, "save_checkpoint", watched)
    loop.train(config)
    assert best == [1, 2, 5]  # an equal score is not an improvement
    out = tmp_path / "out"
    names = {path.stem for path in out.iterdir() if path.suffix in SUFFIXES}
    assert names == {"latest", "best_model", "epoch_2", "epoch_4"}
    epochs = {name: load_plain(out / f"{name}.pdstates")["epoch"] for name in names}
    assert epochs == {"latest": 5, "best_model": 5, "epoch_2": 2, "epoch_4": 4}


# ---- what cannot be resumed from


@pytest.fixture
def saved(tmp_path):
    model, optimizer = small_training()
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 1})
    return tmp_path / "latest"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_or_damaged_part(saved, suffix):
    model, optimizer = small_training()
    path = saved.with_suffix(suffix)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=rf"latest{suffix}: not a Paddle weights file, or a damaged one"):
        load_checkpoint(saved, model, optimizer)
    path.unlink()
    with pytest.raises(UserError, match=rf"latest{suffix}: no such weights file"):
        load_checkpoint(saved, model, optimizer)


def test_another_network(saved):
    with pytest.raises(UserError, match=r"does not fit the network, 2 entries: .*fc.weight is \[1280, 3\], expected"):
        load_checkpoint(saved, *small_training(class_num=4))
    with paddle.utils.unique_name.guard():
        other = build_model("MobileNetV1_x0_25", class_num=3)
    with pytest.raises(UserError, match=r"does not fit the network, 338 entries: missing .*; and 335 more$"):
        load_checkpoint(saved, other, alone(paddle.optimizer.Momentum(parameters=other.parameters()), other))


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".pdstates", [1], "expected the states of a training, found list"),
        (".pdstates", {"epoch": "1"}, "expected the states of a training"),
        (".pdopt", {}, "holds nothing for .* parameters"),
        (".pdopt", [1], "expected an optimizer's state, found list"),
    ],
)
def test_another_content(saved, suffix, content, message):
    path = saved.with_suffix(suffix)
    path.unlink()
    paddle.save(content, str(path))
    with pytest.raises(UserError, match=message):
        load_checkpoint(saved, *small_training())


@pytest.mark.parametrize("kind", ["Momentum", "Adam"])
@pytest.mark.parametrize("moment", ["text", np.zeros([2, 2], np.float32)], ids=str)
def test_moment_that_does_not_fit(tmp_path, kind, moment):
    with paddle.utils.unique_name.guard():
        model = paddle.nn.Linear(2, 3)
        optimizer = getattr(paddle.optimizer, kind)(parameters=model.parameters())
        model(paddle.ones([1, 2])).sum().backward()
        optimizer.step()
    optimizer = alone(optimizer, model)
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 1})
    load_checkpoint(tmp_path / "latest", model, optimizer)
    path = tmp_path / "latest.pdopt"
    moments = load_plain(path)
    key = next(key for key in moments if key.startswith("linear_0.w_0_"))
    moments[key] = moment
    path.write_bytes(pickle.dumps(moments))
    with pytest.raises(UserError, match=rf"latest.pdopt: {key} is not an array of the parameter's shape \[2, 3\]"):
        load_checkpoint(tmp_path / "latest", model, optimizer)


def test_weights_alone_are_not_a_checkpoint(config, write_config, run_here, exported):
    options = ["-c", write_config(config), "-o", f"Global.checkpoints={exported.weights}"]
    assert_one_line(run_here("tools/train.py", *options), "weights.pdstates: no such weights file")
