"""The commands of the framework document: three ways to predict, the conversion, and the options as printed there."""

import re

import pytest

from ppcls_lite.infer import command_line
from ppcls_lite.infer.command_line import switch, switched_on
from ppcls_lite.utils.errors import UserError
from tests.helpers.autolog import WORDS, words_of
from tests.helpers.configs import NETWORK
from tests.helpers.scripts import ROOT, assert_one_line, run_process

PREDICT, INFER, PY_INFER = (f"tools/infer/{name}.py" for name in ("predict", "infer", "py_infer"))
IMAGE = ROOT / "test_images/chelsea.jpg"
LINE = re.compile(r"^chelsea\.jpg: class id\(s\): \[\d, \d, \d\], score\(s\): \[[\d., ]+\], label_name\(s\): \[.*\]$")


@pytest.fixture(scope="session")
def converted(exported, tmp_path_factory):
    """A folder with `model` and `params`, made from the weights of `exported` with `--m --p --o`."""
    folder = tmp_path_factory.mktemp("converted") / "small"
    outcome = run_process("tools/export_model.py", f"--m={NETWORK}", f"--p={exported.weights}", f"--o={folder}")
    assert outcome.status == 0, outcome.err
    assert {path.name for path in folder.iterdir()} == {"model", "params", "inference.yml"}
    return folder


def model_options(folder):
    return [f"-m={folder}/model", f"-p={folder}/params"]


# ---- the three ways agree


def test_three_ways_print_the_same(exported, converted, run_here):
    outcomes = [
        run_here(PREDICT, f"-i={IMAGE}", *model_options(converted), "--use_gpu=0", "--use_tensorrt=False"),
        run_here(INFER, f"--i={IMAGE}", f"--m={NETWORK}", f"--p={exported.weights}", "--use_gpu=False"),
        run_here(PY_INFER, f"--i={IMAGE}", f"--d={converted}", "--m=model", "--p=params", "--use_gpu=False"),
        run_here(PY_INFER, f"-i={IMAGE}", f"-m={converted}/model", f"-p={converted}/params", "--use_gpu=auto"),
        run_here(PY_INFER, "--image_file", IMAGE, "--model_dir", converted),
    ]
    assert [outcome.status for outcome in outcomes] == [0] * len(outcomes), outcomes
    assert all(LINE.match(outcome.out) for outcome in outcomes)
    assert len({outcome.out for outcome in outcomes}) == 1
    assert re.fullmatch(r"\[.*\] ppcls_lite INFO: engine onednn: oneDNN on \(.*; threads \d+\n", outcomes[0].err)


def test_names_of_a_config(exported, run_here):
    """`--m` with a training config: its preprocessing and its class names, as tools/infer.py has them."""
    outcome = run_here(INFER, f"--i={IMAGE}", f"--m={exported.config}", f"--p={exported.weights}")
    (record,) = eval_records(run_here("tools/infer.py", "-c", exported.config, "-o", f"Infer.infer_imgs={IMAGE}").out)
    assert f"label_name(s): {record['label_names']}" in outcome.out
    assert f"class id(s): {record['class_ids']}" in outcome.out


def eval_records(text):
    import ast

    return ast.literal_eval(text)


def test_folder_in_batches(converted, run_here):
    outcome = run_here(PREDICT, f"-i={ROOT}/test_images", *model_options(converted), "-b=2", "--engine=openvino")
    assert outcome.status == 0, outcome
    assert len(outcome.out.splitlines()) == 5


def test_broken_image_does_not_end_the_run(converted, run_here, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"not an image")
    (tmp_path / "b.jpg").write_bytes(IMAGE.read_bytes())
    for script, options in ((PREDICT, model_options(converted)), (PY_INFER, [f"--d={converted}"])):
        outcome = run_here(script, f"-i={tmp_path}", *options)
        assert outcome.status == 1
        assert len(outcome.out.splitlines()) == 1
        assert outcome.err.count("error: ") == 1


