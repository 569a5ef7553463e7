"""The two formats of an exported model: which one is written, and that every command reads both."""

import json
import shutil

import numpy as np
import pytest

from ppcls_lite.infer.engines import EngineOptions, available_engines, create_engine, to_onnx
from ppcls_lite.infer.model import storage
from ppcls_lite.infer.model.files import find_model, given_files
from ppcls_lite.infer.model.pir import read_pir
from ppcls_lite.utils import paddle_version
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.paddle_version import export_format, installed, number
from tests.helpers.scripts import ROOT, assert_one_line, run_process

IMAGES = np.random.default_rng(0).standard_normal((3, 3, 32, 32), dtype=np.float32)
EXPORT = "tools/export_model.py"

# ---- which format


@pytest.mark.parametrize(
    ("version", "stated", "name"),
    [
        ("2.6.2", None, "pdmodel"),
        ("3.0.0", None, "pdmodel"),
        ("3.1.1", None, "pdmodel"),
        ("3.2.0", None, "json"),
        ("3.3.1", None, "json"),
        ("3.10.0", None, "json"),
        ("0.0.0", None, "json"),  # a build of the development branch
        ("3.4.0.dev20261101", None, "json"),
        ("3.1.1", "json", "json"),
        ("3.3.1", "pdmodel", "pdmodel"),  # tried: it works for networks without the functions that moved
    ],
)
def test_the_format_of_a_version(monkeypatch, version, stated, name):
    monkeypatch.setattr(paddle_version, "installed", lambda: version)
    chosen = export_format(stated)
    assert (chosen.name, chosen.structure) == (name, f"inference.{name}")
    if stated:
        assert chosen.why == "as Global.export_format says"
    elif name == "json":
        assert version in chosen.why


@pytest.mark.parametrize(
    ("version", "stated", "message"),
    [
        ("2.6.2", "json", "Global.export_format: expected pdmodel, found json, which Paddle 2.6.2 does not have"),
        ("3.1.1", "jsn", r"expected pdmodel or json, found 'jsn' \(did you mean 'json'\?\)"),
        ("3.1.1", "", "expected pdmodel or json, found ''"),
    ],
)
def test_a_format_that_cannot_be(monkeypatch, version, stated, message):
    monkeypatch.setattr(paddle_version, "installed", lambda: version)
    with pytest.raises(UserError, match=message):
        export_format(stated)


def test_the_installed_version():
    import paddle

    assert installed() == paddle.__version__
    assert number() >= (2, 6, 0)


def test_no_paddle_is_one_line(monkeypatch):
    monkeypatch.setattr(paddle_version.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"this Python has no Paddle: pip install -r requirements\.txt"):
        installed()


def test_the_log_says_which_format_and_why(exported, exported_json, tmp_path):
    outcome = run_process(EXPORT, "-c", exported.config, "-o", f"Global.save_inference_dir={tmp_path}/new")
    said = "in the format pdmodel, which every Paddle reads, and Paddle Lite and C++ servers need"
    if number() < paddle_version.NO_PDMODEL:
        assert said in outcome.out + outcome.err
    names = {path.name for path in exported_json.iterdir()}
    assert names == {"inference.json", "inference.pdiparams", "inference.yml", "label_list.txt"}


def test_a_network_that_pdmodel_cannot_hold_is_one_line(exported, tmp_path, monkeypatch):
    """As from 3.2 on, where functions in C++ do not take a program's variables."""
    from ppcls_lite.infer import export

    config = load_config(exported.config, [f"Global.save_inference_dir={tmp_path}/new", "Global.export_format=pdmodel"])
    monkeypatch.setattr(export.paddle, "__version__", "3.3.1")

    def fail(*words, **more):
        raise TypeError("multiply(): argument (position 1) must be Value, but got Variable")

    monkeypatch.setattr(export.paddle.jit, "save", fail)
    message = r"Paddle 3.3.1 cannot write this network in that format \(multiply\(\): "
    with pytest.raises(UserError, match=message) as caught:
        export.export(config)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "new").iterdir()) == []
    monkeypatch.setattr(export.paddle, "__version__", "3.1.1")  # there it is a fault of ours
    with pytest.raises(TypeError):
        export.export(config)


