"""Recall and mean average precision through the exported model, and the logs of a recogniser's chain."""

import json
import re

import numpy as np
import pytest
import yaml

from ppcls_lite.infer.compare.evaluated import compare_retrieval
from ppcls_lite.infer.compare.logs import read_figures, read_lines, read_records
from ppcls_lite.infer.compare.retrieved import Images, Retrieval
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import ROOT, assert_one_line
from tests.infer.test_agreed_logs import changed, make_logs

NAMES = ["recall1", "recall5", "precision3", "mAP"]


def images(rows, labels, cameras=None):
    return Images(np.array(rows), np.array(labels), None if cameras is None else np.array(cameras))


def plainly(embeddings, queries, gallery):
    """The same figures, by sorting a list for each query."""
    found = {name: [] for name in NAMES}
    for query, (row, label) in enumerate(zip(queries.rows, queries.labels)):
        listed = []
        for other, (own, known) in enumerate(zip(gallery.rows, gallery.labels)):
            both = gallery.cameras is not None and queries.cameras is not None
            seen = both and known == label and gallery.cameras[other] == queries.cameras[query]
            if own != row and not seen:
                cosine = float(embeddings[row] @ embeddings[own])
                cosine /= float(np.linalg.norm(embeddings[row]) * np.linalg.norm(embeddings[own]))
                listed.append((-cosine, known == label))
        hits = [same for _, same in sorted(listed)]
        if True not in hits:
            continue
        found["recall1"].append(hits[0])
        found["recall5"].append(True in hits[:5])
        found["precision3"].append(sum(hits[:3]) / 3)
        found["mAP"].append(np.mean([sum(hits[: at + 1]) / (at + 1) for at, same in enumerate(hits) if same]))
    return {name: np.mean(values) for name, values in found.items()}


@pytest.mark.parametrize("kind", ["two lists", "one list", "cameras"])
def test_figures_are_those_of_a_plain_search(kind):
    rng = np.random.default_rng(4)
    embeddings, labels = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 5, 40)
    labels[0] = 99  # has no match
    if kind == "one list":
        queries = gallery = images(range(40), labels)
    else:
        cameras = rng.integers(0, 2, 40) if kind == "cameras" else [None] * 40
        parts = slice(0, 15), slice(10, 40)  # five images are in both
        queries, gallery = (
            images(range(*part.indices(40)), labels[part], None if kind == "two lists" else cameras[part])
            for part in parts
        )
    expected = plainly(embeddings, queries, gallery)
    for name, (least, plain, largest) in Retrieval(queries, gallery).figures(embeddings, NAMES).items():
        assert plain == pytest.approx(expected[name], abs=1e-12)
        assert least <= plain <= largest


def test_a_tie_may_be_broken_either_way():
    embeddings = np.array([[1, 0], [0.6, 0.8], [0.6, 0.8]], np.float32)
    retrieval = Retrieval(images([0], [1]), images([1, 2], [1, 2]))
    least, _, largest = retrieval.figures(embeddings, ["recall1"])["recall1"]
    assert (least, largest) == (0, 1)


def evaluation(tmp_path, text, head="# command: python tools/eval.py\n"):
    path = tmp_path / "eval.log"
    path.write_text(f"{head}[Eval][Avg] {text}\n")
    return path


TWO = np.array([[1, 0], [0.9, 0.1], [0.1, 0.9]], np.float32)
RETRIEVAL = Retrieval(images([0, 2], [7, 7]), images([1, 2], [7, 8]))


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("recall1: 1.00000, mAP: 1.00000, queries: 2, gallery: 2", [True, True]),
        ("recall1: 0.50000, mAP: 1.00000, queries: 2, gallery: 2", [False, True]),
        ("recall1: 1.00000, mAP: 0.99990, queries: 2, gallery: 2", [True, False]),
        ("recall1: 1.00000, queries: 3, gallery: 2", [False]),
        ("recall1: 1.00000, queries: 2, gallery: 3", [False]),
        ("loss: 3.10000, recall1: 1.00000, queries: 2, gallery: 2", [True]),
    ],
)
def test_figures_of_an_evaluation(tmp_path, text, verdicts):
    found = compare_retrieval(evaluation(tmp_path, text), RETRIEVAL, TWO)
    assert [one.agrees for one in found] == verdicts
    assert all("through the exported model" in str(one) for one in found)


