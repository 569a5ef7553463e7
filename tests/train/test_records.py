"""What an earlier training has left in a folder stays until another one has taken a step there."""

from pathlib import Path

import pytest

from ppcls_lite.train import loop
from ppcls_lite.train.history import read_history
from ppcls_lite.train.records import Records
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from tests.helpers.ranks import run_ranks
from tests.helpers.scripts import assert_one_line


def contents_of(folder):
    """{path: bytes} of all files below the folder; None where there is no such folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files} if folder.exists() else None


REFUSED = {
    "Arch.class_num=2": "label 2 is not below class_num 2",
    "Global.pretrained_model=no/such": "no/such.pdparams: no such weights file",
    "Global.checkpoints=no/such": "no/such.pdstates: no such weights file",
    "Global.device=tpu": "Global.device: expected gpu or cpu",
    "Optimizer.name=Momentun": "did you mean 'Momentum'",
    "DataLoader.Train.sampler.batch_size=0": "batch_size",
    "DataLoader.Train.dataset.cls_label_path=no/such.txt": "no/such.txt: no such list file",
    "DataLoader.Eval.dataset.image_root=no/such": "no/such: no such folder",
    "Metric.Train=[{TopkAc: {}}]": "Metric.Train[0]: expected 'TopkAcc",
}


@pytest.fixture
def trained(config, write_config, run_here, tmp_path):
    """The path of a config, after an epoch of it."""
    config["Global"]["epochs"] = 1
    path = write_config(config)
    assert run_here("tools/train.py", "-c", path).status == 0
    return path


@pytest.mark.parametrize(("option", "message"), REFUSED.items())
def test_a_refused_training_leaves_a_folder_as_it_was(trained, run_here, tmp_path, option, message):
    before = contents_of(tmp_path / "out")
    assert len(before) > 2
    assert_one_line(run_here("tools/train.py", "-c", trained, "-o", option), message)
    assert contents_of(tmp_path / "out") == before
    new = ["-o", f"Global.output_dir={tmp_path}/new"]
    assert_one_line(run_here("tools/train.py", "-c", trained, "-o", option, *new), message)
    assert contents_of(tmp_path / "new") is None


def test_what_only_the_first_step_finds_leaves_a_folder_as_it_was(trained, config, write_config, run_here, tmp_path):
    before = contents_of(tmp_path / "out")
    rate = ["-o", "Optimizer.lr.learning_rate=1e30", "-o", "Optimizer.lr.warmup_epoch=0", "-o", "Global.epochs=9"]
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "bad.txt").write_text("bad.png 0\n" * 8)
    config["DataLoader"]["Train"]["dataset"].update(image_root=str(tmp_path), cls_label_path=str(tmp_path / "bad.txt"))
    assert_one_line(run_here("tools/train.py", "-c", write_config(config, "bad.yaml")), "not a decodable image")
    assert contents_of(tmp_path / "out") == before
    # the other way round: a training that has begun, and fails then, is written down
    assert run_here("tools/train.py", "-c", trained, *rate).status == 1
    assert read_history(tmp_path / "out/history.jsonl")[0]["epochs"] == 9


def test_lines_from_before_the_first_step_are_in_the_log(trained, run_here, tmp_path):
    outcome = run_here("tools/train.py", "-c", trained)
    lines = (tmp_path / "out/log_train.txt").read_text().splitlines()
    assert lines == [line for line in outcome.out.splitlines() if "] ppcls_lite " in line]
    assert [sum(text in line for line in lines) for text in ("INFO: processor: ", " iterations, batch size ")] == [1, 1]
    assert [event["event"] for event in read_history(tmp_path / "out/history.jsonl")][:2] == ["start", "train"]


def test_a_resumed_training_that_is_refused_adds_no_line(trained, run_here, tmp_path):
    before = contents_of(tmp_path / "out")
    resume = ["-o", f"Global.checkpoints={tmp_path}/out/latest", "-o", "Global.epochs=2"]
    assert run_here("tools/train.py", "-c", trained, *resume, "-o", "Arch.class_num=2").status == 1
    assert contents_of(tmp_path / "out") == before
    assert run_here("tools/train.py", "-c", trained, *resume).status == 0
    for name in ("log_train.txt", "history.jsonl"):
        assert (tmp_path / "out" / name).read_bytes().startswith(before[Path(name)])
    assert [event["event"] for event in read_history(tmp_path / "out/history.jsonl")].count("start") == 2


def test_processes_that_are_refused_leave_a_folder_as_it_was(plain, write_config, script, tiny_data, tmp_path):
    plain["Global"]["epochs"] = 1
    assert [outcome.status for outcome in run_ranks(script, write_config(plain), "none")] == [0, 0]
    before = contents_of(tmp_path / "out")
    shorter = tmp_path / "shorter.txt"
    shorter.write_text("".join((tiny_data / "train_list.txt").read_text().splitlines(keepends=True)[:8]))
    outcomes = run_ranks(script, write_config(plain), "a shorter list", shorter)
    assert [outcome.status for outcome in outcomes] == [1, 1]
    assert contents_of(tmp_path / "out") == before


def test_a_process_above_rank_0_writes_its_log_only(tmp_path):
    with Records(tmp_path / "out", rank=1, world=2, visualdl=True) as records:
        logger.info("a line")
        records.add("start")
        assert not (tmp_path / "out").exists()
        records.open()
        records.open()
        logger.info("another")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["log_train_rank1.txt"]
    lines = (tmp_path / "out/log_train_rank1.txt").read_text().splitlines()
    assert [line.partition("INFO: ")[2] for line in lines] == ["a line", "another"]


def test_a_trainer_by_itself_writes_nothing(config, tmp_path):
    loop.Trainer(config, "cpu").run_epoch(1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["a file", "below a file", "not writable"])
def test_a_place_that_cannot_be_written_is_refused_at_the_start(tmp_path, monkeypatch, kind):
    place = tmp_path / "place"
    if kind == "not writable":  # the tests may run as root, who may write everywhere
        monkeypatch.setattr("ppcls_lite.train.records.os.access", lambda path, mode: path != tmp_path)
    else:
        place.write_text("")
    folder = place / "out" if kind == "below a file" else place
    found = f"{tmp_path} cannot be written to" if kind == "not writable" else f"{place} is no folder"
    with pytest.raises(UserError, match=f"^Global.output_dir {folder}: expected a folder .*; {found}$"):
        Records(folder)
