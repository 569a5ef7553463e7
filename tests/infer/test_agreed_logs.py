"""tools/compare_engines.py with the logs of a chain: the accuracy that was evaluated, and what was predicted."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml

from ppcls_lite.infer.compare.evaluated import Ranks, compare_accuracy, compare_precision
from ppcls_lite.infer.compare.logs import read_figures, read_records
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from tests.helpers.configs import save_arrays
from tests.helpers.detection import detector_weights
from tests.helpers.scripts import ROOT, assert_one_line, run_process

FIGURE = re.compile(r"^(\w+): largest difference (\S+) ", re.MULTILINE)  # as the chain's report reads it


class Logs(NamedTuple):
    """The logs of one chain, as its steps left them, and the rest that the comparison takes."""

    config: object
    model: object
    folder: object
    prediction: str  # config of the inference command, seen from `deploy`

    def options(self, **changes):
        """The command line, in the order in which the chain has it; `changes` are other paths for an option."""
        given = {
            "evaluated": self.folder / "x_eval.log",
            "predicted": self.folder / "x_predict.log",
            "printed": self.folder / "python_infer_cpu.log",
            **changes,
        }
        words = [word for name, path in given.items() for word in (f"--{name}", path)]
        command = ["--inference_folder", "deploy", "--inference_command", "-c", self.prediction]
        return [
            "-c",
            self.config,
            "--inference_model_dir",
            self.model,
            "--save",
            self.folder / "a.json",
            *words,
            *command,
        ]


def make_logs(folder, config, model, script, prediction, images):
    """Run the chain's three commands, and keep their logs as `run_step` does."""
    command = ["-o", f"Global.inference_model_dir={model}", "-o", f"Global.infer_imgs={images}"]
    steps = {
        "x_eval": ("tools/eval.py", "-c", config),
        "x_predict": ("tools/infer.py", "-c", config, "-o", f"Infer.infer_imgs={images}"),
        "python_infer_cpu": (f"deploy/python/{script}.py", "-c", ROOT / "deploy" / prediction, *command),
    }
    for name, words in steps.items():
        outcome = run_process(*words)
        assert outcome.status == 0, outcome.err
        head = f"# command: python {' '.join(map(str, words))}\n# folder: .\n"
        (folder / f"{name}.log").write_text(f"{head}{outcome.err}{outcome.out}\n# ended: exit code 0, 1 seconds\n")
    return Logs(config, model, folder, prediction)