def test_model_without_its_own_processing(converted, run_here, tmp_path):
    for name in ("model", "params"):
        (tmp_path / name).write_bytes((converted / name).read_bytes())
    own = run_here(PREDICT, f"-i={IMAGE}", *model_options(converted))
    outcome = run_here(PREDICT, f"-i={IMAGE}", *model_options(tmp_path))
    assert "inference.yml is missing: images are prepared as for ImageNet, and classes have no names" in outcome.err
    assert outcome.out == own.out  # the network's config says the same


# ---- options as printed


def test_defaults_are_those_of_the_document():
    text = " ".join(run_process(PREDICT, "--help").out.split())
    for option in (
        "-i IMAGE_FILE, --i IMAGE_FILE, --image_file IMAGE_FILE",
        "-m MODEL_FILE, --m MODEL_FILE, --model_file MODEL_FILE",
        "-p PARAMS_FILE, --p PARAMS_FILE, --params_file PARAMS_FILE",
        "-b BATCH_SIZE, --b BATCH_SIZE, --batch_size BATCH_SIZE",
    ):
        assert option in text
    for option, default in (
        ("--use_gpu USE_GPU", "True"),
        ("--use_tensorrt USE_TENSORRT", "True"),
        ("--ir_optim IR_OPTIM", "True"),
        ("--enable_benchmark ENABLE_BENCHMARK", "False"),
        ("--gpu_mem GPU_MEM", "8000"),
    ):
        assert re.search(rf"{option} [^-]*?default: {default}", text), option


@pytest.mark.parametrize("script", [PREDICT, INFER, PY_INFER, "tools/infer.py", "tools/export_model.py"])
def test_both_infer_scripts_stand_side_by_side(script):
    outcome = run_process(script, "--help")
    assert outcome.status == 0
    assert f"python {script}" in outcome.out
    assert "Exit code: 0" in outcome.out


@pytest.mark.parametrize(
    ("text", "value"), [("True", True), ("1", True), ("false", False), ("0", False), ("TRUE", True), ("no", False)]
)
def test_switch(text, value):
    assert switch(text, "--x") is value


def test_misspelt_switch():
    with pytest.raises(UserError, match=r"--x: expected True or False, found 'Fasle' \(did you mean 'False'\?\)"):
        switch("Fasle", "--x")
    with pytest.raises(UserError, match="--x: expected True or False, found 'auto'"):
        switch("auto", "--x")
    assert switch("auto", "--x", auto=True) == "auto"


@pytest.mark.parametrize(
    ("text", "there", "result"),
    [
        (None, True, True),
        (None, False, False),
        ("auto", True, True),
        ("auto", False, False),
        ("True", True, True),
        ("False", True, False),
    ],
)
def test_a_gpu_is_used_where_there_is_one(text, there, result, monkeypatch):
    said = []
    monkeypatch.setattr(command_line.logger, "info", said.append)
    assert switched_on(text, "--use_gpu", lambda: "" if there else "no GPU is visible") is result
    assert [("no GPU is visible: continuing without it" in line) for line in said] == ([] if there else [True])


def test_a_required_gpu_that_is_missing_is_an_error():
    with pytest.raises(UserError, match="--use_gpu=1: no GPU is visible; use --use_gpu=False or --use_gpu=auto"):
        switched_on("1", "--use_gpu", lambda: "no GPU is visible")


# ---- the summary


def test_benchmark_summary(converted, run_here):
    options = ["--enable_benchmark=True", "--model_name=small", "--batch_size=3"]
    outcome = run_here(PREDICT, f"-i={ROOT}/test_images", *model_options(converted), *options)
    assert outcome.status == 0, outcome
    found = words_of(outcome.out)
    assert found.keys() == set(WORDS)
    assert (found["model_name:"], found["batch_size:"], found["enable_mkldnn:"]) == ("small", "3", "True")


def test_no_summary_of_nothing(converted, run_here, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"not an image")
    outcome = run_here(PREDICT, f"-i={tmp_path}", *model_options(converted), "--enable_benchmark=True")
    assert outcome.status == 1
    assert "error: no image was predicted, so there are no times to report" in outcome.err


