"""The output of a prediction: lines on the screen, a file of results, and a bar that shows the progress."""

import json
import sys
from contextlib import contextmanager

from ppcls_lite.infer.model.postprocess import format_record
from ppcls_lite.infer.shared_list import SharedList
from ppcls_lite.infer.summary import benchmark_summary
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write


def predict_and_print(predictor, paths, model_dir, settings, line, record=format_record):
    """Predict the images `paths`, one line each on the screen; returns the exit code, 1 when some could not be read.

    Several processes share them, and process 0 prints and saves; its summary is that of its own share.
    `settings` is the `Global` section of a prediction config: `save_file`, `benchmark` and `save_log_path`, a file that
    gets the summary too, are used here.
    `line(result, path)` is printed for an image, `record(result, path)` is saved. The predictor reports the files that
    it cannot predict.
    """
    shared = SharedList(paths, predictor.batch_size)
    predictor.listed = paths
    saves = bool(settings.get("save_file"))

    def render(batch):
        printed = [f"{line(result, path)}\n" for path, result in batch if not isinstance(result, UserError)]
        return "".join(printed), json_lines(batch, record) if saves else ""

    target = settings.get("save_file") if shared.rank == 0 else None
    with save_results(target) as save, progress_bar(len(shared.mine)) as advance:
        for images, printed, saved in shared.results(predictor.predict_all(shared.mine), render):
            print(printed, end="", flush=True)  # whole lines, beside what standard error gets
            save(saved)
            advance(images)
    if settings.get("benchmark") and shared.rank == 0:
        summary = benchmark_summary(predictor, model_dir)
        print(summary)
        print(predictor.timing())
        save_summary(settings.get("save_log_path"), summary)
    return 1 if shared.rank == 0 and shared.failed else 0


def predict_lists(predictor, paths, record):
    """Predict the images `paths`, and print a list of `record(result, path)` for each batch, as PaddleClas does.

    Several processes share them, and process 0 prints. Returns the exit code, 1 when some could not be read.
    """
    shared = SharedList(paths, predictor.batch_size)
    predictor.listed = paths

    def render(batch):
        kept = [record(result, path) for path, result in batch if not isinstance(result, UserError)]
        return f"{kept}\n" if kept else "", ""

    for _, printed, _ in shared.results(predictor.predict_all(shared.mine), render):
        print(printed, end="", flush=True)
    return 1 if shared.rank == 0 and shared.failed else 0


def save_summary(path, summary):
    """Write the summary to the file `path`, which may be None; UserError where it cannot be written."""
    if path:
        try:
            with atomic_write(path) as stream:
                stream.write(f"{summary}\n")
        except OSError as error:
            raise UserError(f"Global.save_log_path={path}: cannot be written ({error.strerror})") from error


def json_lines(batch, record=format_record):
    """A batch in JSON Lines: one line for each (path, result), `record(result, path)` as the training engine prints it.

    A file that is not an image has `file_name` and `error`, so that there are as many lines as images.
    """
    lines = []
    for name, result in batch:
        failed = isinstance(result, UserError)
        content = {"file_name": str(name), "error": str(result)} if failed else record(result, name)
        lines.append(json.dumps(content, ensure_ascii=False) + "\n")
    return "".join(lines)


@contextmanager
def save_results(path):
    """Yield `write(text)` for the file `path`; with None for a path it does nothing.

    The file appears at `path` when the block has ended well: a run that was stopped leaves the former file, never a
    part that looks complete.
    """
    if not path:
        yield lambda text: None
        return
    try:
        with atomic_write(path) as stream:
            yield stream.write
    except BrokenPipeError:  # of the screen, not of this file
        raise
    except OSError as error:
        raise UserError(f"Global.save_file={path}: cannot be written ({error.strerror})") from error


@contextmanager
def progress_bar(total):
    """Yield `advance(number)`, which moves a bar on standard error in a long run.

    On a terminal the bar comes after a second, unless the predictions scroll by on the same screen and are progress
    enough; in a log file it is a line every half minute.
    """
    if total < 2 or (sys.stderr.isatty() and sys.stdout.isatty()):
        yield lambda number: None
        return
    from tqdm import tqdm  # 50 ms, which one image need not wait for

    pause = 1 if sys.stderr.isatty() else 30  # seconds
    with tqdm(total=total, unit="image", delay=pause, mininterval=min(pause, 0.5) if pause == 1 else pause) as bar:
        yield bar.update
