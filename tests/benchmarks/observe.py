"""What the observer of test_tipc/lib/observe/ costs: the same scripts with it and without it, in turns.

    python tests/benchmarks/observe.py
    python tests/benchmarks/observe.py --size 64 --rounds 9

Three scripts on Paddle's own ResNet50 with weights out of a file: an evaluation of 64 images in batches of 8, the
prediction of one image, and inference of 64 images in batches of 8 by an exported model. Both ways take turns, since a
machine is not equally fast at all times, and the medians of the rounds' ratios count: of the whole script's time, of
its processor time, and of the part behind the imports. Nothing passes or fails here.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
import json, os, sys, time
import numpy as np
import paddle
size, kind = int(sys.argv[1]), sys.argv[2]
begun = time.perf_counter()
rng = np.random.default_rng(0)
images = rng.random((1 if kind == "predict" else 64, 3, size, size), dtype=np.float32)
batches = [images[place : place + 8] for place in range(0, len(images), 8)]
"""
SCRIPTS = {
    "make": """
network = paddle.vision.models.resnet50()
network.eval()
paddle.save(network.state_dict(), "best.pdparams")
os.environ["FLAGS_enable_pir_api"] = "0"
spec = [paddle.static.InputSpec([None, 3, size, size], "float32")]
paddle.jit.save(paddle.jit.to_static(network, input_spec=spec, full_graph=True), "model/inference")
""",
    "evaluate": """
network = paddle.vision.models.resnet50()
network.set_state_dict(paddle.load("best.pdparams"))
network.eval()
with paddle.no_grad():
    for batch in batches:
        network(paddle.to_tensor(batch)).numpy()
""",
    "infer": """
from paddle import inference
path = "model/inference.json" if os.path.exists("model/inference.json") else "model/inference.pdmodel"
config = inference.Config(path, "model/inference.pdiparams")
config.disable_glog_info()
predictor = inference.create_predictor(config)
for batch in batches:
    handle = predictor.get_input_handle(predictor.get_input_names()[0])
    handle.copy_from_cpu(batch)
    predictor.run()
    predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
""",
}
SCRIPTS["predict"] = SCRIPTS["evaluate"]
TAIL = "print(json.dumps(time.perf_counter() - begun))"
MEASURED = ("evaluate", "predict", "infer")


def run(folder, kind, size, observed):
    """(seconds, processor seconds, seconds behind the imports) of one script."""
    environment = {key: value for key, value in os.environ.items() if key != "TIPC_OBSERVE"}
    with tempfile.TemporaryDirectory() as recording:
        if observed:
            library = str(ROOT / "test_tipc/lib/observe")
            environment.update(TIPC_OBSERVE=recording, PYTHONPATH=library)
        clock, before = time.perf_counter(), os.times()
        words = [sys.executable, "-W", "ignore", "-c", HEAD + SCRIPTS[kind] + TAIL, str(size), kind]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        after = os.times()
        processor = sum(after[2:4]) - sum(before[2:4])
        assert len(list(Path(recording).glob("*.jsonl"))) == int(observed)
        return time.perf_counter() - clock, processor, json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{'script':10} {'plain':>8} {'observed':>9}  {'whole':>6} {'processor':>10} {'work':>6}  (observed / plain)")
    with tempfile.TemporaryDirectory() as folder:
        run(folder, "make", args.size, False)
        for kind in MEASURED:
            rounds = []
            for number in range(args.rounds):
                order = (False, True) if number % 2 else (True, False)
                rounds.append({observed: run(folder, kind, args.size, observed) for observed in order})
            plain, seen = (statistics.median(found[way][0] for found in rounds) for way in (False, True))
            ratios = [
                statistics.median(found[True][part] / found[False][part] for found in rounds) for part in range(3)
            ]
            print(
                f"{kind:10} {plain:7.2f}s {seen:8.2f}s  {ratios[0]:6.3f} {ratios[1]:10.3f} {ratios[2]:6.3f}", flush=True
            )


if __name__ == "__main__":
    main()
