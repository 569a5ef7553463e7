"""What a config expects: the section is read by section and line, and a step that is not as expected fails."""

import pytest

from expected import parse_rule
from figures import Printed, find_figure, find_figures
from script import UserError
from tests.helpers.scripts import assert_one_line
from tests.helpers.shell import MODE, Run, bash, dry_run

TITLE = "===========================expected_params===========================\n"
INFER = "infer cpu usemkldnn_{}_threads_2_precision_False_batchsize_1"
SPEED = "speedup(usemkldnn_True/usemkldnn_False)"
# a summary of times and memory, whose time depends on the options
PROGRAM = """
stamp = "[2026/11/26 05:33:13] root INFO: "
print(stamp, "data_num: 5")
print(stamp, "cpu_rss(MB): 300.5, gpu_rss(MB): None, gpu_util: None%")
print(stamp, "preprocess_time(ms): 1, inference_time(ms):", 40 if "Global.enable_mkldnn=True" in sys.argv else 100)
print("a.jpg: class id(s): [1, 0], score(s): [0.90, 0.10], label_name(s): []")
"""


def expect(chain, *lines):
    chain.program("infer", PROGRAM)
    chain.set("-o Global.benchmark", "True").set("-o Global.enable_mkldnn", "True|False")
    chain.text += TITLE + "".join(f"{line}\n" for line in lines)
    return chain


def place(chain, line):
    """`file:number` of a line of the config."""
    return f"{chain.path}:{chain.text.splitlines().index(line) + 1}"


# ------------------------------------------------------------------------------------------------------ the whole chain


def test_all_as_expected(chain, tree):
    (tree / "good.txt").write_text("a.jpg\t[[1, 0.904], [0, 0.096]]\n")
    top1 = f"top1:whole_infer=0.9+-0.01|{MODE}=0.49±0.01"
    run = expect(
        chain, top1, "AP:whole=>=0.5", "cpu_rss(MB):<=301", "gpu_rss(MB):<=1", f"{SPEED}:>=2", "predictions:good.txt"
    ).run()
    assert run.status == 0, run.out + run.err
    assert run.results["expected speed"] == run.results["expected predictions"] == "passed"
    log = next(run.folder.glob("*_eval.log")).read_text()
    assert f"expected: top1 0.5 is as expected, 0.49±0.01 ({place(chain, top1)})" in log
    assert "is 2.50 times as fast as" in next(run.folder.glob("*_expected_speed.log")).read_text()
    assert "passed: 8 steps; the predictions were NOT compared" in run.out  # with each other: nothing was observed


def test_nothing_as_expected(chain, tree):
    (tree / "bad.txt").write_text("a.jpg\t[[1, 0.95], [0, 0.05]]\n")
    run = expect(chain, "top1:>=0.51", "predictions:bad.txt", "mIoU:>=0", f"{SPEED}:>=3").run()
    assert run.status == 1
    failed = {name: reason for name, result, reason in run.steps if result == "failed"}
    assert set(failed) == {"evaluate", "expected speed", "expected predictions"}
    assert f"top1 is 0.5; expected >=0.51 ({place(chain, 'top1:>=0.51')})" in failed["evaluate"]
    assert f"error: {failed['evaluate']}\n" in next(run.folder.glob("*_eval.log")).read_text()
    assert "2.50 times as fast as python_infer_cpu_gpus_-1_usemkldnn_False" in failed["expected speed"]
    assert "a.jpg: class 1: found 0.9, expected 0.95" in failed["expected predictions"]
    assert "Run failed with command" in (run.folder / "results_python.log").read_text()


def test_memory_and_pairs_that_are_not_there(chain):
    run = expect(chain, "cpu_rss(MB):<=300", "speedup(threads_6/threads_1):>=1").run("--stop_stage", "6")
    for setting in ("True", "False"):
        assert run.results[INFER.format(setting)] == "failed"
    assert f"cpu_rss(MB) is 300.5; expected <=300 ({place(chain, 'cpu_rss(MB):<=300')})" in run.out
    assert (
        "expected",
        "skipped",
        "no inference passed, so there is nothing to compare with what is expected",
    ) in run.steps


def test_a_section_changes_nothing_else(chain):
    expect(chain)
    plans = []
    for more in ("", "top1:>=0\n"):
        chain.path.write_text(chain.text + more)
        plans.append(dry_run(chain.path).out)
    assert plans[0] == plans[1]


# ---------------------------------------------------------------------------------------------------- a wrong section

