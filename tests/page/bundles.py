"""Write small bundles as chains leave them."""

import json

TAG = "norm_train_gpus_-1_autocast_null_nodes_1"
HEADER = "# command: {}\n# folder: {}\n# versions: Python 3.11.7, paddlepaddle 3.1.1\n# commit: 0123456789ab (clean tree)\n"
TRAIN = "[Train][Epoch {}/4][Iter: {}/30] loss: {:.5f}, avg_reader_cost: 0.001 sec, avg_batch_cost: 0.250 sec\n"
EVAL = "[Eval][Epoch {}] loss: 1.0, top1: {:.5f}, top5: 0.9\n"
PREDICTED = (
    "[{'class_ids': [2, 0, 1], 'scores': [0.7, 0.2, 0.1], 'file_name': 'images/cat.png', 'label_names': ['cat', 'dog', 'cow']}, "
    "{'class_ids': [0, 2, 1], 'scores': [0.6, 0.3, 0.1], 'file_name': 'images/dog.png', 'label_names': ['dog', 'cat', 'cow']}]\n"
)
INFERRED = (
    "cat.png: class id(s): [2, 0, 1], score(s): [0.70, 0.20, 0.10], label_name(s): ['cat', 'dog', 'cow']\n"
    "dog.png: class id(s): [0, 2, 1], score(s): [0.60, 0.30, 0.10], label_name(s): ['dog', 'cat', 'cow']\n"
)
AGREED = (
    "strict: largest difference 0 (bitwise equality required), 2 of 2 images bitwise equal: agrees\n"
    "usual_onednn: largest difference 8.94e-07 (at most 0.0001 allowed), 0 of 2 images bitwise equal: agrees\n"
)
OBSERVED = (
    "preprocessing: bitwise equal for 2 of 2 images: agrees\n"
    "network: bitwise equal for 32 images of evaluate and 2 images of predict: agrees\n"
    "engine cpu usemkldnn_True: largest difference 6.56e-07 (at most 0.0001 allowed), 2 images with the same top-5: agrees\n"
)


def train_log(fall=0.4):
    """A training of 120 iterations, with two evaluations."""
    text = ""
    for epoch in range(1, 5):
        for iteration in (10, 20, 30):
            text += TRAIN.format(epoch, iteration, 2 - fall * (epoch - 1) / 3 - iteration / 1000)
        if epoch % 2 == 0:
            text += EVAL.format(epoch, epoch / 10)
    return text


def step(name, log=None, **more):
    """One of the steps of a bundle."""
    usual = {"tag": TAG, "result": "passed", "reason": "", "seconds": 1.5, "figure": "", "engines": [], "facts": {}}
    usual.update({"command": None, "folder": None, "started": None, "ended": None})
    return {"name": name, "log": log, **usual, **more}


def steps():
    infer = "python python/predict_cls.py -o Global.infer_imgs=../images"
    settings = [{"name": "oneDNN", "requested": "on", "in_effect": "off", "why": "no AVX2"}]
    return [
        step("prepare", tag=""),
        step("train", tag="norm_train_gpus_0", result="skipped", reason="there is no GPU", seconds=0.0),
        step("train", "log_train.txt", figure="final loss 1.57", command="python tools/train.py -c net.yaml", folder="."),
        step("evaluate", "evaluate.log", figure="top1: 0.35417", command="python tools/eval.py", folder="."),
        step("predict", "predict_training_engine.log", command="python tools/infer.py -o Infer.infer_imgs=images", folder="."),
        step(
            "infer cpu usemkldnn_True",
            "predict_inference_engine.log",
            command=infer,
            folder="deploy",
            engines=[{"engine": "paddle", "settings": settings}],
        ),
        step("agree observed", "agree_observed.log", figure="engine 6.56e-07"),
        step("agree", "agree.log", figure="strict 0"),
    ]


def content(model="Net"):
    """What bundle.json has."""
    return {
        "format": 1,
        "model": model,
        "mode": "lite_train_lite_infer",
        "tag": TAG,
        "chain": "train_inference_python",
        "verdict": {
            "passed": True,
            "compared": True,
            "whole": True,
            "sentence": "passed: 7 steps, and all predictions agree",
        },
        "config": {
            "path": "net.txt",
            "sha256": "12" * 32,
            "lines": [{"line": 1, "section": "train_params", "key": "model_name", "value": model}],
        },
        "project": {"commit": "0123456789ab", "clean": True},
        "tool": {"commit": None, "clean": None, "files": "ba9876543210"},
        "machine": {
            "processor": "AMD EPYC",
            "cores": 2,
            "memory_gib": 7.6,
            "gpus": [],
            "driver": None,
            "system": "Linux 6.1 x86_64",
            "environment": {"MKL_DEBUG_CPU_TYPE": "5"},
        },
        "versions": {"python": "3.11.7", "paddlepaddle": "3.1.1"},
        "started": "2026-11-26T07:44:00+00:00",
        "ended": "2026-11-26T07:46:46+00:00",
        "seeds": {"Global.seed": 2022},
        "steps": steps(),
        "inputs": {"hash": "69cd0d7c09a5", "file": None},
        "lineage": [
            {"id": "data", "kind": "data", "name": "train.txt", "path": "d/train.txt", "sha256": "34" * 32, "of": [], "link": "a"},
            {"id": "weights", "kind": "weights", "name": "best", "path": None, "sha256": "56" * 32, "of": ["data"], "link": "b"},
        ],
        "predictions": [
            {
                "file": "predict_training_engine.log",
                "engine": "training engine",
                "step": "predict",
                "kind": "classes",
                "exact": False,
                "images": 2,
                "against": None,
                "limit": None,
            },
            {
                "file": "predictions/onednn.json",
                "engine": "Paddle Inference, oneDNN on",
                "step": "infer cpu usemkldnn_True",
                "kind": "classes",
                "exact": True,
                "images": 2,
                "against": "predict_training_engine.log",
                "limit": 0.0001,
            },
        ],
        "figures": {"evaluate": {"top1": 0.35417}},
        "sources": [{"path": "images/SOURCES.md", "sha256": "78" * 32}],
        "files": {"agree.log": {"sha256": "9a" * 32, "bytes": 123}},
    }


def write_bundle(folder, model="Net"):
    """Write the files of a bundle, and return the folder."""
    (folder / "predictions").mkdir(parents=True)
    exact = {
        "cat.png": [[2, 0.70000123], [0, 0.19999877], [1, 0.1]],
        "dog.png": [[0, 0.6], [2, 0.3], [1, 0.1]],
    }
    files = {
        "log_train.txt": train_log(),
        "evaluate.log": HEADER.format("python tools/eval.py", ".") + "top1: 0.35417\n",
        "predict_training_engine.log": HEADER.format("python tools/infer.py", ".") + PREDICTED,
        "predict_inference_engine.log": HEADER.format("python predict_cls.py", "deploy") + INFERRED,
        "agree_observed.log": HEADER.format("python agree.py", ".") + OBSERVED,
        "agree.log": HEADER.format("python compare.py", ".") + AGREED,
        "predictions/onednn.json": json.dumps(
            {"images": {name: {"kind": "classes", "rows": rows} for name, rows in exact.items()}}
        ),
        "bundle.json": json.dumps(content(model), indent=1),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder
