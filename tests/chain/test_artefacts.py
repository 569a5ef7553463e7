"""What the project wrote, and where it lies: weights of a training, the model of an export."""

import os

import pytest

from tests.helpers.shell import bash

FIND = """
source "$0/test_tipc/lib/train_infer.sh"; source "$0/test_tipc/lib/artefacts.sh"
RUN[training_dir]=$1 RUN[model]=net RUN[tag]=t RUN[export_field]=norm_export RUN[infer_folder]=.
VALUE[train_model_name]=$2 VALUE[model_name]=net VALUE[norm_export]=x DIALECT=()
[[ -z ${3:-} ]] || DIALECT[${3%%=*}]=${3#*=}
"""


@pytest.mark.parametrize(
    ("name", "setting", "files", "expected"),
    [
        ("latest", "", ["latest.pdparams"], "latest"),
        ("latest.pdparams", "", ["net/latest.pdparams"], 0),
        ("latest", "", ["RecModel/latest.pdparams"], "RecModel/latest"),
        ("model_final.pdparams", "weights_in={model_name}", ["net/model_final.pdparams", "model_final.pdparams"], 0),
        ("best/model.pdparams", "", ["best/model.pdparams"], 0),
        (
            "best/model.pdparams",
            "weights_else=iter_*/model.pdparams",
            ["iter_20/model.pdparams", "iter_9/model.pdparams"],
            0,
        ),
        ("best_model", "weights_file=model.pdparams", ["best_model/model.pdparams"], 0),
        ("vox_256*/*checkpoint.pdparams", "", ["vox_256-2026/epoch_1_checkpoint.pdparams"], 0),
        (
            "vox_256*/*checkpoint.pdparams",
            "",
            ["vox_256-2/a_checkpoint.pdparams", "vox_256-1/z_checkpoint.pdparams"],
            0,
        ),
        ("0", "", ["0/rec.pdparams", "1/rec.pdparams"], "0"),
        ("MobileFaceNet_128/0", "", ["MobileFaceNet_128/0/x.pdparams"], "MobileFaceNet_128/0"),
        ("null", "weights_name=*_epoch_*.pdparams", ["ppTSM_epoch_00002.pdparams", "ppTSM_epoch_00001.pdparams"], 0),
        ("null", "", ["deep/er.pdparams"], 0),
        ("latest", "", ["best.pdparams"], None),
        ("*x*", "", ["best.pdparams"], None),
    ],
)
def test_weights_are_found_by_name_or_pattern_the_newest_of_several(tmp_path, name, setting, files, expected):
    """`files` from the newest to the oldest; 0 stands for the first of them."""
    home = tmp_path / "a b*"
    for age, file in enumerate(files):
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text("")
        os.utime(home / file, (1e9 - age, 1e9 - age))
    run = bash(FIND + 'find_weights && echo "${RUN[weights]}"', home, name, setting)
    assert run.err == ""
    expected = files[0] if expected == 0 else expected
    assert run.out == (f"{home}/{expected}\n" if expected else "")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["inference/inference.pdmodel"], "inference"),
        (["inference/net/model.pdmodel", "inference/net/infer_cfg.yml"], "inference/net"),
        (["inference/other/model.json"], "inference/other"),
        (["inference/a/b/__model__"], "inference/a/b"),
        (["inference/other/deploy.yaml"], "inference"),
    ],
)
def test_the_folder_that_holds_the_exported_model(tmp_path, files, expected):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    run = bash(FIND + "exported_model", tmp_path, "latest", "export_in={model_name}")
    assert (run.out, run.err) == (f"{tmp_path}/{expected}\n", "")


def test_the_name_of_the_model_below_the_folder_of_the_export(tmp_path):
    """As PaddleGAN's: the folder that holds the model may be that name itself."""
    (tmp_path / "inference/fom").mkdir(parents=True)
    (tmp_path / "inference/fom/generator.pdmodel").write_text("")
    name = "VALUE[inference_dir]=fom KEY[model_dir]=--m VALUE[model_dir]='' COMMAND=(python); add_model"
    run = bash(FIND + name + '; echo "${COMMAND[*]}"', tmp_path, "latest")
    assert (run.out, run.err) == (f"python --m={tmp_path}/inference/fom\n", "")
