"""Batches for a training or an evaluation, from a config's `DataLoader.Train` or `DataLoader.Eval`."""

import gc
import os
import shutil
import threading
import time
import traceback

import cv2
import numpy as np
import paddle
from paddle.base.multiprocess_utils import _cleanup_mmap
from paddle.io import DataLoader

from ppcls_lite.data.batch import pack, stack, unpack
from ppcls_lite.data.batch_ops import build_batch_op
from ppcls_lite.data.dataset import ImageNetDataset, LogoDataset, VeriWild
from ppcls_lite.data.detection import build_det_transforms
from ppcls_lite.data.detection.dataset import COCODataSet
from ppcls_lite.data.sampler import build_sampler, check_keys
from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.data.transforms.compose import check_options
from ppcls_lite.data.unreadable import PART as UNREADABLE
from ppcls_lite.data.unreadable import UnreadableImages, indices_array, readable_sample
from ppcls_lite.utils import checks
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.machine import usable_cores

# by the lower-case name of a config's `dataset`: the class, and the builder of its transforms
_DATASETS = {
    "imagenetdataset": (ImageNetDataset, build_transforms),
    "icartoondataset": (ImageNetDataset, build_transforms),
    "veriwild": (VeriWild, build_transforms),
    "logodataset": (LogoDataset, build_transforms),
    "cocodataset": (COCODataSet, build_det_transforms),
}
_PARTS = ("Query", "Gallery")  # of the evaluation of a recognition
_SETTLE_SECONDS = 0.1
_PREFETCH = 2  # batches that each worker prepares ahead
_ENOUGH_FOR_WORKERS = 4  # processors per rank from which a training on the CPU gets worker processes
_SHARED_MEMORY = "/dev/shm"
_FAILURE = "failure"  # the kind of a dict that holds an exception and no batch


def build_loader(section, mode, seed, rank=0, world_size=1, class_num=None, where="DataLoader.Train", cameras=False):
    """A `Loader` from the mapping `section` (`dataset`, `sampler`, `loader`); `mode` is Train or Eval, and with
    `cameras` lists may have a third column.

    Training pads the ranks to equal lengths; evaluation gives every image to one rank, once, also where the
    config asks for `drop_last`: the log says so. `num_workers`
    is an upper limit: more workers than processors (or than batches) would only slow the training down, and
    a training on a CPU with fewer than 4 processors per rank loads in one thread (measured on 2 processors:
    it waits 1 % of the time for data, with 2 workers 4 to 5 %, since the workers start again every epoch).
    Raises UserError for every fault of the config, the list file and the folder.
    """
    training = checks.choice("mode", mode, ("train", "eval")) == "train"
    check_keys(section, ("dataset", "sampler", "loader"), where)
    given = _section(section, "dataset", where)
    place = f"{where}.dataset"
    batch_op = build_batch_op(given.pop("batch_transform_ops", None), f"{place}.batch_transform_ops", class_num)
    dataset = _build_dataset(given, seed, class_num, place, cameras)
    if batch_op is not None and not isinstance(dataset, ImageNetDataset):
        raise UserError(f"{place}.batch_transform_ops: images with boxes cannot be mixed")
    sampler = build_sampler(_section(section, "sampler", where), f"{where}.sampler", dataset, training)
    _warn_of_repeated(dataset, where)
    if not training and getattr(dataset, "skip_unreadable", False):
        raise UserError(
            f"{place}.skip_unreadable: True is for a training: an evaluation judges every image of its list, so take "
            "those that cannot be read out of it"
        )
    if sampler.drop_last and not training:
        logger.warning(f"{where}.sampler.drop_last: True is not followed: an evaluation takes every image")
        sampler.drop_last = False
    sampler.seed, sampler.rank, sampler.world_size = seed, rank, world_size
    if len(sampler) == 0 and training:
        raise UserError(f"{where}.sampler: {len(dataset)} images do not fill one batch of {sampler.batch_size}")
    workers, shared = _read_loader(_section(section, "loader", where), f"{where}.loader")
    workers = _sensible_workers(workers, len(sampler), world_size, where if training else None)
    return Loader(dataset, sampler, batch_op, workers, shared)


def evaluation_sections(config):
    """[(section, its place)] of the queries and of the gallery in `DataLoader.Eval`, or one for both; UserError for
    another key beside them."""
    where = "DataLoader.Eval"
    evaluation = require(config, where)
    named = [part for part in _PARTS if evaluation.get(part) is not None]
    for key in evaluation if named else ():
        if key not in _PARTS:
            raise UserError(f"{where}.{key}: expected Query and Gallery alone, found this beside {named[0]}")
    return [(evaluation[part], f"{where}.{part}") for part in named] or [(evaluation, where)]


