"""Images that cannot be decoded in a training with `skip_unreadable`: left out, named and counted."""

import numpy as np

from ppcls_lite.data.transforms.decoding import Unreadable
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

PART = "unreadable"  # of a packed batch: the indices of the images that it could not have
_NONE = -1  # in their place, since an array without elements does not pass through shared memory


def readable_sample(dataset, key):
    """(image, target, indices of unreadable images) for `key`, which is (epoch, index).

    The place of an image that cannot be decoded is taken by the next one of the list that can, so that every batch,
    on every process, keeps its size; which one that is depends on the list alone. UserError when none can be decoded.
    """
    epoch, index = key
    failed = []
    for other in range(index, index + len(dataset)):
        other %= len(dataset)
        try:
            return (*dataset[epoch, other], failed)
        except Unreadable as error:
            failed.append(other)
            last = error
    raise UserError(f"none of the {len(dataset)} images can be decoded, the last one tried: {last}") from last


def indices_array(samples_failed):
    """The indices of all samples of a batch as an int64 array that is never empty."""
    indices = sorted({index for failed in samples_failed for index in failed})
    return np.array(indices or [_NONE], np.int64)


class UnreadableImages:
    """The unreadable images that a loader has met: `of_epoch` those of the current epoch; each is named once."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.of_epoch, self._named = set(), set()

    def begin_epoch(self):
        self.of_epoch = set()

    def add(self, indices):
        """Take the array of a batch; warn of what was not named before."""
        found = {int(index) for index in indices} - {_NONE}
        for index in sorted(found - self._named):
            logger.warning(f"{self._reason(index)}: this image is left out")
        self._named |= found
        self.of_epoch |= found

    def _reason(self, index):
        try:
            self.dataset[index]
        except Unreadable as error:
            return str(error)
        return f"{self.dataset.paths[index]}: could not be read"