def test_queries_without_a_match_count_as_listed_and_not_as_judged(tmp_path):
    """`queries: 1 of 2`: both are in the list, and a GPU may decide the one that was judged in another way."""
    retrieval = Retrieval(images([0, 2], [7, 9]), images([1, 2], [7, 8]))
    for text, agrees in (("1 of 2", True), ("2", True), ("1 of 3", False), ("1", False)):
        log = evaluation(tmp_path, f"recall1: 1.00000, queries: {text}, gallery: 2")
        (found,) = compare_retrieval(log, retrieval, TWO)
        assert found.agrees is agrees, text
    head = "# command: python tools/eval.py -o Global.device=gpu\n"
    for text, agrees in (("1 of 2", True), ("2", False)):
        log = evaluation(tmp_path, f"recall1: 0.00000, queries: {text}, gallery: 2", head)
        assert compare_retrieval(log, retrieval, TWO)[0].agrees is agrees, text
    for text in ("x of 2", "1 of x", "of 2"):
        with pytest.raises(UserError, match=r"expected '\[Eval\]\[Avg\] NAME: NUMBER"):
            compare_retrieval(evaluation(tmp_path, f"recall1: 1.00000, queries: {text}, gallery: 2"), retrieval, TWO)


def test_an_evaluation_on_a_gpu_may_differ_by_a_query(tmp_path):
    text = "recall1: 0.50000, queries: 2, gallery: 2"
    log = evaluation(tmp_path, text, "# command: python tools/eval.py -o Global.device=gpu\n")
    (found,) = compare_retrieval(log, RETRIEVAL, TWO)
    assert found.agrees


def test_an_evaluation_of_something_else_is_refused(tmp_path):
    log = evaluation(tmp_path, "top1: 0.50000, images: 8")
    with pytest.raises(UserError, match=r"expected recall1 or mAP of an evaluation, found top1$"):
        compare_retrieval(log, RETRIEVAL, TWO)
    with pytest.raises(UserError, match=r"expected '\[Eval\]\[Avg\] NAME: NUMBER"):
        read_figures(evaluation(tmp_path, "recall1: 0.50000, queries: many, gallery: 8"))


# ---- a chain's logs


