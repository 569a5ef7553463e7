"""The curves of a training that has ended: `curves.png` beside its history."""

import importlib.util
from pathlib import Path

import paddle

from ppcls_lite.train.draw import draw_curves
from ppcls_lite.train.history_file import NAME as HISTORY
from ppcls_lite.train.history_file import HistoryError, read_points
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import logger

NAME = "curves.png"


def write_curves(config):
    """Draw the history in the config's output folder. Where that cannot be done, the log says why: the training is
    done. Of several processes the first one draws."""
    if paddle.distributed.get_rank() > 0:
        return
    folder = Path(config["Global"].get("output_dir") or "./output")
    image = folder / NAME
    if importlib.util.find_spec("matplotlib") is None:
        logger.info(f"without {image}, since matplotlib is not installed")
        return
    try:
        points = read_points(folder / HISTORY)
        with atomic_write(image, "wb") as stream:
            draw_curves(points, stream, (config.get("Arch") or {}).get("name"))
    except HistoryError as error:
        logger.warning(f"without {image}: {error}")
    except OSError as error:
        logger.warning(f"{image}: cannot be written ({error.strerror})")
