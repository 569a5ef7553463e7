"""compare_results.py: the official forms of reference predictions and logs, and every difference is seen."""

import json

import pytest

from tests.helpers.scripts import assert_one_line

SCRIPT = "test_tipc/compare_results.py"
CLASSES = "a.jpg: class id(s): [7, 3], score(s): [0.91, 0.04], label_name(s): ['x', 'y']\n"
RECORD = "[{'class_ids': [7, 3], 'scores': [0.90812, 0.04], 'file_name': 'val/seven/a.jpg', 'label_names': []}]\n"
BOXES = "a.jpg: 2 box(es): bird 0.93 [1.0, 2.0, 30.0, 40.0]; a, b 0.40 [5.0, 5.0, 9.0, 9.0]\n"
REFERENCE_BOXES = [["bird", 0.931, 1.04, 2.0, 30.0, 40.0], ["a, b", 0.4, 5.0, 5.0, 9.0, 9.0]]
BAR = " 50%|#####     | 1/2 [00:00<00:01,  1.00image/s]"


@pytest.fixture
def compared(run_here, tmp_path):
    """`compared(reference, log)`: the outcome for two texts, or a list of numbers for the reference of a.jpg."""

    def run(reference, log, *options, name="python_infer_cpu_usemkldnn_True_precision_fp32_batchsize_1.log"):
        text = reference if isinstance(reference, str) else f"a.jpg\t{json.dumps(reference)}\n"
        (tmp_path / "python_small_fp32.txt").write_text(text)
        (tmp_path / name).write_text(log)
        return run_here(SCRIPT, f"--gt_file={tmp_path}/python_*.txt", f"--log_file={tmp_path}/*.log", *options)

    return run


@pytest.mark.parametrize(
    ("reference", "log"),
    [
        ([[7, 0.90812], [3, 0.04]], CLASSES),
        ([[7, 0.90812], [3, 0.04]], CLASSES.replace(": class", ":\tclass")),  # PaddleClas's own
        ([[7, 0.90812], [3, 0.04]], f"# command: x\n{BAR}{CLASSES}\rother\n"),
        ([[7, 0.90812], [3, 0.04]], RECORD),
        ([[7, 0.90812], [4, 0.0404]], CLASSES),  # in a tie with the class that is there
        (REFERENCE_BOXES, BOXES),
        ([], "a.jpg: 0 box(es)\n"),
        ([[[1, 2], [3, 4]]], "a.jpg\t[[[1, 2], [3, 4]]]\n"),  # PaddleOCR: corners of a box
        ("a.jpg\t12 14 20 30\n", "[2022/01/01] root INFO: doc/imgs/a.jpg 12 14 20 30\n"),
        ('doc/a.jpg\t["hello", 0.9981]\n', 'Predicts of ./doc/a.jpg:["hello", 0.99812]\n'),
        ("\ttop-1 class: 5\n\ttop-1 score: 0.99992\n",
         "        top-1 class: 5\n        top-1 score: 0.9999209642410278\n"),  # PaddleVideo
        ("mIoU: 0.87253\nClass IoU: [0.92665219 0.81841007]\n", "mIoU: 0.8725 x\nClass IoU: [0.9266 0.8184]\n"),
    ],
)  # fmt: skip
def test_agrees(compared, reference, log):
    outcome = compared(reference, log)
    assert outcome.status == 0, outcome
    assert outcome.out.startswith("Assert allclose passed! The results of ")
    assert outcome.out.endswith("python_small_fp32.txt are consistent!\n")


@pytest.mark.parametrize(
    ("reference", "log", "words"),
    [
        ([[7, 0.93], [3, 0.04]], CLASSES, "a.jpg: class 7: found 0.91, expected 0.93 (atol 0.001, rtol 0.001)"),
        ([[3, 0.908], [7, 0.04]], CLASSES, "class 3: found 0.04, expected 0.908"),
        ([[7, 0.908], [4, 0.08]], CLASSES, "class 4: found not among the 2 best, expected 0.08"),
        ([[7, 0.908], [4, 0.045], [3, 0.04]], CLASSES, "found 2 classes, expected 3"),
        ([[7, 0.908], [3, 0.04]], CLASSES.replace("0.91", "NaN"), "class 7: found nan, expected 0.908"),
        ([[7, 0.908], [3, 0.04]], CLASSES.replace("a.jpg", "b.jpg"), "a.jpg: found no prediction in the log"),
        ([[7, 0.908], [3, 0.04]], BOXES, "found boxes, expected classes"),
        (REFERENCE_BOXES[:1], BOXES, "found a box more, a, b 0.4"),
        ([*REFERENCE_BOXES, ["bird", 0.3, 1.0, 1.0, 2.0, 2.0]], BOXES, "found no box as expected, bird 0.3"),
        ([["cat", *REFERENCE_BOXES[0][1:]], REFERENCE_BOXES[1]], BOXES, "found no box as expected, cat 0.931"),
        ([["bird", 0.931, 1.4, 2.0, 30.0, 40.0], REFERENCE_BOXES[1]], BOXES, "found no box as expected, bird 0.931"),
        ([[[1, 2], [3, 4]]], "a.jpg\t[[[1, 2], [3, 5]]]\n", "found 5, expected 4"),
        ('a.jpg\t["hello", 0.9981]\n', 'a.jpg:["hallo", 0.9981]\n', "found 'hallo', expected 'hello'"),
        ("mIoU: 0.87253\n", "mIoU: 0.86\n", "mIoU: found 0.86, expected 0.87253"),
        ("mIoU: 0.87253\n", "Acc: 0.86\n", "mIoU: found no prediction"),
    ],
)
def test_a_difference_is_seen(compared, reference, log, words):
    outcome = compared(reference, log)
    assert_one_line(outcome, "The results of ", " are inconsistent! ", words)
    assert outcome.out.count("are inconsistent!") == 1


