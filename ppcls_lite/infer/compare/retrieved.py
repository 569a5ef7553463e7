"""How well do an exported recogniser's embeddings find their identities? Computed here from the embeddings alone, in
another way than an evaluation does it.
"""

import os
import re
from typing import NamedTuple, Optional

import numpy as np

from ppcls_lite.data.loader import build_loader, evaluation_sections
from ppcls_lite.infer.compare.embeddings import unit
from ppcls_lite.utils.errors import UserError

TIE = 1e-6  # of two cosines: sums of float32 in batches of another size may change their order
_AT_K = re.compile(r"(recall|precision)(\d+)")


class Images(NamedTuple):
    """A list of images: the row of each among the embeddings, its identity, and its camera where lists have them."""

    rows: np.ndarray  # [N]
    labels: np.ndarray  # [N]
    cameras: Optional[np.ndarray]


class Retrieval(NamedTuple):
    """Which images are searched for, and among which; one list has each image searched for among the others."""

    queries: Images
    gallery: Images

    @classmethod
    def of(cls, config, paths):
        """That of a training config, for embeddings in the order of `paths`."""
        rows = {os.path.abspath(path): row for row, path in enumerate(paths)}
        lists = [_read(section, where, rows) for section, where in evaluation_sections(config)]
        return cls(lists[0], lists[-1])

    def figures(self, embeddings, names):
        """{name: (least, plain, largest)} of `recall1`, `precision5`, `mAP` or so, for embeddings [N, D].

        The least and the largest are those with all ties of a match and another image broken against or for the match.
        """
        found = {name: [] for name in names}
        rows = unit(embeddings)
        gallery = rows[self.gallery.rows]
        for query, label in enumerate(self.queries.labels):
            cosines = gallery @ rows[self.queries.rows[query]]
            same, counted = self.gallery.labels == label, self._counted(query)
            ranks = [_ranks(cosines[same & counted], cosines[~same & counted], tie) for tie in (-TIE, 0.0, TIE)]
            if len(ranks[0]):
                for name, values in found.items():
                    values.append([_figure(name, one) for one in ranks])
        return {name: tuple(np.mean(values, axis=0).tolist()) for name, values in found.items() if values}

    def _counted(self, query):
        """[M] which images of the gallery count: not the file itself, and not those of its camera."""
        counted = self.gallery.rows != self.queries.rows[query]
        if self.gallery.cameras is None or self.queries.cameras is None:
            return counted
        same = self.gallery.labels == self.queries.labels[query]
        return counted & ~(same & (self.gallery.cameras == self.queries.cameras[query]))


def _read(section, where, places):
    """The `Images` of a section; `places` are the rows of all files."""
    dataset = build_loader(section, "Eval", 0, where=where, cameras=True).dataset
    rows = [places.get(os.path.abspath(path)) for path in dataset.paths]
    if None in rows:
        raise UserError(f"{where}: {dataset.paths[rows.index(None)]} is not among the images that were compared")
    return Images(np.array(rows), dataset.labels, dataset.cameras)


def _ranks(matches, others, tie):
    """The rising ranks of the matches, from 0; of others within `tie` of a match, those at most behind it (or, below 0,
    before it)."""
    matches = -np.sort(-matches)
    before = len(others) - np.searchsorted(np.sort(others), matches + tie, side="right")
    return np.arange(len(matches)) + before


def _figure(name, ranks):
    match = _AT_K.fullmatch(name)
    if match is None:
        return float(((np.arange(len(ranks)) + 1) / (ranks + 1)).mean())
    k = int(match[2])
    return float(ranks[0] < k) if match[1] == "recall" else float((ranks < k).sum() / k)


def names_in(texts):
    """The names of figures that can be computed here, among those of an evaluation."""
    return [name for name in texts if name == "mAP" or _AT_K.fullmatch(name)]
