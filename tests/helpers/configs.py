"""Pieces of training configs, and weights whose outputs differ from image to image."""

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.helpers.scripts import LIMIT, ROOT

NETWORK = "MobileNetV3_small_x0_35"  # the fastest one with dropout
NAMES = ("red", "green", "blue")
NORMALIZE = {"scale": "1.0/255.0", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "order": ""}


def write_label_list(folder, names):
    (folder / "label_list.txt").write_text("".join(f"{label} {name}\n" for label, name in enumerate(names)))


def loader_section(dataset, batch_size, shuffle):
    """A part of a config's `DataLoader` for its `dataset`, read in the process itself."""
    sampler = {"name": "DistributedBatchSampler", "batch_size": batch_size, "drop_last": False, "shuffle": shuffle}
    return {"dataset": dataset, "sampler": sampler, "loader": {"num_workers": 0, "use_shared_memory": True}}


def global_section(side, eval_interval):
    """A config's `Global` for a short training on the CPU with images of `side` pixels."""
    return {
        "checkpoints": None,
        "pretrained_model": None,
        "device": "cpu",
        "save_interval": 2,
        "eval_during_train": True,
        "eval_interval": eval_interval,
        "epochs": 4,
        "print_batch_step": 2,
        "seed": 5,
        "image_shape": [3, side, side],
    }


def random_weights(network=NETWORK, class_num=3, seed=3):
    """{name: array} that make outputs differ clearly from image to image, as trained weights do."""
    from ppcls_lite.arch import build_model

    return random_arrays(build_model(network, class_num=class_num), seed)


def random_arrays(model, seed=3):
    """`random_weights` for a network that is built already."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, tensor in model.state_dict().items():
        shape = tensor.shape
        if name.endswith("_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            value = rng.normal(size=shape) * np.sqrt(2 / max(np.prod(shape[1:]) if len(shape) == 4 else shape[0], 1))
        elif name.endswith("weight"):
            value = rng.uniform(0.8, 1.2, shape)
        else:
            value = rng.normal(size=shape) * 0.1
        arrays[name] = value.astype(np.float32)
    return arrays


def save_arrays(arrays, path):
    """Write named arrays as Paddle writes a state dict; returns `path`."""
    import paddle

    paddle.save({name: paddle.to_tensor(array) for name, array in arrays.items()}, str(path))
    return path


class Exported(NamedTuple):
    """A training config (path), the weights that fill its network, and the folder of the exported model."""

    config: Path
    weights: Path
    model: Path


def read_in_every_mode(name):
    """A chain's config as the driver's own functions read it: one line `<mode> <model> <export command>` per mode."""
    script = (
        "set -uo pipefail; source test_tipc/common_func.sh; source test_tipc/lib/train_config.sh; "
        'for mode in "${MODES[@]}"; do '
        f"(RUN[mode]=$mode RUN[config]=test_tipc/configs/{name}/train_infer_python.txt; read_train_config && "
        "{ choose_trainer norm_train || [[ $mode == whole_infer ]]; } && "
        'echo "$mode ${RUN[model]} ${VALUE[norm_export]}") || exit 1; done'
    )
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
