"""The figures of a finished training of a detector: accuracy, cost, time on the CPU, and images of its predictions.

The measuring part of tools/tables/det_table.py; imports Paddle.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from ppcls_lite.arch.from_config import class_count, load_network
from ppcls_lite.arch.summary import count_flops, count_parameters
from ppcls_lite.data.detection.coco_file import read_coco
from ppcls_lite.data.loader import build_loader
from ppcls_lite.infer.detect import DetectionPredictor, create_detector, run_detector
from ppcls_lite.infer.drawing import draw_boxes, write_image
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.export import export
from ppcls_lite.infer.images import DetectorImage
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.train import history as history_files
from ppcls_lite.train.evaluate import Evaluator
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO

RUNS, WARM_UP = 60, 10
_IMAGES, _COLUMNS, _CELL = 12, 4, 352  # of the drawing of predictions; a cell's side in pixels
_MILLION = 1e6


def measure_training(config, folder, evidence):
    """Figures of one training as a dict, and its evidence written to the folder `evidence`.

    Args:
        config: the training config, with the best weights as `Global.pretrained_model`.
        folder: of the training, with log_train.txt, history.jsonl and best_model.pdparams.
    """
    log_file, history = Path(folder) / "log_train.txt", Path(folder) / history_files.NAME
    differs = differences(history, config)
    network = load_network(config)
    section = config["DataLoader"]["Eval"]
    loader = build_loader(section, "Eval", 0, class_num=class_count(config), where="DataLoader.Eval")
    results = Evaluator(config, loader).run(network)
    everything, _ = count_parameters(network)
    evidence.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as model:
        export({**config, "Global": {**config["Global"], "save_inference_dir": model}})
        milliseconds = time_model(model, config["Global"]["image_shape"])
        draw_predictions(config, model, evidence / "predictions.jpg")
    for file in (log_file, history):
        shutil.copyfile(file, evidence / file.name)
    command = [sys.executable, REPO / "test_tipc/lib/curves.py", log_file, evidence / "curves.png", evidence.name]
    subprocess.run(list(map(str, command)), check=True)
    figures = {
        **{name: round(figure, 5) for name, figure in results.items()},
        "differs": differs,
        "params_m": round(everything / _MILLION, 4),
        "flops_m": round(count_flops(network, config["Global"]["image_shape"][-1]) / _MILLION, 3),
        "cpu_ms": round(milliseconds, 2),
        "file_mb": round(Path(folder, "best_model.pdparams").stat().st_size / _MILLION, 2),
    }
    with open(evidence / "training.json", "w", encoding="utf-8") as stream:
        json.dump(figures, stream, indent=1)
        stream.write("\n")
    return figures


def differences(history, config):
    """The settings in which the training with the file `history` differs from the config ("seed 6"), or "-".

    Raises UserError for a training on another number of images: its row would be beside those of another data set.
    """
    start = history_files.last_start(history)
    dataset, sampler = (config["DataLoader"]["Train"][key] for key in ("dataset", "sampler"))
    images = len(read_coco(Path(dataset["dataset_dir"], dataset["anno_path"]), bad_boxes="skip").images)
    if start["images"] != images:
        raise UserError(
            f"{history}: the training had {start['images']} images, and {dataset['dataset_dir']} has {images}: "
            "train again on these"
        )
    settings = config["Global"]
    expected = {key: settings[key] for key in ("epochs", "seed")}
    expected.update(batch_size=sampler["batch_size"], world_size=1)
    shown = [f"{key.replace('_', ' ')} {start[key]}" for key, value in expected.items() if start[key] != value]
    return ", ".join(shown) or "-"


def time_model(model_dir, image_shape):
    """Median milliseconds of the exported model for one image, as people run it: oneDNN, two threads."""
    engine = create_detector(None, model_dir, EngineOptions())
    image = np.random.default_rng(1).normal(size=image_shape).astype(np.float32)
    probe = DetectorImage(image, np.ones(2, np.float32), tuple(image_shape[:0:-1]))
    seconds = []
    for run in range(RUNS + WARM_UP):
        clock = time.perf_counter()
        run_detector(engine, [probe])
        if run >= WARM_UP:
            seconds.append(time.perf_counter() - clock)
    return 1000 * statistics.median(seconds)


def draw_predictions(config, model_dir, path):
    """A JPEG of the first validation images with the exported model's boxes."""
    images = task_of(config).labelled_images(config, None)[0][:_IMAGES]
    predictor = DetectionPredictor(create_detector(None, model_dir), *build_processing(model_dir))
    cells = []
    for path_of_image in images:
        ((_, result),) = next(predictor.predict(path_of_image))
        image = cv2.imread(str(path_of_image))
        scale = _CELL / max(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        scaled = {**result, "boxes": (np.array(result["boxes"]).reshape(-1, 4) * scale).tolist()}
        cell = np.full((_CELL, _CELL, 3), 255, np.uint8)
        cell[: image.shape[0], : image.shape[1]] = draw_boxes(image, scaled)
        cells.append(cell)
    cells += [np.full((_CELL, _CELL, 3), 255, np.uint8)] * (-len(cells) % _COLUMNS)
    rows = [np.hstack(cells[start : start + _COLUMNS]) for start in range(0, len(cells), _COLUMNS)]
    write_image(np.vstack(rows), path)


def describe_schedule(config):
    """The schedule that all trainings share, in one sentence."""
    lr, sampler = config["Optimizer"]["lr"], config["DataLoader"]["Train"]["sampler"]
    height, width = config["Global"]["image_shape"][1:]
    return (
        f"All trained from scratch with the same schedule: images of {width}x{height}, {config['Global']['epochs']} "
        f"epochs, batch size {sampler['batch_size']}, {config['Optimizer']['name']} with a {lr['name'].lower()} rate "
        f"from {lr['learning_rate']:g}, seed {config['Global']['seed']}."
    )
