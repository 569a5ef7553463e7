"""The stage of the post-processing: each fault is named, and logs of all forms that say the same are not blamed."""

import numpy as np
import pytest

from diagnosis.printed.check import check_postprocessing
from diagnosis.printed.faults import Comparison
from diagnosis.printed.rows import read_rows
from tests.agree import zoo
from tests.diagnosis import models as made

NAMES = ["bird", "cat", "dog", "flower", "tool", "ship", "plane", "vehicle"]
OTHERS = [*NAMES[1:], NAMES[0]]
BEST = 5  # class of the first image
FILES = ["images/a.jpg", "images/b.jpg", "images/c.jpg"]


def softmax(row):
    powers = np.exp(row.astype(np.float64) - row.max())
    return powers / powers.sum()


def top(scores, count):
    return np.argsort(-scores, kind="stable")[:count].tolist()


# forms of a line: (file, scores of all classes, names, how many, what is added to ids)


def records(file, scores, names, count=5, shift=0):
    """As our training engine and PaddleClas."""
    ids = top(scores, count)
    return str([{"class_ids": [one + shift for one in ids], "scores": np.around(scores[ids], 5).tolist(),
                 "file_name": file, "label_names": [names[one] for one in ids]}])  # fmt: skip


def fields(file, scores, names, count=5, shift=0):
    """As predict_cls.py: two decimals, the base name alone."""
    ids = top(scores, count)
    shown = ", ".join(f"{scores[one]:.2f}" for one in ids)
    labels = [names[one] for one in ids]
    ids, file = [one + shift for one in ids], file.rpartition("/")[2]
    return f"{file}:\tclass id(s): {ids}, score(s): [{shown}], label_name(s): {labels}"


def semicolons(file, scores, names, count=5, shift=0):
    """As the package of PaddleClas."""
    ids = top(scores, count)
    parts = ([str(one + shift) for one in ids], [f"{scores[one]:.4f}" for one in ids], [names[one] for one in ids])
    return "filename: {}; class id: {}; scores: {}; label: {}".format(file, *map(", ".join, parts))


def one_class(file, scores, names, count=1, shift=0):
    """As PaddlePaddle/models."""
    (best,) = top(scores, 1)
    return f"image_name: {file}, class_id: {best + shift}, prob: {scores[best]}"


def bare(file, scores, names, count=1, shift=0):
    """Without the image, and without the score."""
    (best,) = top(scores, 1)
    return f"{file}\nclass_id: {best + shift}, {names[best]}"


def nameless(file, scores, names, count=1, shift=0):
    """Without the image."""
    (best,) = top(scores, 1)
    return f"class_id: {best + shift}, {names[best]}, prob: {scores[best]:.6f}"


FORMS = [records, fields, semicolons, one_class, bare, nameless]


@pytest.fixture
def compare(steps, models, pixels, tmp_path):
    """`compare(predict, infer)`: the `Stage` where each makes a line of (file, logits); `export` is the model's."""

    def run(predict, infer, export="right"):
        ran = steps(models / export)
        ran.folder = tmp_path / f"observed_{len(list(tmp_path.iterdir()))}"
        rows = ran.layer("predict", made.trained(), pixels), ran.infer(pixels)
        logs = []
        for name, make, scores in zip(("predict", "infer"), (predict, infer), rows):
            path = ran.folder / f"{name}.log"
            lines = "".join(f"{make(file, row)}\n" for file, row in zip(FILES, scores))
            path.write_text(f"# command: python {name}.py images/a.jpg\nbatch 1 of 3\n{lines}time 12.345 ms\n")
            logs.append(path)
        return check_postprocessing(ran.subject(predict_log=logs[0], infer_logs=[logs[1]]))

    return run


def line_of(form, names=NAMES, behind=softmax, **options):
    return lambda file, row: form(file, behind(row), names, **options)


@pytest.mark.parametrize("infer", FORMS)
@pytest.mark.parametrize("predict", FORMS)
def test_the_same(compare, predict, infer):
    count = 1 if {predict, infer} & {one_class, bare, nameless} else 5
    stage = compare(line_of(predict, count=count), line_of(infer, count=count))
    if {predict, infer} == {bare, nameless}:
        assert stage.result == "not compared"  # one log has only names of images, the other only scores
        return
    assert stage.result == "same", stage.line
    assert stage.words.startswith(("3 images, ", "the scores of 3 images")), stage.line


