"""Evaluation of a recognition network: how well queries find images of their identity in a gallery.

The identities are others than those of the training, so there is no loss: `Loss.Eval` is not computed.
"""

import os

import numpy as np
import paddle

from ppcls_lite.data.loader import build_loader, evaluation_sections
from ppcls_lite.train.processes import gather_rows, wait_for_all
from ppcls_lite.train.retrieval_metrics import build_retrieval_metrics, ranks_of_matches
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.recognition import check_retrieval

_BLOCK = 2**22  # similarities at a time: 16 MB


class RetrievalEvaluator:
    """The config's `Metric.Eval` of a model over `DataLoader.Eval.Query` and `.Gallery`.

    With one of these only, or with a section `Eval` of its own, each image is searched for among the others. An image
    never finds itself: the gallery is without the query's file, and, where both lists have cameras, without the images
    of the query's identity and camera. Queries that then have no match are left out of all figures; the first `run`
    warns of them, and `amount` says how many were judged. Raises UserError for whatever is wrong with the sections and
    their data.
    """

    def __init__(self, config, seed=0, rank=0, world=1):
        check_retrieval(config)
        self.metric = build_retrieval_metrics((config.get("Metric") or {}).get("Eval"))
        options = config["Global"]
        self.takes = options.get("retrieval_feature_from") or "features"
        self.normalizes = options.get("feature_normalize") is not False
        self.loaders = [
            build_loader(section, "Eval", seed, rank, world, None, where, True)
            for section, where in evaluation_sections(config)
        ]
        self.datasets = [loader.dataset for loader in self.loaders]
        for dataset in self.datasets:
            if not hasattr(dataset, "labels"):
                raise UserError(f"DataLoader.Eval: a retrieval needs labels, found a {type(dataset).__name__}")
        self._unmatched, self._has_warned = 0, False

    @paddle.no_grad()
    def run(self, model):
        """{"recall1": …, "mAP": …} over all queries that have a match; the same figures with several processes.

        Raises UserError when no query has one, when features are not finite, and when a loader gave more or fewer
        images than its list has.
        """
        model.eval()
        features = [self._features(model, loader) for loader in self.loaders]
        for metric in self.metric:
            metric.reset()
        self._unmatched = 0
        for ranks in self._ranks(features[0], features[-1]):
            if not len(ranks):
                self._unmatched += 1
                continue
            for metric in self.metric:
                metric.update(ranks)
        if self._unmatched == len(self.datasets[0]):
            raise UserError("DataLoader.Eval: no query has an image of its identity in the gallery")
        if self._unmatched and not self._has_warned:
            self._has_warned = True
            logger.warning(
                f"[Eval] {self._unmatched} of {len(self.datasets[0])} queries have no image of their identity in the "
                "gallery: they are left out of every figure"
            )
        return {name: value for metric in self.metric for name, value in metric.values().items()}

    def _features(self, model, loader):
        """[N, D] float32 in the order of the list, of all processes, of length 1 if the config says so."""
        rows = [np.zeros((0, 0), np.float32)]
        for batch in loader:
            rows.append(_output(model(batch.images), self.takes).astype("float32").numpy())
        mine = np.concatenate(rows[1:] or rows)
        numbers = np.array(loader.batch_sampler.indices(), np.int64)[: len(mine), np.newaxis]
        wait_for_all()  # one may have more images, or a slower machine
        found, numbers = gather_rows(mine), gather_rows(numbers)[:, 0]
        if sorted(numbers.tolist()) != list(range(len(loader.dataset))):
            listed = len(loader.dataset)
            raise UserError(f"DataLoader.Eval: {len(numbers)} images were evaluated, and its list has {listed}")
        features = np.empty_like(found)
        features[numbers] = found
        if not np.isfinite(features).all():
            raise UserError("the features of the evaluation's images are not finite: nor are the weights, or too large")
        if self.normalizes:
            features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return features

    def _ranks(self, queries, gallery):
        """For each query, the rising ranks of its matches among what counts of the gallery."""
        asked, listed = self.datasets[0], self.datasets[-1]
        places = _places(listed)
        cameras = asked.cameras is not None and listed.cameras is not None
        step = max(1, _BLOCK // len(gallery))
        for start in range(0, len(queries), step):
            for number, similarities in enumerate(queries[start : start + step] @ gallery.T, start):
                same = listed.labels == asked.labels[number]
                counts = np.ones(len(gallery), bool)
                counts[places.get(_file(asked.paths[number]), [])] = False
                if cameras:
                    counts &= ~(same & (listed.cameras == asked.cameras[number]))
                yield ranks_of_matches(similarities[counts], same[counts])

    def notes(self):
        """Further lines about the last run, for a person."""
        return []

    def amount(self):
        """What was judged, as the last line of an evaluation says it."""
        listed = len(self.datasets[0])
        queries = f"{listed - self._unmatched} of {listed}" if self._unmatched else listed
        return f"queries: {queries}, gallery: {len(self.datasets[-1])}"


def _output(outputs, name):
    if not isinstance(outputs, dict) or name not in outputs:
        raise UserError("Global.eval_mode: retrieval needs a network of features: Arch.name: RecModel")
    return outputs[name]


def _file(path):
    return os.path.abspath(path)


def _places(dataset):
    """{file: the numbers of the images that are read from it}."""
    found = {}
    for number, path in enumerate(dataset.paths):
        found.setdefault(_file(path), []).append(number)
    return found
