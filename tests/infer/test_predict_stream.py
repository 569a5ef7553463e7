"""Predicting many images: in order, reading ahead within limits, complete files of results, no needless imports."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ppcls_lite.infer import results
from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.infer.images import read_image
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.postprocess import format_record
from ppcls_lite.infer.predict import Predictor
from ppcls_lite.infer.read_ahead import read_ahead
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import ROOT, assert_one_line

SCRIPT = "deploy/python/predict_cls.py"
CONFIG = ROOT / "deploy/configs/inference_cls.yaml"
IMAGES = sorted(map(str, (ROOT / "test_images").glob("*.jpg")))
LONG = 60  # seconds after which a test gives up waiting


def options(model, source, *overrides):
    settings = (f"inference_model_dir={model}", f"infer_imgs={source}", *overrides)
    return ["-c", str(CONFIG), *(word for setting in settings for word in ("-o", f"Global.{setting}"))]


# ---- reading ahead


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_results_come_in_the_order_of_the_items(threads):
    items = list(range(50))
    assert list(read_ahead(lambda item: item * item, items, threads, 7)) == [(item, item * item) for item in items]
    assert list(read_ahead(str, [], threads, 7)) == []


def test_the_order_does_not_depend_on_who_is_ready_first():
    later_is_done = threading.Event()

    def read(item):
        if item == 0:
            assert later_is_done.wait(LONG)
        elif item == 3:
            later_is_done.set()
        return item

    assert [item for item, _ in read_ahead(read, range(6), 2, 4)] == list(range(6))


class Reader:
    """Counts what has been read."""

    def __init__(self):
        self.read, self.lock = 0, threading.Lock()

    def __call__(self, item):
        with self.lock:
            self.read += 1
        return item


def furthest(threads, depth, items=200):
    """How many items had been read and not been taken, at most."""
    reader, most = Reader(), 0
    for taken, _ in enumerate(read_ahead(reader, range(items), threads, depth)):
        time.sleep(0.0005)  # a slow engine: readers run as far as they may
        most = max(most, reader.read - taken)
    return most


def test_reading_keeps_within_its_depth():
    assert 2 < furthest(2, 8) <= 9
    assert furthest(2, 50) > 9  # the same measurement sees a reader that runs too far


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_at_its_turn_and_nothing_is_left_running(threads):
    before = threading.active_count()
    stream = read_ahead(lambda item: 1 / (item - 3), range(100), threads, 8)
    assert [next(stream)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert threading.active_count() == before


def test_a_consumer_that_leaves_stops_the_readers():
    before, threads_of_opencv = threading.active_count(), cv2.getNumThreads()
    reader = Reader()
    stream = read_ahead(reader, range(1000), 2, 8)
    next(stream)
    stream.close()
    assert reader.read <= 10
    assert threading.active_count() == before
    assert cv2.getNumThreads() == threads_of_opencv


# ---- the predictor


class Probe:
    """An engine that keeps what it is given and calls `during` while it computes."""

    effects = ()

    def __init__(self, during=lambda: None):
        self.batches, self.during = [], during

    def run(self, images):
        self.batches.append(images.copy())
        self.during()
        return images.reshape(len(images), -1)[:, :3]


def names_only(scores):
    return [{"class_ids": [], "scores": row.tolist(), "label_names": []} for row in scores]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_the_engine_gets_the_same_bits_however_images_are_read(exported, batch_size, workers):
    transforms, _ = build_processing(exported.model)
    engine = Probe()
    predictor = Predictor(engine, transforms, names_only, batch_size, workers)
    paths = [path for batch in predictor.predict_all(IMAGES) for path, _ in batch]
    assert paths == IMAGES
    assert [len(batch) for batch in engine.batches] == [min(batch_size, 5 - at) for at in range(0, 5, batch_size)]
    expected = np.stack([read_image(path, transforms) for path in IMAGES])
    assert np.concatenate(engine.batches).tobytes() == expected.tobytes()


@pytest.mark.parametrize(("workers", "overlaps"), [(2, True), (0, False)])
def test_images_are_read_while_the_engine_computes(exported, workers, overlaps):
    transforms, _ = build_processing(exported.model)
    second_is_read, seen = threading.Event(), []

    def read(data):
        if read.count == 1:
            time.sleep(0.05)  # so that the engine has begun
            second_is_read.set()
        read.count += 1
        return transforms(data)

    read.count = 0
    engine = Probe(lambda: seen.append(second_is_read.wait(LONG if overlaps else 0.2)))
    list(Predictor(engine, read, names_only, 1, workers).predict_all(IMAGES[:2]))
    assert seen[0] is overlaps


def test_predictions_are_those_of_one_image_at_a_time(exported):
    """The real engine, bit by bit."""
    engine = create_engine("onednn", exported.model, EngineOptions())
    transforms, _ = build_processing(exported.model)

    def scores_of(sources, workers):
        predictor = Predictor(engine, transforms, lambda scores: scores.copy(), 1, workers)
        return [row.tobytes() for source in sources for batch in predictor.predict(source) for _, row in batch]

    together = scores_of([ROOT / "test_images"], 3)
    assert together == scores_of(IMAGES, 0)
    assert len(set(together)) == len(IMAGES)


def test_times_are_counted(exported):
    transforms, postprocess = build_processing(exported.model)
    predictor = Predictor(Probe(), transforms, postprocess, 2, 2)
    assert len(list(predictor.predict(ROOT / "test_images"))) == 3
    assert predictor.images == 5
    assert all(spent > 0 for spent in [*predictor.seconds.values(), predictor.elapsed])
    assert "5 images, batch size 2, milliseconds per image: preprocess " in predictor.timing()
    assert "reading threads: 2" in predictor.timing()


@pytest.mark.parametrize("workers", [-1, "two", True])
def test_wrong_number_of_workers(workers):
    with pytest.raises(UserError, match=f"num_workers: expected a whole number of at least 0, found {workers!r}"):
        Predictor(Probe(), None, None, 1, workers)


@pytest.mark.parametrize("batch_size", [0, True, 1.0])
def test_wrong_batch_size(batch_size):
    with pytest.raises(UserError, match=f"batch_size: expected a whole number of at least 1, found {batch_size!r}"):
        Predictor(Probe(), None, None, batch_size)


# ---- the script


@pytest.fixture
def folder(tmp_path):
    """Good images in two folders, broken ones among them, and files that are not images."""
    images = tmp_path / "images"
    (images / "b/deep").mkdir(parents=True)
    for path, name in zip(IMAGES, ("a.jpg", "b/one.jpg", "b/deep/two.JPG", "z.jpeg", "c.jpg")):
        shutil.copy(path, images / name)
    (images / "b/broken.jpg").write_bytes(Path(IMAGES[0]).read_bytes()[:200])
    (images / "y.png").write_bytes(b"")
    (images / "b/notes.txt").write_text("not an image")
    (images / "README").write_text("not an image")
    return images


ORDER = ["a.jpg", "b/broken.jpg", "b/deep/two.JPG", "b/one.jpg", "c.jpg", "y.png", "z.jpeg"]
BROKEN = ["b/broken.jpg", "y.png"]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_folder_with_everything_in_it(exported, run_here, folder, tmp_path, batch_size):
    saved = tmp_path / "new/saved.jsonl"
    outcome = run_here(
        SCRIPT, *options(exported.model, folder, f"batch_size={batch_size}", f"save_file={saved}", "num_workers=3")
    )
    assert outcome.status == 1
    good = [name for name in ORDER if name not in BROKEN]
    assert [line.split(": ")[0] for line in outcome.out.splitlines()] == [name.rpartition("/")[2] for name in good]
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in errors] == [f"{folder}/{name}" for name in BROKEN]
    assert "skipped files that are not images: 2" in outcome.err
    records = [json.loads(line) for line in saved.read_text().splitlines()]
    assert [record["file_name"] for record in records] == [f"{folder}/{name}" for name in ORDER]
    assert [record["file_name"] for record in records if "error" in record] == [f"{folder}/{name}" for name in BROKEN]
    for record, line in zip((record for record in records if "error" not in record), outcome.out.splitlines()):
        assert list(record) == list(format_record({"class_ids": 0, "scores": 0, "label_names": 0}, ""))
        assert f"class id(s): {record['class_ids']}, score(s): [{record['scores'][0]:.2f}, " in line


def test_saving_changes_nothing_on_the_screen(exported, run_here, tmp_path):
    plain = run_here(SCRIPT, *options(exported.model, ROOT / "test_images", "num_workers=0"))
    saving = run_here(SCRIPT, *options(exported.model, ROOT / "test_images", f"save_file={tmp_path}/x.jsonl"))
    assert plain.status == saving.status == 0
    assert plain.out == saving.out
    assert len(plain.out.splitlines()) == 5


def test_a_run_that_is_stopped_leaves_the_former_file(exported, tmp_path):
    """Ctrl-C in the middle; and `| head`, which closes the screen."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3000):
        (images / f"{number:05}.jpg").symlink_to(IMAGES[number % len(IMAGES)])
    saved = tmp_path / "results/saved.jsonl"
    saved.parent.mkdir()
    saved.write_text("the former\n")
    command = [sys.executable, str(ROOT / SCRIPT), *options(exported.model, images, f"save_file={saved}")]
    for stop, status in ((lambda run: run.send_signal(signal.SIGINT), 130), (lambda run: run.stdout.close(), 141)):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            assert run.stdout.readline().startswith("00000.jpg: class id(s)")
            stop(run)
            assert run.wait(LONG) == status
            assert "Traceback" not in run.stderr.read()
        assert saved.read_text() == "the former\n"
        assert [path.name for path in saved.parent.iterdir()] == ["saved.jsonl"]


