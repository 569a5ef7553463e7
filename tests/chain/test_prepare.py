"""Set-up: the managed environment, foreign interpreters, the stand-in data, and the provided weights."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from tests.helpers.file_server import FileServer
from tests.helpers.preparation import OFFICIAL, SetUp
from tests.helpers.shell import CONFIGS, MODE, ROOT, assert_one_error, copy_tree, is_running


@pytest.fixture
def setup(tmp_path):
    return SetUp(tmp_path, copy_tree(tmp_path))


# -------------------------------------------------------------------------------------------------- environment


def test_the_environment_is_made_once_with_the_real_pip(setup):
    text = setup.interpreter.read_text().replace("--without-pip", "").replace("folder=", "exit 0; folder=")
    setup.interpreter.write_text(text)
    run = setup.run()
    assert run.status == 0, run.out + run.err
    assert run.out.startswith("setting up .venv with Python 3.")
    before = (setup.venv / "ready").stat()
    setup.assert_ready()
    assert (setup.venv / "ready").stat().st_mtime_ns == before.st_mtime_ns


def damage_marker(setup):
    (setup.venv / "ready").unlink()


def damage_link(setup):
    for path in (setup.venv / "bin").glob("python*"):
        path.unlink()
        path.symlink_to("/no/such/python")


def damage_requirements(setup):
    setup.requirements("# nothing else\n")


def damage_all(setup):
    shutil.rmtree(setup.venv)
    setup.venv.mkdir()


@pytest.mark.parametrize("damage", [damage_marker, damage_link, damage_requirements, damage_all])
def test_an_environment_that_is_not_whole_is_made_again(setup, damage):
    assert setup.run().status == 0
    damage(setup)
    run = setup.run()
    assert run.status == 0, run.err
    assert "setting up .venv" in run.out
    assert setup.installations() == 2
    setup.assert_ready()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_installation_ends_and_the_next_run_repairs_it(setup, number, status):
    (setup.notes / "wait").touch()
    process = setup.start()
    pip = setup.pip()
    os.kill(process.pid, number)
    process.wait()
    if number != signal.SIGKILL:
        assert not is_running(pip)
        assert setup.finish(process).status == status
    (setup.notes / "wait").unlink()
    run = setup.run()
    assert run.status == 0, run.out + run.err
    assert not is_running(pip)
    assert setup.installations() == 2
    if number == signal.SIGKILL:
        assert setup.finish(process).status == status
    setup.assert_ready()


def test_two_at_once_install_once(setup):
    (setup.notes / "wait").touch()
    first = setup.start()
    setup.pip()
    second = setup.start()
    assert second.stdout.readline() == f"waiting: .venv is being set up (process {first.pid})\n"
    (setup.notes / "wait").unlink()
    assert setup.finish(first).status == setup.finish(second).status == 0
    assert setup.installations() == 1


def test_a_failed_installation_is_told_and_tried_again(setup):
    (setup.notes / "fail").touch()
    run = setup.run()
    assert run.status == 1
    assert run.err.startswith("no such package\n")
    assert run.err.endswith("error: setting up .venv failed; all of pip's output is in .venv.log\n")
    (setup.notes / "fail").unlink()
    assert setup.run().status == 0
    assert setup.installations() == 3  # the list, then Paddle by itself; and now the list
    setup.assert_ready()


def test_no_python_at_all(setup):
    setup.interpreter.unlink()
    assert_one_error(setup.run(), "no Python from 3.9 to 3.13 found (the last one seen is none)", "TIPC_PYTHON")


def test_only_pythons_that_are_too_old_or_too_new(setup):
    for version in ("3.8", "3.14", "2.7"):
        assert_one_error(setup.run(FAKE_VERSION=version), f"the last one seen is {version}")


def test_a_python_without_venv(setup):
    assert_one_error(setup.run(FAKE_VERSION="3.11", FAKE_VENV="1"), "apt-get install python3.11-venv")
    assert not setup.venv.exists()


def test_a_suitable_python_behind_an_unsuitable_one(setup):
    shutil.copy(setup.interpreter, setup.bin / "python3")
    setup.interpreter.write_text("#!/bin/sh\nexit 1\n")
    run = setup.run()
    assert (run.status, run.err) == (0, "")
    assert "setting up .venv with Python 3." in run.out
    assert setup.installations() == 1
    setup.assert_ready()


# -------------------------------------------------------------------------------------------- foreign interpreters


def test_a_foreign_interpreter_is_used_as_it_is(setup):
    run = setup.run(TIPC_PYTHON=sys.executable)
    assert (run.status, run.out, run.err) == (0, "", "")
    assert not setup.venv.exists()


def test_foreign_interpreters_that_will_not_do(setup):
    bare = f"{setup.notes}/env/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", f"{setup.notes}/env"], check=True)
    assert_one_error(setup.run(TIPC_PYTHON=bare), "has no paddle cv2", f"{bare} -m pip install -r requirements.txt")
    assert_one_error(setup.run(TIPC_PYTHON="/no/such/python"), "/no/such/python: no such interpreter")
    assert_one_error(setup.run(TIPC_PYTHON="no-such-python"), "TIPC_PYTHON=no-such-python: no such program")
    assert_one_error(setup.run(TIPC_PYTHON=str(setup.notes)), "no such interpreter")
    assert_one_error(setup.run(TIPC_PYTHON=shutil.which("true")), "not a Python interpreter that works")
    assert_one_error(setup.run(TIPC_PYTHON=shutil.which("false")), "not a Python interpreter that works")


def test_the_path_is_searched_for_a_foreign_interpreter(setup):
    (setup.bin / "mine").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (setup.bin / "mine").chmod(0o755)
    run = setup.run(TIPC_PYTHON="mine")
    assert (run.status, run.out, run.err) == (0, "", "")
    assert (setup.tree / "dataset/ILSVRC2012/train_list.txt").is_file()
    assert not setup.venv.exists()


# ------------------------------------------------------------------------------------------------ data and weights


def test_lite_data_stands_in_for_imagenet(setup):
    imagenet = setup.tree / "dataset" / "ILSVRC2012"
    run = setup.run(TIPC_PYTHON=sys.executable)
    assert (run.status, run.out, run.err) == (0, "", "")
    assert (imagenet / "val/ILSVRC2012_val_00000001.JPEG").read_bytes()[:2] == b"\xff\xd8"
    for part in ("train", "val"):
        for line in (imagenet / f"{part}_list.txt").read_text().splitlines():
            assert (imagenet / line.split()[0]).is_file(), line
    train = (imagenet / "train_list.txt").read_text().splitlines()
    assert sorted(train) == sorted((setup.tree / "lite_data/train_list.txt").read_text().splitlines())
    assert [line.split()[1] for line in train[:8]] == ["0", "1", "2", "3", "4", "5", "0", "1"]
    assert [path.name for path in (setup.tree / "dataset").iterdir()] == ["ILSVRC2012"]
    marker = imagenet / "test_tipc_replaced.txt"
    assert "are those of lite_data" in marker.read_text()
    marker.unlink()  # as an older version made the folder
    assert setup.run(TIPC_PYTHON=sys.executable).status == 0
    assert marker.exists()
    (imagenet / "train").unlink()  # the real images have come
    (imagenet / "train").mkdir()
    assert setup.run(TIPC_PYTHON=sys.executable).status == 0
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["folder", "link", "broken link"])
def test_the_users_imagenet_is_left_alone(setup, kind):
    imagenet = setup.tree / "dataset" / "ILSVRC2012"
    imagenet.parent.mkdir()
    mine = imagenet if kind == "folder" else setup.notes / "mine"
    if kind != "broken link":
        mine.mkdir()
        (mine / "train_list.txt").write_text("x.jpg 0\n")
    if kind != "folder":
        imagenet.symlink_to(mine)
    assert setup.run(TIPC_PYTHON=sys.executable).status == 0
    assert imagenet.is_symlink() == (kind != "folder")
    assert not mine.exists() or [path.name for path in mine.iterdir()] == ["train_list.txt"]
    assert [path.name for path in imagenet.parent.iterdir()] == ["ILSVRC2012"]


def test_a_data_folder_that_cannot_be_made(setup):
    (setup.tree / "dataset").write_text("mine")
    run = setup.run(TIPC_PYTHON=sys.executable)
    assert_one_error(run, "dataset: cannot be written")


def test_provided_weights_must_be_there(setup):
    (setup.tree / "dataset").mkdir()
    name = "pretrain_models/MobileNetV3_small_x1_0_pretrained.pdparams"
    with FileServer(b"").running() as server:
        offline = {"TIPC_PYTHON": sys.executable, "TIPC_MIRROR": f"{server.address}/absent?"}
    run = setup.run(str(OFFICIAL), "whole_infer", **offline)
    assert run.status == 1
    assert run.err.splitlines()[0].startswith("downloading http://127.0.0.1:")
    assert re.fullmatch(rf"error: cannot download .*; you can also .* put it at {name}", run.err.splitlines()[1])
    (setup.tree / name).touch()
    assert setup.run(str(OFFICIAL), "whole_infer", **offline).status == 0
    assert (setup.tree / "dataset/digits/train_list.txt").is_file()


def test_wrong_calls(setup):
    assert_one_error(setup.run("x"), "usage: bash test_tipc/prepare.sh CONFIG MODE")
    assert_one_error(setup.run("no/such.txt", MODE), "no/such.txt: no such config file")
    assert_one_error(setup.run(str(CONFIGS / "models.txt"), "lite"), "unknown mode 'lite'")
    path = setup.notes / "c.txt"
    path.write_bytes(b"a:b\nc:d\r\n")
    assert_one_error(setup.run(str(path), MODE), f"{path}:2: the line ends in CR LF")
    assert not setup.venv.exists()


def test_a_detector_gets_its_own_data_and_needs_pycocotools(setup):
    detector = ROOT / "test_tipc/configs/CenterNet_MobileNetV3_small_x1_0/train_infer_python.txt"
    maker = setup.tree / "tools/data/make_det_data.py"
    sizes = "TRAIN_IMAGES, VAL_IMAGES, SEED ="
    text = maker.read_text().replace(f"{sizes} 6000, 300,", f"{sizes} 12, 6,")
    assert text != maker.read_text()
    maker.write_text(text)  # 6,300 images take minutes on a busy machine, and show nothing more
    run = setup.run(str(detector), "whole_train_whole_infer", TIPC_PYTHON=sys.executable)
    assert run.status == 0, run.err
    annotations = json.loads((setup.tree / "dataset/det_stamps/annotations/instances_train.json").read_text())
    assert len(annotations["images"]) == 12
    assert not (setup.tree / "dataset/digits").exists()
    shutil.rmtree(setup.tree / "dataset/det_stamps")
    service = detector.with_name("serving_infer_python.txt")
    weights = setup.tree / "pretrain_models/CenterNet_MobileNetV3_small_x1_0.pdparams"
    for provided in (False, True):  # without weights, a short training on lite_data_det makes the model
        weights.parent.mkdir(exist_ok=True)
        (weights.touch if provided else weights.unlink)(True)
        run = setup.run(str(service), "serving_infer", TIPC_PYTHON=sys.executable)
        assert run.status == 0, run.err
        assert (setup.tree / "dataset/det_stamps/label_list.txt").is_file() is provided
    blind = setup.notes / "blind"  # an interpreter that has all but pycocotools
    hide = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n: None if n == 'pycocotools' else f(n)"
    (setup.notes / "sitecustomize.py").write_text(hide)
    blind.write_text(f'#!/bin/sh\nPYTHONPATH={setup.notes} exec "{sys.executable}" "$@"\n')
    blind.chmod(0o755)
    assert_one_error(setup.run(str(detector), MODE, TIPC_PYTHON=str(blind)), "has no pycocotools; install with")
    run = setup.run(str(OFFICIAL), MODE, TIPC_PYTHON=str(blind))
    assert (run.status, run.out, run.err) == (0, "", "")  # a classifier does without


def test_a_recogniser_gets_the_set_of_its_config(setup):
    chain = ROOT / "test_tipc/configs/ArcFace_MobileFaceNet/train_infer_python.txt"
    maker = setup.tree / "tools/data/make_rec_data.py"
    large = 'LARGE = {"train": None, "test": None, "views": 20, "gallery": 5, "query": 5}'
    text = maker.read_text().replace(large, 'LARGE = {"train": 3, "test": 2, "views": 2, "gallery": 1, "query": 1}')
    assert text != maker.read_text()
    maker.write_text(text)
    run = setup.run(str(chain), MODE, TIPC_PYTHON=sys.executable)
    assert (run.status, run.err) == (0, "")
    assert not (setup.tree / "dataset/rec_stamps").exists()  # lite_data_rec is in the repository
    run = setup.run(str(chain), "whole_train_whole_infer", TIPC_PYTHON=sys.executable)
    assert run.status == 0, run.err
    assert len((setup.tree / "dataset/rec_stamps/train_list.txt").read_text().splitlines()) == 6
    assert not (setup.tree / "dataset/rec_digits").exists()
    digits = setup.notes / "digits.txt"
    digits.write_text(chain.read_text().replace("arcface_stamps", "arcface_digits"))
    assert setup.run(str(digits), "whole_train_whole_infer", TIPC_PYTHON=sys.executable).status == 0
    assert (setup.tree / "dataset/rec_digits/query_list.txt").is_file()
    assert not (setup.tree / "dataset/digits").exists()


def test_provided_weights_at_an_absolute_path(setup, tmp_path):
    (tmp_path / "mine.pdparams").write_bytes(b"weights")
    line = f"pretrained_model_url:{tmp_path}/mine.pdparams"
    (tmp_path / "config.txt").write_text(re.sub("(?m)^pretrained_model_url:.*", line, OFFICIAL.read_text()))
    run = setup.run(str(tmp_path / "config.txt"), "whole_infer", TIPC_PYTHON=sys.executable)
    assert run.status == 0, run.err
