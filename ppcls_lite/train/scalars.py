"""The figures of a training as curves for VisualDL: `Global.use_visualdl`, with the package `visualdl` (optional)."""

from pathlib import Path

from ppcls_lite.utils.errors import UserError

FOLDER = "vdl"  # in Global.output_dir: `visualdl --logdir output/vdl` shows it
_FILE = "vdlrecords.training.log"  # VisualDL requires the first word; always the same name, so that a training goes on
_FLUSH = 10  # seconds
_PLACES = ("epoch", "iteration")  # of an event, and no figures of it


def log_writer():
    """VisualDL's class; UserError where the package is not installed."""
    try:
        from visualdl import LogWriter
    except ImportError as error:
        raise UserError(
            f"Global.use_visualdl=True: cannot import visualdl ({error}): pip install visualdl, or set "
            "Global.use_visualdl=False"
        ) from None
    return LogWriter


class Scalars:
    """Writes the events `train` and `eval` of a history; `add` is called as `History.add` is.

    The tags are PaddleClas's: `lr`, `train_loss`, `train_top1`, … by iteration, counted through all epochs, and
    `eval_loss`, `eval_top1`, … by epoch. UserError where the package is not installed, or the folder cannot be written.
    """

    def __init__(self, folder, append=False):
        writer = log_writer()
        try:
            if not append:
                Path(folder, _FILE).unlink(missing_ok=True)
            self._writer = writer(logdir=str(folder), file_name=_FILE, flush_secs=_FLUSH)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
        self._iterations = 0  # per epoch

    def add(self, event, **figures):
        """One point for each figure of an event; those that are no numbers are left out."""
        if event == "start":
            self._iterations = figures["iterations"]
        if event not in ("train", "eval"):
            return
        step = figures["epoch"]
        if event == "train":
            step = (step - 1) * self._iterations + figures["iteration"]
        for name, value in figures.items():
            if name not in _PLACES:
                self._writer.add_scalar(tag=name if name == "lr" else f"{event}_{name}", value=value, step=step)

    def close(self):
        """Write what is still in memory."""
        self._writer.close()
