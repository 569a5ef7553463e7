"""The report of a run and the evidence that is kept of it: verdicts, figures, well-formed files."""

import json
from xml.etree import ElementTree

import pytest

from script import UserError
from step_figures import observed
from tests.helpers.scripts import assert_one_line
from train_log import read_train_log

LOSS = "[Train][Epoch {}/2][Iter: 10/10] loss: {}, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.5 sec, avg_samples: 4\n"
AGREE = (
    "strict: largest difference 0 (bitwise equality required), 7 of 7 images bitwise equal\n"
    "usual_onednn: largest difference 2.4e-06 (at most 0.0001 allowed), 0 of 7 images bitwise equal\n"
)


@pytest.fixture
def report(tmp_path, run_here):
    """`report(steps, logs={})` writes steps.tsv and logs; returns the outcome, summary.json and junit.xml's root."""

    def make(steps, logs=None):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        for name, text in (logs or {}).items():
            (folder / name).write_text(text, errors="surrogateescape")
        rows = []
        for tag, name, result, seconds, log, reason in steps:
            rows.append("\t".join([tag, name, result, str(seconds), "", str(folder / log) if log else "", reason]))
        (folder / "steps.tsv").write_bytes("".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape"))
        command = ["test_tipc/lib/report.py", folder, "--model", "M & <m>", "--mode", "lite_train_lite_infer"]
        outcome = run_here(*command)
        summary = json.loads((folder / "summary.json").read_text())
        return outcome, summary, ElementTree.parse(folder / "junit.xml").getroot()

    return make


GOOD = [
    ("", "prepare", "passed", 1, "", ""),
    ("a", "train", "passed", 20.5, "train.log", ""),
    ("a", "converge", "passed", 1, "converge.log", ""),
    ("a", "evaluate", "passed", 2, "eval.log", ""),
    ("a", "predict", "passed", 1, "", ""),
    ("a", "export", "passed", 1, "", ""),
    ("a", "infer cpu", "passed", 1, "", ""),
    ("a", "infer gpu", "skipped", 0, "", "no GPU"),
    ("a", "agree", "passed", 3, "agree.log", ""),
]
LOGS = {
    "train.log": LOSS.format(1, "1.50000") + LOSS.format(2, "0.75000"),
    "converge.log": "loss: 1.5 at first, 0.75 at last, over 20 iterations: it fell\n",
    "eval.log": "[Eval][Avg] loss: 0.1, top1: 0.90000, top5: 1.0\n[Eval][Avg] loss: 0.1, top1: 0.97500, top5: 1.0\n",
    "agree.log": AGREE,
}


def test_good_run(report):
    outcome, summary, suite = report(GOOD, LOGS)
    assert outcome.status == 0
    assert outcome.out.splitlines()[-1] == "passed: 8 steps, and all predictions agree"
    figures = {step["name"]: step["figure"] for step in summary["steps"]}
    assert figures["train"] == "final loss 0.75000"
    assert figures["converge"] == "loss: 1.5 at first, 0.75 at last"
    assert figures["evaluate"] == "top1: 0.97500"
    assert figures["agree"] == "strict 0, usual_onednn 2.4e-06"
    assert figures["infer gpu"] == "no GPU"
    assert summary["passed"] is True
    assert [step["seconds"] for step in summary["steps"]] == [1, 20.5, 1, 2, 1, 1, 1, 0, 3]
    assert suite.attrib == {"name": "M & <m>.lite_train_lite_infer", "tests": "9", "failures": "0", "skipped": "1"}
    assert [case.get("name") for case in suite] == [step["name"] for step in summary["steps"]]
    assert suite[7].find("skipped").get("message") == "skipped: no GPU"
    table = outcome.out.splitlines()[2:-1]
    assert len(table) == 10
    assert table[2].split("  ")[0].strip() == "train"
    assert table[2].endswith("  train.log")


def test_a_training_too_short_to_judge_is_not_shown_as_converged(report):
    reason = "too short to judge: 20 iterations"
    converge = ("a", "converge", "skipped", 1, "converge.log", reason)
    steps = [converge if step[1] == "converge" else step for step in GOOD]
    outcome, summary, _ = report(steps, LOGS)
    assert {step["name"]: step["figure"] for step in summary["steps"]}["converge"] == reason
    assert outcome.out.splitlines()[-1] == "passed: 7 steps, and all predictions agree"


def test_a_step_that_did_not_end_is_a_failure_everywhere(report):
    outcome, summary, suite = report([*GOOD[:2], ("a", "converge", "began", 0, "converge.log", "")], LOGS)
    assert outcome.status == 1
    assert outcome.out.endswith("FAILED: 1 of 3 steps failed: converge (began, and did not end)\n")
    assert (summary["passed"], summary["compared"], summary["whole"], summary["artefacts"]) == (False, False, False, {})
    assert suite.get("failures") == "1"
    assert suite[2].find("failure").get("message") == "did not end"


def test_the_last_line_about_a_step_counts(report):
    steps = [step for step in GOOD for step in ((*step[:2], "began", 0, step[4], ""), step)]
    steps += [("a", "agree", "failed", 1, "agree.log", "exit code 1"), GOOD[-1]]
    outcome, summary, _ = report(steps, LOGS)
    assert outcome.status == 0
    assert [step["name"] for step in summary["steps"]] == [step[1] for step in GOOD]


def test_titles_tell_several_trainings_apart(report):
    steps = [*GOOD, *(("b", *step[1:]) for step in GOOD[1:4])]
    _, summary, _ = report(steps, LOGS)
    assert [step["title"] for step in summary["steps"]][0:2] == ["prepare", "train (a)"]
    assert summary["steps"][-1]["title"] == "evaluate (b)"


@pytest.mark.parametrize(
    ("steps", "status", "sentence"),
    [
        ([], 1, "FAILED: no step was run"),
        (GOOD[:1], 1, "FAILED: no step was run"),  # to prepare is not to check anything
        ([*GOOD[:-1], ("a", "agree", "failed", 1, "agree.log", "exit 1")], 1, "FAILED: 1 of 8 steps failed: agree"),
        (GOOD[:-1], 0, "passed: 7 steps; the predictions were NOT compared"),
    ],
)
def test_the_exit_code_and_all_files_come_from_the_verdict(report, steps, status, sentence):
    outcome, summary, suite = report(steps, LOGS)
    assert outcome.status == status
    assert outcome.out.splitlines()[-1] == sentence
    assert summary["passed"] is (status == 0)
    assert summary["verdict"] == sentence
    assert suite.get("failures") == str(sum(step[2] == "failed" for step in steps))


def test_run_without_any_record(tmp_path, run_here):
    outcome = run_here("test_tipc/lib/report.py", tmp_path, "--model", "M", "--mode", "lite")
    assert outcome.status == 1
    assert outcome.out.splitlines()[-1] == "FAILED: no step was run"


HOSTILE = "\x1b[33m\x00\x08 <&>\"' ]]> \ufffe \udcff é 图"


def test_hostile_characters(report):
    steps = [
        ("t" + HOSTILE, "train" + HOSTILE, "failed", 1, "train.log", "reason " + HOSTILE),
        ("t", "infer " + HOSTILE, "not run", 0, "", HOSTILE),
        ("t", "converge", "passed", 1, "converge.log", ""),
    ]
    logs = {"converge.log": f"loss: {HOSTILE.replace(' ', '')} at first, 1 at last\n"}
    outcome, summary, suite = report(steps, logs)  # the XML and the JSON were parsed
    assert outcome.status == 1
    message = suite[0].find("failure").get("message")
    assert "<&>\"' ]]>" in message
    assert message.endswith("é 图")
    assert "\x1b" not in message
    assert summary["steps"][0]["reason"].startswith("reason \x1b[33m")
    assert suite[2].find("system-out").text.endswith("1 at last")


def test_quotes_and_empty_fields_are_kept(report):
    _, summary, _ = report([("", 'infer "a', "failed", 0.25, "", 'exit 1: "b')])
    assert (summary["steps"][0]["name"], summary["steps"][0]["reason"]) == ('infer "a', 'exit 1: "b')


@pytest.mark.parametrize(
    "line",
    [
        "one field\n",
        "t\ttrain\tpassed\tlong\t\tlog\t\n",
        "t\ttrain\tmaybe\t1\t\tlog\t\n",
        "t\ttrain\tpassed\t1\tx\tlog\t\n",
        "t\ttrain\tpassed\t1\n",
    ],
)
def test_broken_record(tmp_path, run_here, line):
    (tmp_path / "steps.tsv").write_text("\ttrain\tpassed\t1\t\t\t\n" + line)
    outcome = run_here("test_tipc/lib/report.py", tmp_path, "--model", "M", "--mode", "lite")
    assert_one_line(outcome, "steps.tsv:2: expected tag, name, result, seconds, facts, log, reason between tabs")


def test_log_that_is_gone_or_binary(report):
    outcome, summary, _ = report(GOOD, {**LOGS, "train.log": "\udcff\udcfe", "eval.log": ""})
    assert outcome.status == 0
    assert [step["figure"] for step in summary["steps"]][1:4] == ["", "loss: 1.5 at first, 0.75 at last", ""]


# ---- evidence


@pytest.fixture
def keep(tmp_path, run_here):
    """`keep(*options)` runs test_tipc/lib/evidence.py on tmp_path/run, a run of two trainings, into tmp_path/log."""
    run = tmp_path / "run"
    names = ("train", "converge", "evaluate", "predict", "export", "infer cpu", "agree")
    rows = []
    for tag in ("norm", "pact"):
        (run / tag).mkdir(parents=True)
        (run / tag / "log_train.txt").write_text(LOGS["train.log"] + "[Eval][Epoch 2] top1: 0.5\n" + f"# {tag}\n")
        (run / f"{tag}_predict.log").write_text(f"predicted by training engine, {tag}")
        (run / f"{tag}_agree.log").write_text(AGREE + tag)
        inferred = run / ("python_infer_cpu_x.log" if tag == "pact" else f"{tag}_infer_cpu_x.log")
        inferred.write_text(f"predicted by inference engine, {tag}")
        rows += [f"{tag}\t{name}\tpassed\t1\t\t{inferred if name == 'infer cpu' else ''}\t\n" for name in names]
    (run / "steps.tsv").write_text("".join(rows))
    (run / "summary.json").write_text("{}")

    def run_script(*options, mode="lite_train_lite_infer"):
        options = ["--model", "M", "--mode", mode, "--to", tmp_path / "log", *options]
        return run_here("test_tipc/lib/evidence.py", run, *options)

    return run_script


def test_evidence(keep, tmp_path):
    assert keep().status == 0
    log = tmp_path / "log/M"
    names = ["agree.log", "bundle.json", "curves.png", "log_train.txt", "pact", "predict_inference_engine.log"]
    names += ["predict_training_engine.log", "report.html", "report.md", "steps.tsv", "summary.json"]
    assert sorted(path.name for path in log.iterdir()) == names
    assert (log / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (log / "agree.log").read_text() == AGREE + "norm"


def test_all_evidence_in_a_folder_is_of_one_training(keep, tmp_path):
    assert keep().status == 0
    for tag, folder in (("norm", tmp_path / "log/M"), ("pact", tmp_path / "log/M/pact")):
        for name in ("agree.log", "log_train.txt", "predict_inference_engine.log", "predict_training_engine.log"):
            assert (folder / name).read_text().strip().endswith(tag), (tag, name)


@pytest.mark.parametrize("change", ["failed", "began", "gone"])
def test_no_evidence_of_a_run_that_did_not_pass_as_a_whole(keep, tmp_path, change):
    steps = tmp_path / "run/steps.tsv"
    lines = steps.read_text().splitlines(keepends=True)
    lines[-1] = "" if change == "gone" else lines[-1].replace("passed", change)
    lines[6] = "" if change == "gone" else lines[6]
    steps.write_text("".join(lines))
    assert_one_line(keep(), "no evidence is kept of a run that is not whole (")
    assert not (tmp_path / "log").exists()


def test_evidence_is_kept_unless_renewed(keep, tmp_path):
    keep()
    kept = tmp_path / "log/M/agree.log"
    (tmp_path / "run/norm_agree.log").write_text("newer")
    outcome = keep()
    assert outcome.status == 0
    assert "is kept as it is" in outcome.out
    assert kept.read_text() == AGREE + "norm"
    assert keep("--renew").status == 0
    assert kept.read_text() == "newer"
    (tmp_path / "run/norm_agree.log").write_text("other mode")
    assert keep(mode="whole_train_whole_infer").status == 0
    assert kept.read_text() == "newer"
    assert (tmp_path / "log/M/whole_train_whole_infer/agree.log").read_text() == "other mode"


def test_no_evidence_without_a_training_log(keep, tmp_path):
    path = tmp_path / "run/norm/log_train.txt"
    path.write_text("nothing was trained\n")
    assert_one_line(keep(), "log_train.txt: no line with 'loss: ")
    path.unlink()
    assert "evidence: none of norm, which left no log_train.txt" in keep().out
    assert not (tmp_path / "log/M/log_train.txt").exists()


# ---- the training log that evidence and verdicts are read from


def test_read_train_log_takes_the_later_of_equal_iterations(tmp_path):
    line = (
        "x [Train][Epoch {}/2][Iter: {}/4] lr: 0.1, loss: {}, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.5 sec, "
        "avg_samples: 4, avg_ips: 8.0 images/sec\n"
    )
    path = tmp_path / "log.txt"
    points = [(1, 4, 2.0), (2, 2, 1.5), (2, 2, 1.25)]
    path.write_text("".join(line.format(*point) for point in points) + "[Eval][Epoch 2] top1: 0.5")
    log = read_train_log(path)
    assert [(point.iteration, point.loss) for point in log.train] == [(4, 2.0), (6, 1.25)]
    assert [tuple(point) for point in log.evals] == [(8, {"top1": 0.5})]
    path.write_text("nothing")
    with pytest.raises(UserError, match="no line with 'loss"):
        read_train_log(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_train_log(tmp_path / "none")


ENGINE = "[2026/11/25 23:10:26] ppcls_lite INFO: engine {}: {}\n"


@pytest.mark.parametrize(
    ("line", "figure"),
    [
        ("oneDNN on (94 of 95 results); IR passes on (159 of 198 operators replaced); threads 2", "oneDNN on"),
        ("oneDNN off; IR passes on -> off; threads 2 -> 1 (why)", "oneDNN off; IR passes on -> off; threads 2 -> 1"),
        (
            "oneDNN on -> off (Paddle 3.3.1 has a fault (issue 77340)); threads 2 -> unknown",
            "oneDNN on -> off; threads 2 -> unknown",
        ),
        ("took openvino 8.04 ms (differs by 6e-08), the fastest that agrees at batch size 1; gpu: none", ""),
    ],
)
def test_what_was_asked_and_what_is_in_effect(report, line, figure):
    steps = [(*step[:4], "infer.log" if step[1] == "infer cpu" else step[4], step[5]) for step in GOOD]
    _, summary, _ = report(steps, {**LOGS, "infer.log": ENGINE.format("onednn", line)})
    (step,) = [step for step in summary["steps"] if step["name"] == "infer cpu"]
    assert step["figure"] == figure
    if not figure:
        assert step["engines"] == []
        return
    (engine,) = step["engines"]
    assert engine["engine"] == "onednn"
    first, last = engine["settings"][0], engine["settings"][-1]
    assert first["name"] == "oneDNN"
    assert last["requested"] == "2"
    assert last["in_effect"] == line.split("threads ")[1].split(" -> ")[-1].split()[0]
    if "issue" in line:
        assert first == {
            "name": "oneDNN",
            "requested": "on",
            "in_effect": "off",
            "why": "Paddle 3.3.1 has a fault (issue 77340)",
        }


@pytest.mark.parametrize(
    "line",
    [
        "error: engine onednn: oneDNN is asked for, and not in effect: 0 of 9 results: by the IR passes, which are off",
        "engine openvino: OpenVINO on.png: class id(s): [3], score(s): [0.94], label_name(s): ['threads 1; threads 1']",
        "engine openvino: OpenVINO on",
    ],
)
def test_an_error_or_an_image_is_no_setting_in_effect(report, line):
    steps = [(*step[:4], "infer.log" if step[1] == "infer cpu" else step[4], step[5]) for step in GOOD]
    _, summary, _ = report(steps, {**LOGS, "infer.log": line + "\n"})
    (step,) = [step for step in summary["steps"] if step["name"] == "infer cpu"]
    assert (step["engines"], step["figure"]) == ([], "")


@pytest.mark.parametrize(
    ("lines", "figure"),
    [
        (["preprocessing: bitwise equal for 8 of 8 images: agrees"], "preprocessing bitwise"),
        (
            ["preprocessing: bitwise equal for 0 of 1 image, largest difference 7.15e-07 for 1 (at most …): agrees"],
            "preprocessing 7.15e-07",
        ),
        (
            [
                "preprocessing: not compared (nothing was observed of predict)",
                "network: bitwise equal for 24 images of evaluate (softmax is behind the network …): agrees",
                "engine a: largest difference 5.96e-08 (at most 0.0001 allowed), 7 images with the same top-5: agrees",
                "engine b: largest difference 1.2e-06 (at most 0.0001 allowed), 7 images with the same top-5: agrees",
                "engine c: bitwise equal …: agrees",
            ],
            "preprocessing not compared, network bitwise, engine 1.2e-06",
        ),
        (["engine: 0 of 8 elements of integer outputs differ, 5 images: agrees"], "engine bitwise"),
        (["engine: 1 of 508,928 elements of integer outputs differ: agrees"], "engine 1 of 508,928 elements"),
    ],
)
def test_the_figure_of_the_three_checks(lines, figure):
    assert observed("\n".join(["# command: network", *lines])) == figure


def test_the_first_figure_of_a_line_is_shown(report):
    _, summary, _ = report([("a", "evaluate", "passed", 1, "eval.log", "")], {"eval.log": "Acc@1 0.25 Acc@5 0.75\n"})
    assert summary["steps"][0]["figure"] == "Acc@1 0.25"
