"""Processes share a list of images: what they print and save is what one process prints and saves, byte for byte."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from ppcls_lite.infer import shared_list
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.request import of_this_process
from ppcls_lite.infer.shared_list import SharedList, rank_and_world, share_of
from ppcls_lite.utils.errors import UserError
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.ranks import free_ports, rank_environments, run_ranks, start_ranks
from tests.helpers.scripts import LIMIT, ROOT, results_of, run_process


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of 11 images, the eighth of which is none."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(1)
    for number in range(11):
        cv2.imwrite(str(folder / f"{number:02}.png"), rng.integers(0, 255, (40, 44, 3), dtype=np.uint8))
    (folder / "07.png").write_text("no image")
    return folder


def deployed(exported, images, folder):
    """The options of a prediction with the exported model, in batches of 2."""
    settings = {"inference_model_dir": exported.model, "infer_imgs": images, "save_file": folder / "saved.jsonl"}
    settings.update(batch_size=2, use_gpu=False, enable_mkldnn=False)
    words = [word for key, value in settings.items() for word in ("-o", f"Global.{key}={value}")]
    return ["deploy/python/predict_cls.py", "-c", str(ROOT / "deploy/configs/inference_cls.yaml"), *words]


def errors_of(outcome):
    return [line for line in outcome.err.splitlines() if line.startswith("error: ")]


def test_exported_model(exported, images, tmp_path):
    for name in ("alone", "shared"):
        (tmp_path / name).mkdir()
    alone = run_process(*deployed(exported, images, tmp_path / "alone"))
    first, *others = run_ranks(*deployed(exported, images, tmp_path / "shared"), world=3)
    assert len(alone.out.splitlines()) == 10
    assert first.out == alone.out
    saved = [(tmp_path / name / "saved.jsonl").read_bytes() for name in ("alone", "shared")]
    assert saved[0] == saved[1]
    assert len(saved[0].splitlines()) == 11
    # the image that is none is said by process 0 as by a single process, with its exit code; the others end well
    assert errors_of(first) == errors_of(alone) != []
    assert [alone.status, first.status] == [1, 1]
    assert [(other.status, other.out) for other in others] == [(0, "")] * 2


def test_detector(exported_detector, tmp_path):
    """Each process draws the boxes of its own images; the drawings have the names that a single process gives them."""
    source = tmp_path / "images"
    for number in range(4):
        (source / f"f{number}").mkdir(parents=True)
        shutil.copy(ROOT / "test_images/coffee.jpg", source / f"f{number}")
    _, model = exported_detector
    made = {}
    for name, run in (("alone", run_process), ("shared", run_ranks)):
        settings = {"inference_model_dir": model, "infer_imgs": source, "output_dir": tmp_path / name, "use_gpu": False}
        options = [word for key, value in settings.items() for word in ("-o", f"Global.{key}={value}")]
        run("deploy/python/predict_det.py", "-c", str(ROOT / "deploy/configs/inference_det.yaml"), *options)
        made[name] = {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.jpg")}
    assert len(made["alone"]) == 4
    assert made["alone"] == made["shared"]


def test_training_engine_and_evaluation(config, write_config, images, tmp_path):
    weights = save_arrays(random_weights(), tmp_path / "weights.pdparams")
    config["Global"]["pretrained_model"] = str(weights)
    config["Infer"].update(infer_imgs=str(images), batch_size=2)
    path = write_config(config)
    alone = run_process("tools/infer.py", "-c", path)
    first, second = run_ranks("tools/infer.py", "-c", path)
    assert results_of(first) == results_of(alone)
    assert len(results_of(alone)) == 6  # of one list per batch
    assert errors_of(first) == errors_of(alone) != []
    assert [alone.status, first.status, second.status, second.out] == [1, 1, 0, ""]
    evaluated = [run_process("tools/eval.py", "-c", path), run_ranks("tools/eval.py", "-c", path)[0]]
    lines = [re.findall(r"\[Eval\].*", outcome.out) for outcome in evaluated]
    assert lines[0] == lines[1] != []


def test_the_launcher_and_a_process_that_fails(exported, images, tmp_path):
    """A process that cannot start ends all, with its own line in its own log, and nothing is saved."""
    command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node=2"]
    script, *options = deployed(exported, images, tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        "import os, runpy, sys\n"
        "if os.environ['PADDLE_TRAINER_ID'] == '1': sys.argv += ['-o', 'Global.batch_size=3']\n"
        f"sys.argv[0] = {str(ROOT / 'deploy/python/predict_cls.py')!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    command += [f"--log_dir={tmp_path / 'ranks'}", str(script), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode != 0
    log = (tmp_path / "ranks/workerlog.0").read_text()
    assert "error: process 1 has another list of images, or another batch_size, than process 0" in log
    assert not (tmp_path / "saved.jsonl").exists()


def test_a_killed_process(exported, images, tmp_path):
    """It has no time to say anything: process 0 says which one is missing, and leaves no file."""
    slow = tmp_path / "sitecustomize.py"
    slow.write_text(
        "import os, signal\n"
        "from ppcls_lite.infer import shared_list\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "if os.environ['PADDLE_TRAINER_ID'] == '1': shared_list.SharedList._check = staticmethod(die)\n"
    )
    path = f"{tmp_path}:{ROOT}"
    processes = start_ranks(*deployed(exported, images, tmp_path), PYTHONPATH=path)
    ended = [process.communicate(timeout=LIMIT) for process in processes]
    assert [process.returncode for process in processes] == [1, -signal.SIGKILL], ended
    assert "error: process 1 has ended before the results were complete" in ended[0][1]
    assert not (tmp_path / "saved.jsonl").exists()


# ---- without a model


def predicted(mine, batch_size):
    results = [(path, UserError(f"{path}: no image") if path == "x" else path.upper()) for path in mine]
    for start in range(0, len(results), batch_size):
        yield results[start : start + batch_size]


def render(batch):
    good = [result for _, result in batch if not isinstance(result, UserError)]
    return "".join(f"{word}\n" for word in good), json.dumps([path for path, _ in batch]) + "\n"


def share(paths, batch_size=2, world=3, change=None):
    """What process 0 yields, or the error of each process that has one: [results, errors, failed]."""
    found, errors, counts = [], {}, {}

    def run(rank, environment):
        given = list(paths) if change is None or rank == 0 else change(list(paths))
        try:
            shared = SharedList(given, batch_size, environment)
            results = list(shared.results(predicted(shared.mine, batch_size), render))
            found.extend(results)
            counts[rank] = shared.failed
        except UserError as error:
            errors[rank] = str(error)

    threads = [threading.Thread(target=run, args=job) for job in enumerate(rank_environments(world))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    return found, errors, counts


@pytest.mark.parametrize("paths", ["abcdefghijk", "abxdexghijklmnopqr", "a", "ab", "xx"])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_in_the_order_of_the_list(paths, world, capsys):
    shared = SharedList(list(paths), 2, {})
    expected = list(shared.results(predicted(shared.mine, 2), render))
    found, errors, counts = share(paths, world=world)
    assert errors == {}
    assert found == expected
    assert counts[0] == shared.failed == paths.count("x")
    assert capsys.readouterr().err.count("error: x: no image") == sum(
        path == "x" for path in paths[share_of(len(paths), 2, 0, world).stop :]
    )


def test_of_many_errors_of_another_process_a_few_are_shown(capsys):
    _, _, counts = share("x" * 50, world=2)
    assert counts[0] == 50
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["error: x: no image"] * 20 + [
        "error: images that cannot be predicted: 26, the first 20 are named above"
    ]


def test_results_in_another_order_are_seen(monkeypatch):
    """The fault: shares that are joined as they come in."""
    paths = "abcdefghijkl"
    expected = share(paths, world=1)[0]
    monkeypatch.setattr(shared_list, "sorted", lambda ranks: sorted(ranks, reverse=True), raising=False)
    assert share(paths)[0] != expected


@pytest.mark.parametrize(("count", "batch_size", "world"), [(11, 2, 3), (4, 5, 3), (100, 1, 7), (12, 4, 3), (9, 3, 2)])
def test_shares_are_whole_batches(count, batch_size, world):
    shares = [range(count)[share_of(count, batch_size, rank, world)] for rank in range(world)]
    assert [number for part in shares for number in part] == list(range(count))
    assert all(part.start % batch_size == 0 for part in shares if part)
    batches = [-(-len(part) // batch_size) for part in shares]
    assert max(batches) - min(batches) <= 1


def test_another_list(monkeypatch):
    monkeypatch.setattr(shared_list, "PATIENCE", 5)
    _, errors, _ = share("abcdef", change=lambda paths: paths[:-1], world=2)
    assert errors[0] == "process 1 has another list of images, or another batch_size, than process 0"
    assert errors[1].startswith("process 0 has ended before the results were complete")


def test_a_process_that_never_comes(monkeypatch):
    monkeypatch.setattr(shared_list, "PATIENCE", 0.1)
    port = free_ports(1)[0]
    environment = {"PADDLE_TRAINERS_NUM": "3", "PADDLE_TRAINER_ENDPOINTS": f"127.0.0.1:{port},b:1,c:1"}
    for rank, message in (("0", "process 1, 2 did not appear at 127.0.0.1:"), ("1", "process 0 did not appear at 127")):
        shared = SharedList(["a"], 1, {**environment, "PADDLE_TRAINER_ID": rank})
        with pytest.raises(UserError, match=message):
            list(shared.results(predicted(shared.mine, 1), render))


def test_addresses_that_are_missing():
    with pytest.raises(UserError, match="PADDLE_TRAINER_ENDPOINTS: expected the addresses of all processes"):
        SharedList(["a"], 1, {"PADDLE_TRAINERS_NUM": "2"})


def test_somebody_else_at_the_door(monkeypatch):
    """What connects and is not a process of this run is sent away, and changes nothing."""
    import socket

    paths = "abcdef"
    listen = SharedList._listen

    def with_a_stranger(self):
        server = listen(self)
        stranger = socket.create_connection(self._address)
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        self.stranger = stranger
        return server

    monkeypatch.setattr(SharedList, "_listen", with_a_stranger)
    assert share(paths)[0] == share(paths, world=1)[0]


# ---- which GPU, which engine


def test_each_process_has_its_own_gpu():
    options = EngineOptions(use_gpu=True)
    launched = {"PADDLE_TRAINERS_NUM": "2", "FLAGS_selected_gpus": "1"}
    assert of_this_process(options, (), launched).gpu_id == 1
    assert of_this_process(options, ("Global.gpu_id=0",), launched).gpu_id == 0
    assert of_this_process(options, (), {}) == options
    assert rank_and_world({}) == (0, 1)
    with pytest.raises(UserError, match="engine auto"):
        of_this_process(EngineOptions(engine="auto"), (), launched)
