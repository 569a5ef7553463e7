"""How well queries find images of their identity in a gallery, under PaddleClas's names.

For each query the gallery is put in order of falling similarity, equal ones in the order of its list. What a metric
gets are the ranks of the query's matches in that order, from 0: all figures follow from these. Images that do not
count (the query's own file; the same identity seen by the same camera) are taken out before, and have no rank.
"""

import numpy as np

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

RETRIEVAL_METRICS = Registry("retrieval metric")
_DEFAULT = [{"Recallk": {"topk": [1, 5]}}]  # where a config names none, as PaddleClas


class _AtK:
    """The mean over all queries of a figure for each of some k."""

    name = ""

    def __init__(self, topk=(1, 5)):
        option = f"{type(self).__name__}.topk"
        if isinstance(topk, (list, tuple)) and not topk:
            raise checks.wrong(option, "one or more whole numbers", topk)
        self.topk = [checks.whole(option, k) for k in (topk if isinstance(topk, (list, tuple)) else [topk])]
        self.reset()

    def reset(self):
        self.sums, self.count = np.zeros(len(self.topk)), 0

    def update(self, ranks):
        """Take one query: the ranks of its matches, rising; there is at least one."""
        self.sums += [self.of_query(ranks, k) for k in self.topk]
        self.count += 1

    def values(self):
        """{"recall1": 0.91, …} over all queries since the last reset."""
        return {f"{self.name}{k}": float(total / self.count) for k, total in zip(self.topk, self.sums)}

    def of_query(self, ranks, k):
        raise NotImplementedError


@RETRIEVAL_METRICS.register
class Recallk(_AtK):
    """The share of queries with a match among the first k (CMC at rank k)."""

    name = "recall"

    def of_query(self, ranks, k):
        return float(ranks[0] < k)


@RETRIEVAL_METRICS.register
class Precisionk(_AtK):
    """The share of matches among the first k, averaged over the queries."""

    name = "precision"

    def of_query(self, ranks, k):
        return np.searchsorted(ranks, k) / k


@RETRIEVAL_METRICS.register
class mAP:
    """Mean average precision: the precision at each match, averaged over a query's matches, then over the queries."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.sum, self.count = 0.0, 0

    def update(self, ranks):
        """Take one query: the ranks of its matches, rising; there is at least one."""
        self.sum += float((np.arange(1, len(ranks) + 1) / (ranks + 1)).mean())
        self.count += 1

    def values(self):
        """{"mAP": 0.85} over all queries since the last reset."""
        return {"mAP": self.sum / self.count}


def build_retrieval_metrics(items, where="Metric.Eval"):
    """The metrics of a config's list; Recallk of 1 and 5 where it has none. UserError for what is no such metric."""
    found = []
    for index, item in enumerate(items or _DEFAULT):
        place = f"{where}[{index}]"
        if isinstance(item, str):
            item = {item: None}
        if not isinstance(item, dict) or len(item) != 1 or next(iter(item)) not in RETRIEVAL_METRICS:
            known = ", ".join(RETRIEVAL_METRICS.names())
            raise UserError(f"{place}: expected 'Recallk: {{topk: [1, 5]}}' or another of {known}, found {item!r:.80}")
        ((name, options),) = item.items()
        found.append(RETRIEVAL_METRICS.build_at(name, options, place))
    return found


def ranks_of_matches(similarities, matches):
    """The rising ranks of the `matches` [M] bool among all M similarities of a query: how many are larger, and how many
    equal ones are listed before."""
    in_order = np.sort(similarities)
    wanted = np.flatnonzero(matches)
    values = similarities[wanted]
    after = np.searchsorted(in_order, values, side="right")
    ranks = len(in_order) - after
    for place in np.flatnonzero(after - np.searchsorted(in_order, values, side="left") > 1):
        ranks[place] += np.count_nonzero(similarities[: wanted[place]] == values[place])
    return np.sort(ranks)
