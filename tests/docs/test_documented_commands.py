"""The commands of PaddleClas's documents run as they are printed there.

PPHGNetV2_B0 takes the place of the printed B4, which is five times as large, with weights that are filled, not trained;
ImageNet is four images. The files with the commands are in tests/fixtures/documents.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.helpers.configs import NETWORK, random_weights, save_arrays
from tests.helpers.scripts import FIXTURES, LIMIT, ROOT, assert_one_line, results_of, run_process

BACKBONE, INFERENCE = "pphgnetv2.txt", "inference.txt"
PRINTED, TAKEN = "PPHGNetV2_B4", "PPHGNetV2_B0"
PREDICT = "python/predict_cls.py"  # from the folder deploy
SCRIPTS = ["./tools/infer/predict.py", "tools/infer/infer.py", "tools/infer/py_infer.py"]
DEMO = "docs/images/inference_deployment/whl_demo.jpg"
IMAGES = [f"ILSVRC2012_val_000{number}0010.jpeg" for number in range(4)]
LINE = re.compile(r"(?P<file>\S+): class id\(s\): (?P<ids>\[.*\]), score\(s\): \[.*\], label_name\(s\): \[.*\]")


def sections(file):
    """{section: the words of its command, without the interpreter} of a file of commands."""
    text = (FIXTURES / "documents" / file).read_text(encoding="utf-8").replace("\\\n", " ").replace(PRINTED, TAKEN)
    found = {}
    for block in text.split("\n## ")[1:]:
        title, *lines = block.strip().splitlines()
        (command,) = [line for line in lines if line and not line.startswith("export ")]
        interpreter, *found[title] = shlex.split(command)
        assert interpreter in ("python", "python3")
    return found


def commands(file, script):
    """The options of each command that starts `script`, with its section."""
    return {title: words[words.index(script) + 1 :] for title, words in sections(file).items() if script in words}


@pytest.mark.parametrize(
    ("file", "count", "scripts"),
    [
        (BACKBONE, 8, ["tools/train.py", "tools/eval.py", "tools/infer.py", "tools/export_model.py", PREDICT]),
        (INFERENCE, 4, ["tools/export_model.py", *SCRIPTS]),
    ],
)
def test_no_command_is_left_out(file, count, scripts):
    """What the tests below take from the files is all that there is in them."""
    assert sum(len(commands(file, script)) for script in scripts) == len(sections(file)) == count


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that looks like the root of the repository, with ImageNet and trained weights."""
    folder = tmp_path_factory.mktemp("documented")
    for name in ("docs", "tools", "test_images", "ppcls_lite"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "deploy").mkdir()
    for name in ("configs", "images", "python"):
        (folder / "deploy" / name).symlink_to(ROOT / "deploy" / name)
    imagenet = folder / "dataset/ILSVRC2012"
    for part, names in (("train", ["coffee.jpg", "rocket.jpg"]), ("val", ["chelsea.jpg", "astronaut.jpg"])):
        (imagenet / part).mkdir(parents=True)
        for name in names:
            shutil.copy(ROOT / "test_images" / name, imagenet / part)
        (imagenet / f"{part}_list.txt").write_text("".join(f"{part}/{name} {at}\n" for at, name in enumerate(names)))
    output = folder / f"output/{TAKEN}"
    output.mkdir(parents=True)
    save_arrays(random_weights(TAKEN, 1000), output / "best_model.pdparams")
    return folder


@pytest.fixture(scope="module")
def deploy(place):
    """The folder `deploy`, with the model that the document's command has exported there."""
    ((_, options),) = commands(BACKBONE, "tools/export_model.py").items()
    outcome = run_process("tools/export_model.py", *options, cwd=place)
    assert outcome.status == 0, outcome.err
    found = {path.name for path in (place / f"deploy/models/{TAKEN}_infer").iterdir()}
    if "inference.json" not in found:  # Paddle from 3.2 on has no other format
        assert found >= {"inference.pdmodel", "inference.pdiparams", "inference.pdiparams.info"}
    return place / "deploy"


@pytest.fixture
def at(monkeypatch, run_here):
    """`at(folder, script, *options)` runs an entry script in the folder."""

    def run(folder, script, *options):
        monkeypatch.chdir(folder)
        return run_here(script, *options)

    return run


def needs_no_gpu():
    import paddle

    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle can use a GPU")


# ---- PP-HGNetV2: training


