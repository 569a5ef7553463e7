"""A network that the export changed: the first operator that parts from it is named, and why."""

import json
import zipfile

import numpy as np
import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number

pytestmark = pytest.mark.skipif(number() >= NO_PDMODEL, reason="the scripts are told to write .pdmodel")

# {network of faulty.py: (cause, the first operator's type if it has one, words of the verdict)}
FAULTS = {
    "dropout": ("dropout", "scale", "dropout was left in training mode in the export"),
    "batch_norm": ("batch_norm", None, "batch norm was left in training mode in the export"),
    "random": ("random", "elementwise_mul", "the export has a random operator: uniform_random"),
    "frozen_if": ("frozen_if", "relu", "relu 'relu_0.tmp_0' where the network ran sigmoid there; 2 of 4 traced images"),
    "scale": ("attribute", "scale", "the scale of scale 'tmp_0' is 3 in the export"),
    "epsilon": ("attribute", "batch_norm", "the epsilon of batch_norm 'batch_norm_0.tmp_2' is 0.001 in the export"),
    "gated": ("attribute", "batch_norm", "the epsilon of batch_norm 'batch_norm_0.tmp_2' is 0.001 in the export"),
    "frozen_output": ("frozen_shape", "bilinear_interp_v2", "makes [1, 4, 16, 16], and the network [1, 4, 24, 24]"),
    "frozen_batch": ("frozen_shape", None, "(operator reshape2)"),
    "softmax_missing": ("softmax_missing", None, "softmax is missing in the exported model"),
    "missing_operator": ("missing_operator", None, "the network goes on with hardswish, and the export ends before it"),
}


def test_a_sound_network_is_not_blamed(faulty):
    found = faulty("sound").diagnose()
    assert found.status == 0, found.out
    assert found.first == (None, None)
    assert found.stage("network")["line"].startswith("network: same, bitwise equal for 4 images of predict")
    assert "verdict: no stage differs" in found.out


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_export_is_named(faulty, name):
    cause, operator, words = FAULTS[name]
    steps = ("export", "predict") if name == "frozen_batch" else ()  # which no script can infer
    found = faulty(name, *steps).diagnose()
    assert found.status == 1
    assert found.first == ("network", cause), found.out
    assert words in found.saved["verdict"]
    assert found.out.splitlines()[-1] == f"error: {found.saved['verdict']}"
    assert found.stage("network").get("operator", {}).get("type") == operator
    assert found.stage("oneDNN")["result"] == "not reached"


def test_what_is_said_of_the_first_operator(faulty):
    found = faulty("scale").diagnose()
    first = found.stage("network")["operator"]
    assert (first["number"], first["of"], first["name"], first["shape"]) == (4, 8, "tmp_0", [1, 8, 14, 14])
    assert first["attributes"]["scale"] == 3.0
    assert first["inputs"][0]["name"] == "relu_0.tmp_0"
    assert np.isclose(first["found"], 1.5 * first["expected"])
    shares = [one["share"] for one in found.stage("network")["operators"]]
    assert shares[:3] == [0.0, 0.0, 0.0]
    assert min(shares[3:]) > 0.1
    assert "first operator that differs: scale 'tmp_0' [1, 8, 14, 14], 4 of 8" in found.out
    assert "its inputs: relu_0.tmp_0 [1, 8, 14, 14]; its attributes: scale=3.0" in found.out


def test_the_picture_is_drawn(faulty):
    found = faulty("scale").diagnose()
    assert (found.folder / "diagnose.png").read_bytes().startswith(b"\x89PNG")


def test_one_stage_only(faulty):
    found = faulty("scale", "export", "predict").diagnose("--stage", "weights")
    assert found.status == 0, found.out
    assert [stage["name"] for stage in found.saved["stages"]] == ["weights"]


def test_all_stages(faulty):
    found = faulty("scale").diagnose("--all")
    assert found.first == ("network", "attribute")
    assert not [stage for stage in found.saved["stages"] if stage["result"] == "not reached"]
    assert found.stage("oneDNN")["result"] == "same"


def test_outputs_of_all_operators_as_files_of_reprod_log(faulty):
    examined = faulty("scale", "export", "predict")
    found = examined.diagnose("--reprod", examined.folder)
    assert "reference.npy and export.npy have the outputs of " in found.out
    compared = examined.folder / "compared.log"
    words = ["test_tipc/lib/diagnose.py", "--reference", examined.folder / "reference.npy"]
    status = examined.warm.run([*words, "--compared", examined.folder / "export.npy"], ".", compared)
    assert status == 1
    assert "error: tmp_0 is the first array that differs: by " in compared.read_text()


def test_a_file_of_reprod_log_is_a_reference(faulty):
    from diagnosis.reprod.arrays import write_reprod

    examined = faulty("scale", "export", "predict")
    call = next(json.loads(line) for line in _lines(examined) if '"event":"call"' in line)
    with np.load(examined.folder / "predict_observed" / call["file"]) as stored:
        arrays = {"data": stored["in0"], "logits": stored["out0"]}
    write_reprod(examined.folder / "forward.npy", arrays)
    options = ["--model_dir", examined.folder, "--output", examined.folder / "again"]
    log = examined.folder / "again.log"
    words = ["test_tipc/lib/diagnose.py", "--reference", examined.folder / "forward.npy", *options]
    assert examined.warm.run(words, ".", log) == 1
    assert "network is the first stage that differs" in log.read_text()


def _lines(examined):
    return next((examined.folder / "predict_observed").glob("*.jsonl")).read_text().splitlines()


@pytest.mark.parametrize("fault", ["cut", "other", "short", "missing"])
def test_a_damaged_trace(faulty, fault):
    examined = faulty("scale", "export", "predict")
    for path in (examined.folder / "predict_observed").glob("*.trace"):
        if fault == "cut":
            path.write_bytes(path.read_bytes()[:-100])
        elif fault == "other":
            path.write_bytes(b"not a trace")
        elif fault == "missing":
            path.unlink()
        else:
            with zipfile.ZipFile(path) as archive:
                operators = archive.read("operators.json")
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("operators.json", operators.replace(b'"type"', b'"kind"'))
    found = examined.diagnose()
    assert found.status == 1
    assert "Traceback" not in found.out
    assert found.out.splitlines()[-1].startswith(f"error: {examined.folder}/predict_observed/")