WRONG = {
    "top1": "expected NAME:RULE, such as top1:0.9+-0.01, found 'top1'",
    "top1:": "expected NAME:RULE",
    "top1:0.9": "'top1': expected NUMBER+-TOLERANCE, >=NUMBER or <=NUMBER, found '0.9'",
    "top1:0.9+-": "found '0.9+-'",
    "top1:0.9+--0.1": "found '0.9+--0.1'",
    "top1:>0.9": "found '>0.9'",
    "top1:nan+-1": "found 'nan+-1'",
    "top1:lite_tran=0.9+-0.1": "'top1': unknown mode 'lite_tran'; expected one of: lite_train_lite_infer",
    "top1:whole_inferr=0.9+-0.1": "unknown mode 'whole_inferr'",
    "top1:whole_infer=0.9+-0.1|0.8+-0.1": "expected MODE=RULE between bars, found '0.8+-0.1'",
    "top1:whole_infer=0.9": "found '0.9'",  # also of another mode
    "top 1:0.9+-0.1": "expected the name of a figure, such as top1, found 'top 1'",
    "inference_time(ms):<=5": "is a time of one machine; expected a ratio, such as speedup(",
    "speedup(usemkldnn_True):>=1": "expected two settings as logs are named, speedup(usemkldnn_True/",
    "speedup(usemkldnn_True/threads_1):>=1": "expected two settings",
    "speedup(threads_1/threads_1):>=1": "expected two settings",
    "rss(MB):<=5": "expected cpu_rss(MB) or gpu_rss(MB), found 'rss(MB)'",
    "predictions:none.txt": "'predictions': no such file: none.txt",
    "predictions:/etc/passwd": "'predictions': expected a file of the project, found '/etc/passwd'",
    "top1:$(touch X)": "found '$(touch X)'",
    "$(touch X)]:>=0": "expected the name of a figure, such as top1, found '$(touch X)]'",
    ":>=0": "expected NAME:RULE",
    "AP:>=1": "'AP' is expected in line",
    "##\ntop5:>=0": "===expected_params=== has no parts, and this line is behind ##",
    TITLE + "top5:>=0": "a second section ===expected_params===",
}
WITHOUT = {
    (
        "-o Global.benchmark",
        "False",
        f"{SPEED}:>=1",
    ): "is read from the summary of times and memory; expected benchmark:",
    ("-o Global.benchmark", "null", "cpu_rss(MB):<=500"): "expected benchmark:True, found 'null'",
    ("eval", "null", "top1:>=0"): "'top1' is a figure of the evaluation, and the config has no eval command",
}


def read(paths):
    """What is said of each of these configs; one bash reads them all."""
    text = (
        'source "$0/test_tipc/lib/expected.sh"\n'
        'for path in "$@"; do (read_config "$path"; choose_dialect; take_parts; take_expected) 2>&1; echo ----; done'
    )
    run = bash(text, *paths, MODE=MODE)
    assert isinstance(run, Run)
    return run.out.split("----\n")[:-1]


def test_wrong_lines(chain, tmp_path):
    expect(chain, "AP:>=0")
    paths, expected = [], []
    for number, (line, words) in enumerate(WRONG.items()):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"{chain.text}{line}\n")
        paths.append(path)
        expected.append((f"error: {path}:{len(path.read_text().splitlines())}: ", words))
    for number, ((key, value, line), words) in enumerate(WITHOUT.items()):
        path = tmp_path / f"without_{number}.txt"
        path.write_text(f"{chain.text.replace('AP:>=0', line)}")
        kept = [f"{key}:{value}" if old.startswith(f"{key}:") else old for old in path.read_text().splitlines()]
        path.write_text("\n".join(kept) + "\n")
        paths.append(path)
        expected.append((f"error: {path}:{len(kept)}: ", words))
    told = read(paths)
    assert len(told) == len(expected)
    for said, (start, words) in zip(told, expected):
        assert said.startswith(start), said
        assert words in said
        assert said.count("\n") == 1


def test_right_lines(chain, tmp_path):
    lines = ["top1:0.5+-0.01", "top5:0.49±0.01", "Acc@1:>=-0.5", "best/mIoU:<=5e-1", f"AP:{MODE}=0.5+-0",
             "AP50:lite_train=>=.2|whole=0.9+-0.01", "predictions:whole_infer=none.txt",
             "speedup(batchsize_8/batchsize_1):>=1", "##"]  # fmt: skip
    path = tmp_path / "right.txt"
    path.write_text(expect(chain, *lines).text)
    assert read([path]) == [""]


# ----------------------------------------------------------------------------------------------------- the script alone


