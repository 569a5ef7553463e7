"""The latency benchmark: rows that are measured, tables and a document made of kept rows, faults that are named."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from ppcls_lite.benchmark import plan, report, rivals
from ppcls_lite.benchmark.rows import Case, Part, Protocol, measure, summarize
from ppcls_lite.benchmark.worker import peak_memory_mb, time_runs
from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.utils.config import read_yaml
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.machine import OthersLoad, WaitForCores, describe
from tests.benchmarks import predict as contest
from tests.helpers.scripts import ROOT, assert_one_line, run_process

SCRIPT = "deploy/python/benchmark.py"
DOCUMENT = ROOT / "docs/benchmark.md"
KEPT = ROOT / "docs/measured/benchmark.json"
BEGIN, END = "<!-- benchmark: begin -->\n", "<!-- benchmark: end -->"
QUOTED = read_yaml(ROOT / "docs/measured/quoted.yaml")
FLOPS = ROOT / "docs/measured/models.json"
CONDITIONS = {
    "cpu": "Some CPU",
    "cores": 2,
    "gpu": "none",
    "system": "Linux x86_64",
    "runs": 2100,
    "skip": 100,
    "seconds": None,
    "slow_runs": 210,
    "commit": "abc",
    "date": "2026-01-01",
}


def row(engine, median, network="MixNet_S", **changes):
    """A row as `measure` makes it."""
    fixed = {"network": network, "engine": engine, "shape": [3, 224, 224], "batch_size": 1, "threads": 1}
    figures = {"skipped": 100, "runs": 2000, "median_ms": median, "p95_ms": median + 1, "images_per_s": 1000 / median}
    rest = {"precision": "fp32", "version": f"{engine} 1", "memory_mb": 300.5, "others": 0.01, "waited": 0.001}
    return {**fixed, **figures, **rest, **changes}


def absent(engine, reason, network="MixNet_S"):
    return {"network": network, "engine": engine, "batch_size": 1, "threads": 1, "precision": "fp32", "absent": reason}


# ---- measuring


def test_summary_of_times():
    times = [float(number) for number in range(100, 0, -1)]
    assert summarize(times, 4) == {"runs": 100, "median_ms": 50.5, "p95_ms": 95.0, "images_per_s": 79.21}
    assert summarize([2.0], 1) == {"runs": 1, "median_ms": 2.0, "p95_ms": 2.0, "images_per_s": 500.0}


class Counter:
    def __init__(self):
        self.runs = 0

    def run(self, images):
        self.runs += 1


def test_as_many_runs_as_required():
    engine = Counter()
    assert len(time_runs(engine, None, 7)) == engine.runs == 7


@pytest.mark.parametrize(
    ("first_ms", "seconds", "made"),
    [(85, 180, (100, 2000)), (86, 180, (10, 200)), (1e6, float("inf"), (100, 2000)), (0.1, 180, (100, 2000))],
)
def test_a_row_that_needs_too_long_is_slow(first_ms, seconds, made):
    assert Protocol(seconds=seconds).plan(first_ms) == made
    assert Protocol(runs=100, skip=10, seconds=0, slow_runs=500).plan(1) == (10, 90), "slow, and never more runs"


def test_real_rows_and_reasons_for_missing_ones(exported, tmp_path):
    """Two engines of ours, a rival (or the reason for its absence), a precision that an engine does not have, a
    missing model, a wrong shape and a crash: all in one group, and none of them stops the others."""
    cases = [
        Case("small", "paddle", str(exported.model), (3, 32, 32)),
        Case("small", "onednn", str(exported.model), (3, 32, 32), batch_size=2),
        Case("small", "openvino-raw", str(exported.model), (3, 32, 32)),
        Case("small", "onednn", str(exported.model), (3, 32, 32), precision="int8"),
        Case("small", "paddle", str(exported.model / "none"), (3, 32, 32)),
        Case("small", "paddle", str(exported.model), (5, 32, 32)),
        Case("small", "paddle", str(exported.model), (3, 10**7, 10**7)),  # more than any memory: the process ends
    ]
    said = []
    rows = measure(cases, Protocol(runs=9, skip=2, turns=2), said.append, Part(tmp_path / "part.json"))
    assert [found["engine"] for found in rows] == [case.engine for case in cases]
    assert said == ["turn 1 of 2", "turn 2 of 2"]
    for found in rows[:2]:
        assert (found["skipped"], found["runs"]) == (2, 7)
        assert 0 <= found["waited"] <= 1
        assert 0 < found["median_ms"] <= found["p95_ms"]
        assert found["memory_mb"] > 50
        assert "Paddle" in found["version"]
        assert "absent" not in found
    assert rows[2].get("runs") == 7 or "not installed: openvino" in rows[2]["absent"]
    assert "computes in fp32 only" in rows[3]["absent"]
    assert "expected a folder with an exported model, found nothing" in rows[4]["absent"]
    assert "engine paddle cannot run it: " in rows[5]["absent"]
    assert "ended with status" in rows[6]["absent"]


def test_an_interrupted_measurement_goes_on_where_it_was(exported, tmp_path):
    """Stopped after the second of three turns: the next call makes one turn, and keeps the times of the first two.
    A part of another case, or one that is damaged, is not used."""
    part, said = Part(tmp_path / "part.json"), []
    cases = [Case("small", "paddle", str(exported.model), (3, 32, 32))]
    protocol = Protocol(runs=7, skip=1, turns=3)

    def stop(text):
        said.append(text)
        if text.startswith("turn 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(cases, protocol, stop, part)
    kept = json.loads(part.path.read_text())["records"][0]["ms"]
    assert len(kept) == 4
    kept[:] = [100000.0] * 4
    changed = json.loads(part.path.read_text())
    changed["records"][0]["ms"] = kept
    part.path.write_text(json.dumps(changed))
    (found,) = measure(cases, protocol, said.append, part)
    assert said == ["turn 1 of 3", "turn 2 of 3", "turn 3 of 3"]
    assert (found["runs"], found["median_ms"]) == (6, 100000.0)
    others = [Case("other", "paddle", str(exported.model), (3, 32, 32))]
    assert measure(others, protocol, part=part)[0]["median_ms"] < 100000
    part.path.write_text("{")
    assert measure(cases, protocol, part=part)[0]["median_ms"] < 100000


def test_a_rival_that_is_not_installed(monkeypatch, exported):
    monkeypatch.setattr(rivals.importlib.util, "find_spec", lambda name: None)
    for name, missing in (("openvino-raw", "openvino"), ("onnxruntime-raw", "onnxruntime, paddle2onnx")):
        with pytest.raises(UserError, match=f"{name}: not installed: {missing}"):
            rivals.create_rival(name, exported.model, 1)


def test_the_machine_is_described():
    found = describe()
    assert found["cpu"]
    assert found["cores"] >= 1
    assert peak_memory_mb() > 50
    with OthersLoad() as load:
        subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)  # another process's work
    assert load.share > 0


def test_a_thread_that_waits_for_a_core_is_seen():
    """Two busy threads on one core: each waits about half of the time."""
    core = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, [{core}]); print(flush=True); any(iter(int, 1))"
    with WaitForCores() as calm:
        time.sleep(0.05)
    other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    before = os.sched_getaffinity(0)
    try:
        other.stdout.readline()
        os.sched_setaffinity(0, [core])
        with WaitForCores() as wait:
            end = time.perf_counter() + 0.5
            while time.perf_counter() < end:
                pass
    finally:
        os.sched_setaffinity(0, before)
        other.kill()
        other.communicate()
    assert wait.share > 0.1 > calm.share or wait.share > calm.share + 0.1


def test_groups_are_those_of_the_documents(exported, tmp_path):
    models = {"MixNet_S": exported.model, "ResNet50_vd": exported.model}
    found = list(plan.groups(models, ["paddle", "onednn"], None, [1, 2], ["fp32"]))
    assert [(cases[0].network, cases[0].batch_size, cases[0].threads) for cases in found] == [
        *(("MixNet_S", batch_size, threads) for batch_size in (1, 4, 8) for threads in (1, 2)),
        *(("ResNet50_vd", 1, threads) for threads in (1, 2)),
    ]
    assert all([case.engine for case in cases] == ["paddle", "onednn"] for cases in found)
    assert found[0][0].shape == (3, 32, 32)
    assert plan.given_models([exported.model]) == {"MobileNetV3_small_x0_35": exported.model}
    with pytest.raises(UserError, match="MobileNetV3_small_x0_35 is already given"):
        plan.given_models([exported.model, exported.model])


# ---- the tables


def test_the_best_engine_and_how_the_others_compare():
    rows = [row("paddle", 20), row("onednn", 9), row("openvino", 3), row("onnxruntime-raw", 2.5)]
    best = report.Best(rows)
    assert (best.engine, best.ms, best.faster, best.slower) == ("openvino", 3, 3, {"onnxruntime-raw": 1.2})
    assert report.Best(rows[2:3]).faster is None


def test_a_rival_or_a_graphics_card_is_never_our_best_cpu_engine():
    rows = [row("onednn", 9), row("openvino-raw", 1), row("gpu", 0.5)]
    assert report.best_engines(rows, 1)["MixNet_S"].engine == "onednn"
    assert report.best_engines([row("openvino-raw", 1)], 1) == {}
    assert report.best_engines([row("onednn", 9, batch_size=4), row("onednn", 9, threads=2)], 1) == {}


def test_measured_and_quoted_stay_apart():
    rows = [row("onednn", 9), row("openvino", 3), row("onednn", 5, "ResNet50_vd"), absent("gpu", "no GPU is visible")]
    text = report.as_markdown(rows, CONDITIONS, QUOTED)
    heading, _, mixnet, resnet = [line for line in text.splitlines() if line.startswith("|")][:4]
    assert heading.endswith("| quoted: V100 (ms) |")
    assert mixnet == "| MixNet_S | openvino | 3.00 | 3.00 | - | - | 2.31 |"
    assert resnet == "| ResNet50_vd | onednn | 5.00 | 1.00 | - | - | 2.23 |"
    quoted = ["latency" in source["note"] for source in QUOTED["sources"].values()]
    assert text.count("Quoted, not measured") == sum(quoted)
    every_row = text.partition("### Every row")[2].partition("Quoted")[0]
    assert "2.31" not in every_row
    assert "* gpu, fp32, not measured (1 rows, MixNet_S): no GPU is visible" in every_row


def test_csv_and_text_have_every_row():
    rows = [row("onednn", 9.0), row("gpu", 1.0), absent("tensorrt", "this Paddle is the CPU build")]
    conditions = {**CONDITIONS, "gpu": "Some GPU"}
    found = list(csv.DictReader(io.StringIO(report.as_csv(rows, conditions))))
    assert [line["engine"] for line in found] == ["onednn", "gpu", "tensorrt"]
    assert [line["device"] for line in found] == ["Some CPU", "Some GPU", "Some GPU"]
    assert (found[0]["median_ms"], found[0]["memory_mb"], found[0]["absent"]) == ("9.0", "300.5", "")
    assert (found[2]["median_ms"], found[2]["absent"]) == ("", "this Paddle is the CPU build")
    text = report.as_text(rows, conditions)
    assert text.splitlines()[0].split() == " ".join(heading for heading, _, _ in report.COLUMNS).split()
    assert "tensorrt, fp32, not measured (1 rows, MixNet_S): this Paddle is the CPU build" in text
    assert "other processes took up to 1% of the CPU, and its threads waited for a core up to 0.1% of the time." in text


def test_a_busy_machine_is_reported():
    """What counts is that a row had to wait, not that others worked on the other cores."""
    assert "Measure again" not in report.as_text([row("onednn", 9.0, others=0.4)], CONDITIONS)
    assert "**Measure again on a calm machine" in report.as_text([row("onednn", 9.0, waited=0.06)], CONDITIONS)


def test_the_heading_says_how_many_runs_were_made():
    """Counted from the rows: 105 rows that ended after two seconds once had a heading of 2,100 runs."""
    rows = [row("onednn", 90.0, skipped=10, runs=200), row("openvino", 3.0), row("paddle", 4.0), absent("gpu", "none")]
    conditions = {**CONDITIONS, "seconds": 180}
    said = report.describe(conditions, rows)[1]
    assert said.startswith(
        "2 rows of 2100 runs, the first 100 not counted; "
        "1 rows of 210 runs, the first 10 not counted, since 2100 would take more than 180 s. Each row"
    )
    assert "would take" not in report.as_text(rows[1:], conditions)
    older = [
        {key: value for key, value in row("onednn", 9.0, runs=runs).items() if key != "skipped"} for runs in (11, 30)
    ]
    said = report.describe({**CONDITIONS, "seconds": 2}, older)[1]
    assert said.startswith("2 rows that were ended after 2 s each, with 11 to 30 runs counted. Each row")


# ---- the document


def block_of(path):
    return path.read_text().partition(BEGIN)[2].partition(END)[0]


def test_document_has_what_the_command_makes_of_the_kept_rows(run_here, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n{BEGIN}old\n{END}\nbelow\n")
    assert run_here(SCRIPT, "--update", page).status == 0
    block = block_of(page)
    assert block_of(DOCUMENT) == block, "run: python deploy/python/benchmark.py --update docs/benchmark.md"
    assert page.read_text() == f"above\n{BEGIN}{block}{END}\nbelow\n"
    measured = json.loads(KEPT.read_text())
    assert (ROOT / "docs/measured/benchmark.csv").read_text() == report.as_csv(measured["rows"], measured["conditions"])


def test_a_changed_row_would_be_seen(run_here, tmp_path):
    measured = json.loads(KEPT.read_text())
    next(found for found in measured["rows"] if "absent" not in found)["median_ms"] += 0.01
    plan.save(tmp_path / "changed.json", measured)
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}\n")
    assert run_here(SCRIPT, "--update", page, "--measured", tmp_path / "changed.json").status == 0
    assert block_of(page) != block_of(DOCUMENT)


def test_kept_rows_are_of_all_networks_or_the_document_says_which_are_missing():
    measured = json.loads(KEPT.read_text())
    missing = set(plan.network_flops(FLOPS)) - {found["network"] for found in measured["rows"]}
    (said,) = re.findall(r"\*\*not in them\*\*: ([^.]*)\.", DOCUMENT.read_text())
    assert set(re.split(r",\s+", said)) == missing
    assert {found["batch_size"] for found in measured["rows"] if found["network"] == "MixNet_M"} == {1, 4, 8}


def test_kept_rows_are_not_said_to_have_made_more_runs_than_they_did():
    measured = json.loads(KEPT.read_text())
    rows, conditions = measured["rows"], measured["conditions"]
    full = sum(found.get("skipped", 0) + found.get("runs", 0) == conditions["runs"] for found in rows)
    assert (f"{full} rows of {conditions['runs']} runs" in block_of(DOCUMENT)) == (full > 0)


def test_figure_of_the_document_is_an_image():
    image = cv2.imread(str(ROOT / "docs/measured/benchmark.png"))
    assert image is not None
    assert image.std() > 10


# ---- predict_cls.py compared with its parts


def test_one_line_of_the_throughput_table(exported, tmp_path):
    contest.make_images(tmp_path, 7)
    paths = contest.images_in(tmp_path)
    assert [cv2.imread(path).shape for path in paths] == [(375, 500, 3)] * 7
    assert len({cv2.imread(path).tobytes() for path in paths}) == 7
    done = run_process("tests/benchmarks/predict.py", contest.ONE_LINE, tmp_path, exported.model, "onednn", 1, 2, 2)
    figures = json.loads(done.out)
    assert list(figures) == list(contest.HEADINGS)
    assert all(value > 0 for heading, value in figures.items() if heading != "others")
    table = contest.as_markdown([(("small", "onednn", 1, 2), figures)], "about\n\n").splitlines()
    assert table[0] == "about"
    assert table[4].startswith("| small | onednn | 1 | 2 | ")
    assert len({line.count("|") for line in table[2:]}) == 1


def test_the_official_way_to_read_is_the_same():
    ops = [{"DecodeImage": None}, {"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}]
    transforms = build_transforms([*ops, {"NormalizeImage": {"order": ""}}, {"ToCHWImage": None}])
    path = str(ROOT / "test_images/chelsea.jpg")
    difference = abs(contest.read_like_official(path) - transforms(Path(path).read_bytes()))
    assert difference.max() < 1e-5


# ---- the script


def test_a_given_model_by_the_script(exported, tmp_path):
    """From measuring to the three files."""
    done = run_process(
        SCRIPT,
        *("--model_dir", exported.model, "--engines", "paddle", "onednn", "gpu", "--threads", "1"),
        *("--runs", "6", "--skip", "1", "--turns", "1", "--batch_sizes", "1", "2", "--output", tmp_path / "new"),
    )
    assert done.status == 0, done.err
    assert done.out.count("MobileNetV3_small_x0_35  onednn") == 2
    assert "4 rows of 6 runs, the first 1 not counted" in done.out
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"benchmark.json", "benchmark.csv", "benchmark.png"}
    measured = json.loads((tmp_path / "new/benchmark.json").read_text())
    assert [found["runs"] for found in measured["rows"] if "absent" not in found] == [5] * 4
    assert report.as_csv(measured["rows"], measured["conditions"]) == (tmp_path / "new/benchmark.csv").read_text()
    assert cv2.imread(str(tmp_path / "new/benchmark.png")) is not None

    again = ("--model_dir", exported.model, "--output", tmp_path / "new", "--threads", "1", "--batch_sizes", "1", "2")
    again += ("--runs", "6", "--skip", "1", "--turns", "1", "--resume", "--engines")
    before = (tmp_path / "new/benchmark.json").read_text()
    resumed = run_process(SCRIPT, *again, "paddle")
    assert (resumed.status, resumed.err) == (0, "")
    assert (tmp_path / "new/benchmark.json").read_text() == before, "all was there"
    assert_one_line(
        run_process(SCRIPT, *again, "paddle", "--runs", "7"), "cannot go on: its rows were measured with runs 6"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engines", "onedn"], "--engines onedn: no such engine (did you mean 'onednn'?)"),
        (["--resume"], "--resume: expected --output FOLDER with the rows to go on from"),
        (["--runs", "100"], "--skip 100: expected less than --runs 100"),
        (["MixNet_S", "--model_dir", "x"], "expected names of networks or --model_dir, found both"),
        (["--model_dir", "no/such"], "no/such: expected a folder with an exported model, found nothing"),
        (["MixNet_X"], "MixNet_X: no such config under ppcls_lite/configs/ImageNet (did you mean 'MixNet_"),
        (["--update", "none.md"], "none.md: cannot be read"),
        (["--update", "none.md", "--measured", "none.json"], "none.json: cannot be read"),
        (["--flops", "none.json"], "none.json: cannot be read"),
        (["--flops", KEPT], "benchmark.json: expected the FLOPs of networks, found "),
        (["--update", "none.md", "--quoted", "none.yaml"], "none.yaml: no such"),
    ],
    ids=str,
)
def test_wrong_options(run_here, options, message):
    assert_one_line(run_here(SCRIPT, *options), message)


@pytest.mark.parametrize("option", ["--runs", "--turns", "--threads", "--batch_sizes", "--seconds", "--slow_runs"])
def test_options_that_are_not_numbers_above_zero(run_here, option):
    for value in ("0", "-1", "many"):
        outcome = run_here(SCRIPT, f"{option}={value}")
        assert outcome.status == 2
        assert f"argument {option}: expected a whole number of at least 1, found {value!r}" in outcome.err