@pytest.mark.parametrize("infer", [records, fields, semicolons, nameless])
@pytest.mark.parametrize("predict", [records, semicolons, nameless])
def test_a_label_file_of_another_order(compare, predict, infer):
    count = 1 if nameless in (predict, infer) else 5
    stage = compare(line_of(predict, count=count), line_of(infer, OTHERS, count=count))
    assert (stage.result, stage.cause) == ("differs", "labels"), stage.line
    assert "of the same class of the score" in stage.line
    assert f"class {BEST} of the network's output" in stage.line
    assert f"predict prints class {BEST} '{NAMES[BEST]}', and infer class {BEST} '{OTHERS[BEST]}'" in stage.line
    if count == 5:
        assert stage.line.endswith("differ: the label file has another order")


@pytest.mark.parametrize("form", [fields, one_class, nameless])
def test_ids_that_begin_with_1(compare, form):
    count = 5 if form is fields else 1
    stage = compare(line_of(records, count=count), line_of(form, count=count, shift=1))
    assert stage.cause == "labels"
    assert f"predict prints class {BEST} '{NAMES[BEST]}', and infer class {BEST + 1}" in stage.line
    assert stage.line.endswith("differ: ids are shifted by 1")
    both = compare(line_of(records, count=count, shift=1), line_of(form, count=count, shift=1))
    assert both.result == "same", both.line


def test_names_of_another_form(compare):
    """A part of the other name, or in another language: not known to be another class."""
    for names in (
        [f"n0144 {name.upper()}, of any kind" for name in NAMES],
        [f"{name}_" for name in NAMES],
        ["鸟", "猫", "狗", "花", "工具", "船", "飞机", "车"],
    ):
        stage = compare(line_of(records), line_of(fields, names))
        assert stage.result == "same", stage.line


def test_another_top_k(compare):
    stage = compare(line_of(records), line_of(one_class))
    assert (stage.cause, stage.why) == ("top_k", "predict prints 5 classes of an image, and infer 1 class")
    assert compare(line_of(records, count=3), line_of(fields, count=5)).cause == "top_k"


@pytest.mark.parametrize("form", [records, one_class, nameless])
def test_softmax(compare, form):
    twice = line_of(form, behind=lambda row: softmax(softmax(row)))
    stage = compare(line_of(form), line_of(form, behind=lambda row: row))
    assert (stage.cause, "softmax is missing" in stage.line) == ("softmax", True), stage.line
    stage = compare(line_of(form), lambda file, row: form(file, softmax(row), NAMES), "softmax")
    assert (stage.cause, "softmax is applied twice" in stage.line) == ("softmax", True), stage.line
    assert compare(line_of(form), twice).result == "not compared"  # not softmax of anything that Paddle computed


def test_ties_are_no_fault(compare, models):
    """Two classes of nearly one score may change places."""

    def tied(file, row, order):
        scores = np.array([0.1, 0.2998, 0.3002, 0.3], np.float64)
        return str([{"class_ids": order, "scores": [round(scores[one], 3) for one in order], "file_name": file,
                     "label_names": [NAMES[one] for one in order]}])  # fmt: skip

    stage = compare(lambda *one: tied(*one, [2, 3, 1, 0]), lambda *one: tied(*one, [1, 2, 3, 0]))
    assert stage.result == "same", stage.line
    stage = compare(lambda *one: tied(*one, [2]), lambda *one: tied(*one, [3]))  # what follows was not printed
    assert stage.result == "same", stage.line


@pytest.mark.parametrize(
    "text", ["", "done", "epoch: 3, lr: 0.1, top1: 0.93", "class_id: ?", "a.jpg saved to out/a.jpg"]
)
def test_logs_that_say_nothing(compare, text):
    stage = compare(line_of(records), lambda file, row: text)
    assert stage.result == "not compared"
    stage = compare(lambda file, row: text, line_of(records))
    assert stage.result == "not compared"


def test_scores_that_belong_to_no_image_are_not_compared(compare):
    other = line_of(records, behind=lambda row: softmax(-row))
    assert compare(line_of(records), other).result == "not compared"


def test_networks_that_differ_are_left_to_the_stages_before(steps, models, pixels, tmp_path):
    """Predict did not load its weights: other scores are no fault of what is behind them."""
    ran, logs = steps(models / "right"), [tmp_path / "p.log", tmp_path / "i.log"]
    for path, rows in zip(logs, (ran.layer("predict", made.trained(7), pixels), ran.infer(pixels))):
        path.write_text("".join(f"{one_class(file, softmax(row), NAMES)}\n" for file, row in zip(FILES, rows)))
    stage = check_postprocessing(ran.subject(predict_log=logs[0], infer_logs=[logs[1]]))
    assert stage.result == "not compared", stage.line


def test_a_name_of_several_images_is_not_compared(compare):
    """Folders may hold images of one name each."""
    same = lambda form, names: lambda file, row: form("c.jpg", softmax(row), names)  # noqa: E731
    stage = compare(same(fields, NAMES), same(fields, NAMES))
    assert stage.result in ("same", "not compared")