@pytest.mark.parametrize("words", [["--names", "model"], ["--separate_params"]])
def test_json_has_one_form(exported, exported_json, tmp_path, words):
    options = [f"Global.save_inference_dir={tmp_path}/new", "Global.export_format=json"]
    outcome = run_process(EXPORT, "-c", exported.config, *words, *(part for one in options for part in ("-o", one)))
    assert_one_line(outcome, "is of the format pdmodel; this one is json, as Global.export_format says")
    assert not (tmp_path / "new").exists()


def test_a_name_and_weights_are_exported_in_either_format(exported, exported_json, tmp_path):
    from tests.helpers.configs import NETWORK

    words = [f"--m={NETWORK}", f"--p={exported.weights}", f"--o={tmp_path}/new", "-o", "Global.export_format=json"]
    outcome = run_process(EXPORT, *words)
    assert outcome.status == 0, outcome
    assert (tmp_path / "new/inference.json").is_file()


def test_two_formats_in_one_folder_are_refused(exported, exported_json, tmp_path, run_here):
    shutil.copytree(exported_json, tmp_path / "model")
    outcome = run_process(EXPORT, "-c", exported.config, "-o", f"Global.save_inference_dir={tmp_path}/model")
    assert_one_line(outcome, "holds inference.json, from a model in another form: choose another folder")


# ---- every engine and command reads both


@pytest.mark.parametrize("name", ["paddle", "onednn", "openvino", "onnxruntime", "training_export"])
def test_every_engine_reads_json(exported, exported_json, name):
    reason = available_engines(None, exported_json)[name]
    if reason:
        pytest.skip(reason)
    strict = EngineOptions(ir_optim=name == "onednn", cpu_num_threads=1)
    expected = create_engine("paddle", exported.model, EngineOptions().strict()).run(IMAGES)
    with create_engine(name, exported_json, strict) as engine:
        found = engine.run(IMAGES)
    assert np.abs(found - expected).max() <= 1e-5
    if name in ("paddle", "training_export"):
        assert (found == expected).all()


def test_json_is_compared_with_all_engines(exported, exported_json, run_here):
    options = ["-c", exported.config, "--inference_model_dir", exported_json, "--engines", "all"]
    outcome = run_here("tools/compare_engines.py", *options)
    assert outcome.status == 0, outcome
    assert "strict: largest difference 0 (bitwise equality required), 7 of 7 images bitwise equal" in outcome.out


def test_both_formats_are_predicted_alike(exported, exported_json):
    def lines(script, *options):
        outcome = run_process(script, *options)
        assert outcome.status == 0, outcome
        return outcome.out

    config = ["-c", ROOT / "deploy/configs/inference_cls.yaml", "-o", f"Global.infer_imgs={ROOT}/test_images"]
    first, second = (
        lines("deploy/python/predict_cls.py", *config, "-o", f"Global.inference_model_dir={model}")
        for model in (exported.model, exported_json)
    )
    assert first == second
    images = f"--i={ROOT}/test_images"
    first, second = (lines("tools/infer/py_infer.py", images, f"--d={one}") for one in (exported.model, exported_json))
    assert first == second
    named = ["--m=inference.json", "--p=inference.pdiparams"]
    assert lines("tools/infer/py_infer.py", images, f"--d={exported_json}", *named) == first


# ---- what a file of this format says, and wrong ones


def test_the_structure_is_read(exported, exported_json):
    program = read_pir(exported_json / "inference.json")
    assert [(one.name, one.dtype, one.shape) for one in program.inputs] == [("x", "float32", [-1, 3, 32, 32])]
    assert [one.shape for one in program.outputs] == [[-1, 3]]
    assert storage.variables(exported_json / "inference.json").values()
    assert {"conv2d", "softmax"} <= set(program.operators)
    assert set(program.constants) >= {"full_int_array"}
    assert "combine" not in program.operators  # PIR's own: it computes nothing


