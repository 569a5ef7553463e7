"""More planted faults (see faults.py): of training, accuracy, predictions, lineage, and of the repository."""

import json
import re
import shutil

from tests.audit.faults import fault
from tests.helpers.scripts import ROOT

LABELS = [line.partition(" ")[2] for line in (ROOT / "lite_data/label_list.txt").read_text().splitlines()]

# ----------------------------------------------------------------------------------------------------- the training


@fault("100 iterations", forged=True)
def a_training_of_99_iterations(made):
    made.edit("log_train.txt", r"(?s)^\S+ \S+ \w+ INFO: \[Train\]\[Epoch 11/.*\Z", "")


@fault("100 iterations", forged=True)
def a_loss_that_is_none(made):
    made.edit("log_train.txt", r"(\[Epoch 9/.*) loss: [\d.]+", r"\1 loss: nan")


@fault("loss falls", forged=True)
def a_loss_that_stays(made):
    for name in ("log_train.txt", "train.log"):
        made.edit(name, r"(\[Train\].*) loss: [\d.]+", r"\1 loss: 1.79176", count=0)


@fault("log fields", forged=True)
def a_line_without_samples(made):
    made.edit("log_train.txt", r", avg_samples: \d+", "")


@fault("log arithmetic", forged=True)
def an_impossible_speed(made):
    made.edit("log_train.txt", r"avg_ips: [\d.]+", "avg_ips: 999.00000")


@fault("log arithmetic", forged=True)
def waiting_for_longer_than_all(made):
    made.edit("log_train.txt", r"avg_reader_cost: [\d.]+", "avg_reader_cost: 9.00000")


@fault("log order", forged=True)
def two_ranks_mixed(made):
    made.edit("log_train.txt", r"^(.*\[Train\].*\n)", r"\1\1", count=0)


@fault("log order", forged=True)
def a_clock_that_goes_back(made):
    made.edit("log_train.txt", r"^\[\d{4}(?=.*\[Epoch 9/)", "[2020")


@fault("log order", forged=True)
def more_work_than_time(made):
    made.edit("log_train.txt", r"avg_batch_cost: [\d.]+(?=.*avg_samples: (\d+))", "avg_batch_cost: 99.00000", count=0)


@fault("history", forged=True)
def a_loss_that_is_edited_and_hidden(made):
    for name in ("log_train.txt", "train.log"):
        made.edit(name, r"(\[Epoch 16/.*) loss: [\d.]+", r"\1 loss: 0.50000")


@fault("history", forged=True)
def a_history_that_is_missing(made):
    (made.folder / "history.jsonl").unlink()


@fault("log of this step", forged=True)
def a_log_of_another_training(made):
    made.edit("train.log", r"(\[Train\].*) lr: ", r"\1 rate: ", count=0)


# ----------------------------------------------------------------------------------------------------- the accuracy


@fault("better than chance", forged=True)
def an_accuracy_by_chance(made):
    made.edit("evaluate.log", r"top1: [\d.]+", "top1: 0.16667")


@fault("better than chance", forged=True)
def an_accuracy_of_no_number_of_images(made):
    made.edit("evaluate.log", r"top1: [\d.]+", "top1: 0.99000")


@fault("accuracy", forged=True)
def an_accuracy_that_is_edited(made):
    made.edit("evaluate.log", r"top1: [\d.]+", "top1: 0.75000")


@fault("accuracy", forged=True)
def an_accuracy_that_the_history_has_not(made):
    for name in ("evaluate.log", "bundle.json", "summary.json"):
        made.edit(name, rf"(top1\"?: ){re.escape(made.top1)}\d*", r"\g<1>0.75000", count=0)


@fault("accuracy recomputed", forged=True)
def answers_exchanged_between_two_images(made):
    """In the predictions of all engines alike, so that they agree with each other: one right answer becomes wrong."""
    for name in ("training", "strict", "usual_onednn"):
        path = made.folder / f"predictions/agree_{name}.json"
        content = json.loads(path.read_text())
        best = {image: max(one["rows"], key=lambda row: row[1])[0] for image, one in content["images"].items()}
        first = next(image for image in best if f"/{LABELS[best[image]]}/" in f"/{image}")
        second = next(image for image in best if best[image] != best[first])
        images = content["images"]
        images[first]["rows"] = images[second]["rows"]
        path.write_text(json.dumps(content))


