"""The bundle that a run leaves: what it says is true, its hashes show every change, and it is whole or not there."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

import bundle
import bundle_lineage
import evidence
from bundle_inputs import read_inputs, seeds
from tests.helpers.bundles import read_bundle
from tests.helpers.scripts import ROOT
from tests.helpers.shell import MODE, Chain
from train_log import read_train_log

STEM = "norm_train_gpus_-1_autocast_null_nodes_1"
TRAIN = """
folder = Path(options["Global.output_dir"])
(folder / "inner").mkdir(parents=True, exist_ok=True)
(folder / "latest.pdparams").write_bytes(b"weights")
cost = "avg_reader_cost: 0.1 sec, avg_batch_cost: 0.1 sec, avg_samples: 8, avg_ips: 80.0 images/sec"
lines = [f"[Train][Epoch 1/1][Iter: {step}/120]loss: {2 - step / 100:.5f}, {cost}" for step in range(1, 121)]
print("\\n".join(lines))
"""


@pytest.fixture(scope="module")
def run(tree, tmp_path_factory):
    """A chain whose steps are small programs, in a folder that is no git repository."""
    chain = Chain(tree, tmp_path_factory.mktemp("bundle"))
    chain.program("train", TRAIN)
    yaml = chain.folder / "settings.yaml"
    yaml.write_text("Global:\n  seed: 7 # of all\nDataLoader:\n  Train:\n    shuffle_seed: 11\n")
    chain.set("norm_train", f"{chain.programs}/train.py -c {yaml} -o Global.seed=5")
    done = chain.run(FLAGS_cudnn_deterministic="1", MKL_NUM_THREADS="2")
    assert done.status == 0, done.out + done.err
    return done


@pytest.fixture
def copied(run, tmp_path):
    """The output folder somewhere else, as on another machine."""
    return shutil.copytree(run.folder, tmp_path / "copy")


def test_the_bundle_of_a_run_says_what_is_true(run):
    found = read_bundle(run.folder)
    keys = "format model mode tag chain verdict config project tool machine versions started ended seeds steps inputs"
    assert list(found) == [*keys.split(), "lineage", "predictions", "figures", "sources", "files", "notes"]
    assert (found["model"], found["mode"], found["tag"]) == ("small_net", MODE, "")
    assert (found["format"], found["chain"], found["project"]) == (1, "train_inference_python", None)
    assert found["verdict"]["sentence"] == "passed: 6 steps; the predictions were NOT compared"
    assert (found["verdict"]["passed"], found["verdict"]["compared"]) == (True, False)
    steps = {step["name"]: step for step in found["steps"]}
    assert {name: step["result"] for name, step in steps.items()} == run.results
    assert steps["train"]["log"] == f"{STEM}.log"
    assert steps["train"]["command"].startswith("python ")
    assert "-o Global.seed=5" in steps["train"]["command"]
    assert steps["predict"] == {**steps["predict"], "started": None, "ended": None, "command": None, "log": None}
    times = [datetime.fromisoformat(step[key]) for step in steps.values() for key in ("started", "ended") if step[key]]
    assert all(time.tzinfo for time in times)
    assert len(times) == 2 * 7
    spans = [datetime.fromisoformat(found[key]) for key in ("started", "ended")]
    assert spans == [min(times), max(times)]
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["machine"]["environment"] == {
        **found["machine"]["environment"],
        "FLAGS_cudnn_deterministic": "1",
        "MKL_NUM_THREADS": "2",
    }
    assert found["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert found["seeds"]["Global.seed"] == 5  # the command line's, which the training has
    assert found["seeds"]["DataLoader.Train.shuffle_seed"] == 11
    assert found["figures"] == {
        "train": {"loss": 0.8},
        "converge": found["figures"]["converge"],
        "evaluate": {"top1": 0.5},
    }
    assert found["figures"]["converge"]["iterations"] == 120


def test_the_config_is_that_of_the_mode(run):
    config = read_bundle(run.folder)["config"]
    values = {line["key"]: line["value"] for line in config["lines"]}
    assert values["-o Global.epochs"] == "2"
    assert values["model_name"] == "small_net"
    path = Path(config["path"])
    assert config["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    line = next(line for line in config["lines"] if line["key"] == "norm_export")
    assert line["section"] == "infer_params"
    assert path.read_text().splitlines()[line["line"] - 1].startswith("norm_export:")


def test_the_lineage_leads_from_the_data_to_the_model(run):
    found = read_bundle(run.folder)
    entries = {one["id"]: one for one in found["lineage"]}
    weights, model = entries["weights"], entries["exported model"]
    assert weights["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert (weights["of"], model["of"]) == (["training"], ["weights"])
    facts = next(step["facts"] for step in found["steps"] if step["name"] == "export")
    assert weights["sha256"].startswith(facts["weights"])
    assert model["sha256"].startswith(facts["model"])
    kinds = {entries[parent]["kind"] for parent in entries["training"]["of"]}
    assert kinds == {"config", "code"}
    assert {one["kind"] for one in entries.values()} >= {"data", "config", "code", "training", "weights", "model"}
    images = next(one for one in entries.values() if one["kind"] == "data" and one["path"].endswith("/test_images"))
    lines = [line for line in (run.folder / "inputs.sha256").read_text().splitlines(True) if images["path"] in line]
    assert len(lines) == len(list((ROOT / "test_images").iterdir()))
    assert images["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_bundle_can_be_read_elsewhere_and_has_no_path_of_the_machine(run, copied):
    assert read_bundle(copied) == read_bundle(run.folder)
    text = (copied / "bundle.json").read_text()
    assert str(run.folder) not in text
    assert not [name for name in read_bundle(copied)["files"] if name.startswith("/") or name.endswith(".pdparams")]


def spoil_log(folder, content):
    path = folder / f"{STEM}.log"
    path.write_text(path.read_text().replace("loss: 0.80000", "loss: 0.10000"))


def spoil_list(folder, content):
    path = folder / "inputs.sha256"
    path.write_text(path.read_text().replace("/test_images/", "/test_images/x", 1))


def spoil_weights(folder, content):
    next(one for one in content["lineage"] if one["id"] == "weights")["sha256"] = "0" * 64


def spoil_model(folder, content):
    next(one for one in content["lineage"] if one["id"] == "exported model")["files"]["more"] = "0" * 64


def spoil_parents(folder, content):
    next(one for one in content["lineage"] if one["id"] == "weights")["of"] = ["nothing"]


def spoil_order(folder, content):
    content["lineage"].append(dict(content["lineage"][0]))


def spoil_path(folder, content):
    content["files"]["../steps.tsv"] = content["files"]["steps.tsv"]


def remove_file(folder, content):
    (folder / "steps.tsv").unlink()


@pytest.mark.parametrize(
    ("fault", "what", "words"),
    [
        (spoil_log, f"{STEM}.log", "has changed"),
        (spoil_list, "inputs.sha256", "is not the list that the run noted"),
        (spoil_list, "/test_images", "is not what inputs.sha256 lists"),
        (spoil_weights, "weights", "has another link"),
        (spoil_model, "exported model", "is not the hash of its files"),
        (spoil_parents, "weights", "is made of what is not listed before it"),
        (spoil_order, "", "is there twice"),
        (spoil_path, "../steps.tsv", "is outside of the bundle"),
        (remove_file, "steps.tsv", "is missing"),
    ],
)
def test_every_change_is_seen(copied, fault, what, words):
    content = read_bundle(copied)
    fault(copied, content)
    found = bundle_lineage.faults(content, copied)
    assert [one for one in found if what in one[0] and one[1] == words], found


def test_a_disk_that_is_full_leaves_no_half_bundle(run, copied):
    """Files of more than a few blocks cannot be written: summary.json can, bundle.json cannot."""
    (copied / "bundle.json").write_text("{}")
    size = (copied / "summary.json").stat().st_size // 512 + 4
    report = [sys.executable, str(ROOT / "test_tipc/lib/report.py"), str(copied), "--model", "small_net"]
    command = f'ulimit -f {size}; trap "" XFSZ; exec "$@"'
    words = ["bash", "-c", command, "bash", *report, "--mode", MODE, "--chain", "x"]
    done = subprocess.run(words, cwd=copied, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "bundle.json: cannot be used (File too large)" in done.stderr
    assert (copied / "bundle.json").read_text() == "{}"
    assert not list(copied.glob(".bundle*"))


def test_a_run_that_goes_on_has_no_bundle_until_it_ends(chain):
    chain.program("infer", "sys.exit(3)")
    failed = chain.run()
    assert failed.status == 1
    content = read_bundle(failed.folder)
    assert content["verdict"]["sentence"].startswith("FAILED: ")
    assert [step["reason"] for step in content["steps"] if step["result"] == "failed"] == ["exit code 3"]
    assert "weights" not in {one["kind"] for one in content["lineage"]}  # nothing is certified
    chain.program("infer", "os.kill(os.getppid(), signal.SIGKILL) if os.environ.get('KILL') else None\ntime.sleep(9)")
    killed = chain.run("--stage", "5", KILL="1")
    assert killed.status != 0
    assert not (failed.folder / "bundle.json").exists()


# ---------------------------------------------------------------------------------------------------------- evidence


@pytest.fixture
def kept(run, tmp_path):
    """Evidence of the run, in a folder; `write()` renews it."""
    target = tmp_path / "log"
    files = {"log_train.txt": run.folder / f"{STEM}.log", "summary.json": run.folder / "summary.json"}

    def write(**more):
        one = bundle.Run(run.folder, tag=STEM)
        evidence.keep(one, {**files, **more}, target, "title", is_judged=False)
        return target

    write.target = target
    return write


BESIDE = ("bundle.json", "report.html", "report.md")  # which no bundle lists


def test_evidence_is_a_bundle_of_its_own(kept, run):
    target = kept()
    found = read_bundle(target)
    assert found["tag"] == STEM
    assert {"log_train.txt", "steps.tsv", "junit.xml", "inputs.sha256", "summary.json"} <= set(found["files"])
    assert "configs/train_infer_python.txt" in found["files"]
    assert {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()} == {
        *found["files"],
        *BESIDE,
    }
    logs = {step["name"]: step["log"] for step in found["steps"]}
    assert (logs["train"], logs["evaluate"]) == ("log_train.txt", "eval.log")
    assert read_train_log(target / logs["train"]).train[-1].loss == 0.8
    for path in target.rglob("*"):
        assert path.is_dir() or path.suffix in (".sha256", ".yaml", ".png") or str(run.folder) not in path.read_text()


def test_a_renewed_folder_has_files_of_one_run_only(kept, run):
    extra = run.folder / "results_python.log"
    target = kept(**{"more.log": extra, "predictions/old.json": extra})
    (target / "serving").mkdir()
    (target / "serving/python_server.log").write_text("of another run")
    (target / "training.json").write_text("{}")  # of another program
    kept()
    names = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert not names & {"more.log", "predictions/old.json"}
    assert not (target / "predictions").exists()
    assert {"serving/python_server.log", "training.json"} <= names
    assert read_bundle(target)["files"].keys() == names - {
        *BESIDE,
        "serving/python_server.log",
        "training.json",
    }


@pytest.mark.parametrize("after", [0, 1, 3])
def test_evidence_that_was_killed_half_way_has_no_bundle(kept, monkeypatch, after):
    target = kept()
    moved = []
    replace = Path.replace

    def stop(path, other):
        if len(moved) == after:
            raise KeyboardInterrupt
        moved.append(other)
        return replace(path, other)

    monkeypatch.setattr(evidence.Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        kept()
    assert not (target / "bundle.json").exists()
    assert not (target / "summary.json").exists()
    monkeypatch.undo()
    assert read_bundle(kept())["verdict"]["passed"]


# ------------------------------------------------------------------------------------------------------ small parts


def test_seeds_of_command_lines_and_histories(tmp_path):
    inputs = read_inputs(tmp_path)
    commands = ["python a.py --seed 3", "python b.py -o Global.seed=4 --random-seed=9 --seeds=1", "c.py --seedling 5"]
    assert seeds(inputs, commands, {"one": {"seed": 8}, "two": {}}) == {
        "seed": 3,
        "Global.seed": 4,
        "random-seed": 9,
        "one: seed": 8,
    }


def test_links_change_with_every_parent():
    entries = [
        bundle_lineage.entry("a", "data", "1" * 64),
        bundle_lineage.entry("b", "config", "2" * 64, ["a"]),
        bundle_lineage.entry("c", "weights", None, ["b"]),
        bundle_lineage.entry("d", "model", "3" * 64, ["c"]),
    ]
    first, second, third, last = (one["link"] for one in bundle_lineage.add_links(entries))
    expected = hashlib.sha256(f"config\n{'2' * 64}\n{first}\n".encode()).hexdigest()
    assert (second, third, last) == (expected, None, None)  # of an unknown parent nothing is known


def test_figures_that_are_not_finite_are_null(copied):
    (copied / f"{STEM}_agree.json").write_text('{"largest": Infinity, "spread": NaN}')
    log = str(copied / f"{STEM}_agree.log")
    Path(log).write_text("# command: compare\n")
    with open(copied / "steps.tsv", "a") as stream:
        stream.write(f"{STEM}\tagree\tpassed\t1.0\t\t{log}\t\n")
    bundle.write_run(copied)
    content = json.loads((copied / "bundle.json").read_text())
    assert content["figures"]["agree"] == {"largest": None, "spread": None}


def test_a_folder_without_a_run_is_refused(run_here, tmp_path):
    outcome = run_here("test_tipc/lib/bundle.py", tmp_path)
    assert outcome.status == 1
    assert outcome.err.startswith(f"error: {tmp_path}: expected the output of a chain with its steps.tsv")


def test_a_damaged_summary_or_recording_is_no_fault_of_the_run(copied):
    (copied / "summary.json").write_text("[")
    folder = copied / f"{STEM}_eval_observed"
    folder.mkdir(exist_ok=True)
    (folder / "1.jsonl").write_text("{}\n")
    (folder / "1_0.npz").write_bytes(b"")
    steps = (copied / "steps.tsv").read_text()
    old = next(line.split("\t")[5] for line in steps.splitlines() if line.endswith("_eval.log\t"))
    (copied / "steps.tsv").write_text(steps.replace(old, str(copied / Path(old).name)))
    bundle.write_run(copied)
    content = json.loads((copied / "bundle.json").read_text())
    assert (content["model"], content["chain"], content["config"]["path"]) == (None, None, None)
    assert content["notes"] == [note for note in content["notes"] if note.startswith("evaluate: its recording is not")]
    assert len(content["notes"]) == 1