@pytest.mark.parametrize(
    ("log", "rule", "found"),
    [
        ("top1: 0.5", "0.51+-0.01", None),
        ("top1: 0.5", "0.51+-0.001", "top1 is 0.5; expected 0.51+-0.001 (c.txt:7)"),
        ("top1: 0.5", ">=0.6", "top1 is 0.5; expected >=0.6 (c.txt:7)"),
        ("top1: nan", ">=0", "top1 is nan; expected >=0"),
        ("top5: 0.5", ">=0", "there is no top1 in it; expected >=0"),
        ("top1: 0.9\ntop1: 0.5", ">=0.6", "top1 is 0.5; expected >=0.6"),  # the last one counts
        ("expected: top1 0.9 is as expected", ">=0.6", "there is no top1 in it"),
        ("# command: x --top1 0.9", ">=0.6", "there is no top1 in it"),
    ],
)
def test_a_figure_in_a_log(run_here, tmp_path, log, rule, found):
    (tmp_path / "a.log").write_text(f"{log}\n")
    outcome = run_here("test_tipc/lib/expected.py", tmp_path / "a.log", "--figure", "top1", rule, "c.txt:7")
    if found:
        assert_one_line(outcome, found)
    else:
        assert (outcome.status, outcome.out) == (0, f"expected: top1 0.5 is as expected, {rule} (c.txt:7)\n")


def test_speed_without_a_summary(run_here, tmp_path):
    for setting in ("True", "False"):
        (tmp_path / f"python_infer_cpu_usemkldnn_{setting}_threads_1.log").write_text("nothing\n")
    outcome = run_here("test_tipc/lib/expected.py", *tmp_path.iterdir(), "--speedup", SPEED, ">=1", "c.txt:7")
    assert_one_line(outcome, "expected the summary of times and memory, found no inference_time(ms) and data_num")


def test_speed_without_a_pair(run_here, tmp_path):
    """Beside a setting of the same beginning, which is another one."""
    for threads in ("1", "16"):
        (tmp_path / f"python_infer_cpu_usemkldnn_True_threads_{threads}.log").write_text("nothing\n")
    pair = "speedup(threads_6/threads_1)"
    outcome = run_here("test_tipc/lib/expected.py", *tmp_path.iterdir(), "--speedup", pair, ">=1", "c.txt:7")
    assert (outcome.status, outcome.out) == (77, f"no two inferences that passed are a pair of {pair}\n")


def test_a_log_that_cannot_be_read(run_here, tmp_path):
    outcome = run_here("test_tipc/lib/expected.py", tmp_path / "none.log", "--figure", "top1", ">=0", "c.txt:1")
    assert_one_line(outcome, "none.log: cannot be read")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("top1: 0.5, top5: 0.9", "top5", 0.9),
        ("mIoU=0.75 Acc 0.9", "mIoU", 0.75),
        ("mIoU=0.75 Acc 0.9", "Acc", 0.9),
        ('{"AP": 0.125}', "AP", 0.125),
        ("AP50: 0.5", "AP", None),
        ("best_top1: 0.5", "top1", None),
        ("Top1: 0.5", "top1", None),
        ("loss: [0.25]", "loss", 0.25),
        ("recall1: 0.5, recall5: 0.75, mAP: 0.25, queries: 8, gallery: 9", "recall5", 0.75),
        ("recall1: 0.5, mAP: 0.25, queries: 8, gallery: 9", "mAP", 0.25),
        ("acc: 1e-3", "acc", 0.001),
        ("top1: 0.5abc", "top1", None),
    ],
)
def test_figures_are_found_by_name(text, name, value):
    assert find_figure([text], name) == value


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("0.25", 0.005),
        ("8.0e-05", 5e-7),
        ("8e-05", 5e-6),
        ("-8E-5", 5e-6),
        ("1.", 0.5),
        ("20", 0.0),
        ("nan", 0.0),
        ("inf", 0.0),
    ],
)
def test_how_far_a_printed_number_may_be_rounded(text, half):
    assert Printed(text).half == pytest.approx(half)


def test_a_list_of_figures():
    assert find_figures(["Class IoU: [0.92665219 0.81841007]"], "Class IoU") == [0.92665219, 0.81841007]


@pytest.mark.parametrize("text", ["", "0.9", "+-", "0.9+-nan", "0.9+--1", ">=inf", "=>0.9", "a+-1"])
def test_a_rule_that_is_none(text):
    with pytest.raises(UserError, match="expected NUMBER\\+-TOLERANCE"):
        parse_rule(text)


def test_a_tolerance_includes_its_ends():
    rule = parse_rule("0.99444±0.003")
    numbers = (0.99144, 0.99744, 0.9914, 0.9975, float("nan"))
    assert [rule.holds(number) for number in numbers] == [True, True, False, False, False]
