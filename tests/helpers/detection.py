"""A tiny detection set and a config on it, for the tests of detectors."""

import json

import cv2
import numpy as np

from tests.helpers.configs import NETWORK, NORMALIZE, global_section, loader_section, random_arrays, write_label_list
from tests.helpers.scripts import ROOT

NAMES = ("square", "disc", "bar")
SIDE = 64
_DECODE = {"DecodeImage": {"to_rgb": True, "channel_first": False}}
_TARGET = {"Gt2CenterNetTarget": {"down_ratio": 4, "max_objs": 4}}
STILL = [_DECODE, {"DetResize": {"size": SIDE}}, {"NormalizeImage": NORMALIZE}, {"ToCHWImage": None}]
MOVING = [
    _DECODE,
    {"DetFlip": {"prob": 0.5}},
    {"DetColor": {}},
    {"DetScaleCrop": {"size": SIDE, "scale": [0.9, 1.2]}},
    *STILL[2:],
]


def draw(rng, width, height):
    """(BGR image, [(label, [x, y, w, h])]) with one or two bright shapes on noise."""
    image = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
    objects = []
    for x in rng.permutation([4, width // 2])[: rng.integers(1, 3)]:
        label, side = int(rng.integers(len(NAMES))), int(rng.integers(14, 22))
        y, w, h = int(rng.integers(2, height - 24)), side, side // 2 if label == 2 else side
        colour = [0, 0, 0]
        colour[label] = 250
        if label == 1:
            centre, axes = (int(x) + w // 2, y + h // 2), (w // 2 - 1, h // 2 - 1)
            cv2.ellipse(image, centre, axes, 0, 0, 360, colour, -1)
        else:
            image[y : y + h, x : x + w] = colour
        objects.append((label, [int(x), y, w, h]))
    return image, objects


def write_set(folder, counts=(("train", 12), ("val", 5))):
    """Write a COCO set of `counts` images, with category ids 3, 5 and 9, and label names; returns `folder`."""
    rng = np.random.default_rng(11)
    categories = [{"id": number, "name": name} for number, name in zip((3, 5, 9), NAMES)]
    (folder / "annotations").mkdir(parents=True)
    for part, count in counts:
        (folder / part).mkdir()
        images, annotations = [], []
        for index in range(count):
            width, height = ((60, 48), (48, 60), (56, 56))[index % 3]
            image, objects = draw(rng, width, height)
            file = f"{index}.png"
            cv2.imwrite(str(folder / part / file), image)
            images.append({"id": 10 + index, "file_name": file, "width": width, "height": height})
            for label, box in objects:
                ids = {"id": len(annotations) + 1, "image_id": 10 + index, "category_id": categories[label]["id"]}
                annotations.append({**ids, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"annotations/{part}.json").write_text(json.dumps(content))
    write_label_list(folder, NAMES)
    return folder


def _loader(folder, part, ops, batch_size, shuffle):
    dataset = {
        "name": "COCODataSet",
        "dataset_dir": str(folder),
        "image_dir": part,
        "anno_path": f"annotations/{part}.json",
        "transform_ops": [*ops, _TARGET],
    }
    return loader_section(dataset, batch_size, shuffle)


def make_config(folder):
    """A whole training config on the set in `folder`."""
    losses = [{"HeatmapFocalLoss": {"weight": 1.0}}, {"SizeL1Loss": {"weight": 0.1}}, {"OffsetL1Loss": {"weight": 1.0}}]
    return {
        "Global": global_section(SIDE, eval_interval=2),
        "Arch": {
            "name": "CenterNet",
            "class_num": len(NAMES),
            "Backbone": {"name": NETWORK, "pretrained": False},
            "Neck": {"channels": 16},
            "Head": {"channels": 16},
            "max_boxes": 20,
        },
        "Loss": {"Train": losses, "Eval": losses},
        "Optimizer": {"name": "Adam", "lr": {"name": "Cosine", "learning_rate": 0.004, "warmup_epoch": 1}},
        "DataLoader": {
            "Train": _loader(folder, "train", MOVING, 4, True),
            "Eval": _loader(folder, "val", STILL, 2, False),
        },
        "Infer": {
            "infer_imgs": str(folder / "val"),
            "batch_size": 2,
            "transforms": STILL,
            "PostProcess": {
                "name": "DetectionBoxes",
                "threshold": 0.2,
                "class_id_map_file": str(folder / "label_list.txt"),
            },
        },
        "Metric": {"Eval": [{"COCOMetric": {"max_boxes": 20}}]},
    }


def detector_weights(config, seed=3):
    """{name: array} for the config's network, with outputs that differ from image to image as trained ones do."""
    from ppcls_lite.arch.from_config import build_network

    return random_arrays(build_network(config), seed)


LITE = ROOT / "lite_data_det"
