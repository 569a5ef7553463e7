"""The figures of a finished training of a recogniser: retrieval, cost, time on the CPU, and images of neighbours.

The measuring part of tools/tables/rec_table.py; imports Paddle.
"""

import numpy as np

from ppcls_lite.arch.from_config import load_network
from ppcls_lite.data.loader import build_loader
from ppcls_lite.infer.drawing import write_image
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.neighbours import create_predictor, neighbours_picture
from ppcls_lite.train.retrieval import RetrievalEvaluator
from tools.tables.training_evidence import differences, exported, figures_of, median_ms, write_evidence


def measure_training(config, folder, evidence):
    """Figures of one training as a dict, and its evidence written to the folder `evidence`.

    Args:
        config: the training config, with the best weights as `Global.pretrained_model`.
        folder: of the training, with log_train.txt, history.jsonl and best_model.pdparams.
    """
    differs = differences(folder, config, *training_images(config))
    network, shape = load_network(config), config["Global"]["image_shape"]
    results = RetrievalEvaluator(config).run(network)
    evidence.mkdir(parents=True, exist_ok=True)
    with exported(config) as model:
        milliseconds = time_model(model, shape)
        write_image(neighbours_picture(config, create_predictor(config, model)), evidence / "neighbours.jpg")
    figures = figures_of(folder, network.deployed(), shape, results, differs, milliseconds)
    figures["features"] = network.feature_size
    write_evidence(folder, evidence, figures)
    return figures


def training_images(config):
    """(number of training images, the list they are in)."""
    section = config["DataLoader"]["Train"]
    loader = build_loader(section, "Train", 0, where="DataLoader.Train")
    return len(loader.dataset), section["dataset"]["cls_label_path"]


def time_model(model_dir, image_shape):
    """Median milliseconds of the exported model for one image, as people run it: oneDNN, two threads."""
    engine = create_engine(None, model_dir, EngineOptions())
    image = np.random.default_rng(1).normal(size=(1, *image_shape)).astype(np.float32)
    return median_ms(lambda: engine.run(image))