@pytest.fixture(scope="module")
def logs(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    config = "configs/inference_cls.yaml"
    return make_logs(folder, exported.config, exported.model, "predict_cls", config, ROOT / "test_images")


@pytest.fixture(scope="module")
def det_logs(exported_detector, det_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("det_logs")
    return make_logs(folder, *exported_detector, "predict_det", "configs/inference_det.yaml", det_set / "val")


def changed(path, target, old, new):
    text = path.read_text()
    assert old in text, text
    target.write_text(text.replace(old, new, 1))
    return target


def test_a_chains_logs_agree(logs, run_here):
    outcome = run_here("tools/compare_engines.py", *logs.options())
    assert outcome.status == 0, outcome
    lines = outcome.out.splitlines()[-7:]
    figures = read_figures(logs.folder / "x_eval.log").texts
    count, loss = round(float(figures["top1"]) * 7), figures["loss"]
    assert lines[4].startswith(f"loss: {loss[:-1]}")
    assert lines[4].endswith(f" through the exported model, {loss} in the evaluation: agrees")
    assert lines[2:4] + lines[5:] == [
        f"accuracy: {count} of 7 images right through the exported model, {count} in the evaluation: agrees",
        "top5: 7 of 7 images right through the exported model, 7 in the evaluation: agrees",
        "predicted x_predict.log: 5 of 5 images as the exported model predicts: agrees",
        "printed python_infer_cpu.log: 5 of 5 images as the training engine printed: agrees",
    ]
    assert [name for name, _ in FIGURE.findall(outcome.out)] == ["strict", "usual_onednn"]
    saved = json.loads((logs.folder / "a.json").read_text())
    assert [next(iter(entry.items())) for entry in saved] == [
        ("engine", "strict"),
        ("engine", "usual_onednn"),
        ("evaluated", "top1"),
        ("evaluated", "top5"),
        ("evaluated", "loss"),
        ("kind", "predicted"),
        ("kind", "printed"),
    ]
    assert all(entry["agrees"] for entry in saved)


def test_a_detectors_logs_agree(det_logs, run_here):
    outcome = run_here("tools/compare_engines.py", *det_logs.options())
    assert outcome.status == 0, outcome
    figures = read_figures(det_logs.folder / "x_eval.log").texts
    for name in ("AP", "AP50", "AP75", "APlarge"):
        line = f"{name}: {figures[name]} through the exported model, {figures[name]} in the evaluation: agrees"
        assert line in outcome.out.splitlines()
    assert re.search(
        r"^predicted .*: 5 of 5 images as the exported model predicts, \d+ box\(es\): agrees$", outcome.out, re.M
    )
    assert re.search(
        r"^printed .*: 5 of 5 images as the training engine printed, \d+ box\(es\): agrees$", outcome.out, re.M
    )


def wrong_class(logs, folder):
    path = logs.folder / "python_infer_cpu.log"
    first = re.search(r"class id\(s\): (\[\d, \d)", path.read_text())[1]
    return {"printed": changed(path, folder / "a.log", first, f"[{first[4]}, {first[1]}")}


LOG_FAULTS = {
    "one image fewer was right": (
        lambda logs, folder: {
            "evaluated": changed(logs.folder / "x_eval.log", folder / "e.log", "top5: 1.00000", "top5: 0.85714")
        },
        "top5: 7 of 7 images right through the exported model, 6 in the evaluation: DISAGREES",
    ),
    "no whole number of images": (
        lambda logs, folder: {
            "evaluated": changed(logs.folder / "x_eval.log", folder / "e.log", "top5: 1.00000", "top5: 0.99000")
        },
        "7 of 7 images right through the exported model, 0.99000 (not a whole number of images) in the evaluation: DIS",
    ),
    "other images were evaluated": (
        lambda logs, folder: {
            "evaluated": changed(logs.folder / "x_eval.log", folder / "e.log", "images: 7", "images: 8")
        },
        "top5: 7 of 7 images right through the exported model, 8 of 8 in the evaluation: DISAGREES",
    ),
    "two classes exchanged": (wrong_class, "printed a.log: 4 of 5 images as the training engine printed: DISAGREES: "),
    "a stale prediction": (
        lambda logs, folder: {
            "predicted": changed(logs.folder / "x_predict.log", folder / "p.log", "'scores': [0.", "'scores': [1.")
        },
        "predicted p.log: 4 of 5 images as the exported model predicts: DISAGREES: ",
    ),
}


@pytest.mark.parametrize("fault", LOG_FAULTS)
def test_a_log_of_something_else_is_refused(logs, run_here, tmp_path, fault):
    change, line = LOG_FAULTS[fault]
    outcome = run_here("tools/compare_engines.py", *logs.options(**change(logs, tmp_path)))
    assert_one_line(outcome, f"{logs.model}: it does not give what was evaluated, predicted or printed")
    assert line in outcome.out
    assert len(FIGURE.findall(outcome.out)) == 2
    assert not all(entry["agrees"] for entry in json.loads((logs.folder / "a.json").read_text()))


def test_an_evaluation_with_other_transforms_is_refused(logs, run_here, tmp_path):
    """Infer.transforms unlike those of the evaluation: every engine agrees, about other images."""
    content = json.loads(json.dumps(yaml.safe_load(logs.config.read_text())))
    ops = content["DataLoader"]["Eval"]["dataset"]["transform_ops"]
    ops[0]["DecodeImage"]["to_rgb"] = False
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    evaluated = run_here("tools/eval.py", "-c", tmp_path / "config.yaml")
    assert evaluated.status == 0, evaluated.err
    (tmp_path / "e.log").write_text(evaluated.out)
    outcome = run_here("tools/compare_engines.py", *logs.options(evaluated=tmp_path / "e.log"))
    assert outcome.status == 1
    assert re.search(r"^loss: .*: DISAGREES$", outcome.out, re.MULTILINE)
    # without the loss, by the number of right images; JSON, since the config's lists share their entries
    content = json.loads(json.dumps(yaml.safe_load(logs.config.read_text())))
    ops = content["DataLoader"]["Eval"]["dataset"]["transform_ops"]
    ops[3]["NormalizeImage"]["mean"] = [0, 9, 0]
    content["Loss"]["Eval"][0]["CELoss"]["epsilon"] = 0.1
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    evaluated = run_here("tools/eval.py", "-c", tmp_path / "config.yaml")
    (tmp_path / "e.log").write_text(evaluated.out)
    named = logs._replace(config=tmp_path / "config.yaml").options(evaluated=tmp_path / "e.log")
    outcome = run_here("tools/compare_engines.py", *named)
    assert outcome.status == 1
    assert re.search(r"^accuracy: \d of 7 .*: DISAGREES$", outcome.out, re.MULTILINE)
    assert "loss: " not in outcome.out


def test_labels_are_counted_as_the_evaluation_counts_them(exported, tiny_data, run_here, tmp_path):
    """`relabel` and `delimiter` of the data set change which label an image has, and where its name ends."""
    names = tmp_path / "list.txt"
    names.write_text("".join(f"val_{index}.png;{10 * (index % 3)}\n" for index in range(7)))
    dataset = "DataLoader.Eval.dataset"
    changes = [f"{dataset}.cls_label_path={names}", f"{dataset}.relabel=True", f"{dataset}.delimiter=;"]
    words = ["-c", exported.config, *(word for change in changes for word in ("-o", change))]
    evaluated = run_here("tools/eval.py", *words)
    assert evaluated.status == 0, evaluated.err
    (tmp_path / "e.log").write_text(evaluated.out)
    options = ["--inference_model_dir", exported.model, "--evaluated", tmp_path / "e.log"]
    outcome = run_here("tools/compare_engines.py", *words, *options)
    assert outcome.status == 0, outcome
    assert "accuracy: " in outcome.out


def test_the_precision_of_a_detector_that_finds_something(exported_detector, run_here, det_set, tmp_path):
    """The boxes that a random network finds, taken as the truth: the figures are not 0, and are the same."""
    config, _ = exported_detector
    arrays = detector_weights(load_config(config))
    arrays["size.1.weight"] *= np.float32(0.1)
    arrays["size.1.bias"] = np.array([5, 4], np.float32)  # cells: else a random box has no area
    weights = save_arrays(arrays, tmp_path / "wide.pdparams")
    places = [f"Global.pretrained_model={weights}", f"Global.save_inference_dir={tmp_path / 'model'}"]
    words = ["-c", config, *(word for place in places for word in ("-o", place))]
    exported = run_process("tools/export_model.py", *words)
    assert exported.status == 0, exported.err
    (tmp_path / "p.log").write_text(run_here("tools/infer.py", *words).out)
    found = {Path(prediction.image).name: prediction for prediction in read_records(tmp_path / "p.log")}
    truth = json.loads((det_set / "annotations/val.json").read_text())
    truth["annotations"] = []
    for image in truth["images"]:
        prediction = found[image["file_name"]]
        for label, (x, y, right, below) in zip(prediction.ids, prediction.boxes):
            area = {"bbox": [x, y, right - x, below - y], "area": (right - x) * (below - y), "iscrowd": 0}
            ids = {"image_id": image["id"], "category_id": (3, 5, 9)[label], "id": len(truth["annotations"]) + 1}
            truth["annotations"].append({**ids, **area})
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    dataset = "DataLoader.Eval.dataset"
    changes = [f"{dataset}.anno_path={tmp_path / 'truth.json'}", f"{dataset}.bad_boxes=skip"]
    changes += [f"{dataset}.allow_empty=True", "Metric.Eval.0.COCOMetric.max_boxes=30"]  # more than Arch.max_boxes
    words += [word for change in changes for word in ("-o", change)]
    evaluated = run_here("tools/eval.py", *words)
    assert evaluated.status == 0, evaluated.err
    (tmp_path / "e.log").write_text(evaluated.out)
    figures = read_figures(tmp_path / "e.log").texts
    assert float(figures["AP"]) > 0.05
    used = ["--inference_config", ROOT / "deploy/configs/inference_det.yaml"]
    options = ["--inference_model_dir", tmp_path / "model", *used, "--evaluated", tmp_path / "e.log"]
    outcome = run_here("tools/compare_engines.py", *words, *options)
    assert outcome.status == 0, outcome
    for name in ("AP", "AP50", "AP75"):
        assert f"{name}: {figures[name]} through the exported model, {figures[name]} in" in outcome.out


def test_a_detectors_other_accuracy_is_refused(det_logs, run_here, tmp_path):
    text = (det_logs.folder / "x_eval.log").read_text()
    figure = read_figures(det_logs.folder / "x_eval.log").texts["AP50"]
    other = f"{float(figure) + 0.00001:.5f}"
    (tmp_path / "e.log").write_text(text.replace(f"AP50: {figure}", f"AP50: {other}"))
    outcome = run_here("tools/compare_engines.py", *det_logs.options(evaluated=tmp_path / "e.log"))
    assert_one_line(outcome, "it does not give what was evaluated")
    assert f"AP50: {figure} through the exported model, {other} in the evaluation: DISAGREES" in outcome.out
    boxes = changed(det_logs.folder / "python_infer_cpu.log", tmp_path / "b.log", "0.png: ", "9.png: ")
    outcome = run_here("tools/compare_engines.py", *det_logs.options(printed=boxes))
    assert "4 of 5 images as the training engine printed" in outcome.out
    assert "DISAGREES: 9.png, where 0.png is in x_predict.log" in outcome.out


def test_another_models_print_is_refused(logs, run_here, tmp_path):
    """The inference command ran with another preprocessing than the one that is compared."""
    words = ["-o", f"Global.inference_model_dir={logs.model}", "-o", f"Global.infer_imgs={ROOT / 'test_images'}"]
    ops = yaml.safe_load((logs.model / "inference.yml").read_text())["PreProcess"]["transform_ops"]
    ops[0]["DecodeImage"]["to_rgb"] = False
    words += ["-o", f"PreProcess.transform_ops={json.dumps(ops)}"]
    config = ROOT / "deploy/configs/inference_cls.yaml"
    outcome = run_here("deploy/python/predict_cls.py", "-c", config, *words)
    assert outcome.status == 0, outcome.err
    (tmp_path / "a.log").write_text(outcome.out)
    agreed = run_here("tools/compare_engines.py", *logs.options(printed=tmp_path / "a.log"))
    assert_one_line(agreed, "it does not give what was evaluated, predicted or printed")
    refused = run_here("tools/compare_engines.py", *logs.options(), "-o", words[-1])
    assert_one_line(refused, "PreProcess.transform_ops[0].DecodeImage.to_rgb is False, and Infer.transforms[0]")


@pytest.mark.parametrize("option", ["evaluated", "predicted", "printed"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "expected a log, found an empty file"),
        (b"\xff\xfe\x00", "expected a log, found bytes that are not UTF-8 (0xff)"),
    ],
)
def test_a_wrong_file_is_one_line_before_anything_is_computed(logs, run_here, tmp_path, option, content, message):
    path = tmp_path / "x.log"
    if content is not None:
        path.write_bytes(content)
    outcome = run_here("tools/compare_engines.py", *logs.options(**{option: path}))
    assert_one_line(outcome, f"error: {path}: {message}")
    assert "strict" not in outcome.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Train] loss: 0.1\n", "expected the log of tools/eval.py, found no line '[Eval][Avg] ..., images: N'"),
        ("[Eval][Avg] top1: 0.5\n", "expected '[Eval][Avg] NAME: NUMBER, ..., images: N', found 'top1: 0.5'"),
        ("[Eval][Avg] top1: many, images: 3\n", "found 'top1: many, images: 3'"),
        ("[Eval][Avg] loss: 0.5, images: 3\n", "expected top1 or another top-k of an evaluation, found loss"),
    ],
)
def test_a_log_that_is_not_of_an_evaluation(tmp_path, text, message):
    path = tmp_path / "e.log"
    path.write_text(text)
    ranks = Ranks([0, 0, 0])
    ranks.add(np.eye(3, dtype=np.float32), None)
    with pytest.raises(UserError, match=re.escape(f"{path}: ") + ".*" + re.escape(message)):
        compare_accuracy(path, ranks)


