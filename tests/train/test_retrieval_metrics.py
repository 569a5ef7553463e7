"""Recall@k, mAP and Precision@k against plain loops, and evaluations with planted faults."""

import re

import numpy as np
import paddle
import pytest

from ppcls_lite.train import retrieval
from ppcls_lite.train.evaluate import headline
from ppcls_lite.train.retrieval import RetrievalEvaluator
from ppcls_lite.train.retrieval_metrics import RETRIEVAL_METRICS, build_retrieval_metrics, ranks_of_matches
from ppcls_lite.utils.errors import UserError
from tests.helpers.recognition import as_recognition

EVERY = [{"Recallk": {"topk": [1, 2, 5]}}, {"mAP": {}}, {"Precisionk": {"topk": [1, 3]}}]


def by_loops(similarities, matches):
    """The figures of queries as their definitions say them; `similarities` and `matches` have a list per query."""
    found = {name: [] for name in ("recall1", "recall2", "recall5", "mAP", "precision1", "precision3")}
    for values, right in zip(similarities, matches):
        order = sorted(range(len(values)), key=lambda place: (-values[place], place))
        hits = [bool(right[place]) for place in order]
        if not any(hits):
            continue
        for k in (1, 2, 5):
            found[f"recall{k}"].append(any(hits[:k]))
        for k in (1, 3):
            found[f"precision{k}"].append(sum(hits[:k]) / k)
        precisions = [sum(hits[: place + 1]) / (place + 1) for place in range(len(hits)) if hits[place]]
        found["mAP"].append(sum(precisions) / len(precisions))
    return {name: float(np.mean(values)) for name, values in found.items()}


def by_ranks(similarities, matches):
    metrics = build_retrieval_metrics(EVERY)
    for values, right in zip(similarities, matches):
        ranks = ranks_of_matches(np.asarray(values), np.asarray(right))
        if len(ranks):
            for metric in metrics:
                metric.update(ranks)
    return {name: value for metric in metrics for name, value in metric.values().items()}


@pytest.mark.parametrize("levels", [3, 20, 10**6], ids=["many ties", "some ties", "no tie"])
def test_figures_equal_those_of_loops(levels):
    rng = np.random.default_rng(levels)
    similarities = (rng.integers(0, levels, (60, 30)) / levels).astype(np.float32)
    matches = rng.random((60, 30)) < rng.choice([0.0, 0.03, 0.2], (60, 1))
    expected = by_loops(similarities.tolist(), matches)
    assert by_ranks(similarities, matches) == pytest.approx(expected, abs=1e-12)
    assert all(0.02 < value < 0.98 for value in expected.values())


def test_of_equal_similarities_the_first_listed_comes_first():
    matches = np.array([False, True, False, True])
    assert ranks_of_matches(np.full(4, 0.5, np.float32), matches).tolist() == [1, 3]
    assert ranks_of_matches(np.array([0.1, 0.5, 0.5, 0.5], np.float32), matches).tolist() == [0, 2]


def test_known_figures():
    """Matches at ranks 1 and 4 of five: AP is (1/2 + 2/5) / 2."""
    assert by_ranks([[5, 4, 3, 2, 1]], [[0, 1, 0, 0, 1]]) == pytest.approx(
        {"recall1": 0, "recall2": 1, "recall5": 1, "mAP": 0.45, "precision1": 0, "precision3": 1 / 3}
    )


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"TopkAcc": {}}], r"Metric.Eval\[0\]: expected 'Recallk: .* or another of Precisionk, Recallk, mAP"),
        ([{"Recallk": {"topk": 0}}], r"^Metric.Eval\[0\].Recallk.topk: expected a whole number of at least 1"),
        ([{"Recallk": {"topk": []}}], r"^Metric.Eval\[0\].Recallk.topk: expected one or more whole"),
        ([{"mAP": {"topk": 1}}], "mAP: no option 'topk'"),
        ([{}], r"Metric.Eval\[0\]: expected 'Recallk"),
    ],
)
def test_wrong_metrics(items, message):
    with pytest.raises(UserError, match=message):
        build_retrieval_metrics(items)


def test_a_list_without_options_and_none():
    assert RETRIEVAL_METRICS.names() == ["Precisionk", "Recallk", "mAP"]
    assert [type(metric).__name__ for metric in build_retrieval_metrics(["mAP", {"Recallk": None}])] == [
        "mAP",
        "Recallk",
    ]
    (metric,) = build_retrieval_metrics(None)
    assert (type(metric).__name__, metric.topk) == ("Recallk", [1, 5])


