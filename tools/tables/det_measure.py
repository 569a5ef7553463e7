"""The figures of a finished training of a detector: accuracy, cost, time on the CPU, and images of its predictions.

The measuring part of tools/tables/det_table.py; imports Paddle.
"""

from pathlib import Path

import cv2
import numpy as np

from ppcls_lite.arch.from_config import class_count, load_network
from ppcls_lite.data.detection.coco_file import read_coco
from ppcls_lite.data.loader import build_loader
from ppcls_lite.infer.detect import DetectionPredictor, create_detector, run_detector
from ppcls_lite.infer.drawing import draw_boxes, write_image
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.images import DetectorImage
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.train.evaluate import Evaluator
from tools.tables.training_evidence import differences, exported, figures_of, median_ms, write_evidence

_IMAGES, _COLUMNS, _CELL = 12, 4, 352  # of the drawing of predictions; a cell's side in pixels


def measure_training(config, folder, evidence):
    """Figures of one training as a dict, and its evidence written to the folder `evidence`.

    Args:
        config: the training config, with the best weights as `Global.pretrained_model`.
        folder: of the training, with log_train.txt, history.jsonl and best_model.pdparams.
    """
    differs = differences(folder, config, *training_images(config))
    network, shape = load_network(config), config["Global"]["image_shape"]
    section = config["DataLoader"]["Eval"]
    loader = build_loader(section, "Eval", 0, class_num=class_count(config), where="DataLoader.Eval")
    results = Evaluator(config, loader).run(network)
    evidence.mkdir(parents=True, exist_ok=True)
    with exported(config) as model:
        milliseconds = time_model(model, shape)
        draw_predictions(config, model, evidence / "predictions.jpg")
    figures = figures_of(folder, network, shape, results, differs, milliseconds)
    write_evidence(folder, evidence, figures)
    return figures


def training_images(config):
    """(number of training images, the folder they are in)."""
    dataset = config["DataLoader"]["Train"]["dataset"]
    path = Path(dataset["dataset_dir"], dataset["anno_path"])
    return len(read_coco(path, bad_boxes="skip").images), dataset["dataset_dir"]


def time_model(model_dir, image_shape):
    """Median milliseconds of the exported model for one image, as people run it: oneDNN, two threads."""
    engine = create_detector(None, model_dir, EngineOptions())
    image = np.random.default_rng(1).normal(size=image_shape).astype(np.float32)
    probe = DetectorImage(image, np.ones(2, np.float32), tuple(image_shape[:0:-1]))
    return median_ms(lambda: run_detector(engine, [probe]))


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
