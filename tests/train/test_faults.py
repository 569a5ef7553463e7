"""Faults of data, disk and numbers in a training, each planted for real: it stops, names the place, and keeps the last
good checkpoint, or says what it does instead. A training that is killed: test_resume.py, kill_at_random.py.
"""

import os
import re
import resource
import subprocess
import sys

import cv2
import numpy as np
import paddle
import pytest

from ppcls_lite.train import loop, progress
from ppcls_lite.train.history_file import read_events
from ppcls_lite.train.progress import Progress
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays, load_plain
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line, run_process, with_library

NAN = float("nan")


def epoch_of(prefix):
    return load_plain(f"{prefix}.pdstates")["epoch"]


def events_of(folder, kind):
    return [event for event in read_events(folder / "history.jsonl") if event["event"] == kind]


# ---- a loss that is no number


@pytest.mark.parametrize(("epoch", "step", "value"), [(2, 1, NAN), (2, 3, float("inf")), (3, 4, NAN)])
def test_the_iteration_of_a_loss_that_is_no_number(
    config, write_config, run_here, tmp_path, monkeypatch, epoch, step, value
):
    """In the middle of an interval of the log, and at its end: its own number is named, and it was the last one."""
    config["Global"]["print_batch_step"] = 4
    seen, whole = [], loop.WeightedLosses.__call__

    def planted(self, outputs, target):
        loss = whole(self, outputs, target)
        if outputs.stop_gradient:  # of an evaluation
            return loss
        seen.append(1)
        return loss * value if len(seen) == 4 * (epoch - 1) + step else loss

    monkeypatch.setattr(loop.WeightedLosses, "__call__", planted)
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert_one_line(outcome, f"the loss became {value} in epoch {epoch}, iteration {step}: a smaller Optimizer.lr")
    assert len(seen) == 4 * (epoch - 1) + step
    assert epoch_of(tmp_path / "out/latest") == epoch - 1
    assert all(np.isfinite(array).all() for array in load_arrays(tmp_path / "out/latest").values())
    assert {event["epoch"] for event in events_of(tmp_path / "out", "train")} == set(range(1, epoch))


class OnGPU:
    """A loss that the host has to wait for."""

    waits = 0

    def __init__(self, value):
        self.value = value
        self.place = type("Place", (), {"is_cpu_place": lambda self: False})()

    def __float__(self):
        OnGPU.waits += 1
        return self.value


def test_a_gpu_is_waited_for_only_at_the_lines_of_the_log(monkeypatch):
    """And then the first of the iterations since the last line is named, not the line's."""
    monkeypatch.setattr(OnGPU, "waits", 0)
    shown = Progress(steps_per_epoch=20, epochs=2, every=10)
    shown.start()

    def step(number, value):
        shown.data_ready()
        shown.step_done(2, number, 0.1, {"loss": OnGPU(value)}, 4)

    for number in range(9):
        step(number, 1.0)
    assert OnGPU.waits == 0
    step(9, 1.0)
    for number in range(10, 19):
        step(number, NAN if number in (12, 13) else 1.0)
    with pytest.raises(UserError, match=r"^the loss became nan in epoch 2, iteration 13: "):
        step(19, 1.0)


def test_on_a_cpu_each_loss_is_looked_at_after_its_step(monkeypatch):
    calls = []
    monkeypatch.setattr(progress, "check_finite", lambda loss, fault: calls.append(loss))
    shown = Progress(steps_per_epoch=4, epochs=1, every=9)
    shown.start()
    for number in range(3):
        shown.data_ready()
        shown.step_done(1, number, 0.1, {"loss": paddle.to_tensor(1.5, place=paddle.CPUPlace())}, 4)
    assert calls == [1.5] * 3


# ---- a full disk