def _warn_of_repeated(dataset, where):
    if repeated := getattr(dataset, "repeated", None):
        logger.warning(
            f"{where}: {len(repeated)} of {len(dataset)} images are listed before: they count twice; the first is "
            f"{dataset.cls_label_path}:{repeated[0].line}: {repeated[0].path}"
        )


def _section(section, name, where):
    value = section.get(name) or {}
    if not isinstance(value, dict):
        raise UserError(f"{where}.{name}: expected a mapping, found {value!r:.80}")
    return dict(value)


def _build_dataset(given, seed, class_num, place, cameras):
    name = checks.choice(f"{place}.name", given.pop("name", "ImageNetDataset"), tuple(_DATASETS))
    kind, build = _DATASETS[name]
    for reserved in ("seed", "class_num", "cameras"):  # these come from elsewhere in the config
        if reserved in given:
            raise UserError(f"{place}.{reserved}: no such option")
    checks.choice(f"{place}.backend", given.pop("backend", "cv2"), ("cv2",))  # PaddleClas's; here OpenCV opens all
    check_options(kind, given, place)
    transforms = build(given.pop("transform_ops", None) or [], f"{place}.transform_ops")
    checks.boolean(f"{place}.relabel", given.get("relabel", False))
    if not isinstance(given.get("delimiter", ""), (str, type(None))):
        raise checks.wrong(f"{place}.delimiter", "text", given["delimiter"])
    if issubclass(kind, ImageNetDataset):
        given["cameras"] = cameras
    return kind(transform_ops=transforms, seed=seed, class_num=class_num, **given)


def _read_loader(given, place):
    check_keys(given, ("num_workers", "use_shared_memory"), place)
    workers = checks.whole(f"{place}.num_workers", given.get("num_workers", 0), low=0)
    return workers, checks.boolean(f"{place}.use_shared_memory", given.get("use_shared_memory", True))


