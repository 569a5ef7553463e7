"""What the programs printed is compared image by image: every change of a log is seen, and no rounding is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ppcls_lite.infer.compare import logs
from ppcls_lite.infer.compare.logs import is_less_precise, read_lines, read_records
from ppcls_lite.infer.compare.printed import compare_predicted, compare_printed
from ppcls_lite.infer.model.boxes import DetectionBoxes, format_det_line, format_det_record
from ppcls_lite.infer.model.postprocess import Topk, format_line, format_record
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT, ROOT

HEAD = (
    "# command: python tools/infer.py -o Global.use_gpu=False -o Global.device=cpu\n# folder: .\n# commit: 1 (clean)\n"
)
TAIL = "\n# ended: exit code 0, 2.0 seconds\n"
NOISE = "[2026/11/25 19:52:40] ppcls_lite WARNING: PostProcess.a of the prediction config is used\n"
NAMES = ("red", "green", "blue", "light blue: 1 box(es), 0.50 [x]")
RESULTS = [
    {"class_ids": [0, 3, 1], "scores": [0.60004, 0.2, 0.1], "label_names": [NAMES[0], NAMES[3], NAMES[1]]},
    {"class_ids": [1, 2, 0], "scores": [0.5, 0.2994, 0.09995], "label_names": ["green", "blue", "red"]},
    {"class_ids": [2, 0, 3], "scores": [0.8, 0.1, 0.09995], "label_names": ["blue", "red", NAMES[3]]},
]
BOXES = [
    {
        "class_ids": [0, 3, 0],
        "scores": [0.91234, 0.5, 0.31],
        "boxes": [[0.0, 2.55, 12.13, 25.0], [1.0, 2.0, 3.0, 4.0], [30.04, 0.0, 50.06, 60.0]],
        "label_names": [NAMES[0], NAMES[3], NAMES[0]],
    },
    {"class_ids": [], "scores": [], "boxes": [], "label_names": []},
    {"class_ids": [1], "scores": [0.30004], "boxes": [[0.0, 0.0, 9.0, 9.0]], "label_names": ["green"]},
]
FILES = [f"val/{name}/{number}.png" for number, name in enumerate(("a", "b: 2 box(es)", "c"))]


@pytest.fixture
def names(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"{label} {name}\n" for label, name in enumerate(NAMES)))
    return path


@pytest.fixture
def topk(names):
    return Topk(3, names)


@pytest.fixture
def boxes(names):
    return DetectionBoxes(0.3, names)


@pytest.fixture
def write(tmp_path):
    def write(name, content, head=HEAD):
        path = tmp_path / name
        path.write_text(head + content + TAIL)
        return path

    return write


def records(results, record=format_record, size=2):
    """What tools/infer.py prints, in batches of `size`."""
    shown = [record(result, path) for result, path in zip(results, FILES)]
    return "".join(f"{shown[start : start + size]}\n" for start in range(0, len(shown), size))


def lines(results, line=format_line):
    return NOISE + "".join(line(result, path) + "\n" for result, path in zip(results, FILES))


@pytest.fixture
def printed(write, topk):
    """`printed(change)`: the agreement of a log whose text went through `change` with that of the training engine."""

    def compare(change=lambda text: text, head=HEAD):
        predicted = write("x_predict.log", records(RESULTS))
        return compare_printed(write("python_infer.log", change(lines(RESULTS)), head), predicted, topk)

    return compare


@pytest.fixture
def printed_boxes(write, boxes):
    def compare(change=lambda text: text, results=BOXES):
        predicted = write("x_predict.log", records(results, format_det_record))
        return compare_printed(write("a.log", change(lines(BOXES, format_det_line))), predicted, boxes)

    return compare


def replacing(old, new):
    def change(text):
        assert text.count(old) == 1, text
        return text.replace(old, new)

    return change


def test_what_was_printed_is_read_back(printed, printed_boxes, write):
    agreement = printed()
    assert str(agreement) == "printed python_infer.log: 3 of 3 images as the training engine printed: agrees"
    assert agreement.as_dict()["agrees"] is True
    assert not re.search(r"^(\w+): largest difference", str(agreement))
    agreement = printed_boxes()
    assert str(agreement) == "printed a.log: 3 of 3 images as the training engine printed, 4 box(es): agrees"
    path = write("b.log", records(BOXES, format_det_record))
    assert [prediction.boxes for prediction in read_records(path)] == [result["boxes"] for result in BOXES]
    assert [prediction.image for prediction in read_lines(write("c.log", lines(BOXES, format_det_line)))] == [
        Path(file).name for file in FILES
    ]


BAR = "\r 50%|█████     | 180/360 [00:30<00:30,  6.00image/s]"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("1.png: class", BAR + "1.png: class"),
        lambda text: BAR + text + "\nerror: x.png: not a decodable image\n",
        lambda text: text + "----- Env info -----\nOS_version: Linux\n3 images, batch size 1, 2.00 ms\n",
        replacing("[0.60, 0.20, 0.10]", "[0.60, 0.20, 0.10]"),
    ],
)
def test_other_lines_are_no_predictions(printed, change):
    assert printed(change).agrees


FAULTS = {
    "an image less": (
        lambda text: text[: text.index("2.png")],
        "2 image(s), and 3 in x_predict.log; the first one missing is 2.png",
    ),
    "an image more": (
        lambda text: text + format_line(RESULTS[0], "3.png"),
        "4 image(s), and 3 in x_predict.log; the first one more is 3.png",
    ),
    "no image": (lambda text: NOISE, "no prediction, and 3 in x_predict.log; the first one missing is 0.png"),
    "another image": (replacing("1.png", "4.png"), "4.png, where 1.png is in x_predict.log"),
    "another order": (
        lambda text: "\n".join(sorted(text.splitlines(), reverse=True)),
        "2.png, where 0.png is in x_predict.log",
    ),
    "another class": (replacing("[0, 3, 1]", "[0, 3, 2]"), "0.png: class ids [0, 3, 2], and [0, 3, 1] in x_predict"),
    "two classes exchanged": (replacing("[1, 2, 0]", "[2, 1, 0]"), "1.png: class ids [2, 1, 0], and [1, 2, 0]"),
    "a class twice": (replacing("[2, 0, 3]", "[2, 0, 0]"), "2.png: class ids [2, 0, 0], and"),
    "a class less": (
        replacing(
            "class id(s): [2, 0, 3], score(s): [0.80, 0.10, 0.10]", "class id(s): [2, 0], score(s): [0.80, 0.10]"
        ),
        "cannot be read",
    ),
    "a score": (replacing("[0.60, 0.20, 0.10]", "[0.60, 0.21, 0.10]"), "0.png: scores [0.6, 0.21, 0.1], and [0.60004"),
    "a score that is no number": (replacing("0.60, 0.20", "nan, 0.20"), "a line that looks like a prediction cannot"),
    "a name": (replacing("'blue', 'red']", "'blue', 'green']"), "1.png: names ['green', 'blue', 'green'], and"),
    "no names": (replacing("['green', 'blue', 'red']", "[]"), "1.png: names [1, 2, 0], and ['green', 'blue', 'red']"),
    "code": (replacing("[1, 2, 0]", "[__import__('os').mkdir('ran')]"), "a line that looks like a prediction cannot"),
    "half a line": (
        lambda text: text.rstrip()[:-3] + "\n",
        'looks like a prediction cannot be read: "2.png',
    ),
    "boxes": (lambda text: lines(BOXES, format_det_line), "0.png: boxes, and classes in x_predict.log"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_change_of_a_log_is_seen(printed, fault):
    change, message = FAULTS[fault]
    agreement = printed(change)
    assert not agreement.agrees
    assert ": DISAGREES: " in str(agreement)
    assert str(agreement).count("\n") == 0
    assert message in str(agreement)
    assert "python_infer.log" in str(agreement)


def test_classes_may_change_places_in_a_tie(printed, write, topk):
    tie = replacing(
        "class id(s): [2, 0, 3], score(s): [0.80, 0.10, 0.10], label_name(s): ['blue', 'red', " + repr(NAMES[3]),
        "class id(s): [2, 3, 0], score(s): [0.80, 0.10, 0.10], label_name(s): ['blue', " + repr(NAMES[3]) + ", 'red'",
    )
    assert printed(tie).agrees  # 0.1 and 0.09995
    near = [dict(RESULTS[0]), *RESULTS[1:]]
    near[0]["scores"] = [0.60004, 0.1005, 0.1]  # the same two decimals, and no tie
    predicted = write("p.log", records(near))
    swapped = [{**near[0], "class_ids": [0, 1, 3], "label_names": [NAMES[0], NAMES[1], NAMES[3]]}, *RESULTS[1:]]
    agreement = compare_printed(write("a.log", lines(swapped)), predicted, topk)
    assert "class ids [0, 1, 3], and [0, 3, 1]" in agreement.fault
    on_gpu = HEAD.replace("use_gpu=False", "use_gpu=True")  # whose sums differ more
    assert compare_printed(write("a.log", lines(swapped), on_gpu), predicted, topk).agrees


@pytest.mark.parametrize(("score", "agrees"), [(0.09996, True), (0.0998, False)])
def test_the_last_class_may_change_only_with_the_next_best_one(write, topk, tmp_path, score, agrees):
    """The training engine prints three of four classes, and so its log cannot say how near the fourth one is."""
    log = write("a.log", lines(RESULTS).replace("[0, 3, 1]", "[0, 3, 2]").replace("'green']\n", "'blue']\n"))
    predicted = write("p.log", records(RESULTS))
    assert not compare_printed(log, predicted, topk).agrees
    more = [logs.prediction_of(format_record(result, "a")) for result in RESULTS]
    known = [prediction._replace(others={2: score}) for prediction in more]
    assert compare_printed(log, predicted, topk, known).agrees is agrees


@pytest.mark.parametrize(
    ("words", "less"),
    [
        ("-o Global.use_gpu=False -o Global.use_fp16=False", False),
        ("-o Global.use_gpu=True", True),
        ("--use-gpu=True", True),
        ("-o Global.device=gpu", True),
        ("-o Global.device=gpu:1 -o a=b", True),
        ("-o Global.device=cpu -o a=gpu", False),
        ("-o Global.engine=tensorrt", True),
        ("-o Global.use_int8=true", True),
    ],
)
def test_precision_of_a_log(tmp_path, words, less):
    path = tmp_path / "a.log"
    path.write_text(f"# command: python x.py {words}\n0.png: class id(s): [], use_gpu=True\n")
    assert is_less_precise(path) is less


@pytest.mark.parametrize(("score", "agrees"), [(0.6049, True), (0.60511, False), (0.595, True), (0.5948, False)])
def test_scores_may_differ_by_their_rounding(write, topk, score, agrees):
    exact = [{**RESULTS[0], "scores": [score, 0.2, 0.1]}, *RESULTS[1:]]
    agreement = compare_printed(write("a.log", lines(RESULTS)), write("p.log", records(exact)), topk)
    assert agreement.agrees is agrees


BOX_FAULTS = {
    "a box less": (
        replacing("0.png: 3 box(es): red 0.91 [0.0, 2.5, 12.1, 25.0]; ", "0.png: 2 box(es): "),
        "0.png: 2 box(es), none as 'red 0.91234 [0.0, 2.55, 12.13, 25.0]', and 3 in x_predict.log",
    ),
    "a box more": (
        replacing("1.png: 0 box(es)", "1.png: 1 box(es): red 0.90 [1.0, 1.0, 2.0, 2.0]"),
        "1.png: 1 box(es) with 'red 0.9 [1.0, 1.0, 2.0, 2.0]', and 0 without it in x_predict.log",
    ),
    "another number": (replacing("0.png: 3 box", "0.png: 2 box"), "a line that looks like a prediction cannot be read"),
    "a corner": (replacing("12.1, 25.0", "12.3, 25.0"), "0.png: 3 box(es), none as 'red 0.91234"),
    "a score": (replacing("red 0.91", "red 0.90"), "none as 'red 0.91234"),
    "a name": (replacing("red 0.91", "blue 0.91"), "none as 'red 0.91234"),
    "an order": (
        lambda text: re.sub(r"(red 0.91 \S+ \S+ \S+ \S+\]); (.*?); (red 0.31.*)", r"\3; \2; \1", text),
        "0.png: boxes in another order, and the best first in x_predict.log",
    ),
}


@pytest.mark.parametrize("fault", BOX_FAULTS)
def test_every_change_of_a_box_is_seen(printed_boxes, fault):
    change, message = BOX_FAULTS[fault]
    agreement = printed_boxes(change)
    assert not agreement.agrees
    assert message in str(agreement)


@pytest.mark.parametrize(("score", "agrees"), [(0.30004, True), (0.3003, False)])
def test_a_box_at_the_threshold_may_be_missing(printed_boxes, score, agrees):
    results = [*BOXES[:2], {**BOXES[2], "scores": [score]}]
    gone = replacing("2.png: 1 box(es): green 0.30 [0.0, 0.0, 9.0, 9.0]", "2.png: 0 box(es)")
    assert printed_boxes(gone, results).agrees is agrees
    assert printed_boxes(results=[*BOXES[:2], BOXES[1]]).agrees  # there on the other side only


def test_the_training_engines_log_is_compared_with_the_model(write, topk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in FILES:
        Path(file).parent.mkdir(parents=True)
        Path(file).touch()
    found = [format_record(result, path) for result, path in zip(RESULTS, FILES)]
    text = records(RESULTS)
    agreement, known = compare_predicted(write("p.log", text), lambda paths: found, topk)
    assert [prediction.ids for prediction in known] == [result["class_ids"] for result in RESULTS]
    assert str(agreement) == "predicted p.log: 3 of 3 images as the exported model predicts: agrees"
    for old, new, message in [
        ("0.60004", "0.60024", "0.png: scores [0.60024, 0.2, 0.1], and [0.60004, 0.2, 0.1] through the exported model"),
        ("[1, 2, 0]", "[2, 1, 0]", "1.png: class ids [2, 1, 0], and [1, 2, 0] through the exported model"),
        ("'blue', 'red']", "'blue', 'rot']", "1.png: names ['green', 'blue', 'rot'], and ['green', 'blue', 'red']"),
        ("/2.png", "/4.png", "val/c/4.png: there is no such file"),
        ("}]\n[{", "}, []]\n[{", "p.log: a line that looks like a prediction cannot be read"),
        ("0.60004", "open('x')", "p.log: a line that looks like a prediction cannot be read"),
    ]:
        assert old in text
        changed, _ = compare_predicted(write("p.log", text.replace(old, new, 1)), lambda paths: found, topk)
        assert not changed.agrees
        assert message in str(changed)
    nothing, _ = compare_predicted(write("p.log", NOISE), lambda paths: [], topk)
    assert str(nothing).endswith("DISAGREES: there is no prediction")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a log, found an empty file"),
        (b" \n\n", "expected a log, found an empty file"),
        (b"\x80\x02}q\x00.", "expected a log, found bytes that are not UTF-8"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_files_that_are_not_logs(tmp_path, content, message):
    path = tmp_path / "x.log"
    if content is not None:
        path.write_bytes(content)
    for read in (read_records, read_lines):
        with pytest.raises(UserError, match=re.escape(f"{path}: {message}")):
            read(path)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: cannot be read (Is a directory)")):
        read_lines(tmp_path)


def test_deep_nesting_is_not_a_crash(write):
    with pytest.raises(ValueError, match="cannot be read"):
        read_records(write("a.log", "[{" + "[" * 100_000))


def test_lines_are_whole_beside_errors(exported, tiny_data, tmp_path):
    """Standard output and standard error share a log; a line of one may not end up inside one of the other."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(200):
        content = (tiny_data / "val_0.png").read_bytes() if number % 10 else b"not an image"
        (folder / f"{number:03}.png").write_bytes(content)
    options = ["-o", f"Global.inference_model_dir={exported.model}", "-o", f"Global.infer_imgs={folder}"]
    for script, words in (
        ("deploy/python/predict_cls.py", ["-c", ROOT / "deploy/configs/inference_cls.yaml", *options]),
        ("tools/infer.py", ["-c", exported.config, "-o", f"Infer.infer_imgs={folder}"]),
        ("tools/infer/py_infer.py", ["--i", folder, "--d", exported.model, "--use_gpu=False"]),
    ):
        with open(tmp_path / "log", "w") as stream:
            command, buffered = [sys.executable, script, *map(str, words)], {**os.environ, "PYTHONUNBUFFERED": ""}
            subprocess.run(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT, env=buffered, timeout=LIMIT)
        read = read_records if script == "tools/infer.py" else read_lines
        assert len(read(tmp_path / "log")) == 180
        assert (tmp_path / "log").read_text().count("error: ") == 20