def limited(command, size):
    """Run it with a real limit on the size of files, as a full disk or a quota sets one."""
    return subprocess.run(
        command,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def errors_of(done):
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def test_a_disk_that_gets_full_keeps_the_last_good_checkpoint(config, write_config, run_here, tmp_path):
    """The second epoch's does not fit: what was there can be resumed from, and no half of a new one stays behind."""
    path = write_config(config)
    assert run_here("tools/train.py", "-c", path, "-o", "Global.epochs=1").status == 0
    out = tmp_path / "out"
    resume = [sys.executable, str(ROOT / "tools/train.py"), "-c", str(path), "-o", f"Global.checkpoints={out}/latest"]
    done = limited([*resume, "-o", "Global.epochs=2"], 1_000_000)
    assert done.returncode == 1
    assert len(errors_of(done)) == 1, done.stderr
    # `latest` would come last
    assert re.search(r"out/(best_model|epoch_2): checkpoint not written \(File too large\)$", errors_of(done)[0])
    assert epoch_of(out / "latest") == epoch_of(out / "best_model") == 1
    assert len(list((out / ".checkpoints").glob("latest-*"))) == 1
    outcome = run_here("tools/train.py", *resume[2:], "-o", "Global.epochs=2")
    assert outcome.status == 0, outcome.err
    assert epoch_of(out / "latest") == 2


@pytest.mark.parametrize("name", ["log_train.txt", "history.jsonl"])
def test_a_full_disk_under_log_or_history(config, write_config, run_here, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to("/dev/full")
    assert_one_line(run_here("tools/train.py", "-c", write_config(config)), f"{name}: cannot be written (No space left")


def test_curves_that_cannot_be_written_are_no_failure(config, write_config, run_here, tmp_path):
    config["Global"]["epochs"] = 1
    (tmp_path / "out/curves.png/is a folder").mkdir(parents=True)
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert outcome.status == 0, outcome.err
    assert "curves.png: cannot be written (" in outcome.out


# ---- images and lists


@pytest.fixture
def listed(config, tmp_path, tiny_data):
    """`listed(lines, **dataset)` makes the training list of them in `tmp_path`, with two images that are none."""
    for path in tiny_data.glob("train_*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bad 1.png").write_bytes(b"no image")
    (tmp_path / "bad 2.png").write_bytes((tiny_data / "train_0.png").read_bytes()[:60])

    def write(text, part="Train", **dataset):
        path = tmp_path / "list.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        section = config["DataLoader"][part]["dataset"]
        section.update(image_root=str(tmp_path), cls_label_path=str(path), **dataset)
        return config

    return write


GOOD = "".join(f"train_{number}.png {number % 3}\n" for number in range(8))
BAD = GOOD + "bad 1.png 0\n\nbad 2.png 1\n"


def test_an_unreadable_image_is_named_with_list_and_line(listed, write_config, run_here, tmp_path):
    outcome = run_here("tools/train.py", "-c", write_config(listed(BAD)))
    assert re.search(
        r"^error: \S+/list\.txt:(9: \S+/bad 1|11: \S+/bad 2)\.png: not a decodable image", outcome.err, re.M
    )
    assert_one_line(outcome, "not a decodable image")


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_images_are_left_out_and_counted_on_request(
    listed, write_config, run_here, tmp_path, monkeypatch, workers
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    config = listed(BAD, skip_unreadable=True)
    config["DataLoader"]["Train"]["loader"]["num_workers"] = workers
    config["Global"]["epochs"] = 2
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert outcome.status == 0, outcome.err
    assert len(re.findall(r"list\.txt:9: \S+/bad 1\.png: not a .*: this image is left out", outcome.out)) == 1
    assert len(re.findall(r"list\.txt:11: \S+/bad 2\.png: not a .*: this image is left out", outcome.out)) == 1
    for epoch in (1, 2):
        assert f"epoch {epoch}: 2 images that cannot be read were left out" in outcome.out
    assert [event["images"] for event in events_of(tmp_path / "out", "unreadable")] == [2, 2]
    samples = [event["avg_samples"] for event in events_of(tmp_path / "out", "train")]
    assert samples == [4, 2] * 2  # of 10 lines in batches of 4, a line for each two: every batch keeps its size


def test_a_list_of_unreadable_images_alone_is_refused(listed, write_config, run_here):
    config = listed("bad 1.png 0\nbad 2.png 1\n", skip_unreadable=True)
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert_one_line(outcome, "none of the 2 images can be decoded", "bad ")


def test_an_evaluation_never_skips(listed, write_config, run_here):
    path = write_config(listed(BAD, part="Eval", skip_unreadable=True))
    assert_one_line(run_here("tools/train.py", "-c", path), "DataLoader.Eval.dataset.skip_unreadable: True is for a")
    path = write_config(listed(BAD, part="Eval", skip_unreadable=False))
    assert_one_line(run_here("tools/train.py", "-c", path), "list.txt:9: ", "bad 1.png: not a decodable image")


@pytest.mark.parametrize("part", ["Train", "Eval"])
def test_a_label_that_no_class_has_is_named_before_anything_is_trained(listed, write_config, run_here, tmp_path, part):
    outcome = run_here("tools/train.py", "-c", write_config(listed(GOOD + "train_9.png 3\n", part=part)))
    assert_one_line(outcome, "list.txt:9: label 3 is not below class_num 3")
    assert "[Train]" not in outcome.out
    assert not (tmp_path / "out").exists()


def test_a_class_without_an_image_is_named(listed, write_config, run_here):
    config = listed(GOOD.replace(" 1\n", " 4\n"))
    config["Arch"]["class_num"] = 9
    config["Global"]["epochs"] = 1
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert outcome.status == 0, outcome.err
    said = "6 of 9 classes have no image in {}, and cannot be learnt: 1 (green), 3, 5, 6, 7, ..."
    assert said.format(config["DataLoader"]["Train"]["dataset"]["cls_label_path"]) in outcome.out


def test_every_class_has_an_image_and_nothing_is_said(config):
    loop.setup_logging()
    trainer = loop.Trainer(config, "cpu")
    assert trainer.loader.dataset.repeated == []


def test_repeated_lines_and_an_image_of_both_lists_are_named(listed, write_config, run_here, tmp_path, config):
    judged = config["DataLoader"]["Eval"]["dataset"]
    judged.update(image_root=f"{tmp_path}/", cls_label_path=str(tmp_path / "val.txt"))
    (tmp_path / "val.txt").write_text("./train_5.png 2\n")
    listed(GOOD + "./train_3.png 0\ntrain_3.png 0\n")
    config["Global"]["epochs"] = 1
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert outcome.status == 0, outcome.err
    assert "DataLoader.Train: 2 of 10 images are listed before: they count twice; the first is " in outcome.out
    assert "list.txt:9: ./train_3.png" in outcome.out
    assert f"1 of 1 images are trained on too: the accuracy says little about new ones; one of them is {tmp_path}" in (
        outcome.out
    )


LISTS = {
    "byte-order mark, CRLF": "\ufeffa b.png 0\r\n图 像.png 1\r\nplain.png 2\r\n",
    "tabs": "a b.png\t0\n图 像.png\t\t1\nplain.png \t2",
    "blank lines and spaces": "\n a b.png   0  \n\n图 像.png 1\n   \nplain.png 2\n\n",
    "CR alone": "a b.png 0\r图 像.png 1\rplain.png 2\r",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_lists_that_people_write(listed, write_config, run_here, tmp_path, tiny_data, text):
    for name, number in (("a b", 0), ("图 像", 1), ("plain", 2)):
        (tmp_path / f"{name}.png").write_bytes((tiny_data / f"train_{number}.png").read_bytes())
    config = listed(text)
    config["Global"]["epochs"] = 1
    trainer = loop.Trainer(config, "cpu")
    assert trainer.loader.dataset.labels.tolist() == [0, 1, 2]
    assert [os.path.basename(path) for path in trainer.loader.dataset.paths] == ["a b.png", "图 像.png", "plain.png"]
    trainer.run_epoch(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_0.png 0\n图像.png 1\n".encode("gbk"), "list.txt: expected a text file in UTF-8"),
        ("train_0.png 0\n".encode("utf-16"), "list.txt: expected a text file in UTF-8"),
        ("train_0.png,0\n", "list.txt:1: expected '<image path> <label>', found 'train_0.png,0'"),
        ("train_0.png 0\n<<<<<<< HEAD\n", "list.txt:2: expected a label of at least 0, found 'HEAD'"),
    ],
)
def test_lists_that_cannot_be_read(listed, write_config, run_here, text, message):
    assert_one_line(run_here("tools/train.py", "-c", write_config(listed(text))), message)


# ---- shared memory

SMALL_SHM = """
import sys
from ppcls_lite.data.dataset import ImageNetDataset
from ppcls_lite.data.loader import Loader
from ppcls_lite.data.sampler import EpochBatchSampler
from ppcls_lite.utils.log import setup_logging
setup_logging()
folder = sys.argv[1]
data = ImageNetDataset(folder, folder + "/list.txt")
loader = Loader(data, EpochBatchSampler(len(data), 2), None, 2)
for epoch in range(2):
    print(sum(len(batch.images) for batch in loader), "images")
"""


def test_a_small_dev_shm(tmp_path):
    """A real one of 1 MB, in a mount namespace of its own: four images of 1 MB do not fit into it."""
    enter = [
        "unshare",
        "--mount",
        "--map-root-user",
        "bash",
        "-c",
        'mount -t tmpfs -o size=1m tmpfs /dev/shm && "$@"',
        "-",
    ]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    image = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    (tmp_path / "list.txt").write_text("".join(f"{number}.png 0\n" for number in range(4)))
    command = [*enter, sys.executable, "-W", "ignore", "-c", SMALL_SHM, str(tmp_path)]
    done = subprocess.run(command, env=with_library(), capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stdout.splitlines() if "WARNING" in line]
    assert re.search(
        r"data workers use pipes, not shared memory: .* need 49\.\d MB, and /dev/shm has [01]\.\d MB", said
    )
    assert done.stdout.count("4 images") == 2


# ---- kill -9


@pytest.fixture
def to_be_killed(config, write_config):
    config["Global"].update(epochs=16, save_interval=3)
    # so small a network and batch end in a loss of nan with a larger rate, which seeds and rounding decide
    config["Optimizer"]["lr"]["learning_rate"] = 0.0001
    return write_config(config)


def test_twenty_kills_at_random_moments_change_nothing(to_be_killed, tmp_path):
    outcome = run_process("tests/train/kill_at_random.py", to_be_killed, tmp_path / "killed", "--kills", 20)
    assert outcome.status == 0, outcome.out + outcome.err
    assert outcome.out.count("\nkill ") == 20
    assert "the same weights, moments, states and losses after 20 kills" in outcome.out


def test_a_training_that_forgets_would_be_seen(config, to_be_killed, write_config, tmp_path):
    # the first weights are the seed's: unlucky ones end in a loss of nan before anything is compared
    forgetful = (
        "import sys; from tests.train import kill_at_random as it; first = it.loop.seed_epoch; "
        "it.loop.seed_epoch = lambda seed, epoch, rank=0: epoch or first(seed, epoch, rank); sys.exit(it.main())"
    )
    config["Global"]["epochs"] = 5
    config["Optimizer"]["lr"]["learning_rate"] = 0.0001
    command = [sys.executable, "-c", forgetful, str(write_config(config)), str(tmp_path / "killed"), "--kills", "2"]
    done = subprocess.run(command, env=with_library(), capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1, done.stdout
    assert "AssertionError: .pdparams" in done.stderr
