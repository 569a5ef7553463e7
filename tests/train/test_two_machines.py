"""Two machines, which are two network namespaces of this one, train as one process does with twice the batch."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ppcls_lite.train.setup import gloo_interface
from tests.helpers.ranks import run_ranks
from tests.helpers.scripts import LIMIT, ROOT, with_library

LAUNCH = [sys.executable, "-m", "paddle.distributed.launch", "--ips={ips}", "--host={host}", "--nproc_per_node=1"]


def on_two_machines(*command):
    done = subprocess.run(
        ["bash", str(ROOT / "tests/two_machines.sh"), *map(str, command)],
        cwd=ROOT,
        # even an empty CUDA_VISIBLE_DEVICES means GPUs to the launcher
        env={key: value for key, value in with_library().items() if key != "CUDA_VISIBLE_DEVICES"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    return done


def test_a_training(plain, write_config, script, tmp_path):
    configs = {}
    for machine in "01":
        plain["Global"]["output_dir"] = str(tmp_path / f"out{machine}")
        configs[machine] = write_config(plain, f"config{machine}.yaml")
    words = [f"--log_dir={tmp_path}/log{{machine}}", script, f"{tmp_path}/config{{machine}}.yaml", "none"]
    done = on_two_machines(*LAUNCH, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    plain["Global"]["output_dir"] = str(tmp_path / "alone")
    plain["DataLoader"]["Train"]["sampler"]["batch_size"] *= 2
    (alone,) = run_ranks(script, write_config(plain, "alone.yaml"), "none", world=1)
    assert alone.status == 0, alone
    first, second, single = (np.load(tmp_path / name) for name in ("out0/end0.npz", "out1/end1.npz", "alone/end0.npz"))
    for name in single.files:
        assert np.array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], single[name], rtol=0, atol=1e-5)
    # the first machine has the checkpoints, and each its log
    assert (tmp_path / "out0/latest.pdparams").is_file()
    assert sorted(path.name for path in (tmp_path / "out1").iterdir()) == ["end1.npz", "log_train_rank1.txt"]
    # the machine's own name points to no address of it: the processes find their interface themselves
    assert "batch size 3 x 2" in (tmp_path / "out0/log_train.txt").read_text()


def test_a_machine_that_fails_ends_both(tmp_path):
    script = "import os, sys, time; sys.exit(3) if os.environ['MACHINE'] == '1' else time.sleep(600)"
    done = on_two_machines("env", "MACHINE={machine}", sys.executable, "-c", script)
    assert done.returncode == 3
    assert "tipc_" not in subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout


def test_a_prediction(exported, tmp_path):
    settings = {"inference_model_dir": exported.model, "infer_imgs": ROOT / "test_images", "use_gpu": False}
    settings.update(save_file=tmp_path / "saved{machine}.jsonl", enable_mkldnn=False)
    options = [word for key, value in settings.items() for word in ("-o", f"Global.{key}={value}")]
    script = [ROOT / "deploy/python/predict_cls.py", "-c", ROOT / "deploy/configs/inference_cls.yaml"]
    done = on_two_machines(*LAUNCH, f"--log_dir={tmp_path}/log{{machine}}", *script, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in (tmp_path / "saved0.jsonl").read_text().splitlines()]
    names = sorted(path.name for path in (ROOT / "test_images").glob("*.jpg"))
    assert [line["file_name"].rpartition("/")[2] for line in lines] == names
    assert not (tmp_path / "saved1.jsonl").exists()


def test_the_interface_of_an_address():
    launched = {"PADDLE_DISTRI_BACKEND": "gloo", "PADDLE_CURRENT_ENDPOINT": "127.0.0.1:6070"}
    assert gloo_interface(launched) == {"GLOO_SOCKET_IFNAME": "lo"}
    assert gloo_interface({**launched, "PADDLE_CURRENT_ENDPOINT": "192.0.2.1:6070"}) == {}  # of no machine
    assert gloo_interface({**launched, "GLOO_SOCKET_IFNAME": "eth7"}) == {}
    assert gloo_interface({**launched, "PADDLE_DISTRI_BACKEND": "auto"}) == {}
