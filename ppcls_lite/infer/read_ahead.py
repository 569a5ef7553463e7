"""Read and prepare what comes next while the engine computes: ordered, bounded, by threads."""

import itertools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2


def read_ahead(function, items, threads, depth):
    """Yield (item, function(item)) for all `items` in their order, with up to `depth` results made in advance.

    Threads are enough, because decoding and resizing (OpenCV, Pillow) and the engines run without Python's lock.
    `threads=0` computes each result when it is taken. An exception of `function` is raised when its item's turn
    comes. Closing the generator drops the calls that have not begun and waits for the others.
    """
    if threads < 1:
        yield from ((item, function(item)) for item in items)
        return
    items = iter(items)
    with _one_opencv_thread(), ThreadPoolExecutor(threads, "read") as pool:
        waiting = deque((item, pool.submit(function, item)) for item in itertools.islice(items, max(depth, 1)))
        try:
            while waiting:
                item, result = waiting.popleft()
                result = result.result()
                for following in itertools.islice(items, 1):
                    waiting.append((following, pool.submit(function, following)))
                yield item, result
        finally:
            for _, unused in waiting:
                unused.cancel()


@contextmanager
def _one_opencv_thread():
    """The images are read in parallel; OpenCV's own threads would only compete with that."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