# ---- wrong options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--use_gpu=Fasle"], "--use_gpu: expected True or False or auto, found 'Fasle' (did you mean 'False'?)"),
        (["--ir_optim=perhaps"], "--ir_optim: expected True or False, found 'perhaps'"),
        (["--enable_benchmark=2"], "--enable_benchmark: expected True or False, found '2'"),
        (["--engine=openvin"], "unknown engine 'openvin' (did you mean 'openvino'?)"),
        (["-b=0"], "batch_size: expected a whole number of at least 1, found 0"),
        (["-i=none.jpg"], "none.jpg: no such image, folder or list file"),
        (["-m=none"], "none: no such model file"),
        (["-p=none"], "none: no such weights file"),
    ],
    ids=str,
)
def test_wrong_prediction(converted, run_here, options, message):
    assert_one_line(run_here(PREDICT, f"-i={IMAGE}", *model_options(converted), *options), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--use_gpu=1", "--use_tensorrt=True"], "--use_gpu=1: this Paddle is the CPU build; use --use_gpu=False"),
        (["--use_tensorrt=True"], "--use_tensorrt=True: no GPU is used; use --use_tensorrt=False"),
        (["--engine=gpu"], "engine gpu: this Paddle is the CPU build"),
    ],
    ids=str,
)
def test_what_is_required_and_not_there(converted, run_here, options, message):
    """77, as everywhere: nothing was done in its place."""
    outcome = run_here(PREDICT, f"-i={IMAGE}", *model_options(converted), *options)
    assert_one_line(outcome, message, status=77)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--use_gpu=True"], "--use_gpu=True: this Paddle is the CPU build"),
        (["--m=MobileNetV3_smal_x0_35"], "--m: unknown network 'MobileNetV3_smal_x0_35' (did you mean"),
        (["--m=none.yaml"], "none.yaml: no such config file"),
        (["--p=none"], "none.pdparams: no such weights file"),
        (["--m=ResNet50_vd"], "does not fit the network"),
        (["--class_num=7"], "does not fit the network"),
    ],
    ids=str,
)
def test_wrong_weights(exported, run_here, options, message):
    status = 77 if options == ["--use_gpu=True"] else 1
    options = [f"--i={IMAGE}", f"--m={NETWORK}", f"--p={exported.weights}", *options]
    assert_one_line(run_here(INFER, *options), message, status=status)


def test_wrong_model_of_py_infer(converted, run_here):
    given = [f"--i={IMAGE}", f"--d={converted}"]
    assert_one_line(run_here(PY_INFER, *given, "--use_gpu=1"), "--use_gpu=1: this Paddle is the CPU build", status=77)
    assert_one_line(run_here(PY_INFER, *given, "--m=none"), "none: no such model file")
    assert_one_line(run_here(PY_INFER, *given, "--m=params"), "params is not a Paddle program, or damaged")


@pytest.mark.parametrize(
    "options",
    [[], ["--m=ResNet50_vd"], ["--m=ResNet50_vd", "--p=x"], ["-c", "x.yaml", "--m=ResNet50_vd", "--p=x", "--o=y"]],
    ids=str,
)
def test_incomplete_conversion(options):
    outcome = run_process("tools/export_model.py", *options)
    assert outcome.status == 2
    assert re.search(r"error: (expected -c with a config, or --m|--m needs --p, its trained weights)", outcome.err)


def test_wrong_conversion(exported, run_here, tmp_path):
    given = [f"--m={NETWORK}", f"--p={exported.weights}", f"--o={tmp_path}/new"]
    script = "tools/export_model.py"
    assert_one_line(run_here(script, *given, "-o", "Global.epochs=2"), "-o Global.epochs=2: is for -c, except")
    assert_one_line(run_here(script, *given, "--m=Resnet50_vd"), "unknown network 'Resnet50_vd' (did you mean")
    assert_one_line(run_here(script, *given, "--p=none"), "none.pdparams: no such weights file")
    assert not (tmp_path / "new").exists()
