"""Gradient accumulation (`Global.update_freq`): one update for several batches."""

from ppcls_lite.utils import checks
from ppcls_lite.utils.log import logger


class Accumulation:
    """Which iterations of an epoch make one update, and with what share each of them counts.

    `update_freq` batches make one update; those that are left at the end of an epoch make one more (PaddleClas leaves
    them out). A batch counts in proportion to its images, so an update is that of one large batch, with another
    number of images in the last batch too. BatchNorm still sees the small batches.
    """

    def __init__(self, update_freq, loader):
        freq = 1 if update_freq is None else checks.whole("Global.update_freq", update_freq)
        iterations = len(loader)
        if freq > iterations:
            logger.warning(
                f"Global.update_freq is {freq}, and an epoch has {iterations} iterations: one update for all"
            )
        self.freq = min(freq, iterations)
        self.per_epoch = -(-iterations // self.freq)
        self._last = iterations - 1
        if self.freq > 1:
            self._sizes = _batch_sizes(loader.batch_sampler, iterations)
            logger.info(f"gradient accumulation: an update for every {self.freq} batches, {self.per_epoch} in an epoch")

    def number(self, step):
        """Which update of the epoch the iteration `step` belongs to, both from 0."""
        return step // self.freq

    def is_due(self, step):
        """Whether the iteration `step` completes an update."""
        return (step + 1) % self.freq == 0 or step == self._last

    def share(self, step):
        """The part that the mean loss of iteration `step` has in the mean loss of its update."""
        if self.freq == 1:
            return 1.0
        start = step // self.freq * self.freq
        return self._sizes[step] / sum(self._sizes[start : start + self.freq])


def _batch_sizes(sampler, iterations):
    """How many images each batch of an epoch has; only the last may have fewer than the others."""
    images = len(sampler.indices())
    return [min(sampler.batch_size, images - step * sampler.batch_size) for step in range(iterations)]
