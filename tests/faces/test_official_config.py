"""InsightFace's own chain config: ours has its lines, with other values; the commands here take its options."""

import re
import shlex
import tarfile

import pytest

from ppcls_lite.data.image_lists import read_list
from tests.helpers.scripts import ROOT, run_process
from tests.helpers.shell import MODE, OFFICIAL, dry_run

OURS = ROOT / "test_tipc/configs/ms1mv2_mobileface/train_infer_python.txt"
NAME = "./insightface/recognition/arcface_paddle/test_tipc/configs/ms1mv2_mobileface/train_infer_python.txt"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Their config, unchanged."""
    path = tmp_path_factory.mktemp("theirs") / "train_infer_python.txt"
    with tarfile.open(OFFICIAL / "official_configs.tar.xz") as archive:
        path.write_bytes(archive.extractfile(NAME).read())
    return path


def lines_of(path):
    """(key, value) of the lines of a config."""
    return [line.partition(":")[::2] for line in path.read_text().splitlines()]


def options_of(value):
    return {word.partition("=")[0] for word in shlex.split(value) if word.startswith("--")}


def test_our_lines_are_theirs(theirs):
    ours, official = lines_of(OURS), lines_of(theirs)
    assert [key for key, _ in ours] == [key for key, _ in official]
    commands = 0
    for (key, value), (_, their_value) in zip(ours, official):
        assert options_of(their_value) <= options_of(value), key
        if their_value.startswith("tools/"):
            commands += 1
            assert value.split()[0] == their_value.split()[0].replace("tools/", "tools/insightface/")
            assert (ROOT / value.split()[0]).is_file()
    assert commands == 4


def test_their_config_is_planned_unchanged(theirs):
    done = dry_run(theirs, MODE)
    assert done.status == 0, done.err
    for script in ("train", "validation", "export", "inference"):
        assert f"python tools/{script}.py --" in done.out


def test_their_commands_are_read_by_our_scripts(theirs, tmp_path):
    """Every planned command of their config with our scripts: what is wrong is that the data are not there."""
    plan = [
        line.partition(" python ")[2] for line in dry_run(theirs, MODE).out.splitlines() if ") python tools/" in line
    ]
    ends = {
        "train": "MS1M_v2/label.txt: cannot be read",
        "validation": "MS1M_v2: expected lfw.bin, found none of them",
        "export": "no such weights file",
        "inference": "expected a folder with an exported model, found nothing",
    }
    seen = set()
    for command in plan:
        script, *options = shlex.split(command)
        name = script.removeprefix("tools/").removesuffix(".py")
        if name not in seen:
            seen.add(name)
            done = run_process(f"tools/insightface/{name}.py", *options, cwd=tmp_path)
            assert done.status == 1, done
            assert ends[name] in done.err.splitlines()[-1]
    assert seen == set(ends)


def test_our_config_has_as_many_classes_as_its_data():
    (classes,) = re.findall(r"--num_classes=(\d+)", OURS.read_text())
    assert int(classes) == len({entry.label for entry in read_list(ROOT / "lite_data_rec/train_list.txt")})
