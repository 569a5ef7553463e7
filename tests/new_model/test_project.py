"""new_model.sh --project: what other projects' scripts say is read, never run, and written so that a chain takes it."""

import os
import re
import shutil

import pytest

from new_config import describe
from new_model.options import all_spellings, options_of
from new_model.sources import LARGEST, Project
from new_model.yaml_keys import read_keys
from ppcls_lite.utils.config import read_yaml
from script import UserError
from tests.helpers.projects import PROJECTS
from tests.helpers.scripts import ROOT
from tests.helpers.shell import assert_one_error, dry_run
from tests.new_model.conftest import content, new_model

OURS = ("model_name", "python", "train_model", "infer_export")
SCRIPT = "import argparse\nimport paddle\nparser = argparse.ArgumentParser()\n"
MAIN = '\nif __name__ == "__main__":\n    open("was_run", "w").close()\n    parser.parse_args()\n'


def run(project, *words):
    return new_model(ROOT, "--project", str(project), *words, place=project.parent)


@pytest.fixture
def project(tmp_path):
    """`project({path: text})`: a folder with these files."""

    def make(files):
        root = tmp_path / "some project"
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return root

    return make


def small(**more):
    """The scripts of a small project; `more` options of its training, one a line."""
    adds = "".join(f"parser.add_argument({words})\n" for words in more.values())
    train = SCRIPT + "parser.add_argument('--epochs', type=int, default=9)\nparser.add_argument('--pretrained')\n"
    engine = "from paddle.inference import create_predictor\n"
    return {
        "train.py": f"{train}parser.add_argument('--eval', action='store_true')\n{adds}{MAIN}",
        "export_model.py": f"{train}parser.add_argument('--save-dir')\n{MAIN}",
        "infer.py": f"{SCRIPT}{engine}parser.add_argument('--model_dir')\nparser.add_argument('--image')\n{MAIN}",
        "requirements.txt": "paddlepaddle\n",
    }


def lines_of(text):
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


# ---- the projects of the tests


def as_fixture(tmp_path, name, model):
    """A copy of a project without its config, with the folders of its data; and the lines that it should get."""
    root = shutil.copytree(PROJECTS / name, tmp_path / name)
    expected = (root / f"test_tipc/configs/{model}/train_infer_python.txt").read_text()
    shutil.rmtree(root / "test_tipc")
    for place in ("lite_data/train/a", "images", "demo"):
        (root / place).mkdir(parents=True)
    for number in range(48):
        (root / f"lite_data/train/a/{number}.jpg").touch()
    (root / "images/x.jpg").touch()
    (root / "demo/x.jpg").touch()
    return root, expected


def test_the_config_of_a_project_like_those_of_models(tmp_path):
    root, expected = as_fixture(tmp_path, "classifier", "MiniNet")
    before = content(root)
    done = run(root, "MiniNet")
    assert (done.status, done.err) == (0, "")
    path = root / "test_tipc/configs/MiniNet/train_infer_python.txt"
    assert {name for name, text in content(root).items() if text is not None} - set(before) == {
        path.relative_to(root).as_posix()
    }
    found, wanted = lines_of(path.read_text()), lines_of(expected)
    differing = {key for key in wanted if found.get(key) != wanted[key]}
    assert differing == {"python", "use-gpu", "norm_train", "--epochs"}  # none of them has to be changed
    assert found["norm_train"] == "lite_train=train.py --print-freq=1|whole_train=train.py"
    assert found["--device"] == "gpu"
    assert "--batch-size:lite_train_lite_infer=4|whole_train_whole_infer=4\n" in path.read_text()
    assert found["--epochs"] == "lite_train_lite_infer=13|whole_train_whole_infer=90"  # 12 steps each
    assert re.search(r"^left to do: 1\n  line 25: only whole_infer needs it", done.out, re.MULTILINE)
    plan = dry_run(path, "lite_train_lite_infer", "--project", str(root))
    assert plan.status == 0, plan.err
    assert "evaluate: (in .) python train.py --test-only --pretrained=" in plan.out
    assert "predict: (in .) python tools/predict.py --pretrained=" in plan.out