def test_the_figure_that_decides():
    assert headline({"mAP": 0.5, "recall5": 0.9, "recall1": 0.7}) == 0.7
    assert headline({"recall5": 0.9, "mAP": 0.5}) == 0.5
    assert headline({"precision3": 0.25, "recall5": 0.5}) == 0.25
    assert headline({"loss": 2.0}) == -2.0


# ---- an evaluation


class Known(paddle.nn.Layer):
    """A network whose features are made of an image's mean colour."""

    def forward(self, images):
        return {"features": images.mean(axis=[2, 3]), "backbone": images.max(axis=[2, 3])}


@pytest.fixture
def config(config):
    as_recognition(config)
    config["Metric"]["Eval"] = EVERY
    return config


def rewrite(config, part, tmp_path, line):
    """The list of a part with `line(number, path, label)` for each of its lines."""
    dataset = config["DataLoader"]["Eval"][part]["dataset"]
    with open(dataset["cls_label_path"]) as stream:
        rows = [text.split() for text in stream]
    path = tmp_path / f"{part}.txt"
    path.write_text("".join(line(number, name, int(label)) + "\n" for number, (name, label) in enumerate(rows)))
    dataset["cls_label_path"] = str(path)


def features_of(config, part, source):
    """(features of length 1, labels, names) of a part of the evaluation."""
    (loader,) = [loader for loader in RetrievalEvaluator(config).loaders if loader.dataset.cls_label_path == part]
    found = np.concatenate([Known()(batch.images)[source].numpy() for batch in loader]).astype(np.float64)
    return found / np.linalg.norm(found, axis=1, keepdims=True), loader.dataset


@pytest.mark.parametrize("source", ["features", "backbone"])
def test_an_evaluation_equals_plain_loops(config, source, monkeypatch):
    monkeypatch.setattr(retrieval, "_BLOCK", 30)  # two queries at a time
    config["Global"]["retrieval_feature_from"] = source
    evaluation = config["DataLoader"]["Eval"]
    queries, asked = features_of(config, evaluation["Query"]["dataset"]["cls_label_path"], source)
    gallery, listed = features_of(config, evaluation["Gallery"]["dataset"]["cls_label_path"], source)
    evaluator = RetrievalEvaluator(config)
    matches = asked.labels[:, None] == listed.labels
    assert evaluator.run(Known()) == pytest.approx(by_loops(queries @ gallery.T, matches))
    assert evaluator.amount() == "queries: 7, gallery: 14"
    assert evaluator.notes() == []


def test_the_labels_of_others_are_found_by_chance(config, tmp_path):
    """The fault: labels of the gallery are shuffled."""
    sure = RetrievalEvaluator(config).run(Known())
    assert sure["recall1"] == 1
    shuffled = np.random.default_rng(0).permutation([0, 1, 2] * 5)
    rewrite(config, "Gallery", tmp_path, lambda number, name, label: f"{name} {shuffled[number]}")
    found = RetrievalEvaluator(config).run(Known())
    assert found["recall1"] < 0.8
    assert 0.2 < found["mAP"] < 0.6 < sure["mAP"]


