"""The latency benchmark: rows that are measured, tables and a document made of kept rows, faults that are named."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from ppcls_lite.benchmark import plan, report, rivals
from ppcls_lite.benchmark.rows import Case, Protocol, measure, summarize
from ppcls_lite.benchmark.worker import peak_memory_mb, time_runs
from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.utils.config import read_yaml
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.machine import OthersLoad, describe
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
    "commit": "abc",
    "date": "2026-01-01",
}


def row(engine, median, network="MixNet_S", **changes):
    """A row as `measure` makes it."""
    fixed = {"network": network, "engine": engine, "shape": [3, 224, 224], "batch_size": 1, "threads": 1}
    figures = {"runs": 2000, "median_ms": median, "p95_ms": median + 1, "images_per_s": 1000 / median}
    rest = {"precision": "fp32", "version": f"{engine} 1", "memory_mb": 300.5, "others": 0.01}
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


@pytest.mark.parametrize(("runs", "seconds", "made"), [(7, 60, 7), (10**9, 0, 1), (1, 0, 1)])
def test_runs_end_by_number_or_by_time(runs, seconds, made):
    engine = Counter()
    assert len(time_runs(engine, None, runs, seconds)) == engine.runs == made


def test_real_rows_and_reasons_for_missing_ones(exported):
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
    rows = measure(cases, Protocol(runs=9, skip=2, turns=2), said.append)
    assert [found["engine"] for found in rows] == [case.engine for case in cases]
    assert said == ["turn 1 of 2", "turn 2 of 2"]
    for found in rows[:2]:
        assert found["runs"] == 7
        assert 0 < found["median_ms"] <= found["p95_ms"]
        assert found["memory_mb"] > 50
        assert "Paddle" in found["version"]
        assert "absent" not in found
    assert rows[2].get("runs") == 7 or "not installed: openvino" in rows[2]["absent"]
    assert "computes in fp32 only" in rows[3]["absent"]
    assert "expected a folder with an exported model, found nothing" in rows[4]["absent"]
    assert "engine paddle cannot run it: " in rows[5]["absent"]
    assert "ended with status" in rows[6]["absent"]


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


def test_verdict_at_the_edges():
    def verdict(**times):
        return report.Verdict([row(name.replace("_", "-"), ms) for name, ms in times.items()])

    good = verdict(paddle=20, onednn=9, openvino=3, onnxruntime_raw=2.8, openvino_raw=2.73)
    assert (good.best, good.ms, good.faster, good.meets) == ("openvino", 3, 3, True)
    assert not verdict(onednn=8.9, openvino=3, onnxruntime_raw=2.8).meets
    assert not verdict(onednn=9, openvino=3, onnxruntime_raw=2.7).meets
    assert not verdict(onednn=9, openvino=3, openvino_raw=2.7).meets
    alone = verdict(onednn=9, openvino=3)
    assert alone.slower == {}
    assert alone.meets


def test_a_rival_or_a_graphics_card_is_never_our_best_cpu_engine():
    rows = [row("onednn", 9), row("openvino-raw", 1), row("gpu", 0.5)]
    assert report.verdicts(rows, 1)["MixNet_S"].best == "onednn"
    assert report.verdicts([row("openvino-raw", 1)], 1) == {}
    assert report.verdicts([row("onednn", 9, batch_size=4), row("onednn", 9, threads=2)], 1) == {}


def test_a_network_that_falls_short_is_named_with_figures():
    rows = [row("onednn", 8), row("openvino", 4), row("openvino-raw", 2)]
    (line,) = report.shortfalls(rows, 1, {"MixNet_S": 200.0})
    assert line == (
        "MixNet_S: 2.00 times oneDNN's speed, not 3; the fastest of all, openvino-raw, reaches 4.00 times; "
        "4.00 ms are 2.00 times those of openvino-raw (2.00 ms)."
    )
    (line,) = report.shortfalls(rows[:2], 1, {"MixNet_S": 200.0})
    assert line == (
        "MixNet_S: 2.00 times oneDNN's speed, not 3, which would take 150 GFLOP/s; no row is above 100 "
        "(MixNet_S, openvino)."
    )
    assert report.shortfalls([row("onednn", 9), row("openvino", 3)], 1, {}) == []


def test_measured_and_quoted_stay_apart():
    rows = [row("onednn", 9), row("openvino", 3), row("onednn", 5, "ResNet50_vd"), absent("gpu", "no GPU is visible")]
    text = report.as_markdown(rows, CONDITIONS, {}, QUOTED)
    heading, _, mixnet, resnet = [line for line in text.splitlines() if line.startswith("|")][:4]
    assert heading.endswith("| quoted: V100 (ms) |")
    assert mixnet == "| MixNet_S | openvino | 3.00 | 3.00 | - | - | yes | 2.31 |"
    assert resnet == "| ResNet50_vd | onednn | 5.00 | 1.00 | - | - | no | - |"
    assert text.count("Quoted, not measured") == 3
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
    assert "other processes took up to 1% of the CPU" in text


def test_a_busy_machine_is_reported():
    assert "Measure again" not in report.as_text([row("onednn", 9.0)], CONDITIONS)
    assert "**Measure again on a calm machine" in report.as_text([row("onednn", 9.0, others=0.4)], CONDITIONS)


def test_rows_that_ended_early_are_reported():
    rows = [row("onednn", 9.0, runs=30), row("openvino", 3.0)]
    conditions = {**CONDITIONS, "seconds": 20}
    assert "(1 slow rows ended before all runs were made, after 20 s)" in report.as_text(rows, conditions)
    assert "ended before" not in report.as_text(rows[1:], conditions)


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


def test_kept_rows_are_of_all_networks():
    measured = json.loads(KEPT.read_text())
    assert {found["network"] for found in measured["rows"]} == set(plan.network_flops(FLOPS))
    assert {found["batch_size"] for found in measured["rows"] if found["network"] == "MixNet_M"} == {1, 4, 8}


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
    assert "6 runs per row, the first 1 not counted" in done.out
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"benchmark.json", "benchmark.csv", "benchmark.png"}
    measured = json.loads((tmp_path / "new/benchmark.json").read_text())
    assert [found["runs"] for found in measured["rows"] if "absent" not in found] == [5] * 4
    assert report.as_csv(measured["rows"], measured["conditions"]) == (tmp_path / "new/benchmark.csv").read_text()
    assert cv2.imread(str(tmp_path / "new/benchmark.png")) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engines", "onedn"], "--engines onedn: no such engine (did you mean 'onednn'?)"),
        (["--runs", "100"], "--skip 100: expected less than --runs 100"),
        (["MixNet_S", "--model_dir", "x"], "expected names of networks or --model_dir, found both"),
        (["--model_dir", "no/such"], "no/such: expected a folder with an exported model, found nothing"),
        (["MixNet_X"], "MixNet_X: no such config under ppcls_lite/configs/ImageNet (did you mean 'MixNet_"),
        (["--update", "none.md"], "none.md: cannot be read"),
        (["--update", "none.md", "--measured", "none.json"], "none.json: cannot be read"),
        (["--update", "none.md", "--flops", "none.json"], "none.json: cannot be read"),
        (
            ["--update", "none.md", "--flops", KEPT],
            "benchmark.json: expected the FLOPs of networks, found ",
        ),
        (["--update", "none.md", "--quoted", "none.yaml"], "none.yaml: no such"),
    ],
    ids=str,
)
def test_wrong_options(run_here, options, message):
    assert_one_line(run_here(SCRIPT, *options), message)


@pytest.mark.parametrize("option", ["--runs", "--turns", "--threads", "--batch_sizes", "--seconds"])
def test_options_that_are_not_numbers_above_zero(run_here, option):
    for value in ("0", "-1", "many"):
        outcome = run_here(SCRIPT, f"{option}={value}")
        assert outcome.status == 2
        assert f"argument {option}: expected a whole number of at least 1, found {value!r}" in outcome.err