def test_the_config_of_a_project_like_paddledetection(tmp_path):
    root, _ = as_fixture(tmp_path, "detector", "tinydet_32_lite")
    assert run(root, "tinydet_32_lite").status == 0
    path = root / "test_tipc/configs/tinydet_32_lite/train_infer_python.txt"
    found = lines_of(path.read_text())
    words = "tools/train.py -c configs/tinydet/tinydet_32_lite.yml -o"
    assert found["norm_train"] == f"lite_train={words} log_iter=1|whole_train={words}"
    assert found["epoch"].startswith("lite_train_lite_infer=13|")
    assert found["TrainReader.batch_size"].startswith("lite_train_lite_infer=4|")
    assert (found["use_gpu"], found["save_dir"], found["weights"]) == ("True", "./output/", "")
    plan = dry_run(path, "lite_train_lite_infer", "--project", str(root)).out
    assert "python tools/train.py -c configs/tinydet/tinydet_32_lite.yml -o log_iter=1 use_gpu=False save_dir=" in plan
    assert re.search(r"evaluate: .* -o weights=\S+ use_gpu=False\n", plan)
    assert re.search(r"export: .* -o weights=\S+ --output_dir=", plan)


def test_the_config_of_a_project_like_paddleclas():
    """This repository is one: its options are keys of a YAML file, each behind an -o of its own."""
    text, roles, left, _ = describe(ROOT, "lite_data_64")
    found = lines_of(text)
    assert roles["train"] == "tools/train.py"
    assert found["norm_train"].endswith("|whole_train=tools/train.py -c ppcls_lite/configs/lite_data_64.yaml")
    assert "lite_data_64.yaml -o Global.print_batch_step=1|" in found["norm_train"]
    epochs = read_yaml(ROOT / "ppcls_lite/configs/lite_data_64.yaml")["Global"]["epochs"]
    assert found["-o Global.epochs"] == f"lite_train_lite_infer=5|whole_train_whole_infer={epochs}"
    assert found["-o DataLoader.Train.sampler.batch_size"] == "lite_train_lite_infer=4|whole_train_whole_infer=8"
    assert found["-o Global.pretrained_model"] == "null"
    assert found["inference"] == "deploy/python/predict_cls.py -c deploy/configs/inference_cls.yaml"
    assert found["-o Global.inference_model_dir"] == "./output/lite_data_64_infer/"
    assert [number for number, _ in left] == [10, 25]


# ---- what scripts say


def test_options_are_followed_into_the_project_and_not_beyond(project):
    root = project(
        {
            "tools/train.py": "import json, paddle\nfrom core.cli import get_args\nimport core.more as m\n"
            "def main():\n    a = get_args()\n    b = m.extra(a)\n",
            "core/cli.py": "from argparse import ArgumentParser\nfrom core.cli import nothing\n"
            "class Parser(ArgumentParser):\n    def __init__(self):\n        self.add_argument('-b', '--batch-size')\n"
            "def get_args():\n    return Parser()\ndef other(p):\n    p.add_argument('--not-used')\n",
            "core/more.py": "def extra(p):\n    p.add_argument('--extra', default=3, type=int)\n"
            "def unused(p):\n    p.add_argument('--not-used')\n",
        }
    )
    found = {option.flag: option for option in options_of(Project(root), "tools/train.py")}
    assert set(found) == {"--batch-size", "--extra"}
    assert found["--batch-size"].flags == ("-b", "--batch-size")
    assert (found["--extra"].default, found["--extra"].converter) == (3, "int")


PARSER = "from argparse import ArgumentParser\nparser = ArgumentParser()\nparser.add_argument('-x', '--size')\n"
GETTER = "def get():\n    return parser.parse_args()\n"


@pytest.mark.parametrize(
    ("script", "cli"),
    [
        (f"{PARSER}parser.add_argument('place')\nparser.parse_args()\n", ""),
        ("from core.cli import parser\nparser.parse_args()\n", PARSER),
        ("from core.cli import get\nget()\n", PARSER + GETTER),
        ("from core import get\nget()\n", PARSER + GETTER),
        ("from core.cli import *\nget()\n", PARSER + GETTER),
        ("import core.cli\ncore.cli.get()\n", PARSER + GETTER),
        ("from .core.cli import get\nget()\n", PARSER + GETTER),
        ("from ..more import get\nget()\n", ""),
        (f"from core.cli import other\n{PARSER}other()\n", f"{PARSER}def other(): pass\ndef no(a): a.add_argument(a)"),
    ],
    ids=["own", "parser", "function", "package", "star", "module", "relative", "above", "unused"],
)
def test_all_options_of_a_script(project, script, cli):
    root = project({"tools/run.py": script, "tools/core/cli.py": cli, "more.py": PARSER + GETTER})
    (root / "tools/core/__init__.py").write_text("from .cli import get\n")
    assert all_spellings(Project(root), "tools/run.py") == {"-x", "--size", "-h", "--help"}


