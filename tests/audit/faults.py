"""The planted faults: functions that spoil a `Submission`, by the check that has to name each.

`@fault(check)` leaves bundle.json as it was; `@fault(check, forged=True)` repairs all its hashes afterwards, as a
careful forger would, so that only the check for the content itself can find it.
"""

import os

FAULTS = []  # (check, whether it is forged, function)


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
