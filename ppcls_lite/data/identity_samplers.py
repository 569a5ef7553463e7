"""Batches of several images of each of several identities, as losses that compare images need them.

Both samplers are pure functions of (seed, epoch, rank), as `EpochBatchSampler` is: a resumed training goes on with the
batches that it would have had. All their batches are full, and all ranks have equally many. An identity with fewer
images than a batch takes of it has some of them twice; no image comes three times while another one came once.
"""

import numpy as np

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

SAMPLERS = Registry("sampler of identities")


class _IdentitySampler:
    """What both have: `per_identity` images of each of `self.identities` identities make a batch."""

    def __init__(self, labels, batch_size, per_identity, option):
        name = type(self).__name__
        self.batch_size = checks.whole(f"{name}.batch_size", batch_size)
        self.per_identity = checks.whole(f"{name}.{option}", per_identity)
        if batch_size % per_identity:
            raise UserError(f"{name}: batch_size {batch_size} is not a multiple of {option} {per_identity}")
        self.identities = batch_size // per_identity
        self.labels, counts = np.unique(np.asarray(labels), return_counts=True)
        if len(self.labels) < self.identities:
            raise UserError(
                f"{name}: a batch of {batch_size} with {option} {per_identity} needs {self.identities} identities, "
                f"and the list has {len(self.labels)}"
            )
        self.counts = counts
        # the image numbers of each identity, in the order of the list
        self.images = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
        self.size = len(labels)
        self.seed, self.rank, self.world_size, self.epoch = 0, 0, 1, 0

    def set_epoch(self, epoch):
        """Choose the epoch (from 0) that the next iteration belongs to."""
        self.epoch = int(epoch)

    def indices(self):
        """This rank's image numbers of the chosen epoch, batch after batch."""
        return [index for batch in self.batches() for index in batch]

    def __iter__(self):
        return iter([[(self.epoch, index) for index in batch] for batch in self.batches()])

    def _generator(self, *key):
        """A generator for the chosen epoch, apart from those that the data set's transforms draw from."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.epoch], spawn_key=key))


def _filled(images, count, rng):
    """`count` of `images` in random order: all of them before one comes again."""
    return np.resize(rng.permutation(images), count).tolist()


@SAMPLERS.register
class PKSampler(_IdentitySampler):
    """P identities drawn for each batch, K = `sample_per_id` images of each (Hermans et al., 2017, section 2).

    `sample_method`: with `id_avg_prob` all identities are equally likely, with `sample_avg_prob` each as likely as it
    has images. `id_list` [first, last, first, last, …] names ranges of labels, both ends included, and `ratio` has a
    factor for the probability of each range. Within a batch no identity comes twice; between batches nothing is
    kept, so an epoch leaves some images out and has others twice. It has as many batches as the images of the list
    would fill.
    """

    def __init__(
        self,
        labels,
        batch_size,
        sample_per_id,
        drop_last=True,
        sample_method="sample_avg_prob",
        id_list=None,
        ratio=None,
    ):
        super().__init__(labels, batch_size, sample_per_id, "sample_per_id")
        self.drop_last = drop_last
        methods = ("id_avg_prob", "sample_avg_prob")
        by_identity = checks.choice("PKSampler.sample_method", sample_method, methods) == "id_avg_prob"
        weights = np.ones(len(self.labels)) if by_identity else self.counts.astype(np.float64)
        weights *= self._factors(id_list or [], ratio or [])
        self.probabilities = weights / weights.sum()

    def _factors(self, id_list, ratio):
        for option, given in (("id_list", id_list), ("ratio", ratio)):
            if not isinstance(given, (list, tuple)):
                raise checks.wrong(f"PKSampler.{option}", "a list of numbers", given)
        if len(id_list) != 2 * len(ratio):
            raise UserError(
                f"PKSampler: id_list needs a first and a last label for each ratio, found {len(id_list)} labels and "
                f"{len(ratio)} ratios"
            )
        factors = np.ones(len(self.labels))
        for first, last, factor in reversed(list(zip(id_list[::2], id_list[1::2], ratio))):  # the first range counts
            within = (self.labels >= checks.whole("PKSampler.id_list", first, low=0)) & (
                self.labels <= checks.whole("PKSampler.id_list", last, low=0)
            )
            factors[within] = checks.positive("PKSampler.ratio", factor)
        return factors

    def batches(self):
        """This rank's lists of image numbers."""
        rng = self._generator(self.rank)
        found = []
        for _ in range(len(self)):
            chosen = rng.choice(len(self.labels), self.identities, replace=False, p=self.probabilities)
            found.append([i for number in chosen for i in _filled(self.images[number], self.per_identity, rng)])
        return found

    def __len__(self):
        mine = -(-self.size // self.world_size)
        return mine // self.batch_size if self.drop_last else -(-mine // self.batch_size)


@SAMPLERS.register
class DistributedRandomIdentitySampler(_IdentitySampler):
    """Every identity's images in groups of `num_instances`, every batch of groups of different identities.

    An epoch has as many batches as can be made of the groups, shared among the ranks, and each image comes in it
    once at most. What is left out: images that do not fill a group (an identity with fewer images than that has
    one group, filled up by some of them again), groups beyond full batches, and groups of an identity that has more
    than there are batches. These are others in every epoch, and an identity loses its last group only where there
    are too few batches for all identities. With `max_iters` an epoch has that many batches on each rank, in as many
    passes as it takes. `drop_last` changes nothing: there is no smaller last batch.
    """

    def __init__(self, labels, batch_size, num_instances, drop_last=True, max_iters=None):
        super().__init__(labels, batch_size, num_instances, "num_instances")
        self.drop_last = drop_last
        self.max_iters = None
        if max_iters is not None:
            self.max_iters = checks.whole("DistributedRandomIdentitySampler.max_iters", max_iters)
        self.groups = np.maximum(self.counts // self.per_identity, 1)  # of each identity
        self.in_pass = self._largest_number_of_batches()

    def _largest_number_of_batches(self):
        """The largest m for which m groups of each identity at most, those that it has, fill m batches."""
        low, high = 1, int(self.groups.sum()) // self.identities
        while low < high:
            middle = (low + high + 1) // 2
            if np.minimum(self.groups, middle).sum() >= middle * self.identities:
                low = middle
            else:
                high = middle - 1
        return low

    def batches(self):
        """This rank's lists of image numbers."""
        needed = len(self) * self.world_size
        found, number = [], 0
        while len(found) < needed:
            found += self._one_pass(self._generator(number))
            number += 1
        return found[self.rank : needed : self.world_size]

    def _one_pass(self, rng):
        """`in_pass` batches. The groups of one identity are neighbours in a row that is dealt out to the batches in
        turn: being `in_pass` at most, they all come to different batches."""
        firsts, further = [], []
        for number, count in enumerate(np.minimum(self.groups, self.in_pass)):
            firsts.append((number, 0))
            further += [(number, group) for group in range(1, count)]
        order = [firsts[i] for i in rng.permutation(len(firsts))] + [further[i] for i in rng.permutation(len(further))]
        kept = np.zeros(len(self.labels), np.int64)
        for number, _ in order[: self.in_pass * self.identities]:
            kept[number] += 1
        row = []
        for number in rng.permutation(len(self.labels)):
            size = kept[number] * self.per_identity
            images = _filled(self.images[number], size, rng)
            row += [images[start : start + self.per_identity] for start in range(0, size, self.per_identity)]
        dealt = [row[place :: self.in_pass] for place in rng.permutation(self.in_pass)]
        return [[index for group in batch for index in group] for batch in dealt]

    def __len__(self):
        return self.max_iters or self.in_pass // self.world_size