def test_lists_and_branches_are_seen(exported_json, tmp_path):
    program = json.loads((exported_json / "inference.json").read_bytes())
    operator = next(op for op in program["program"]["regions"][0]["blocks"][0]["ops"] if op["#"].endswith(".softmax"))
    operator["O"][0]["TT"]["#"] = "0.t_vec"
    (tmp_path / "inference.json").write_text(json.dumps(program))  # Paddle's hook does not see lists
    kinds = storage.operators(exported_json / "inference.json").kinds
    assert storage.operators(tmp_path / "inference.json").kinds == kinds[:-1]
    operator["regions"] = [{"blocks": []}]
    (tmp_path / "inference.json").write_text(json.dumps(program))
    assert storage.operators(tmp_path / "inference.json").branches


def without_weights(program):
    ops = program["program"]["regions"][0]["blocks"][0]["ops"]
    ops[:] = [op for op in ops if op["#"] != "p"]


def with_two_blocks(program):
    program["program"]["regions"][0]["blocks"] *= 2


def with_an_input_without_a_name(program):
    next(op for op in program["program"]["regions"][0]["blocks"][0]["ops"] if op["#"] == "1.data")["A"] = []


def with_a_name_that_clears_the_screen(program):
    ops = program["program"]["regions"][0]["blocks"][0]["ops"]
    next(op for op in ops if op["#"] == "p")["A"][3] = "\x1b[2J\nerror: none"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a Paddle program in JSON, or damaged"),
        (b"{", "not a Paddle program in JSON, or damaged"),
        (b"[" * 100_000, "not a Paddle program in JSON, or damaged"),
        (b"\xff\xfe", "not a Paddle program in JSON, or damaged"),
        (b"[]", "not an inference model as Paddle 3 writes it"),
        (b'{"base_code": {"magic": "pir"}, "program": {"regions": 3}}', "not an inference model"),
        (b'{"base_code": {"magic": "other"}, "program": {}}', "not an inference model"),
        (with_two_blocks, "not an inference model"),
        (with_an_input_without_a_name, "not an inference model"),
        (with_a_name_that_clears_the_screen, "not an inference model"),
        (without_weights, "holds .* variables, inference.json has 0"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_wrong_structures(exported_json, tmp_path, content, message):
    if callable(content):
        program = json.loads((exported_json / "inference.json").read_bytes())
        content(program)
        content = json.dumps(program).encode()
    shutil.copytree(exported_json, tmp_path, dirs_exist_ok=True)
    (tmp_path / "inference.json").write_bytes(content)
    for name in ("paddle", "training_export"):
        with pytest.raises(UserError, match=message) as caught:
            create_engine(name, tmp_path)
        assert "\n" not in str(caught.value)


def test_cut_and_foreign_weights_of_json_are_refused(exported_json, tmp_path):
    """Paddle itself loads them without an error."""
    shutil.copytree(exported_json, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "inference.pdiparams"
    path.write_bytes(path.read_bytes()[:-10])
    for name in ("paddle", "training_export"):
        with pytest.raises(UserError, match=r"inference\.pdiparams: "):
            create_engine(name, tmp_path)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('[ERROR] Failed: no such operator'); sys.exit(255)", r"\[ERROR\] Failed: no such operator"),
        ("import os; os.kill(os.getpid(), 9)", "it ended with status -9"),
        ("pass", "it ended with status 0"),
    ],
)
def test_a_converter_that_ends_its_process_is_one_line(exported_json, monkeypatch, code, reason):
    """Paddle2ONNX calls `exit` for what it cannot convert."""
    monkeypatch.setattr(to_onnx, "_CONVERT", f"import sys; {code}")
    with pytest.raises(UserError, match=f"^{exported_json}: Paddle2ONNX cannot convert it: {reason}$"):
        to_onnx.convert_to_onnx(find_model(exported_json))


def test_json_has_its_weights_in_one_file(exported_json):
    with pytest.raises(UserError, match=r"inference\.json: expected its weights in one file"):
        given_files(exported_json / "inference.json")
    assert find_model(exported_json).is_json
