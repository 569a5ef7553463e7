"""The output of a prediction: lines on the screen, a file of results, and a bar that shows the progress."""

import json
import sys
from contextlib import contextmanager

from ppcls_lite.infer.model.postprocess import format_record
from ppcls_lite.infer.summary import benchmark_summary
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write


def predict_and_print(predictor, paths, model_dir, settings, line, record=format_record):
    """Predict the images `paths`, one line each on the screen; returns the exit code, 1 when some could not be read.

    `settings` is the `Global` section of a prediction config: `save_file`, `benchmark` and `save_log_path`, a file that
    gets the summary too, are used here.
    `line(result, path)` is printed for an image, `record(result, path)` is saved. The predictor reports the files that
    it cannot predict.
    """
    with save_results(settings.get("save_file"), record) as save, progress_bar(len(paths)) as advance:
        for batch in predictor.predict_all(paths):
            for path, result in batch:
                if not isinstance(result, UserError):
                    print(line(result, path), flush=True)  # whole, beside what standard error gets
            save(batch)
            advance(len(batch))
    if settings.get("benchmark"):
        summary = benchmark_summary(predictor, model_dir)
        print(summary)
        print(predictor.timing())
        save_summary(settings.get("save_log_path"), summary)
    return 1 if predictor.failed else 0


def save_summary(path, summary):
    """Write the summary to the file `path`, which may be None; UserError where it cannot be written."""
    if path:
        try:
            with atomic_write(path) as stream:
                stream.write(f"{summary}\n")
        except OSError as error:
            raise UserError(f"Global.save_log_path={path}: cannot be written ({error.strerror})") from error


@contextmanager
def save_results(path, record=format_record):
    """Yield `write(batch)` for the file `path` in JSON Lines; with None for a path it does nothing.

    Each (path, result) of a batch is one line, `record(result, path)` as the training engine prints it; a file that is
    not an image has `file_name` and `error`, so that there are as many lines as images. The file appears at `path`
    when the block has ended well: a run that was stopped leaves the former file, never a part that looks complete.
    """
    if not path:
        yield lambda batch: None
        return

    def write(batch):
        for name, result in batch:
            failed = isinstance(result, UserError)
            content = {"file_name": str(name), "error": str(result)} if failed else record(result, name)
            stream.write(json.dumps(content, ensure_ascii=False) + "\n")

    try:
        with atomic_write(path) as stream:
            yield write
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