class Numbered(paddle.nn.Layer):
    """A network to which the images of a list of 14 are all unlike, and each is like itself."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        end = (self.seen - 1) % 14 + 1
        return {"features": paddle.eye(14)[end - len(images) : end]}


@pytest.mark.parametrize("kind", ["Eval", "Query", "Gallery", "the same twice"])
def test_an_image_never_finds_itself(config, kind, monkeypatch):
    """One list for both: each image is searched for among the others."""
    section = config["DataLoader"]["Eval"]["Gallery"]
    forms = {"Eval": section, "the same twice": {"Query": section, "Gallery": section}}
    config["DataLoader"]["Eval"] = forms.get(kind, {kind: section})
    evaluator = RetrievalEvaluator(config)
    assert evaluator.amount() == "queries: 14, gallery: 14"
    labels = evaluator.datasets[0].labels
    others = [np.delete(labels, number) == label for number, label in enumerate(labels)]
    assert evaluator.run(Numbered()) == pytest.approx(by_loops([[0] * 13] * 14, others))
    # the fault: it is in the gallery
    monkeypatch.setattr(retrieval, "_places", lambda dataset: {})
    assert evaluator.run(Numbered())["precision1"] == 1


def test_images_of_the_same_camera_are_no_find(config, tmp_path):
    """With cameras in both lists, the same identity from the same camera is left out."""
    rewrite(config, "Query", tmp_path, lambda number, name, label: f"{name} {label} {number % 2}")
    without = RetrievalEvaluator(config).run(Known())
    rewrite(config, "Gallery", tmp_path, lambda number, name, label: f"{name} {label} {number % 2}")
    evaluation = config["DataLoader"]["Eval"]
    queries, asked = features_of(config, evaluation["Query"]["dataset"]["cls_label_path"], "features")
    gallery, listed = features_of(config, evaluation["Gallery"]["dataset"]["cls_label_path"], "features")
    matches = asked.labels[:, None] == listed.labels
    counts = ~(matches & (asked.cameras[:, None] == listed.cameras))
    similarities = queries @ gallery.T
    expected = by_loops([s[c] for s, c in zip(similarities, counts)], [m[c] for m, c in zip(matches, counts)])
    assert RetrievalEvaluator(config).run(Known()) == pytest.approx(expected)
    assert expected != pytest.approx(without)


def test_queries_without_a_match_are_left_out_and_counted(config, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(retrieval.logger, "propagate", True)
    before = RetrievalEvaluator(config).run(Known())
    assert not caplog.records
    rewrite(config, "Query", tmp_path, lambda number, name, label: f"{name} {label if label else 9}")
    evaluator = RetrievalEvaluator(config)
    assert evaluator.run(Known())["recall1"] == before["recall1"] == 1
    evaluator.run(Known())  # a training says it once
    (said,) = caplog.records
    assert said.levelname == "WARNING"
    text = "[Eval] 3 of 7 queries have no image of their identity in the gallery: they are left out of every figure"
    assert said.getMessage() == text
    assert evaluator.amount() == "queries: 4 of 7, gallery: 14"
    rewrite(config, "Query", tmp_path, lambda number, name, label: f"{name} {label + 20}")
    with pytest.raises(UserError, match=r"DataLoader.Eval: no query has an image of its identity in the gallery"):
        RetrievalEvaluator(config).run(Known())


def test_lengths_of_features_count_only_without_normalisation(config):
    class Loud(Known):
        """Some features are longer: in the same direction."""

        def forward(self, images):
            features = super().forward(images)["features"] + 3
            return {"features": features * (1 + 9 * (features[:, :1] > features[:, 1:2]).astype("float32"))}

    class Quiet(Known):
        def forward(self, images):
            return {"features": super().forward(images)["features"] + 3}

    assert RetrievalEvaluator(config).run(Loud()) == pytest.approx(RetrievalEvaluator(config).run(Quiet()))
    config["Global"]["feature_normalize"] = False
    assert RetrievalEvaluator(config).run(Loud()) != pytest.approx(RetrievalEvaluator(config).run(Quiet()))


class NotFinite(Known):
    def forward(self, images):
        return {"features": super().forward(images)["features"] * float("nan")}


def test_what_cannot_be_judged(config, tmp_path):
    with pytest.raises(UserError, match="the features of the evaluation's images are not finite"):
        RetrievalEvaluator(config).run(NotFinite())
    with pytest.raises(UserError, match="needs a network of features"):
        RetrievalEvaluator(config).run(lambda_network())
    evaluator = RetrievalEvaluator(config)
    evaluator.loaders[1].batch_sampler.size -= 1
    with pytest.raises(UserError, match="13 images were evaluated, and its list has 14"):
        evaluator.run(Known())
    config["DataLoader"]["Eval"]["dataset"] = {}
    with pytest.raises(UserError, match=r"DataLoader.Eval.dataset: expected Query and Gallery alone"):
        RetrievalEvaluator(config)
    config["DataLoader"]["Eval"] = None
    with pytest.raises(UserError, match=re.escape("'DataLoader.Eval' is missing")):
        RetrievalEvaluator(config)


def lambda_network():
    network = paddle.nn.Layer()
    network.forward = lambda images: images
    return network


def test_large_galleries_need_little_memory(monkeypatch):
    """Blocks of queries: 3,000 by 3,000 similarities in pieces of four million at most."""
    seen = []

    class Rows(np.ndarray):
        def __matmul__(self, other):
            seen.append(self.shape[0] * other.shape[1])
            return np.asarray(self) @ np.asarray(other)

    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(600), 5))
    features = rng.normal(size=(600, 16))[labels] + 0.5 * rng.normal(size=(3000, 16))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)

    class Listed:
        paths, cameras = [f"{number}.jpg" for number in range(3000)], None

        def __len__(self):
            return 3000

    Listed.labels = labels
    evaluator = object.__new__(RetrievalEvaluator)
    evaluator.datasets = [Listed()]
    metrics = build_retrieval_metrics(EVERY)
    for ranks in evaluator._ranks(features.view(Rows), features):
        for metric in metrics:
            metric.update(ranks)
    assert max(seen) <= retrieval._BLOCK < 3000 * 3000
    assert 0.5 < metrics[1].values()["mAP"] < 0.99
