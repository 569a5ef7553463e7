"""The same work on many subjects, on all cores: results come in the order of the subjects, as if one after another."""

import os
import pickle
import signal

LEAST = 4  # subjects for each process: fewer are done before it has begun
MOST = 8  # processes


def in_order(function, subjects):
    """The results of `function(subject)`, which can be pickled. What a process leaves undone is done in this one."""
    count = min(_cores(), MOST, len(subjects) // LEAST) if hasattr(os, "fork") else 1
    workers = [_start(function, subjects[number::count]) for number in range(count)] if count > 1 else []
    try:
        for number, subject in enumerate(subjects):
            worker = workers[number % count] if workers else None
            done, result = _next(worker) if worker else (False, None)
            yield result if done else function(subject)
    finally:
        for process, stream in workers:
            stream.close()
            os.kill(process, signal.SIGTERM)  # whose results nobody waits for
            os.waitpid(process, 0)


def _cores():
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(function, subjects):
    """(process, stream of results): plain pipes, so that no process waits for one that was killed."""
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return process, os.fdopen(reader, "rb")
    try:
        os.close(reader)
        with os.fdopen(writer, "wb") as stream:
            for subject in subjects:
                stream.write(pickle.dumps(function(subject)))
                stream.flush()
    finally:
        os._exit(0)  # without the rest of the program, and without a word: the other process does what is left


def _next(worker):
    """(True, the next result); (False, None) from a process that has ended before."""
    try:
        return True, pickle.load(worker[1])
    except (EOFError, OSError, pickle.UnpicklingError):
        return False, None
