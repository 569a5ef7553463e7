"""report.html: what is in it, and that it is a good page."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from page.frame import document
from page.report import write_report
from script import UserError
from tests.helpers.scripts import LIMIT, ROOT
from tests.page.bundles import TAG, step, steps, train_log
from tests.page.checker import Page

SCRIPT = ROOT / "test_tipc/lib/page/report.py"


def one_of_each_mode():
    """Folders of kept evidence, the first of each mode."""
    found = {}
    for path in sorted((ROOT / "test_log").rglob("bundle.json")):
        found.setdefault(json.loads(path.read_text())["mode"], path.parent)
    return [*found.values(), *sorted((ROOT / "test_log").glob("CenterNet*/lite_train_lite_infer"))[:1]]


KEPT = one_of_each_mode()


def page_of(folder, root=None):
    write_report(folder, root)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_it_is_a_good_page_with_all_parts(bundle):
    page = page_of(bundle)
    assert page.faults == []
    headings = [
        text for text in ("Steps by result", "Loss and accuracy", "Predictions of every engine") if text in page.text
    ]
    assert len(headings) == 3
    for text in (
        "passed: 7 steps, and all predictions agree",
        "top1 0.35417",
        "0123456789ab (clean tree)",
        "there is no GPU",
        "python tools/train.py -c net.yaml",
        "Training loss over 120 iterations: 1.99 at first, 1.57 at last",
        "top-1 0.4 at last",
        "The same best 3 in all 2; the scores as written differ by at most 1.2e-06.",
        "6.56e-07",
        "0 (bitwise)",
        "a step with its data, median",
        "oneDNN",
        "no AVX2",
        "MKL_DEBUG_CPU_TYPE",
        "Global.seed",
    ):
        assert text in page.text, text


def test_the_matrix_leads_to_the_steps(bundle):
    page = page_of(bundle)
    labels = {tag["href"]: tag["aria-label"] for tag in page.every("a") if "aria-label" in tag}
    assert labels["#step-1"] == "passed: prepare"
    assert labels["#step-2"] == "skipped: train (norm_train_gpus_0)"
    assert labels["#step-3"] == f"passed: train ({TAG})"
    assert labels["#step-7"] == "passed: agree observed, agree"


def test_a_failure_is_what_one_sees_first(bundle, change):
    failed = [
        *steps(),
        step("infer gpu", result="failed", reason="exit code 1: out of memory"),
        step("stop", result="began"),
    ]
    sentence = "FAILED: 2 of 9 steps failed: infer gpu, stop"
    change(steps=failed, verdict={"passed": False, "compared": False, "whole": False, "sentence": sentence})
    page = page_of(bundle)
    assert page.faults == []
    assert page.text.index("Failed · 未通过") < page.text.index(sentence) < page.text.index("Steps by result 各步结果")
    assert "exit code 1: out of memory" in page.text
    assert "2 failed, 6 passed, 1 skipped" not in page.text
    assert "2 failed, 7 passed, 1 skipped" in page.text
    assert "did not end" in page.text


def test_predictions_that_are_not_compared_are_said_to_be(bundle, change):
    change(verdict={"passed": True, "compared": False, "whole": False, "sentence": "passed"})
    text = page_of(bundle).text
    assert "Predictions were not all compared" in text
    assert "not whole" in text


def test_engines_that_differ_are_marked(bundle):
    path = bundle / "predictions/onednn.json"
    content = json.loads(path.read_text())
    content["images"]["cat.png"]["rows"] = [[1, 0.9], [2, 0.08], [0, 0.02]]
    path.write_text(json.dumps(content))
    text = page_of(bundle).text
    assert "Not the same best 3 in all 2." in text
    assert text.count("≠ ") == 3 + 1  # and the setting that is not in effect


@pytest.mark.parametrize(
    ("exact", "said"),
    [
        (
            [[2, 0.9004, 1, 2, 101, 52.04], [0, 0.4, 0, 0, 5, 6]],
            "The same best 2 in all 2; the scores as written differ",
        ),
        ([[2, 0.9, 1, 2, 101, 52], [1, 0.4, 0, 0, 5, 6]], "Not the same best 2 in all 2."),
        ([[2, 0.9, 1, 2, 101, 52]], "Not the same best 2 in all 2."),
        ([[2, 0.9, 1, 2, 101, 52], [9, 0.4, 0, 0, 5, 6]], "Some have names and some have numbers of classes"),
    ],
)
def test_boxes_of_one_name_are_the_same_whether_a_file_has_the_name_or_its_number(bundle, exact, said):
    """Logs print the names of classes and files have their numbers; the labels in a log relate the two."""
    printed = "cat.png: 2 box(es): cat 0.90 [1.0, 2.0, 101.0, 52.0]; dog 0.40 [0.0, 0.0, 5.0, 6.0]\n"
    (bundle / "predict_training_engine.log").write_text(printed)
    content = {"images": {"cat.png": {"kind": "boxes", "rows": exact}}}
    (bundle / "predictions/onednn.json").write_text(json.dumps(content))
    text = page_of(bundle).text
    assert said in text
    assert ("≠ dog" in text or "≠ cow" in text) == (exact[-1][0] == 1)
    assert said in (bundle / "report.md").read_text()


def test_the_engine_that_others_are_compared_with_comes_first(bundle, change):
    change(predictions=json.loads((bundle / "bundle.json").read_text())["predictions"][::-1])
    text = page_of(bundle).text.partition("cat.png")[2]
    assert text.index("training engine") < text.index("Paddle Inference, oneDNN on")


def test_test_images_come_before_those_of_the_validation_set(bundle, change):
    """An engine that predicted both sets is shown for both, and each image with those engines that predicted it."""
    rows = [[0, 0.9], [1, 0.1]]
    images = {f"val_{number}.jpg": {"kind": "classes", "rows": rows} for number in range(9)}
    (bundle / "predictions/strict.json").write_text(json.dumps({"images": images}))
    strict = {"file": "predictions/strict.json", "engine": "training engine", "step": "agree", "exact": True}
    change(predictions=[strict, *json.loads((bundle / "bundle.json").read_text())["predictions"]])
    text = page_of(bundle).text
    assert text.index("cat.png") < text.index("val_0.jpg")
    assert "4 of 11 images; 3 files with predictions." in text
    assert "val_1.jpg" in text
    assert "val_2.jpg" not in text


def test_a_difference_beyond_the_limit_is_marked(bundle):
    path = bundle / "agree.log"
    path.write_text(path.read_text().replace("8.94e-07 (", "0.25 (").replace("equal: agrees\n", "equal: DISAGREES\n"))
    page = page_of(bundle)
    assert "✗ disagrees" in page.text
    assert [tag for tag in page.every("span") if tag.get("class") == "bar apart"]


def test_a_long_log_is_cut_in_the_middle(bundle):
    (bundle / "evaluate.log").write_text("begin\n" + "x" * 100_000 + "\nend\n")
    text = page_of(bundle).text
    assert re.search(r"\[… 80,\d+ characters in the middle are left out here", text)
    assert "begin\nx" in text
    assert "x\nend\n" in text
    assert (bundle / "report.html").stat().st_size < 120_000


def test_a_loss_that_is_not_finite_is_a_gap(bundle):
    path = bundle / "log_train.txt"
    path.write_text(train_log().replace("loss: 1.99000", "loss: nan"))
    page = page_of(bundle)
    assert "1 of 12 values are not finite" in page.text
    assert not [tag for tag in page.every("path") if "nan" in tag["d"]]


def test_boxes_are_drawn_over_the_image(bundle, change, tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "images").mkdir()
    image.new("RGB", (400, 300), "red").save(tmp_path / "images/cat.png")
    (bundle / "predict_training_engine.log").write_text(
        "cat.png: 2 box(es): tool 0.90 [1.0, 2.0, 101.0, 52.0]; bird 0.40 [0.0, 0.0, 5.0, 6.0]\n"
    )
    change(predictions=json.loads((bundle / "bundle.json").read_text())["predictions"][:1])
    page = page_of(bundle, tmp_path)
    assert page.faults == []
    (drawing,) = [tag for tag in page.every("svg") if "boxes" in tag["class"]]
    assert drawing["viewbox"] == "0 0 400 300"
    assert "tool 0.90; bird 0.40" in drawing["aria-label"]
    places = [(tag["x"], tag["y"], tag["width"], tag["height"]) for tag in page.every("rect")]
    assert places[1] == ("1.0", "2.0", "100.0", "50.0")
    (picture,) = page.every("image")
    assert len(picture["href"]) < 10_000
    assert picture["href"].startswith("data:image/jpeg")


@pytest.mark.parametrize("folder", KEPT, ids=[str(path.relative_to(ROOT / "test_log")) for path in KEPT])
def test_kept_evidence_has_a_page(folder, tmp_path):
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.png", "*.jpg"))
    page = page_of(copy, ROOT)
    assert page.faults == []
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"] in page.text
    assert (copy / "report.md").read_text().startswith(f"## ✓ {summary.get('model', folder.name)}")


def test_the_script_says_what_it_wrote(bundle):
    done = run(bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{bundle}/report.html, report.md\n"


def test_no_bundle_is_one_line(tmp_path):
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path}: expected bundle.json in it, found none\n"


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "\0", "[" * 100_000])
def test_a_damaged_bundle_is_one_line_and_leaves_no_old_page(bundle, content):
    write_report(bundle)
    (bundle / "bundle.json").write_text(content)
    with pytest.raises(UserError, match=r"bundle\.json: expected"):
        write_report(bundle)
    assert not (bundle / "report.html").exists()


def test_a_run_is_not_worth_less_without_a_page(bundle):
    (bundle / "bundle.json").write_text("{")
    done = run(bundle, "--try")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"note: {bundle}/report.html could not be drawn: UserError: ")
    assert done.stderr.count("\n") == 1


def test_it_works_where_nothing_is_installed(bundle, tmp_path):
    shutil.copytree(ROOT / "test_tipc/lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-S", "-E", str(tmp_path / "lib/page/report.py"), str(bundle)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")


def run(*words):
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<h1>a</h1><h3>b</h3>", "h3 follows h1"),
        ("<h1>a</h1><h1>b</h1>", "2 h1"),
        ("<p id='a'></p><p id='a'></p>", "id 'a' is there twice"),
        ("<img src='data:image/png;base64,'>", "no alt"),
        ("<img alt='a' src='https://example.org/a.png'>", "leads elsewhere"),
        ("<a href='javascript:alert(1)'>a</a>", "leads elsewhere"),
        ("<a href='#nowhere'>a</a>", "leads nowhere"),
        ("<p onclick='x()'></p>", "onclick"),
        ("<div><p></div>", "closes nothing"),
        ("<script>alert(1)</script>", "2 scripts"),
        ("<svg></svg>", "no label"),
        ("<th>a</th>", "no scope"),
        ("<p tabindex='3'></p>", "tab key"),
        ("<p style='background:url(a.png)'></p>", "loads something"),
        ("<table>words</table>", "text in <table>"),
    ],
)
def test_the_checker_sees_the_fault(body, fault):
    from page.element import Markup

    page = Page(document("title", [Markup("<header></header><main id='main'>"), Markup(body), Markup("</main>")]))
    assert any(fault in one for one in page.faults), page.faults