def test_a_file_that_cannot_be_written(exported, run_here, tmp_path):
    (tmp_path / "file").touch()
    outcome = run_here(SCRIPT, *options(exported.model, IMAGES[0], f"save_file={tmp_path}/file/x.jsonl"))
    assert_one_line(outcome, f"Global.save_file={tmp_path}/file/x.jsonl: cannot be written (")
    assert not outcome.out


def test_results_with_a_full_disk(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="cannot be written"), results.save_results(tmp_path / "x.jsonl") as save:
        save(results.json_lines([("a.jpg", {"class_ids": [1], "scores": [0.5], "label_names": ["ä"]})]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("screens", "images", "shown"),
    [
        ({"stdout": True, "stderr": True}, 1000, False),  # predictions scroll by and are the progress
        ({"stdout": False, "stderr": True}, 1000, True),
        ({"stdout": False, "stderr": True}, 1, False),
        ({"stdout": False, "stderr": False}, 1000, False),  # a log file hears of runs over half a minute only
    ],
)
def test_when_a_bar_is_shown(monkeypatch, capsys, screens, images, shown):
    clock = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: clock[0])
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    for name, is_terminal in screens.items():
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda is_terminal=is_terminal: is_terminal)
    with results.progress_bar(images) as advance:
        for _ in range(images):
            clock[0] += 0.01
            advance(1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (f"{images}/{images}" in captured.err) is shown


LOADED = """
import runpy, sys
from ppcls_lite.utils import errors
errors.leave = sys.exit
sys.argv = [{script!r}, *{options!r}]
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit as ended:
    print("LOADED", ended.code, *sorted(sys.modules))
"""


def modules_after(script, *options):
    """(status, names of all modules) when the script has ended in a process of its own."""
    code = LOADED.format(script=str(ROOT / script), options=[str(option) for option in options])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG, env=environment)
    status, *names = done.stdout.partition("LOADED ")[2].split()
    return int(status), set(names)


def test_help_loads_next_to_nothing():
    status, names = modules_after(SCRIPT, "--help")
    assert status == 0
    assert "ppcls_lite.utils.config" in names
    outer = {name.partition(".")[0] for name in names}
    assert not outer & {"paddle", "numpy", "cv2", "tqdm", "PIL"}


def training_code(names):
    folders = ("ppcls_lite.train", "ppcls_lite.arch", "ppcls_lite.data.loader", "ppcls_lite.data.sampler")
    return [name for name in names if name.startswith(folders)]


def test_training_code_is_never_loaded(exported):
    status, names = modules_after(SCRIPT, *options(exported.model, ROOT / "test_images"))
    assert status == 0
    assert {"paddle", "ppcls_lite.infer.predict"} <= names
    assert training_code(names) == []
    _, names = modules_after("tools/infer.py", "-c", exported.config, "-o", f"Infer.infer_imgs={IMAGES[0]}")
    assert "ppcls_lite.arch" in training_code(names)  # the same look finds it where it is