def _sensible_workers(requested, batches, world_size, where):
    processors = usable_cores()
    on_this_machine = int(os.environ.get("PADDLE_LOCAL_SIZE") or world_size)
    limit = max(1, processors // max(1, on_this_machine))
    if limit < _ENOUGH_FOR_WORKERS and paddle.device.get_device() == "cpu":
        limit = 0  # the training fills the processors itself: a thread waits less than fresh processes do
    if requested > limit and where:  # an evaluation goes on as its training did
        instead = f"{limit} data workers" if limit else "one data thread"
        logger.info(f"{where}: {instead} instead of {requested} workers: {processors} processors")
    return min(requested, limit, batches)


class Loader:
    """Iterate over the batches of the epoch chosen by `loader.batch_sampler.set_epoch(epoch)`.

    Each is a `Batch` (see batch.py) of tensors; its target is labels, `Mixed` when a batch transform mixed it, or a
    `DetectionTarget` for a detection set. `len(loader)` is the number of batches per epoch.

    Workers start with every epoch and are gone after it, also when the loop is left early. Starting them
    takes about 40 ms; Paddle's persistent workers take 500 ms per epoch (a fixed sleep in their reset).
    A fault in a worker is raised here: UserError as it was, anything else as RuntimeError with the trace.
    """

    def __init__(self, dataset, batch_sampler, batch_op=None, num_workers=0, use_shared_memory=True):
        self.dataset = dataset
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.unreadable = UnreadableImages(dataset) if getattr(dataset, "skip_unreadable", False) else None
        self._shares = use_shared_memory
        self._loader = DataLoader(
            _Guarded(dataset, self.unreadable is not None),
            batch_sampler=batch_sampler,
            collate_fn=_Collate(batch_op, dataset.seed),
            num_workers=num_workers,
            prefetch_factor=_PREFETCH,
            use_shared_memory=use_shared_memory,
            worker_init_fn=_start_worker,
            timeout=1,  # how often Paddle's thread looks up: a dead worker is noticed, an ended epoch let go
        )

    def _fits_shared_memory(self):
        """Whether the batches in flight fit: a full /dev/shm (64 MB in Docker) kills workers without a message."""
        if not os.path.isdir(_SHARED_MEMORY):
            return True
        try:
            batch = stack(*zip(self.dataset[0]))
        except UserError:  # reported again, and better, when the batch is loaded
            return True
        size = sum(part.nbytes for part in pack(batch).values() if isinstance(part, np.ndarray))
        needed = size * self.batch_sampler.batch_size * (self.num_workers * _PREFETCH + 2)
        free = shutil.disk_usage(_SHARED_MEMORY).free
        if needed > free:
            logger.warning(
                f"data workers use pipes, not shared memory: their batches need {needed / 2**20:.1f} MB, and "
                f"{_SHARED_MEMORY} has {free / 2**20:.1f} MB left"
            )
        return needed <= free

    def __len__(self):
        return len(self.batch_sampler)

    def _start(self):
        if self.num_workers == 0:
            return iter(self._loader)
        if self._shares and not self._fits_shared_memory():  # asked each epoch: other programs fill it too
            self._shares = self._loader.use_shared_memory = False
        _settle()
        gc.freeze()  # a worker that collects a finished loader of ours waits for threads that it does not have
        try:
            return iter(self._loader)
        finally:
            gc.unfreeze()

    def __iter__(self):
        if len(self) == 0:  # a rank that has no image of a small evaluation set
            return
        batches = self._start()
        if self.unreadable:
            self.unreadable.begin_epoch()
        try:
            for parts in _alive(batches):
                if parts["kind"] == _FAILURE:
                    _raise_failure(parts)
                if self.unreadable:
                    self.unreadable.add(parts.pop(UNREADABLE).numpy())
                yield unpack(parts)
        finally:
            # Paddle's own end comes with the last batch; after `break` its thread would keep the workers alive
            batches._try_shutdown_all()
            _ended[0] = time.monotonic()


_ended = [0.0]  # when a loader of this process last came to its end


def _settle():
    """Wait until the threads of a loader that has just ended are idle, then make this process fit to fork.

    A worker inherits every lock that another thread holds at the fork, and no thread there releases it: Paddle's
    reader threads hold one while they free the last batches, OpenCV's pool has its own.
    """
    time.sleep(max(0.0, _SETTLE_SECONDS - (time.monotonic() - _ended[0])))
    cv2.setNumThreads(0)


def _alive(batches):
    """`batches`, with a clear error when a worker process was killed from outside."""
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except SystemError as error:  # Paddle's "Blocking queue is killed"
            raise UserError(
                f"a data worker was killed, most likely because memory or {_SHARED_MEMORY} ran out: lower num_workers "
                "or batch_size"
            ) from error
        yield batch


class _Failure:
    """An exception of a worker on its way to the main process; raising it there would only kill the queue."""

    def __init__(self, error):
        self.expected = isinstance(error, UserError)
        self.text = str(error) if self.expected else traceback.format_exc()

    def packed(self):
        """The dict that takes a batch's place; `_raise_failure` reads it."""
        text = np.frombuffer(self.text.encode() or b" ", np.uint8).copy()
        return {"kind": _FAILURE, "text": text, "expected": np.array([self.expected])}


def _raise_failure(parts):
    text = parts["text"].numpy().tobytes().decode()
    raise UserError(text) if parts["expected"].numpy().all() else RuntimeError(f"in a data worker:\n{text}")


class _Guarded:
    """The data set with its exceptions as values; a sample is (image, target, (epoch, index)).

    With `skips`, unreadable images are replaced, and their indices are a fourth part.
    """

    def __init__(self, dataset, skips=False):
        self.dataset, self.skips = dataset, skips

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, key):
        try:
            if self.skips:
                image, target, failed = readable_sample(self.dataset, key)
                return image, target, key, failed
            return (*self.dataset[key], key)
        except Exception as error:
            return _Failure(error)


class _Collate:
    """Samples to one packed batch of arrays. A batch transform draws from the batch's first (epoch, index)."""

    def __init__(self, batch_op, seed):
        self.batch_op, self.seed = batch_op, seed

    def __call__(self, samples):
        try:
            failure = next((sample for sample in samples if isinstance(sample, _Failure)), None)
            if failure is not None:
                return failure.packed()
            images, targets, keys, *failed = zip(*samples)
            parts = pack(self._batch(images, targets, keys))
            return {**parts, UNREADABLE: indices_array(failed[0])} if failed else parts
        except Exception as error:
            return _Failure(error).packed()

    def _batch(self, images, targets, keys):
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            found = " and ".join(str(shape) for shape in sorted(shapes)[:2])
            raise UserError(f"images of one batch differ in shape, {found}: a crop or a resize to one size is missing")
        batch = stack(images, targets)
        if self.batch_op is None:
            return batch
        epoch, first = keys[0]
        rng = np.random.default_rng([self.seed, epoch, first, len(images)])
        return self.batch_op(batch, rng)


def _start_worker(_):
    cv2.setNumThreads(0)  # the processors belong to the training, and OpenCV's threads do not survive a fork
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()


def _leave_with_parent(parent):
    """End this worker when its parent was killed: Paddle's worker would wait for the next task for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    _cleanup_mmap()  # batches in shared memory that no process will fetch
    os._exit(1)