def test_other_options_of_logs(logs, run_here):
    wrong = logs.options()
    wrong[wrong.index("--predicted") : wrong.index("--printed")] = []
    assert_one_line(run_here("tools/compare_engines.py", *wrong), "--printed: expected together with --predicted")
    wrong = ["--images", "test_images", *logs.options()]
    assert_one_line(run_here("tools/compare_engines.py", *wrong), "--evaluated: expected the config's validation list")


def test_ranks():
    scores = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7], [np.nan, 0.5, 0.5]], np.float32)
    ranks = Ranks([0, 2, 0, 0])
    ranks.add(scores[:3], None)
    assert [ranks.right(k) for k in (1, 2, 3)] == [(1, 2), (2, 2), (3, 3)]  # a tie of two probabilities
    ranks.add(scores[3:], None)
    assert ranks.right(2) == (2, 2)  # what is not a number is not right
    with pytest.raises(UserError, match="label 3 of the images: expected one below 3"):
        Ranks([3]).add(scores[:1], None)


@pytest.mark.parametrize(("images", "right"), [(360, 358), (50_000, 37_411), (1_281_167, 903_517)])
def test_the_printed_share_is_that_of_a_whole_number(tmp_path, images, right):
    path = tmp_path / "e.log"
    ranks = Ranks([])
    ranks.surely = ranks.perhaps = [0] * right + [1] * (images - right)
    path.write_text(f"[Eval][Avg] loss: 0.1, top1: {right / images:.5f}, images: {images}\n")
    (same,) = compare_accuracy(path, ranks)
    assert same.agrees
    assert f"{right} of {images} images right" in same.found
    if images < 100_000:  # with more, five decimals do not tell two numbers from each other
        path.write_text(f"[Eval][Avg] loss: 0.1, top1: {(right - 1) / images:.5f}, images: {images}\n")
        assert not compare_accuracy(path, ranks)[0].agrees