@pytest.fixture(scope="module")
def logs(exported_recognizer, rec_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rec_logs")
    return make_logs(folder, *exported_recognizer, "predict_rec", "configs/inference_rec.yaml", rec_set / "images")


def test_a_recognisers_logs_agree(logs, run_here):
    outcome = run_here("tools/compare_engines.py", *logs.options())
    assert outcome.status == 0, outcome
    figures = read_figures(logs.folder / "x_eval.log")
    assert (figures.images, figures.gallery) == (4, 12)
    for name, value in figures.texts.items():
        if name.startswith(("recall", "mAP")):
            line = f"{name}: {value} through the exported model, {value} in the evaluation: agrees"
            assert line in outcome.out.splitlines()
    assert "printed python_infer_cpu.log: 28 of 28 images as the training engine printed: agrees" in outcome.out
    kept = {path.stem: json.loads(path.read_text()) for path in (logs.folder / "a_predictions").iterdir()}
    assert {"training", "strict", "usual_onednn"} == set(kept)
    (one, *_) = kept["strict"]["images"].values()
    assert (one["kind"], len(one["rows"]), kept["strict"]["left_out"]) == ("embedding", 16, 0)
    assert len(read_lines(logs.folder / "python_infer_cpu.log")[0].features) == 16
    assert len(read_records(logs.folder / "x_predict.log")) == 28


def _first_number(path, folder, change):
    text = path.read_text()
    number = re.search(r"(?:\t|'features': )\[([-\d.e]+),", text)[1]
    return changed(path, folder / "a.log", f"[{number},", f"[{change(float(number))},")


def _two_lines(path, folder):
    lines = path.read_text().splitlines()
    one, two = [at for at, line in enumerate(lines) if ":\t[" in line][:2]
    rows = [lines[at].partition("\t") for at in (one, two)]
    lines[one], lines[two] = rows[0][0] + "\t" + rows[1][2], rows[1][0] + "\t" + rows[0][2]
    (folder / "a.log").write_text("\n".join(lines) + "\n")
    return folder / "a.log"


def _shorter(path, folder):
    text = path.read_text()
    return changed(path, folder / "a.log", re.search(r"\t\[[-\d.e]+, ", text)[0], "\t[")


PRINTED, EVALUATED, PREDICTED = "python_infer_cpu.log", "x_eval.log", "x_predict.log"
LOG_FAULTS = {
    "another recall": (
        lambda logs, folder: {"evaluated": _evaluated(logs, folder, "recall1")},
        r"recall1: \S+ through the exported model, 0.12345 in the evaluation: DISAGREES",
    ),
    "another mean average precision": (
        lambda logs, folder: {"evaluated": _evaluated(logs, folder, "mAP")},
        r"mAP: \S+ through the exported model, 0.12345 in the evaluation: DISAGREES",
    ),
    "another gallery": (
        lambda logs, folder: {
            "evaluated": changed(logs.folder / EVALUATED, folder / "e.log", "gallery: 12", "gallery: 13")
        },
        r"recall1: \S+ of 4 queries in 12 images through .* \S+ of 4 queries in 13 images in the evaluation: DISAGREES",
    ),
    "a number": (
        lambda logs, folder: {"printed": _first_number(logs.folder / PRINTED, folder, lambda one: one + 1e-3)},
        r"27 of 28 images as the training engine printed: DISAGREES: .*: number 1 of the embedding is ",
    ),
    "two images exchanged": (
        lambda logs, folder: {"printed": _two_lines(logs.folder / PRINTED, folder)},
        "26 of 28 images as the training engine printed: DISAGREES",
    ),
    "a number fewer": (
        lambda logs, folder: {"printed": _shorter(logs.folder / PRINTED, folder)},
        r"an embedding of 15 numbers, and one of 16 in x_predict.log",
    ),
    "a stale prediction": (
        lambda logs, folder: {"predicted": _first_number(logs.folder / PREDICTED, folder, lambda one: -one - 1)},
        "predicted a.log: 27 of 28 images as the exported model predicts: DISAGREES",
    ),
    "names of a gallery": (
        lambda logs, folder: {"printed": _gallery_line(logs.folder / PRINTED, folder)},
        "a line that looks like a prediction cannot be read",
    ),
}


def _evaluated(logs, folder, name):
    figures = read_figures(logs.folder / EVALUATED)
    return changed(logs.folder / EVALUATED, folder / "e.log", f"{name}: {figures.texts[name]}", f"{name}: 0.12345")


def _gallery_line(path, folder):
    text = path.read_text()
    embedding = re.search(r"\t(\[.*\])", text)[1]
    return changed(path, folder / "a.log", embedding, "[{'rec_docs': 'ash', 'rec_scores': 0.9}]")


@pytest.mark.parametrize("fault", LOG_FAULTS)
def test_a_log_of_something_else_is_refused(logs, run_here, tmp_path, fault):
    change, line = LOG_FAULTS[fault]
    outcome = run_here("tools/compare_engines.py", *logs.options(**change(logs, tmp_path)))
    assert_one_line(outcome, f"{logs.model}: it does not give what was evaluated, predicted or printed")
    assert re.search(line, outcome.out), outcome.out


def test_an_evaluation_with_other_transforms_is_refused(logs, run_here, tmp_path):
    content = json.loads(json.dumps(yaml.safe_load(logs.config.read_text())))
    for part in content["DataLoader"]["Eval"].values():
        part["dataset"]["transform_ops"][2]["NormalizeImage"]["mean"] = [0, 9, 0]
    content["Infer"] = {
        "transforms": content["DataLoader"]["Train"]["dataset"]["transform_ops"] + [{"ToCHWImage": None}]
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    evaluated = run_here("tools/eval.py", "-c", tmp_path / "config.yaml")
    assert evaluated.status == 0, evaluated.err
    (tmp_path / "e.log").write_text(evaluated.out)
    outcome = run_here("tools/compare_engines.py", *logs.options(evaluated=tmp_path / "e.log"))
    assert outcome.status == 1
    assert re.search(r"^mAP: .*: DISAGREES$", outcome.out, re.MULTILINE)


def test_another_mean_in_the_prediction_config_is_refused(logs, run_here, tmp_path):
    prediction = yaml.safe_load((ROOT / "deploy/configs/inference_rec.yaml").read_text())
    prediction["PreProcess"] = yaml.safe_load((logs.model / "inference.yml").read_text())["PreProcess"]
    path = tmp_path / "inference_rec.yaml"
    path.write_text(yaml.safe_dump(prediction))
    options = ["-c", logs.config, "--inference_model_dir", logs.model, "--inference_config", path]
    assert run_here("tools/compare_engines.py", *options).status == 0
    prediction["PreProcess"]["transform_ops"][2]["NormalizeImage"]["std"][0] += 0.001
    path.write_text(yaml.safe_dump(prediction))
    assert_one_line(run_here("tools/compare_engines.py", *options), "PreProcess.transform_ops[2].NormalizeImage.std is")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["Global.retrieval_feature_from=backbone"], "it is of backbone, which are not exported"),
        (["Global.feature_normalize=False"], "it is of features of any length, which are not exported"),
    ],
)
def test_an_evaluation_of_other_features_is_said_to_be_not_compared(logs, run_here, changes, words):
    changes = [word for change in changes for word in ("-o", change)]
    outcome = run_here("tools/compare_engines.py", *changes, *logs.options())
    assert outcome.status == 0, outcome
    assert words in outcome.out
    assert "in the evaluation" not in outcome.out
