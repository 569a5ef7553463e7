"""The planted faults: functions that spoil a `Submission`, by the check that has to name each.

`@fault(check)` leaves bundle.json as it was; `@fault(check, forged=True)` repairs all its hashes afterwards, as a
careful forger would, so that only the check for the content itself can find it.
"""

import json
import os
import re
import shutil

from tests.helpers.scripts import ROOT

FAULTS = []  # (check, whether it is forged, function)
LABELS = [line.partition(" ")[2] for line in (ROOT / "lite_data/label_list.txt").read_text().splitlines()]


def fault(check, forged=False):
    def register(function):
        FAULTS.append((check, forged, function))
        return function

    return register


# ------------------------------------------------------------------------------------------------- the bundle itself


@fault("format")
def a_key_twice(made):
    made.edit("bundle.json", r'^ "model": ', ' "model": "Other",\n "model": ')


@fault("format")
def a_number_that_is_none(made):
    made.edit("bundle.json", r'"seconds": \d+\.\d+', '"seconds": NaN')


@fault("format")
def an_endless_number(made):
    made.edit("bundle.json", r'"bytes": \d+', f'"bytes": {"9" * 100_000}')


@fault("format")
def brackets_without_end(made):
    (made.folder / "bundle.json").write_text("[" * 200_000)


@fault("format")
def a_huge_file(made):
    with open(made.folder / "bundle.json", "r+b") as stream:
        stream.truncate(3 << 30)


@fault("format")
def a_truncated_file(made):
    path = made.folder / "bundle.json"
    path.write_text(path.read_text()[:-2000])


@fault("format")
def another_format(made):
    made.change(format=2)


@fault("format")
def a_missing_key(made):
    content = made.content
    del content["lineage"]
    made.save(content)


@fault("format")
def steps_that_are_none(made):
    made.change(steps={"train": "passed"})


@fault("format")
def a_link_in_its_place(made):
    path = made.folder / "bundle.json"
    path.rename(made.root / "elsewhere.json")
    path.symlink_to(made.root / "elsewhere.json")


@fault("format")
def a_pipe_in_its_place(made):
    (made.folder / "bundle.json").unlink()
    os.mkfifo(made.folder / "bundle.json")


@fault("files")
def an_edited_loss(made):
    made.edit("log_train.txt", r"loss: 1\.\d+", "loss: 1.00000")


@fault("files")
def a_truncated_log(made):
    path = made.folder / "train.log"
    path.write_text(path.read_text()[:-300])


@fault("files")
def an_edited_hash(made):
    content = made.content
    content["files"]["evaluate.log"]["sha256"] = "0" * 64
    made.save(content)


@fault("files")
def a_missing_log(made):
    (made.folder / "agree.log").unlink()


@fault("files")
def a_file_too_many(made):
    (made.folder / "better.log").write_text("top1: 0.99\n")


@fault("files")
def a_hidden_file(made):
    (made.folder / ".more.sh").write_text("echo more\n")


@fault("files")
def a_link_that_leads_out(made):
    path = made.folder / "evaluate.log"
    path.rename(made.root / "evaluate.log")
    path.symlink_to(made.root / "evaluate.log")


@fault("files")
def a_folder_that_leads_out(made):
    (made.folder / "predictions").rename(made.root / "predictions")
    (made.folder / "predictions").symlink_to(made.root / "predictions")


@fault("files")
def pipes_in_the_place_of_logs(made):
    for name in ("history.jsonl", "steps.tsv", "evaluate.log", "inputs.sha256"):
        (made.folder / name).unlink()
        os.mkfifo(made.folder / name)


@fault("files")
def a_name_that_leads_out(made):
    content = made.content
    content["files"]["../../README.md"] = content["files"]["evaluate.log"]
    made.save(content)


@fault("files")
def a_name_with_codes_for_the_terminal(made):
    content = made.content
    content["files"]["a\x1b[2Jb.log"] = content["files"]["evaluate.log"]
    made.save(content)


@fault("steps", forged=True)
def a_missing_step(made):
    content = made.content
    content["steps"] = [one for one in content["steps"] if one["name"] != "evaluate"]
    made.save(content)


@fault("verdict", forged=True)
def a_run_without_a_comparison(made):
    made.edit("steps.tsv", r"^.*\tagree\t.*\n", "", count=2)


@fault("verdict", forged=True)
def a_failed_step(made):
    made.edit("steps.tsv", r"(\tevaluate)\tpassed\t", r"\1\tfailed\t")


@fault("verdict", forged=True)
def a_verdict_that_is_only_said(made):
    content = made.content
    content["verdict"]["sentence"] = "passed: 11 steps, and all predictions agree"
    made.save(content)


@fault("summary", forged=True)
def another_summary(made):
    made.edit("summary.json", r'"seconds": \d+\.\d+', '"seconds": 999.9')


@fault("junit", forged=True)
def a_failure_in_junit(made):
    made.edit("junit.xml", r"<testcase([^>]*)>", r'<testcase\1><failure message="no" />')