def test_every_topk_counts(tmp_path):
    path = tmp_path / "e.log"
    path.write_text("[Eval][Avg] loss: 0.1, top1: 1.00000, top3: 0.50000, images: 2\n")
    ranks = Ranks([0, 1])
    ranks.add(np.eye(4, dtype=np.float32)[:2], None)
    assert [(one.evaluated, one.agrees) for one in compare_accuracy(path, ranks)] == [("top1", True), ("top3", False)]


@pytest.mark.parametrize(
    ("device", "right", "agrees"), [("cpu", 1000, False), ("gpu", 1000, True), ("gpu", 990, False)]
)
def test_an_evaluation_on_a_gpu_may_judge_one_image_in_a_thousand_otherwise(tmp_path, device, right, agrees):
    path = tmp_path / "eval.log"
    line = f"[Eval][Avg] top1: {right / 2000:.5f}, images: 2000\n"
    path.write_text(f"# command: python tools/eval.py -o Global.device={device}\n{line}")
    ranks = Ranks([0] * 1001 + [1] * 999)
    ranks.add(np.tile(np.array([[0.6, 0.4]], np.float32), (2000, 1)), None)  # 1,001 are right
    (found,) = compare_accuracy(path, ranks)
    assert found.agrees is agrees
    assert str(found).startswith(f"accuracy: 1001 of 2000 images right through the exported model, {right} in the ")