def test_launched_for_gpus_that_are_not_there(place, tmp_path):
    """As printed, with the line before it, for two of the eight: the launcher shows our one line of advice."""
    needs_no_gpu()
    words = [word.replace(",2,3,4,5,6,7", "") for word in sections(BACKBONE)["2.3.1"]]
    words.insert(2, f"--log_dir={tmp_path}")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1"}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert (
        "error: paddle.distributed.launch started 2 processes, each for a GPU, but this Paddle is the CPU build" in text
    )


def test_one_process_of_several_without_a_gpu(place, at, monkeypatch):
    needs_no_gpu()
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "8")
    for script in ("tools/train.py", "tools/eval.py"):
        (options, *_) = commands(BACKBONE, script).values()
        assert_one_line(at(place, script, *options), "started 8 processes", "--nproc_per_node=8 --backend gloo")


def test_training_from_scratch(place, at):
    options = commands(BACKBONE, "tools/train.py")["2.3.1"]
    outcome = at(place, "tools/train.py", *options, *short(place))
    assert outcome.status == 0, outcome
    assert "[Train][Epoch 1/1]" in outcome.out
    assert (place / "output/short/best_model.pdparams").is_file()


def test_fine_tuning(place, at):
    """With the official weights as a file: they cannot be downloaded here."""
    options = commands(BACKBONE, "tools/train.py")["2.3.2"]
    weights = f"Arch.pretrained=output/{TAKEN}/best_model.pdparams"
    outcome = at(place, "tools/train.py", *options, *short(place), "-o", weights)
    assert outcome.status == 0, outcome
    assert f"weights of {TAKEN} read from output/{TAKEN}/best_model.pdparams" in outcome.out
    assert "[Train][Epoch 1/1][Iter: 1/1] lr: 0.05000000, " in outcome.out


def short(place):
    """Options that end a training after its first epoch, which has one step, and keep the weights of the others."""
    changes = ["Global.epochs=1", f"Global.output_dir={place}/output/short", "Global.save_interval=9"]
    return [word for text in [*changes, "Optimizer.lr.warmup_epoch=0"] for word in ("-o", text)]


def test_evaluation(place, at):
    ((_, options),) = commands(BACKBONE, "tools/eval.py").items()
    outcome = at(place, "tools/eval.py", *options)
    assert outcome.status == 0, outcome
    assert re.search(r"\[Eval\]\[Avg\] loss: \S+, top1: \S+, top5: \S+, images: 2", outcome.out)


# ---- PP-HGNetV2: prediction


@pytest.mark.parametrize(
    ("more", "files", "topk"),
    [
        ([], [DEMO], 5),
        (["-o", "Infer.PostProcess.topk=2"], [DEMO], 2),
        (["-o", "Infer.infer_imgs=deploy/images/ImageNet"], [f"deploy/images/ImageNet/{name}" for name in IMAGES], 5),
    ],
    ids=["as printed", "topk", "infer_imgs"],
)
def test_prediction_with_the_training_engine(place, at, more, files, topk):
    ((_, options),) = commands(BACKBONE, "tools/infer.py").items()
    outcome = at(place, "tools/infer.py", *options, *more)
    assert outcome.status == 0, outcome
    records = [record for line in results_of(outcome) for record in ast.literal_eval(line)]
    assert [record["file_name"] for record in records] == files
    for record in records:
        assert list(record) == ["class_ids", "scores", "file_name", "label_names"]
        assert len(record["class_ids"]) == len(record["label_names"]) == topk


@pytest.mark.parametrize(
    ("section", "files", "cpu_is_said"),
    [("3.2.1 GPU", IMAGES[:1], True), ("3.2.1 CPU", IMAGES[:1], False), ("3.2.2", IMAGES, True)],
)
def test_prediction_with_the_exported_model(deploy, at, section, files, cpu_is_said):
    needs_no_gpu()
    outcome = at(deploy, "deploy/python/predict_cls.py", *commands(BACKBONE, PREDICT)[section])
    assert outcome.status == 0, outcome
    assert [LINE.fullmatch(line)["file"] for line in outcome.out.splitlines()] == files
    said = "Global.use_gpu is True in the config, but this Paddle is the CPU build: the CPU is used"
    assert outcome.err.count(said) == cpu_is_said


@pytest.mark.parametrize("release", ["2021_06_13", "2021_06_18", "2022_08_31"])
def test_every_release_of_the_prediction_config(deploy, at, release):
    """Unchanged, but for the 100 threads of the first two, which two cores take a minute to run."""
    options = commands(BACKBONE, PREDICT)["3.2.2"]
    options[options.index("-c") + 1] = FIXTURES / f"paddleclas/inference_cls_{release}.yaml"
    outcome = at(deploy, "deploy/python/predict_cls.py", *options, "-o", "Global.cpu_num_threads=2")
    assert outcome.status == 0, outcome
    lines = [
        LINE.fullmatch(line) for line in outcome.out.splitlines()
    ]  # and no summary, though enable_benchmark is True
    assert [line["file"] for line in lines] == IMAGES
    assert all(len(ast.literal_eval(line["ids"])) == 5 for line in lines)