def test_the_tolerances_are_used(compared):
    reference = [[7, 0.93], [3, 0.04]]
    assert compared(reference, CLASSES, "--atol=0.02").status == 0
    assert compared(reference, CLASSES, "--rtol=0.02").status == 0
    assert compared([[7, 0.9149], [3, 0.04]], CLASSES, "--atol=0", "--rtol=0").status == 0  # printed as 0.91
    assert compared([[7, 0.9151], [3, 0.04]], CLASSES, "--atol=0", "--rtol=0").status == 1


@pytest.mark.parametrize("precision", ["True", "fp16", "trt_fp16"])
def test_another_precision_has_no_reference(compared, precision):
    name = f"python_infer_gpu_usetrt_True_precision_{precision}_batchsize_1.log"
    outcome = compared([[7, 0.908], [3, 0.04]], CLASSES, name=name)
    assert_one_line(outcome, "nothing was compared: 1 log, none with a reference")
    assert "not compared: no reference of its model in fp16" in outcome.out


def test_each_log_has_the_reference_of_its_model(run_here, tmp_path):
    for name, score in (("one", 0.91), ("two", 0.5)):
        (tmp_path / f"python_{name}_fp32.txt").write_text(f"a.jpg\t[[7, {score}], [3, 0.04]]\n")
    for name in ("one", "two", "three"):
        (tmp_path / "output" / name / "whole_infer").mkdir(parents=True)
        (tmp_path / "output" / name / "whole_infer/python_infer_precision_False.log").write_text(CLASSES)
    options = [f"--gt_file={tmp_path}/python_*.txt", f"--log_file={tmp_path}/output/*/whole_infer/python_*.log"]
    outcome = run_here(SCRIPT, *options)
    assert_one_line(outcome, "two/whole_infer", "class 7: found 0.91, expected 0.5")
    assert "one_fp32.txt are consistent!" in outcome.out
    assert "three/whole_infer/python_infer_precision_False.log: not compared" in outcome.out


def test_a_reference_is_made_from_a_log(run_here, tmp_path):
    log, path = tmp_path / "provided_predict.log", tmp_path / "python_small_fp32.txt"
    log.write_text(f"# command: x\n{RECORD}")
    outcome = run_here(SCRIPT, f"--gt_file={path}", f"--log_file={log}", "--update")
    assert outcome.status == 0, outcome
    assert path.read_text() == "a.jpg\t[[7, 0.90812], [3, 0.04]]\n"
    log.write_text("nothing\n")
    assert_one_line(
        run_here(SCRIPT, f"--gt_file={path}", f"--log_file={log}", "--update"), "expected predictions, found"
    )
    assert path.read_text() == "a.jpg\t[[7, 0.90812], [3, 0.04]]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected reference predictions, found an empty file"),
        ("a.jpg\n", "python_small_fp32.txt:1: expected NAME, a tab and JSON, or NAME: NUMBER, found 'a.jpg'"),
        ("a.jpg\t__import__('os')\n", "expected NAME, a tab and JSON"),
        ("a.jpg\t[1]\nx/a.jpg\t[1]\n", "python_small_fp32.txt:2: a.jpg is there twice"),
    ],
)
def test_a_wrong_reference(compared, text, words):
    assert_one_line(compared(text, CLASSES), words)


def test_files_that_are_not_there(run_here, tmp_path):
    assert_one_line(run_here(SCRIPT, "--gt_file=x*.txt", "--log_file=y"), "--gt_file: no file fits x*.txt")
    (tmp_path / "x.txt").write_text("a\t[1]\n")
    outcome = run_here(SCRIPT, f"--gt_file={tmp_path}/x.txt", f"--log_file={tmp_path}/*.log")
    assert_one_line(outcome, "--log_file: no file fits")


def test_nothing_in_a_log_is_executed(compared, tmp_path):
    log = f"[{{'class_ids': __import__('os').system('touch {tmp_path}/X')}}]\n" + CLASSES
    assert compared([[7, 0.908], [3, 0.04]], log).status == 0
    assert not (tmp_path / "X").exists()