def test_figures_of_a_detector(tmp_path):
    path = tmp_path / "e.log"
    path.write_text("[Eval][Avg] loss: 1.0, AP: 0.12345, AP50: 0.20000, APlarge: -1.00000, images: 5\n")
    values = {"AP": 0.123451, "AP50": 0.2, "APlarge": -1.0}
    assert all(one.agrees for one in compare_precision(path, values, 5))
    assert [one.agrees for one in compare_precision(path, {**values, "AP": 0.12346}, 5)] == [False, True, True]
    others = compare_precision(path, values, 4)
    assert not any(one.agrees for one in others)
    assert "0.12345 of 4 images through the exported model, 0.12345 of 5 images in the evaluation" in str(others[0])
    path.write_text("[Eval][Avg] loss: 1.0, top1: 0.5, images: 5\n")
    with pytest.raises(UserError, match="expected AP of an evaluation, found loss, top1"):
        compare_precision(path, values, 5)


def test_no_metric_no_comparison(det_logs, run_here, tmp_path):
    content = yaml.safe_load(det_logs.config.read_text())
    content["Metric"]["Eval"] = [{"TopkAcc": {"topk": [1]}}]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    outcome = run_here("tools/compare_engines.py", *det_logs._replace(config=path).options())
    assert_one_line(outcome, "Metric.Eval: expected COCOMetric, found TopkAcc")
