"""The chain of an INT8 model: quantise, infer, and compare it with its network; what is expected of it can fail."""

import pytest

from steps import FAILED, PASSED, SKIPPED, Step
from tests.helpers.scripts import assert_one_line
from tests.helpers.shell import bash
from verdict import judge

TITLE = "===========================expected_params===========================\n"
COMPARED = "top1_drop: 0.00500, top1_agreement: 0.98000, bytes_ratio: 0.290, latency_ratio: 0.80"
QUANTISE = """
folder = Path(options["Global.save_inference_dir"], "quant_post_static_model")
folder.mkdir(parents=True, exist_ok=True)
(folder / "inference.onnx").write_text(str(time.time()))
"""


@pytest.fixture
def quantised(chain):
    """A chain in the mode whole_infer that quantises after training: `quantised(comparison, *expected lines)`."""

    def run(comparison=f"print('{COMPARED}')", *lines, quantise=QUANTISE, declares=True, options=()):
        folder = chain.folder / "model"
        folder.mkdir()
        (folder / "inference.pdmodel").write_text("of before")
        chain.program("quantise", quantise)
        chain.program("compare", comparison)
        said = f"# test_tipc: int8={chain.programs}/compare.py skips=77\n" if declares else ""
        (chain.tree / "quantise.py").write_text(said + (chain.programs / "quantise.py").read_text())
        chain.set("kl_quant", f"quantise.py -c a.yaml -o Global.save_inference_dir={folder}")
        chain.set("infer_model", f"{folder}/")
        if lines:
            chain.text += TITLE + "".join(f"{line}\n" for line in lines)
        return chain.run(*options, mode="whole_infer")

    return run


def test_an_int8_model_is_compared_and_its_figures_are_in_the_table(quantised, chain):
    rules = "top1_drop:<=0.01", "top1_agreement:>=0.95", "bytes_ratio:whole=<=0.3"
    run = quantised(f"print('{COMPARED}')", *rules, options=["--evidence"])
    assert run.status == 0, run.out + run.err
    assert run.results["quantise"] == run.results["agree int8"] == "passed"
    assert "top1_drop 0.00500, top1_agreement 0.98000, bytes_ratio 0.290, latency_ratio 0.80" in run.out
    assert "and the INT8 model agrees with its network as expected" in run.out
    (words,) = [call[1] for call in chain.calls("compare")]
    folder = str(chain.folder / "model/quant_post_static_model")
    assert words[:2] == ["-c", "a.yaml"]
    assert words[-2:] == ["--inference_model_dir", folder]
    kept = chain.tree / "test_log/small_net/whole_infer"
    (log,) = kept.glob("*int8*.log")
    assert COMPARED in log.read_text()
    assert (kept / "summary.json").is_file()


@pytest.mark.parametrize(
    ("rule", "said"),
    [("top1_drop:<=0.004", "top1_drop is 0.005"), ("bytes_ratio:<=0.28", "bytes_ratio is 0.29")],
)
def test_a_model_that_loses_more_than_expected_fails(quantised, rule, said):
    run = quantised(f"print('{COMPARED}')", rule)
    assert run.status == 1
    assert run.results["agree int8"] == "failed"
    assert said in run.out


def test_a_comparison_that_fails_fails_the_run(quantised):
    run = quantised("sys.exit('error: inference.onnx: expected INT8 weights, found none')")
    assert run.status == 1
    assert run.results["agree int8"] == "failed"


def test_what_declares_no_comparison_is_said_to_be_not_compared(quantised):
    run = quantised(declares=False)
    assert run.status == 0
    assert run.results["agree"] == "skipped"
    assert "the predictions were NOT compared" in run.out


def test_without_the_packages_the_steps_are_skipped(quantised):
    run = quantised(quantise="print('no paddle2onnx'); sys.exit(77)")
    assert run.results["quantise"] == run.results["infer"] == run.results["agree"] == "skipped"
    assert "no paddle2onnx" in run.out


def test_a_quantisation_that_writes_nothing_fails(quantised):
    run = quantised(quantise="")
    assert run.status == 1
    assert run.results["quantise"] == "failed"
    assert "it wrote no model" in run.out


def test_a_figure_of_int8_needs_an_int8_model(chain):
    chain.text += f"{TITLE}top1_drop:<=0.01\n"
    run = chain.run()
    assert run.status == 1
    assert_one_line(run)
    assert "'top1_drop' is a figure of an INT8 model, and the config makes none" in run.err


@pytest.mark.parametrize(
    ("result", "whole", "words"),
    [
        (PASSED, True, "passed: 3 steps, and the INT8 model agrees with its network as expected"),
        (SKIPPED, True, "passed: 2 steps; the predictions were NOT compared"),
        (FAILED, False, "FAILED: 1 of 3 steps failed: agree int8"),
    ],
)
def test_the_verdict_on_a_quantisation(result, whole, words):
    steps = [Step("quantised", name, PASSED) for name in ("quantise", "infer cpu")]
    verdict = judge([*steps, Step("quantised", "agree int8", result)], "whole_infer")
    assert (verdict.whole, verdict.sentence) == (whole, words)


@pytest.mark.parametrize("name", ["MobileNetV3_small_x1_0", "ResNet50_vd", "PPHGNetV2_B0"])
def test_our_configs_need_onnx_and_others_do_not(name):
    ask = 'read_config "$1"; config_declares engines'
    assert bash(ask, f"test_tipc/configs/{name}/train_ptq_infer_python.txt", MODE="whole_infer").out == "onnx\n"
    assert bash(ask, f"test_tipc/configs/{name}/train_infer_python.txt", MODE="whole_infer").out == ""
