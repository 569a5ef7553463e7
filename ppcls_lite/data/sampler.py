"""Which images make up which batch, epoch by epoch and rank by rank."""

import numpy as np


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
