"""Keep the evidence of a passed run of a chain under test_log/<model>/, for reviewers.

    python test_tipc/lib/evidence.py test_tipc/output/MobileNetV3_small_x1_0/lite_train_lite_infer \\
        --model MobileNetV3_small_x1_0 --mode lite_train_lite_infer --renew

Copies log_train.txt, the logs of both engines' predictions and of the comparison, and the summary, and draws loss and
accuracy as curves (where Matplotlib is installed); for a service, the logs of server and clients, a request and its
answers. Existing evidence is kept unless --renew is given. Modes other than lite_train_lite_infer have their own folder
below test_log/<model>/.
Exit code: 0 kept or written, 1 the run left no training log, or none of a server.
"""

import argparse
import importlib.util
import shutil
import tempfile
from pathlib import Path

from curves import draw_curves
from script import ROOT, UserError, run_main
from train_log import read_train_log

# the name under test_log/ and the pattern of the run's own log
LOGS = {
    "log_train.txt": "*/log_train.txt",
    "predict_training_engine.log": "*_predict.log",
    "predict_inference_engine.log": "python_infer_*.log",
    "evaluate.log": "*_eval.log",
    "agree.log": "*_agree.log",
    "summary.json": "summary.json",
}
SERVING_LOGS = {
    "python_server.log": "python_server_*.log",
    "client_http.log": "python_client_*http_batchsize_1.log",
    "client_grpc.log": "python_client_*rpc_batchsize_1.log",
    "client_http_4_images.log": "python_client_*http_batchsize_4.log",
    "request.json": "request_*_http_1.json",
    "answers.json": "answers_*_http_1.json",
    "agree.log": "agree_*.log",
    "summary.json": "summary.json",
}
MAIN_MODE = "lite_train_lite_infer"
SERVING = "serving"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mode", required=True)
    parser.add_argument("--to", type=Path, default=ROOT / "test_log")
    parser.add_argument("--renew", action="store_true")
    args = parser.parse_args()
    target = args.to / args.model
    if args.mode != MAIN_MODE or (target / "training.json").is_file():  # the folder holds a whole training already
        target = target / args.mode
    shown = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    needed, logs = ("python_server.log", SERVING_LOGS) if args.mode == SERVING else ("log_train.txt", LOGS)
    if (target / needed).is_file() and not args.renew:
        print(f"evidence: {shown} is kept as it is; --evidence renews it")
        return
    found = {name: sorted(args.folder.glob(pattern))[:1] for name, pattern in logs.items()}
    if not found[needed]:
        raise UserError(f"{args.folder}: no {Path(logs[needed]).name} to keep")
    curves = None if args.mode == SERVING else read_train_log(found[needed][0])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".evidence.", dir=target) as fresh:
        fresh = Path(fresh)
        for name, paths in found.items():
            for path in paths:
                shutil.copyfile(path, fresh / name)
        if curves and not importlib.util.find_spec("matplotlib"):
            print("evidence: without curves, since matplotlib is not installed")
        elif curves:
            draw_curves(curves, fresh / "curves.png", f"{args.model}, {args.mode}")
        for path in fresh.iterdir():
            path.replace(target / path.name)
    print(f"evidence: {shown}")


if __name__ == "__main__":
    run_main(main)
