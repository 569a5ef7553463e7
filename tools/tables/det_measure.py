"""What a finished training of a detector came to: accuracy, cost, time on the CPU, and pictures of its predictions.

The measuring part of tools/tables/det_table.py; imports Paddle.
"""

import json
import re
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
from ppcls_lite.infer.detect import (
    DetectionPredictor,
    Picture,
    create_detector,
    draw_boxes,
    run_detector,
    write_picture,
)
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.export import export
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.train.evaluate import Evaluator
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO

RUNS, WARM_UP = 60, 10
_PICTURES, _COLUMNS, _CELL = 12, 4, 352  # of the picture of predictions; a cell's side in pixels
_MILLION = 1e6
_BEGINNING = re.compile(r"epochs \d+ to (\d+) of (\d+) iterations, batch size (\d+) x 1, seed (\d+)")


def measure_training(config, folder, evidence):
    """Figures of one training as a dict, and its evidence written to the folder `evidence`.

    Args:
        config: the training config, with the best weights as `Global.pretrained_model`.
        folder: of the training, with log_train.txt and best_model.pdparams.
    """
    log_file = Path(folder) / "log_train.txt"
    differs = differences(log_file, config)
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
    shutil.copyfile(log_file, evidence / "log_train.txt")
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


def differences(log_file, config):
    """What the training that wrote `log_file` did otherwise than the config says, or "-".

    Raises UserError for a log of another number of pictures: its row would be beside those of another data set.
    """
    found = _BEGINNING.findall(Path(log_file).read_text(encoding="utf-8"))
    if not found:
        raise UserError(f"{log_file}: no line says how the training began")
    epochs, iterations, batch_size, seed = map(int, found[-1])
    dataset, sampler = (config["DataLoader"]["Train"][key] for key in ("dataset", "sampler"))
    pictures = len(read_coco(Path(dataset["dataset_dir"], dataset["anno_path"]), bad_boxes="skip").images)
    if iterations not in (pictures // batch_size, -(-pictures // batch_size)):  # without or with an incomplete batch
        raise UserError(
            f"{log_file}: {iterations} iterations of {batch_size} are not one epoch of the {pictures} pictures in "
            f"{dataset['dataset_dir']}: train again on these"
        )
    settings = config["Global"]
    wanted = {"epochs": settings["epochs"], "batch size": sampler["batch_size"], "seed": settings["seed"]}
    shown = [f"{name} {value}" for name, value in zip(wanted, (epochs, batch_size, seed)) if value != wanted[name]]
    return ", ".join(shown) or "-"


def time_model(model_dir, image_shape):
    """Median milliseconds of the exported model for one image, as people run it: oneDNN, two threads."""
    engine = create_detector(None, model_dir, EngineOptions())
    image = np.random.default_rng(1).normal(size=image_shape).astype(np.float32)
    picture = Picture(image, np.ones(2, np.float32), tuple(image_shape[:0:-1]))
    seconds = []
    for run in range(RUNS + WARM_UP):
        clock = time.perf_counter()
        run_detector(engine, [picture])
        if run >= WARM_UP:
            seconds.append(time.perf_counter() - clock)
    return 1000 * statistics.median(seconds)


def draw_predictions(config, model_dir, path):
    """A JPEG of the first validation pictures with the exported model's boxes."""
    images = task_of(config).labelled_images(config, None)[0][:_PICTURES]
    predictor = DetectionPredictor(create_detector(None, model_dir), *build_processing(model_dir))
    cells = []
    for image in images:
        ((_, result),) = next(predictor.predict(image))
        picture = cv2.imread(str(image))
        scale = _CELL / max(picture.shape[:2])
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        scaled = {**result, "boxes": (np.array(result["boxes"]).reshape(-1, 4) * scale).tolist()}
        cell = np.full((_CELL, _CELL, 3), 255, np.uint8)
        cell[: picture.shape[0], : picture.shape[1]] = draw_boxes(picture, scaled)
        cells.append(cell)
    cells += [np.full((_CELL, _CELL, 3), 255, np.uint8)] * (-len(cells) % _COLUMNS)
    rows = [np.hstack(cells[start : start + _COLUMNS]) for start in range(0, len(cells), _COLUMNS)]
    write_picture(np.vstack(rows), path)


def describe_schedule(config):
    """The schedule that all trainings share, in one sentence."""
    lr, sampler = config["Optimizer"]["lr"], config["DataLoader"]["Train"]["sampler"]
    height, width = config["Global"]["image_shape"][1:]
    return (
        f"All trained from scratch with the same schedule: images of {width}x{height}, {config['Global']['epochs']} "
        f"epochs, batch size {sampler['batch_size']}, {config['Optimizer']['name']} with a {lr['name'].lower()} rate "
        f"from {lr['learning_rate']:g}, seed {config['Global']['seed']}."
    )
