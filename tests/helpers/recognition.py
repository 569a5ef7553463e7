"""Small recognitions for tests: a tiny set of identities with a RecModel on it, and one on the tiny classification."""

import copy

import cv2
import numpy as np

from tests.helpers.configs import NETWORK, NORMALIZE, global_section, loader_section, random_arrays

SIZE = 8  # features
SCOPES = [
    {"Momentum": {"scope": "RecModel", "momentum": 0.9, "lr": {"name": "Cosine", "learning_rate": 0.002}}},
    {"SGD": {"scope": "CenterLoss", "lr": {"name": "ConstLR", "learning_rate": 20.0}}},
]
SIDE = 32
NAMES = ("ash", "birch", "cedar", "drift wood")  # the identities of the test images; one has a blank in its name
STILL = [
    {"DecodeImage": {"to_rgb": True, "channel_first": False}},
    {"ResizeImage": {"size": SIDE}},
    {"NormalizeImage": NORMALIZE},
    {"ToCHWImage": None},
]


def write_rec_set(folder, views=4):
    """Write `views` images of each of three identities for training and of four others; returns `folder`.

    The lists are train_list.txt, query_list.txt, gallery_list.txt (`path label`), and data_file.txt (`path<TAB>name`)
    for build_gallery.py.
    """
    rng = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    lists = {"train_list": [], "query_list": [], "gallery_list": [], "data_file": []}
    for label in range(3 + len(NAMES)):
        base = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)  # each identity is a pattern of its own
        for view in range(views):
            image = cv2.resize(base, (40, 36), interpolation=cv2.INTER_CUBIC).astype(np.int64)
            image = np.clip(image + rng.integers(-25, 25, image.shape), 0, 255).astype(np.uint8)
            path = f"images/{label}_{view}.png"
            cv2.imwrite(str(folder / path), image)
            if label < 3:
                lists["train_list"].append(f"{path} {label}")
                continue
            part = "query_list" if view == 0 else "gallery_list"
            lists[part].append(f"{path} {label}")
            if part == "gallery_list":
                lists["data_file"].append(f"{path}\t{NAMES[label - 3]}")
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder


def _loader(folder, part, batch_size, shuffle=False):
    names = {"image_root": str(folder), "cls_label_path": str(folder / f"{part}_list.txt")}
    dataset = {"name": "ImageNetDataset", **names, "transform_ops": STILL[:-1]}
    return loader_section(dataset, batch_size, shuffle)


def make_rec_config(folder):
    """A whole training config of a small RecModel on the set in `folder`, without a section `Infer`."""
    return {
        "Global": {**global_section(SIDE, 1), "eval_mode": "retrieval"},
        "Arch": {
            "name": "RecModel",
            "Backbone": {"name": "MobileNetV1_x0_25", "pretrained": False},
            "BackboneStopLayer": {"name": "flatten"},
            "Neck": {"name": "FC", "embedding_size": 256, "class_num": 16},
            "Head": {"name": "ArcMargin", "embedding_size": 16, "class_num": 3, "margin": 0.2, "scale": 16},
        },
        "Loss": {"Train": [{"CELoss": {"weight": 1.0}}]},
        "Optimizer": {"name": "Momentum", "momentum": 0.9, "lr": {"name": "Constant", "learning_rate": 0.01}},
        "DataLoader": {
            "Train": _loader(folder, "train", 4, shuffle=True),
            "Eval": {"Query": _loader(folder, "query", 4), "Gallery": _loader(folder, "gallery", 4)},
        },
        "Metric": {"Eval": [{"Recallk": {"topk": [1, 2]}}, {"mAP": {}}]},
    }


def recognizer_weights(content, seed=3):
    """{name: array} that make the embeddings of different images clearly different: their mean, over the images of the
    training, is taken off."""
    import paddle

    from ppcls_lite.arch.from_config import build_network
    from ppcls_lite.data.dataset import ImageNetDataset

    network = build_network(content)
    arrays = random_arrays(network, seed)
    arrays["neck.fc.bias"][:] = 0
    network.set_state_dict(arrays)
    network.eval()
    section = content["DataLoader"]["Train"]["dataset"]
    images = ImageNetDataset(section["image_root"], section["cls_label_path"], section["transform_ops"])
    with paddle.no_grad():
        features = network(paddle.to_tensor(np.stack([images[0, number][0] for number in range(len(images))])))
    arrays["neck.fc.bias"][:] = -features["features"].numpy().mean(axis=0)
    return arrays


def as_recognition(config):
    """`config` of tests/conftest.py as one of a RecModel with three losses; 7 queries, and 14 images in the gallery."""
    config["Global"].update(eval_mode="retrieval")
    config["Arch"] = {
        "name": "RecModel",
        "infer_output_key": "features",
        "infer_add_softmax": False,
        "Backbone": {"name": NETWORK},
        "BackboneStopLayer": {"name": "flatten"},
        "Neck": {"name": "FC", "class_num": SIZE},
        "Head": {"name": "ArcMargin", "embedding_size": SIZE, "class_num": 3, "margin": 0.2, "scale": 16},
    }
    config["Loss"]["Train"] = [
        {"CELoss": {"weight": 1.0}},
        {"TripletLossV2": {"weight": 1.0, "margin": 0.5}},
        {"CenterLoss": {"weight": 0.01, "num_classes": 3, "feat_dim": SIZE}},
    ]
    config["Optimizer"]["lr"].update(learning_rate=0.002)
    data = config["DataLoader"]
    data["Train"]["sampler"] = {"name": "PKSampler", "batch_size": 6, "sample_per_id": 2, "drop_last": True}
    gallery = copy.deepcopy(data["Eval"])
    gallery["dataset"]["cls_label_path"] = data["Train"]["dataset"]["cls_label_path"]
    data["Eval"] = {"Query": data["Eval"], "Gallery": gallery}
    config["Metric"]["Eval"] = [{"Recallk": {"topk": [1, 5]}}, {"mAP": {}}]
    config.pop("Infer")
    return config


def features_of(network, images):
    """What the last layer of a classifier takes, [N, F]."""
    for node in network.trunk:
        images = node.layer(images)
    return network.embed(images)