@pytest.mark.parametrize("key", ["PostProcess.topk", "PostProcess.Topk.topk"])
@pytest.mark.parametrize(
    "config", ["configs/inference_cls.yaml", FIXTURES / "paddleclas/inference_cls_2022_08_31.yaml"]
)
def test_both_spellings_of_topk(deploy, at, config, key):
    options = commands(BACKBONE, PREDICT)["3.2.1 CPU"]
    options[options.index("-c") + 1] = config
    outcome = at(deploy, "deploy/python/predict_cls.py", *options, "-o", f"{key}=2")
    assert outcome.status == 0, outcome
    assert len(ast.literal_eval(LINE.fullmatch(outcome.out.strip())["ids"])) == 2


# ---- the inference framework: three ways, and the conversion


@pytest.fixture(scope="module")
def values(place, tmp_path_factory):
    """{text that the document prints: what a reader puts there}, with the files that it names."""
    folder = tmp_path_factory.mktemp("framework")
    weights = save_arrays(random_weights(NETWORK, 1000), folder / "weights.pdparams")
    shutil.copy(ROOT / DEMO, folder / "test.jpeg")
    return {
        "folder": folder,
        "模型名称": NETWORK,
        "persistable 模型路径": str(weights),
        "model和params保存路径": "./resnet50-vd",
        "待预测的图片文件路径": "./test.jpeg",
        "图片路径": "./test.jpeg",
        "模型的存储路径": "./resnet50-vd",
        "保存的模型文件": "model",
        "保存的参数文件": "params",
    }


def framework_options(script, values):
    """The options of the document's command, with its `values`: those of a persistable model hold a blank."""
    (words,) = commands(INFERENCE, script).values()
    text = "\n".join(words).replace("persistable\n", "persistable ")
    for printed in sorted(values, key=len, reverse=True):
        text = text.replace(printed, str(values[printed]))
    return text.split("\n")


@pytest.fixture(scope="module")
def framework(values):
    """The folder with the model that the document's command has converted."""
    options = framework_options("tools/export_model.py", values)
    outcome = run_process("tools/export_model.py", *options, cwd=values["folder"])
    assert outcome.status == 0, outcome.err
    assert (values["folder"] / "resnet50-vd/model").is_file()
    return values["folder"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_three_ways_as_printed(framework, values, at, script):
    """They demand a GPU; without one, they end with the exit code for that, and do the same on the CPU."""
    needs_no_gpu()
    options = framework_options(script, values)
    assert_one_line(at(framework, script, *options), "--use_gpu=", "this Paddle is the CPU build", status=77)
    options = [re.sub("=(1|True)$", "=False", word) for word in options]
    outcome = at(framework, script, *options)
    assert outcome.status == 0, outcome
    assert LINE.fullmatch(outcome.out.strip())["file"] == "test.jpeg"


LONG = {"i": "image_file", "m": "model_file", "p": "params_file", "d": "model_dir", "b": "batch_size"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_in_all_its_forms(framework, values, at, script):
    """`-i=`, `--i=`, `--image_file=` and `--image_file FILE`; the default of --use_gpu is True, which is no demand."""
    given = [word for word in framework_options(script, values) if "use_" not in word]
    pairs = [word.lstrip("-").split("=", 1) for word in [*given, "-b=1"]]
    spellings = [
        [f"-{name}={value}" for name, value in pairs],
        [f"--{name}={value}" for name, value in pairs],
        [f"--{LONG[name]}={value}" for name, value in pairs],
        [word for name, value in pairs for word in (f"--{LONG[name]}", value)],
    ]
    outcomes = [at(framework, script, *options) for options in spellings]
    assert {outcome.status for outcome in outcomes} == {0}, outcomes
    assert len({outcome.out for outcome in outcomes}) == 1


def test_the_other_options_of_the_prediction_engine(framework, values, at):
    options = [word for word in framework_options(SCRIPTS[0], values) if "use_" not in word]
    more = ["--ir_optim=True", "--gpu_mem=8000", "--use_gpu=0", "--enable_benchmark=True", "--model_name=ResNet50_vd"]
    outcome = at(framework, SCRIPTS[0], *options, *more)
    assert outcome.status == 0, outcome
    assert "model_name: ResNet50_vd" in outcome.out