@pytest.mark.parametrize(
    "more",
    [
        "for name in ['a']: parser.add_argument('--' + name)\n",
        "parser.add_argument(*['--a'])\n",
        "parser.add_argument(**{})\n",
        "parser.add_argument('--a', name)\n",
        "@click.option('--a/--no-a', 'a')\ndef f(a): pass\n",
        "add_arg('a', int, 1)\n",
        "parser.parse_known_args()\n",
        "import broken\nbroken.add(parser)\n",
    ],
)
def test_options_that_a_source_does_not_say(project, more):
    root = project({"run.py": PARSER + more, "broken.py": "def add(:\n", "none.py": "import argparse\n"})
    assert all_spellings(Project(root), "run.py") is None
    assert all_spellings(Project(root), "none.py") is None


def test_keys_of_yaml():
    text = "Global:\n  epochs: 20  # many\n  sub:\n    a: 'b'\nL:\n  T:\n    - CELoss:\n        weight: 1\nend: 3\n"
    found = {key: value for key, value in read_keys(text).items() if value}
    assert found == {"Global.epochs": "20", "Global.sub.a": "b", "end": "3"}


@pytest.mark.parametrize(
    ("option", "line", "to_do"),
    [
        ("'--use_gpu', type=bool, default=True", "--use_gpu:True", "type=bool makes True of any text"),
        ("'--device', default='gpu'", "--device:gpu", None),
        ("'--data-root', required=True", "--data-root:./lite_data", "put a few images"),
        ("'--cfg', required=True", "norm_train:train.py", "train.py needs --cfg, and no config is called like some"),
        ("'--secret', required=True", "norm_train:train.py", "train.py demands --secret"),
        ("'--batch-size', default=int('8'), type=int", "--batch-size:lite_train_lite_infer=4", None),
        ("'--max_iters', type=int", "--epochs:lite_train_lite_infer=10|whole_train_whole_infer=9", "100 steps"),
    ],
)
def test_what_is_uncertain_is_left_to_a_person(project, option, line, to_do):
    root = project(small(option=option))
    done = run(root)
    assert done.status == 0, done.err
    path = root / "test_tipc/configs/some_project/train_infer_python.txt"
    text = path.read_text()
    assert line in text.splitlines()
    if to_do:
        assert to_do in done.out
        assert to_do in text.partition("left_to_do")[2]
    plan = dry_run(path, "whole_infer", "--project", str(root))
    assert plan.status == 0, plan.err


def test_a_script_that_evaluates_with_the_training(project):
    root = project(small())
    text, *_ = describe(root, "x")
    assert "eval:train.py --eval" in text.splitlines()


def test_missing_scripts_are_named(project):
    files = small()
    del files["infer.py"], files["export_model.py"]
    root = project({**files, "train.py": files["train.py"].replace("--eval", "--x")})
    done = run(root)
    assert done.status == 0, done.err
    for text in ("no script evaluates", "no script exports", "no script uses paddle.inference"):
        assert text in done.out


# ---- planted faults


def test_nothing_is_run_unless_it_is_wanted(project):
    files = small()
    hidden = "for name in ['epochs', 'batch-size']:\n    parser.add_argument('--' + name)\n"
    root = project({**files, "train.py": SCRIPT.replace("import paddle\n", "") + hidden + MAIN})
    done = run(root)
    assert done.status == 0, done.err
    assert "train.py: no option was found" in done.out
    assert not (root / "was_run").exists()
    shutil.rmtree(root / "test_tipc")
    done = run(root, "--run_help")
    assert (root / "was_run").exists()
    text = (root / "test_tipc/configs/some_project/train_infer_python.txt").read_text()
    assert re.search(r"^--epochs:lite_train_lite_infer=", text, re.MULTILINE)
    assert "train.py: no option was found" not in done.out


