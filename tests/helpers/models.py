"""Ground for the tests of run_all.sh: configs of networks that train in no time, and a copy of the scripts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.helpers.scripts import LIMIT, Outcome

MODE = "lite_train_lite_infer"
# replaces training, export and inference; `fails` and `sleeps` are planted by the tests
SCRIPT = """
import pathlib, sys, time
options = dict(word.split("=", 1) for word in sys.argv if "=" in word)
if "fails" in sys.argv:
    sys.exit("planted failure")
if "sleeps" in sys.argv:
    time.sleep(300)
if "output" in options:
    folder = pathlib.Path(options["output"])
    folder.mkdir(parents=True, exist_ok=True)
    line = "[Train][Epoch 1/1][Iter: {}/2] lr: 0.1, loss: 0.50000, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.2 sec"
    start = "[2022/01/01 00:00:00] ppcls_lite INFO: "
    text = "".join(start + line.format(n) + ", avg_samples: 8, avg_ips: 40 images/sec\\n" for n in (1, 2))
    (folder / "log_train.txt").write_text(text)
    print(text)
    (folder / "latest.pdparams").write_text("weights")
if "save" in options:
    folder = pathlib.Path(options["save"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inference.pdmodel").write_text("model")
"""
CONFIG = """===train_params===
model_name:{name}
python:python3
gpu_list:-1
null:null
epochs:1
output:./out
null:null
null:null
train_model_name:latest
null:null
##
trainer:norm_train
norm_train:fake.py {train}
##
===eval_params===
eval:fake.py
##
===infer_params===
save:./inference
weights:
norm_export:fake.py {export}
##
train_model:null
infer_export:null
##
inference:fake.py
--use_gpu:False
--batch_size:1
--model_dir:./inference
--image:x.jpg
--benchmark:False
"""


class Copy(NamedTuple):
    """A copy of the scripts: its folder, and how to run its run_all.sh."""

    root: Path

    def add(self, name, train="", export=""):
        folder = self.root / "test_tipc/configs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train_infer_python.txt").write_text(CONFIG.format(name=name, train=train, export=export))

    def command(self, *words):
        return ["bash", str(self.root / "test_tipc/run_all.sh"), *words]

    @property
    def environment(self):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TIPC_")}
        return {**inherited, "TIPC_PYTHON": sys.executable}

    def run(self, *words, cwd=None, **more):
        environment = {**self.environment, **more}
        done = subprocess.run(
            self.command(*words), cwd=cwd or self.root, env=environment, capture_output=True, text=True, timeout=LIMIT
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    @property
    def matrix(self):
        return json.loads((self.root / "test_tipc/output/matrix.json").read_text())

    @property
    def rows(self):
        return {row["model"]: row for row in self.matrix["models"]}