@fault("expected figures", forged=True)
def an_accuracy_below_the_expected(made):
    content = made.content
    for line in content["config"]["lines"]:
        if (line["section"], line["key"]) == ("expected_params", "top1"):
            line["value"] = "0.99444+-0.003"
    made.save(content)


# --------------------------------------------------------------------------------------------------- the predictions


def _rows_of_engine(made):
    """The path and the content of the first exact file that is compared with another."""
    entry = next(one for one in made.content["predictions"] if one["exact"] and one["against"])
    path = made.folder / entry["file"]
    return path, json.loads(path.read_text())


@fault("predictions agree", forged=True)
def two_images_swapped(made):
    path, content = _rows_of_engine(made)
    rows = content.get("rows") or content["images"]
    first, second = list(rows)[:2]
    rows[first], rows[second] = rows[second], rows[first]
    path.write_text(json.dumps(content))


@fault("predictions agree", forged=True)
def a_score_off_by_a_thousandth(made):
    path, content = _rows_of_engine(made)
    rows = content["rows"]
    rows[next(iter(rows))][0] += 0.001
    path.write_text(json.dumps(content))


@fault("predictions agree", forged=True)
def a_limit_that_allows_everything(made):
    path, content = made.exact()
    path.write_text(json.dumps({**content, "limit": 100.0}))
    said = made.content
    for entry in said["predictions"]:
        if path.as_posix().endswith(entry["file"]):
            entry["limit"] = 100.0
    made.save(said)


@fault("predictions agree", forged=True)
def a_printed_class_swapped(made):
    made.edit("predict_inference_engine.log", r"class id\(s\): \[(\d), (\d)", r"class id(s): [\2, \1")


@fault("predictions agree", forged=True)
def an_image_less(made):
    made.edit("predict_inference_engine.log", r"^astronaut.*\n", "")


@fault("predictions there", forged=True)
def predictions_of_no_engine(made):
    content = made.content
    content["predictions"] = [one for one in content["predictions"] if not one["step"].startswith("infer")]
    made.save(content)


@fault("predictions there", forged=True)
def only_what_was_printed(made):
    made.change(predictions=[entry for entry in made.content["predictions"] if not entry["exact"]])


@fault("predictions there", forged=True)
def predictions_that_nothing_is_compared_with(made):
    content = made.content
    for one in content["predictions"]:
        one["against"] = None
    made.save(content)


@fault("printed as computed", forged=True)
def printed_scores_of_another_network(made):
    for name in ("predict_inference_engine.log", "predict_training_engine.log"):
        made.edit(name, r"(scores?\S*: \[)0\.\d+", r"\g<1>0.11")


@fault("live network", forged=True)
def a_dead_network(made):
    for entry in made.content["predictions"]:
        path = made.folder / entry["file"]
        if entry["exact"]:
            content = json.loads(path.read_text())
            rows = content.get("rows") or content["images"]
            content["rows" if "rows" in content else "images"] = dict.fromkeys(rows, next(iter(rows.values())))
            path.write_text(json.dumps(content))


@fault("answers", forged=True)
def an_answer_of_nobody(made):
    answer = {"err_no": 0, "value": ['[{"class_ids": [3], "scores": [0.9]}]']}
    (made.folder / "answers.json").write_text(json.dumps([{"images": ["a.png"], "answer": answer}]))


@fault("figures of the comparison", forged=True)
def a_smaller_difference(made):
    made.edit("agree.log", r"^(usual_onednn: largest difference) \S+", r"\1 1e-09")


@fault("figures of the comparison", forged=True)
def another_agree_json(made):
    made.edit("agree.json", r'"largest": [\d.e-]+[1-9]\d*', '"largest": 1e-09')


# ----------------------------------------------------------------------------------------------- lineage and sources


@fault("lineage links")
def a_link_that_is_edited(made):
    content = made.content
    content["lineage"][-1]["link"] = "0" * 64
    made.save(content)


@fault("lineage links")
def other_weights_in_the_lineage(made):
    content = made.content
    next(one for one in content["lineage"] if one["id"] == "weights")["sha256"] = "0" * 64
    made.save(content)