def test_a_project_without_scripts(project, tmp_path):
    root = project({"readme.md": "x"})
    assert_one_error(run(root), "none of its 0 Python files is a train.py or alike: is it a project of Paddle?")
    assert set(content(root)) == {"readme.md"}
    assert_one_error(run(tmp_path / "nowhere"), "--project: expected a folder, found")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "train.py is no Python that this Python reads (invalid syntax, line 1)"),
        ("print 'two'\n", "train.py is no Python that this Python reads"),
        ("x = '\0'\n", "train.py is no Python that this Python reads"),
        ("(" * 3000 + ")" * 3000, "train.py is no Python that this Python reads"),
        ("# " + "x" * 10_000_000, "train.py has 10000002 bytes: more than 1000000 are not read"),
    ],
    ids=["syntax", "Python 2", "a zero byte", "nested", "10 MB"],
)
def test_a_script_that_cannot_be_read(project, text, message):
    assert LARGEST == 1_000_000
    root = project({**small(), "train.py": text})
    done = run(root)
    assert done.status == 0, done.err
    assert message in done.out
    assert "norm_train:train.py" in (root / "test_tipc/configs/some_project/train_infer_python.txt").read_text()


def test_links_and_odd_files(project, tmp_path):
    root = project(small())
    (root / "loop").symlink_to(root)
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "eval.py").write_text("import paddle\n")
    (root / "eval.py").symlink_to(outside / "eval.py")  # not the project's
    os.mkfifo(root / "predict.py")
    (root / "we'ird|na\nme").mkdir()
    (root / "we'ird|na\nme/val.py").write_text("import paddle\n")
    done = run(root)
    assert done.status == 0, done.err
    assert "evaluates: train.py --eval\n" in done.out
    assert "predicts:  no script of its own" in done.out


def test_options_cannot_smuggle_lines(project):
    root = project(small(odd=r"'--data-path=x\nnorm_train:evil'", fine="'--data_dir', default='a\\nb: c'"))
    text, *_ = describe(root, "x")
    assert "evil" not in text
    assert "--data_dir:./lite_data" in text.splitlines()


@pytest.mark.parametrize("name", ["a/b", "..", "", "-x", "x\ny", "n" * 101])
def test_names_that_cannot_be_a_folder(project, name):
    root = project(small())
    before = content(root)
    done = run(root, name) if name != "-x" else run(root, "--", name)
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert content(root) == before


def test_a_config_that_is_there_stays(project):
    root = project({**small(), "test_tipc/configs/Net/train_infer_python.txt": "mine\n"})
    before = content(root)
    assert_one_error(run(root, "Net"), "train_infer_python.txt: is there already, and was not changed")
    assert content(root) == before


def test_a_place_that_cannot_be_written(project):
    root = project({**small(), "test_tipc": "a file\n"})
    before = content(root)
    assert_one_error(run(root, "Net"), "cannot be written", "nothing was changed")
    assert content(root) == before


def test_scripts_of_one_folder_are_taken_together(project):
    files = {f"stage2/{path}": text for path, text in small().items() if path == "train.py"}
    files.update({f"stage5/net/{path}": text for path, text in small().items()})
    root = project(files)
    text, roles, *_ = describe(root, "Net")
    assert set(roles.values()) == {f"stage5/net/{name}.py" for name in ("train", "export_model", "infer")}
    assert lines_of(text)["norm_train"].startswith("stage5/net/train.py")


def test_a_training_for_one_gpu_or_several(project):
    root = project({"main_multi_gpu.py": small()["train.py"]})
    assert describe(root, "Net")[1]["train"] == "main_multi_gpu.py"


def test_notebooks_alone(project):
    root = project({"work/my net.ipynb": "{}", "work/net.ipynb": "{}"})
    with pytest.raises(UserError, match=r"no Python file, and 1 notebook such as work/net.ipynb: make a train.py"):
        describe(root, "Net")


def test_a_missing_config_can_be_named(project):
    train = SCRIPT + f"parser.add_argument('--config', required=True)\n{MAIN}"
    root = project(
        {"tools/train.py": train, "configs/a/b_net.yml": "epochs: 3\n", "configs/a/c_net.yml": "epochs: 3\n"}
    )
    assert "or begin again with the NAME of one, such as b_net" in describe(root, "Other")[3][0]
    assert "--config configs/a/c_net.yml" in describe(root, "c_net")[0]
