"""InsightFace's options: read as data, translated, or refused in one line."""

import importlib

import pytest

from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.train.optimizer import build_schedule
from ppcls_lite.utils.errors import UserError
from tests.faces.helpers import encoded
from tests.helpers.scripts import ROOT
from tools.insightface import options, translate

CONFIG = "configs/ms1mv2_mobileface.py"
OFFICIAL = (
    f"--config_file={CONFIG} --is_static=False --fp16=False --embedding_size=128 --fp16=False --dataset=MS1M_v2 "
    "--data_dir=MS1M_v2/ --label_file=MS1M_v2/label.txt --num_classes=85742 --log_interval_step=1 --output=out "
    "--train_num=1 --batch_size=2"
)


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """A working folder with a list of 9 images in MS1M_v2/, as the official command names it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MS1M_v2").mkdir()
    (tmp_path / "MS1M_v2/label.txt").write_text("".join(f"images/{number}.jpg\t{number}\n" for number in range(9)))
    return tmp_path


def translated(*more):
    """The config of the official command line with `more` options behind it."""
    return translate.training_config(options.parse_training([*OFFICIAL.split(), *more], "help"))


def refused(*more):
    with pytest.raises(UserError) as found:
        translated(*more)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_official_command_line_is_translated(faces):
    config = translated()
    assert config["Arch"]["Backbone"] == {"name": "MobileFaceNet_128", "num_features": 128, "input_size": 112}
    head = {"name": "ArcMargin", "embedding_size": 128, "class_num": 85742, "margin": 0.5, "scale": 64.0}
    assert config["Arch"]["Head"] == head
    assert "Neck" not in config["Arch"]
    settings = config["Global"]
    assert (settings["epochs"], settings["print_batch_step"], settings["output_dir"]) == (1, 1, "out/MobileFaceNet_128")
    assert settings["checkpoints"] is None
    loader = config["DataLoader"]["Train"]
    assert (loader["sampler"]["batch_size"], loader["sampler"]["drop_last"], loader["sampler"]["shuffle"]) == (
        2,
        True,
        True,
    )
    assert loader["loader"]["num_workers"] == 8
    dataset = loader["dataset"]
    assert (dataset["image_root"], dataset["cls_label_path"]) == ("MS1M_v2/", "MS1M_v2/label.txt")
    assert dataset["delimiter"] == "\t"
    assert config["Optimizer"]["momentum"] == 0.9
    assert config["Optimizer"]["regularizer"] == {"name": "L2", "coeff": 5e-4}


def test_schedule_by_epochs(faces):
    config = translated("--train_num=25", "--batch_size=4", "--warmup_num=1")
    rate = build_schedule(config["Optimizer"]["lr"], 25, 2)
    base = 0.1 * 4 / 512
    assert [rate(step) for step in (0, 1)] == pytest.approx([0, base / 2])
    after = [
        rate(2 + 2 * epoch) for epoch in (0, 9, 10, 15, 16, 21, 22)
    ]  # boundaries count from the end of the warm-up
    assert after == pytest.approx([base, base, base / 10, base / 10, base / 100, base / 100, base / 1000])


def test_schedule_by_steps(faces):
    config = translated("--train_unit=step", "--train_num=90", "--batch_size=3", "--decay_boundaries=10,16,22")
    assert config["Global"]["epochs"] == 30
    rate = build_schedule(config["Optimizer"]["lr"], 30, 3)
    base = 0.1 * 3 / 512
    for step in range(90):
        expected = base * 0.1 ** sum(step >= boundary for boundary in (10, 16, 22))
        assert rate(step) == pytest.approx(expected), step
    assert "trainings end with an epoch, of 3 steps here" in refused(
        "--train_unit=step", "--train_num=91", "--batch_size=3"
    )


def test_other_options_change_what_they_name(faces):
    config = translated("--loss=CosFace", "--embedding_size=64", "--lr=0.2", "--lr_decay=0.5", "--momentum=0.8")
    head = config["Arch"]["Head"]
    assert (head["name"], head["margin"], head["scale"], head["embedding_size"]) == ("CosMargin", 0.35, 64.0, 64)
    assert config["Arch"]["Backbone"]["num_features"] == 64
    assert config["Optimizer"]["lr"]["values"][:2] == pytest.approx([0.2 * 2 / 512, 0.1 * 2 / 512])
    assert config["Optimizer"]["momentum"] == 0.8
    (faces / "list.txt").write_text("images/0.jpg 0\nimages/1.jpg 1\n")
    assert "delimiter" not in translated("--label_file=list.txt")["DataLoader"]["Train"]["dataset"]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--is_static=True", "networks are trained in dynamic mode: use --is_static=False"),
        ("--fp16=True", "weights are trained as float32: use --fp16=False"),
        ("--sample_ratio=0.1", "the head has all classes: use --sample_ratio=1.0"),
        ("--use_synthetic_dataset=True", "trainings are of images"),
        ("--is_bin=True", "images are read from their own files"),
        ("--classifier=Other", "expected LargeScaleClassifier, found 'Other'"),
        ("--loss=SphereFace", "expected ArcFace or CosFace, found 'SphereFace'"),
        ("--train_unit=steps", "expected step or epoch, found 'steps'"),
        ("--backbone=FresResNet50", "expected MobileFaceNet_128, found 'FresResNet50'"),
        ("--label_file=none.txt", "none.txt: cannot be read"),
        ("--resume=True", "needs --checkpoint_dir"),
    ],
)
def test_what_cannot_mean_the_same_is_refused(option, why, faces):
    message = refused(option)
    assert why in message
    assert message.startswith((option.partition("=")[0], "none.txt"))


def test_model_parallel_is_refused_for_several_processes_only(faces, monkeypatch):
    assert options.DEFAULTS["model_parallel"]
    translated()  # in one process it means nothing
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    assert "--model_parallel=True" in refused()
    assert translated("--model_parallel=False")["Optimizer"]["lr"]["learning_rate"] == pytest.approx(0.1 * 4 / 512)


def test_resume_needs_a_training_of_this_repository(faces):
    folder = faces / "out/MobileFaceNet_128"
    (folder / "1").mkdir(parents=True)
    assert "epoch_2.pdopt beside it" in refused("--resume=True", f"--checkpoint_dir={folder}/1")
    (folder / "epoch_2.pdopt").touch()
    assert translated("--resume=True", f"--checkpoint_dir={folder}/1/")["Global"]["checkpoints"] == f"{folder}/epoch_2"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--fp16=Fasle", "--fp16: expected True or False, found 'Fasle'"),
        ("--no_such=1", "unrecognized arguments: --no_such=1"),
        ("--decay_boundaries=1,x", "--decay_boundaries: expected whole numbers between commas, found '1,x'"),
        ("--decay_boundaries=9,3", "--decay_boundaries: expected whole numbers in rising order, found [9, 3]"),
        ("--batch_size=abc", "--batch_size: expected a whole number, found 'abc'"),
        ("--batch_size=0", "--batch_size: expected a whole number of at least 1, found 0"),
        ("--num_classes=1", "--num_classes: expected a whole number of at least 2, found 1"),
        ("--warmup_num=-1", "--warmup_num: expected a whole number of at least 0, found -1"),
        ("--lr=fast", "--lr: expected a number, found 'fast'"),
        ("--lr=-1", "--lr: expected a number above 0, found -1.0"),
        ("--lr=nan", "--lr: expected a number"),
        ("--lr_decay=-1", "--lr_decay: expected a number of at least 0, found -1.0"),
        ("--momentum=2", "--momentum: expected a number from 0 to 1, found 2.0"),
    ],
)
def test_wrong_options_are_one_line(option, message, capsys):
    with pytest.raises(SystemExit) as found:
        options.parse_training([f"--config_file={CONFIG}", option], "help")
    assert found.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")


@pytest.mark.parametrize("script", ["export", "inference", "validation"])
def test_wrong_options_of_the_other_commands_are_one_line(script, capsys):
    module = importlib.import_module(f"tools.insightface.{script}")
    with pytest.raises(SystemExit) as found:
        module.parse(["--no_such=1", "--export_type=paddle", "--image_path=x"][: 3 if script == "inference" else 1])
    assert found.value.code == 2
    assert capsys.readouterr().err == "error: unrecognized arguments: --no_such=1\n"


# ---------------------------------------------------------------------------------------------------- config files


def test_config_file_is_read_as_data(tmp_path):
    found = options.read_config_file(CONFIG)
    assert found["backbone"] == "MobileFaceNet_128"
    assert found["decay_boundaries"] == [10, 16, 22]
    assert found == options.read_config_file(ROOT / "tools/insightface" / CONFIG)
    path = tmp_path / "mine.py"
    path.write_text('"""Text."""\nimport os\nconfig = edict()\nconfig.lr = 1\nconfig.checkpoint_dir = None\n')
    assert options.read_config_file(path) == {"lr": 1.0, "checkpoint_dir": None}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("open('made', 'w')", ":2: expected 'config.name = value'"),
        ("config.lr = open('made', 'w')", ":2: config.lr: expected a plain value"),
        ("config = edict(open('made', 'w'))", ":2: expected 'config.name = value'"),
        ("config.lr = 0.1 * 2", "expected a plain value, since nothing is run"),
        ("config.lrr = 0.1", "unknown option 'lrr' (did you mean 'lr'?)"),
        ("config.lr = '0.1'", "config.lr: expected float, such as 0.1, found '0.1'"),
        ("config.fp16 = 1", "config.fp16: expected bool"),
        ("config.decay_boundaries = [1, 'x']", "config.decay_boundaries: expected whole numbers in rising order"),
        ("config.lr = -1", ":2: config.lr: expected a number above 0, found -1.0"),
        ("other.lr = 1", "expected 'config.name = value'"),
        ("if True: pass", "expected 'config.name = value'"),
        ("config.lr = (", ":2: not a Python file"),
        ("config.lr = " + "(" * 5000, "not a Python file"),
        ("config.lr = " + "-" * 20000 + "1", "mine.py:"),
        ("\0", "not a Python file"),
    ],
)
def test_nothing_of_a_config_file_is_run(line, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(f"config = edict()\n{line}\n")
    with pytest.raises(UserError) as found:
        options.read_config_file("mine.py")
    assert expected in str(found.value)
    assert not (tmp_path / "made").exists()


def test_preprocessing_is_insightfaces():
    """(image - 127.5) * 0.00784313725 of RGB, channels first; a training flips every second image."""
    import cv2
    import numpy as np

    content = encoded(3, size=112)
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    expected = ((image - 127.5) * 0.00784313725)[:, :, ::-1].transpose(2, 0, 1).astype(np.float32)
    np.testing.assert_allclose(build_transforms(translate.TRANSFORMS)(content), expected, atol=1e-9)
    train = build_transforms(translate.TRAIN_TRANSFORMS)
    drawn = [train(content, np.random.default_rng(seed)).transpose(2, 0, 1) for seed in range(64)]
    flips = [np.allclose(one, expected[..., ::-1], atol=1e-9) for one in drawn]
    plain = [np.allclose(one, expected, atol=1e-9) for one in drawn]
    assert all(flip != same for flip, same in zip(flips, plain))
    assert 16 < sum(flips) < 48
