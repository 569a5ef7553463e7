"""Which images make up which batch, epoch by epoch and rank by rank."""

import numpy as np

from ppcls_lite.data.identity_samplers import SAMPLERS
from ppcls_lite.data.transforms.compose import check_options
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest

_PLAIN = ("distributedbatchsampler", "batchsampler")  # they make batches of whatever comes


def build_sampler(given, place, dataset, training):
    """The sampler of a config's section `given` for `dataset`; `place` is that of the section.

    Raises UserError for a name, an option or a value that is wrong, and for a sampler of identities in an evaluation or
    with a data set of boxes.
    """
    of_identities = {name.lower(): SAMPLERS.get(name) for name in SAMPLERS.names()}
    name = checks.choice(f"{place}.name", given.pop("name", "BatchSampler"), (*_PLAIN, *of_identities))
    if name in of_identities:
        return _of_identities(of_identities[name], given, place, dataset, training)
    check_keys(given, ("batch_size", "drop_last", "shuffle"), place)
    if "batch_size" not in given:
        raise UserError(f"{place}.batch_size: this option is required")
    return EpochBatchSampler(
        len(dataset),
        checks.whole(f"{place}.batch_size", given["batch_size"]),
        checks.boolean(f"{place}.shuffle", given.get("shuffle", False)),
        checks.boolean(f"{place}.drop_last", given.get("drop_last", False)),
        pad=training,
    )


def _of_identities(kind, given, place, dataset, training):
    if not training:
        raise UserError(f"{place}.name: {kind.__name__} is for a training: an evaluation takes each image once")
    if not hasattr(dataset, "labels"):
        raise UserError(f"{place}.name: {kind.__name__} needs images with a label, found a {type(dataset).__name__}")
    if checks.boolean(f"{place}.shuffle", given.pop("shuffle", True)) is False:
        raise UserError(f"{place}.shuffle: expected True, since {kind.__name__} draws its batches at random")
    checks.boolean(f"{place}.drop_last", given.get("drop_last", True))
    check_options(kind, {"labels": None, **given}, place)
    try:
        return kind(dataset.labels, **given)
    except UserError as error:
        raise UserError(f"{place}: {error}") from error


def check_keys(given, known, place):
    """UserError for a key of the mapping `given` that is none of `known`."""
    for key in given:
        if key not in known:
            raise UserError(f"{place}.{key}: no such option{nearest(key, known)}; known: {', '.join(known)}")


class EpochBatchSampler:
    """Lists of (epoch, index) pairs, one list per batch, for one of `world_size` ranks.

    With `shuffle` the order is `np.random.default_rng([seed, epoch]).permutation(size)`, the same on every
    rank and in every run.

    With `pad` (training) the ranks take turns image by image, so that the ranks' batches of one step are together the
    batch that one process with a `world_size` times larger `batch_size` has. The order is filled up from its
    beginning so that all ranks get equally many images, as paddle.io.DistributedBatchSampler does: ranks wait for
    each other in every step. Without it (evaluation) they take turns batch by batch: every image comes exactly once,
    in the very batch that it has with one process, so that the results are the same to the last bit.

    The epoch is in the pairs because a worker process knows nothing else of the training's progress.
    """

    def __init__(self, size, batch_size, shuffle=False, drop_last=False, seed=0, rank=0, world_size=1, pad=False):
        self.size, self.batch_size = size, batch_size
        self.shuffle, self.drop_last, self.pad = shuffle, drop_last, pad
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch):
        """Choose the epoch (from 0) that the next iteration belongs to."""
        self.epoch = int(epoch)

    def indices(self):
        """This rank's image numbers of the chosen epoch, in order."""
        order = np.arange(self.size)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        if self.pad:
            order = np.resize(order, -(-self.size // self.world_size) * self.world_size)
            return order[self.rank :: self.world_size].tolist()
        starts = range(self.rank * self.batch_size, self.size, self.world_size * self.batch_size)
        return [index for start in starts for index in order[start : start + self.batch_size].tolist()]

    def __iter__(self):
        pairs = [(self.epoch, index) for index in self.indices()]
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return iter([pairs[start : start + self.batch_size] for start in starts])

    def __len__(self):
        if self.pad:
            mine = -(-self.size // self.world_size)
            return mine // self.batch_size if self.drop_last else -(-mine // self.batch_size)
        batches = self.size // self.batch_size if self.drop_last else -(-self.size // self.batch_size)
        return len(range(self.rank, batches, self.world_size))