@fault("lineage chain", forged=True)
def other_weights_with_good_links(made):
    content = made.content
    next(one for one in content["lineage"] if one["id"] == "weights")["sha256"] = "0" * 64
    made.save(content)


@fault("lineage chain", forged=True)
def predictions_of_nothing(made):
    content = made.content
    for one in content["lineage"]:
        if one["kind"] == "predictions":
            one["of"] = []
    made.save(content)


@fault("lineage inputs", forged=True)
def other_data_in_the_lineage(made):
    content = made.content
    next(one for one in content["lineage"] if one["kind"] == "data")["sha256"] = "0" * 64
    made.save(content)


@fault("lineage inputs", forged=True)
def other_code_in_the_lineage(made):
    content = made.content
    next(one for one in content["lineage"] if one["kind"] == "code")["sha256"] = "0" * 64
    made.save(content)


@fault("lineage inputs", forged=True)
def a_list_without_the_programs(made):
    """All hashes follow from the shorter list, so that no change of a program would be seen."""
    made.depend_on(*made.copy_settings())


@fault("data lists", forged=True)
def another_validation_list(made):
    (made.root / "lite_data").unlink()
    shutil.copytree(ROOT / "lite_data", made.root / "lite_data")
    path = made.root / "lite_data/val_list.txt"
    path.write_text(path.read_text().replace(" 0\n", " 1\n", 1))


@fault("sources")
def data_without_sources(made):
    (made.root / "lite_data").unlink()
    shutil.copytree(ROOT / "lite_data", made.root / "lite_data")
    (made.root / "lite_data/SOURCES.md").unlink()
    made.change(sources=[])


@fault("sources")
def data_without_a_licence(made):
    (made.root / "lite_data").unlink()
    shutil.copytree(ROOT / "lite_data", made.root / "lite_data")
    path = made.root / "lite_data/SOURCES.md"
    path.write_text(re.sub(r"\| GPL-2 or later \|", "|  |", path.read_text(), count=1))


@fault("size", forged=True)
def a_large_folder(made):
    with open(made.folder / "train.log", "a") as stream:
        stream.write("# " + "x" * (17 << 20) + "\n")


# ---------------------------------------------------------------------------------------------------- the repository


@fault("evidence")
def an_empty_folder(made):
    (made.root / "test_log/ResNet50").mkdir()


@fault("evidence")
def evidence_without_a_bundle(made):
    (made.root / "test_log/ResNet50").mkdir()
    (made.root / "test_log/ResNet50/summary.json").write_text("{}")


@fault("copies")
def one_training_for_two_networks(made):
    other = shutil.copytree(made.folder, made.folder.with_name("ResNet50"))
    path = other / "bundle.json"
    path.write_text(path.read_text().replace("MobileNetV3_small_x1_0", "ResNet50"))


@fault("licence")
def no_licence(made):
    (made.root / "LICENSE").unlink()


@fault("file sizes")
def a_file_of_100_megabytes(made):
    with open(made.root / "weights.pdparams", "wb") as stream:
        stream.truncate(100_000_000)


@fault("documents")
def a_chain_without_a_document(made):
    (made.root / "test_tipc/docs/test_train_inference_python.md").unlink()


@fault("commands")
def an_export_that_no_document_shows(made):
    path = made.root / "README.md"
    path.write_text(path.read_text().replace("export_model.py", "eval.py"))


@fault("scripts")
def a_command_of_no_script(made):
    path = made.root / "README.md"
    path.write_text(path.read_text().replace("tools/eval.py", "tools/evaluate.py"))


@fault("stated accuracy")
def an_accuracy_rounded_up(made):
    path = made.root / "README.md"
    path.write_text(path.read_text().replace(f"| {made.top1} |", f"| {float(made.top1) + 0.004:.3f} |"))


@fault("matrix")
def a_tick_without_evidence(made):
    path = made.root / "test_tipc/README.md"
    path.write_text(path.read_text() + "| ResNet50 | ✓ [CPU](../test_log/ResNet50) |\n")


@fault("matrix")
def a_config_without_evidence(made):
    shutil.copytree(made.root / "test_tipc/configs/MobileNetV3_small_x1_0", made.root / "test_tipc/configs/ResNet50")