@fault("junit", forged=True)
def entities_in_junit(made):
    made.edit("junit.xml", r"<testsuite", '<!DOCTYPE a [<!ENTITY b "bbbb">]><testsuite')


@fault("results", forged=True)
def results_of_another_model(made):
    made.edit("results_python.log", r"command - \w+ - ", "command - ResNet50 - ", count=0)


@fault("results", forged=True)
def a_failure_in_the_results(made):
    made.edit("results_python.log", "Run successfully", "Run failed")


# --------------------------------------------------------------------------------------------------------- the logs


@fault("step logs", forged=True)
def another_command(made):
    made.edit("evaluate.log", r"Arch.name=\w+", "Arch.name=ResNet50")


@fault("step logs", forged=True)
def a_log_without_an_end(made):
    made.edit("export.log", r"^# ended: .*\n", "")


@fault("step logs", forged=True)
def another_exit_code(made):
    made.edit("export.log", r"exit code 0", "exit code 1")


@fault("step logs", forged=True)
def a_training_of_other_length(made):
    made.edit("train.log", r"exit code 0, \d+", "exit code 0, 1")


@fault("one run", forged=True)
def a_log_of_another_commit(made):
    made.edit("evaluate.log", r"^# commit: \w+", "# commit: 0123456789ab")


@fault("one run", forged=True)
def logs_of_other_versions(made):
    made.edit("export.log", r"paddlepaddle \d+\.\d+\.\d+", "paddlepaddle 2.4.0")


@fault("one run")
def a_package_that_no_log_names(made):
    made.change(versions={**made.content["versions"], "paddlepaddle-gpu": "3.3.1"})


@fault("one run")
def another_tool(made):
    made.change(tool={**made.content["tool"], "files": "0" * 12})


@fault("one run")
def no_machine(made):
    made.change(machine=None)


@fault("facts", forged=True)
def another_label_file(made):
    made.edit("inputs.sha256", r"^\w{64}(?=  lite_data/label_list.txt)", "0" * 64)


@fault("facts", forged=True)
def a_step_that_saw_other_code(made):
    made.edit("steps.tsv", r"(\tevaluate\tpassed\t\S+\t)inputs=\w+", r"\1inputs=0123456789ab")


@fault("clean tree", forged=True)
def uncommitted_changes(made):
    for path in made.folder.glob("*.log"):
        path.write_text(path.read_text().replace("(clean tree)", "(with uncommitted changes)"))


@fault("names", forged=True)
def a_copied_folder_under_another_name(made):
    made.folder = made.folder.rename(made.folder.with_name("ResNet50"))


@fault("names", forged=True)
def logs_of_another_model(made):
    for name in ("steps.tsv", "results_python.log", *(path.name for path in made.folder.glob("*.log"))):
        path = made.folder / name
        path.write_text(path.read_text().replace("output/MobileNetV3_small_x1_0", "output/ResNet50"))


@fault("config", forged=True)
def another_value_of_the_config(made):
    content = made.content
    next(line for line in content["config"]["lines"] if line["key"] == "-o Global.epochs")["value"] = "160"
    made.save(content)


@fault("config")
def another_hash_of_the_config(made):
    made.change(config={**made.content["config"], "sha256": "0" * 64})


@fault("config")
def the_config_of_another_model(made):
    path = "test_tipc/configs/MobileNetV1_x1_0/train_infer_python.txt"
    made.change(config={**made.content["config"], "path": path})


@fault("config")
def no_config(made):
    made.change(config=None)


@fault("config", forged=True)
def an_edited_copy_of_the_settings(made):
    made.edit("configs/lite_data.yaml", r"learning_rate: [\d.]+", "learning_rate: 0.5")


@fault("seeds")
def another_seed(made):
    made.change(seeds={**made.content["seeds"], "Global.seed": 7})


def _figure(made, name, **values):
    content = made.content
    content["figures"][name].update(values)
    made.save(content)


@fault("told as logged")
def a_last_loss_that_no_log_has(made):
    _figure(made, "converge", last=0.01)


@fault("told as logged")
def a_top5_that_no_log_has(made):
    _figure(made, "evaluate", top5=1.0)


@fault("told as logged")
def more_images_than_were_observed(made):
    observed = made.content["figures"]["agree_observed"]["preprocessing"]
    _figure(made, "agree_observed", preprocessing={**observed, "images": 500})


@fault("told as logged")
def settings_of_no_engine(made):
    content = made.content
    for step in content["steps"]:
        step["engines"] = []
    made.save(content)


@fault("told as logged")
def another_engine(made):
    content = made.content
    next(one for one in content["predictions"] if one["step"].startswith("infer"))["engine"] = "TensorRT, FP16"
    made.save(content)


@fault("times")
def times_that_are_none(made):
    made.change(started="yesterday", ended=None)


@fault("times", forged=True)
def a_log_of_yesterday(made):
    made.edit("evaluate.log", r"^# started: \d{4}-\d\d-\d\d", "# started: 2020-01-01")


@fault("time limit", forged=True)
def a_training_of_eleven_minutes(made):
    made.edit("steps.tsv", r"(\ttrain\tpassed\t)[\d.]+", r"\g<1>660.0")


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