def test_what_is_not_known(steps, models, tmp_path):
    subject = steps(models / "right").subject
    assert check_postprocessing(subject()).line.endswith("not compared (it is not known what predict printed)")
    log = tmp_path / "a.log"
    log.touch()
    stage = check_postprocessing(subject(predict_log=log))
    assert stage.line.endswith("not compared (it is not known what infer printed)")
    ran = steps(models / "right")
    ran.infer(zoo.images(2))
    stage = check_postprocessing(ran.subject(predict_log=log, infer_logs=[tmp_path / "none.log"]))
    assert "none.log: cannot be read" in stage.line


def test_without_recordings_the_names_of_images_are_left(steps, models, pixels, tmp_path):
    ran = steps(models / "right")
    rows = ran.infer(pixels)
    logs = tmp_path / "p.log", tmp_path / "i.log"
    for path, names in zip(logs, (NAMES, OTHERS)):
        path.write_text("\n".join(records(file, softmax(row), names) for file, row in zip(FILES, rows)))
    stage = check_postprocessing(ran.subject(predict_log=logs[0], infer_logs=[logs[1]]))
    assert stage.cause == "labels"
    assert check_postprocessing(ran.subject(predict_log=logs[0], infer_logs=[logs[0]])).result == "same"


# ----------------------------------------------------------------------------------------------------------- boxes

BOXES = [
    [("bird", 0.93, [1, 2, 30, 40]), ("cat", 0.61, [5, 2, 31, 44]), ("dog", 0.42, [0, 0, 9, 9]),
     ("cat", 0.33, [3, 3, 8, 9])],
    [("ship", 0.87, [100, 2, 130, 40]), ("bird", 0.55, [5, 20, 310, 44]), ("dog", 0.36, [10, 10, 19, 19])],
]  # fmt: skip


def own_boxes(file, boxes):
    shown = "; ".join(f"{name} {score:.2f} [{', '.join(f'{side:.1f}' for side in box)}]" for name, score, box in boxes)
    return f"{file.rpartition('/')[2]}: {len(boxes)} box(es){': ' if boxes else ''}{shown}"


def lines_of_boxes(file, boxes):
    """As tools/infer.py of the detector among the test projects."""
    rows = [f"  {name} {score:.4f} " + " ".join(f"{side:.2f}" for side in box) for name, score, box in boxes]
    return "\n".join([f"{file}: 100 boxes", *rows])


def fields_of_boxes(file, boxes):
    """As its deploy/python/infer.py."""
    rows = [f"class_id:{NAMES.index(name)}, {name}, confidence:{score:.4f}, box:{[float(side) for side in box]}"
            for name, score, box in boxes]  # fmt: skip
    return "\n".join([f"{file}: 100 boxes", *rows])


def compared(first, second, least=(0.3, 0.3), renamed=None):
    """The `Comparison` of two logs' forms of BOXES, each with the boxes over its threshold."""

    def images(form, least, path):
        lists = [[(renamed(name) if renamed and form is second else name, *rest) for name, *rest in boxes
                  if rest[0] > least] for boxes in BOXES]  # fmt: skip
        path.write_text("\n".join(map(form, FILES, lists)))
        return read_rows(path)

    def run(tmp_path):
        return Comparison(images(first, least[0], tmp_path / "a"), images(second, least[1], tmp_path / "b"), [])

    return run


PAIRS = [(lines_of_boxes, fields_of_boxes), (lines_of_boxes, own_boxes), (fields_of_boxes, own_boxes)]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_boxes(tmp_path, first, second):
    found = compared(first, second)(tmp_path)
    assert (found.fault, found.words) == (None, "2 images, 7 names in both logs")
    cause, why, _ = compared(first, second, (0.3, 0.5))(tmp_path).fault
    assert cause == "threshold"
    assert why.startswith("predict prints boxes down to a score of 0.33, and infer none below 0.55: 3 boxes fewer")
    cause, why, _ = compared(first, second, (0.5, 0.3))(tmp_path).fault
    assert (cause, "infer prints boxes down" in why) == ("threshold", True)
    cause, why, _ = compared(first, second, renamed=lambda name: OTHERS[NAMES.index(name)])(tmp_path).fault
    assert cause == "labels"
    assert "predict prints " in why
    assert "'bird', and infer " in why


def test_a_box_at_the_threshold_is_no_fault(tmp_path):
    assert compared(*PAIRS[0], (0.3, 0.34))(tmp_path).fault is None
    assert compared(*PAIRS[0], (0.99, 0.99))(tmp_path).fault is None  # no image has a box
