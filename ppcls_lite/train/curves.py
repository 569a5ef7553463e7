"""The curves of a training that has ended: `curves.png` beside its history."""

import importlib.util

from ppcls_lite.train.draw import draw_curves
from ppcls_lite.train.history_file import HistoryError, read_points
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import logger

NAME = "curves.png"


def write_curves(history, title):
    """Draw what is in the file `history`. Where that cannot be done, the log says why: the training is done."""
    image = history.with_name(NAME)
    if importlib.util.find_spec("matplotlib") is None:
        logger.info(f"without {image}, since matplotlib is not installed")
        return
    try:
        points = read_points(history)
        with atomic_write(image, "wb") as stream:
            draw_curves(points, stream, title)
    except HistoryError as error:
        logger.warning(f"without {image}: {error}")
    except OSError as error:
        logger.warning(f"{image}: cannot be written ({error.strerror})")
