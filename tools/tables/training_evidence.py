"""The figures and the evidence of a finished training that do not depend on its task; imports Paddle.

What tools/tables/det_measure.py and rec_measure.py have in common.
"""

import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ppcls_lite.arch.summary import count_flops, count_parameters
from ppcls_lite.infer.export import export
from ppcls_lite.train import history as history_files
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO

RUNS, WARM_UP = 60, 10
_MILLION = 1e6


@contextlib.contextmanager
def exported(config):
    """The folder of the config's network as it is exported; it is gone when the block ends."""
    with tempfile.TemporaryDirectory() as model:
        export({**config, "Global": {**config["Global"], "save_inference_dir": model}})
        yield model


def median_ms(run):
    """Median milliseconds of the call `run()`, after some that do not count."""
    seconds = []
    for number in range(RUNS + WARM_UP):
        clock = time.perf_counter()
        run()
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - clock)
    return 1000 * statistics.median(seconds)


def figures_of(folder, network, image_shape, results, differs, milliseconds):
    """The figures of a row: the `results` of the evaluation, and what `network`, the deployed one, costs."""
    everything, _ = count_parameters(network)
    return {
        **{name: round(figure, 5) for name, figure in results.items()},
        "differs": differs,
        "params_m": round(everything / _MILLION, 4),
        "flops_m": round(count_flops(network, image_shape[-1]) / _MILLION, 3),
        "cpu_ms": round(milliseconds, 2),
        "file_mb": round(Path(folder, "best_model.pdparams").stat().st_size / _MILLION, 2),
    }


def write_evidence(folder, evidence, figures):
    """Log, history, curves and figures of the training in `folder`, to the folder `evidence`."""
    log_file, history = Path(folder) / "log_train.txt", Path(folder) / history_files.NAME
    for file in (log_file, history):
        shutil.copyfile(file, evidence / file.name)
    command = [sys.executable, REPO / "test_tipc/lib/curves.py", log_file, evidence / "curves.png", evidence.name]
    subprocess.run(list(map(str, command)), check=True)
    with open(evidence / "training.json", "w", encoding="utf-8") as stream:
        json.dump(figures, stream, indent=1)
        stream.write("\n")


def differences(folder, config, images, place):
    """The settings in which the training in `folder` differs from the config ("seed 6"), or "-".

    Raises UserError for a training on another number of images than the `images` of `place`: its row would be beside
    those of another data set.
    """
    history = Path(folder) / history_files.NAME
    start = history_files.last_start(history)
    if start["images"] != images:
        raise UserError(
            f"{history}: the training had {start['images']} images, and {place} has {images}: train again on these"
        )
    settings = config["Global"]
    expected = {key: settings[key] for key in ("epochs", "seed")}
    expected.update(batch_size=config["DataLoader"]["Train"]["sampler"]["batch_size"], world_size=1)
    shown = [f"{key.replace('_', ' ')} {start[key]}" for key, value in expected.items() if start[key] != value]
    return ", ".join(shown) or "-"


def describe_schedule(config):
    """The schedule that all trainings share, in one sentence."""
    lr, sampler = config["Optimizer"]["lr"], config["DataLoader"]["Train"]["sampler"]
    height, width = config["Global"]["image_shape"][1:]
    return (
        f"All trained from scratch with the same schedule: images of {width}x{height}, {config['Global']['epochs']} "
        f"epochs, batch size {sampler['batch_size']}, {config['Optimizer']['name']} with a {lr['name'].lower()} rate "
        f"from {lr['learning_rate']:g}, seed {config['Global']['seed']}."
    )
