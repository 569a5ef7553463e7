"""The ONNX file against the exported model: each planted fault is found, and named in one line."""

import json
import shutil

import numpy as np
import pytest

from agreement.outputs import Outputs
from tests.helpers.scripts import assert_one_line, run_process
from tests.onnx.conftest import AGREE, convert


def agree(folder, *options, onnx="inference.onnx", **environment):
    """Run the comparison of the two files in a folder."""
    return run_process(AGREE, folder / onnx, "--structure", folder / "inference.pdmodel", *options, **environment)


@pytest.fixture
def planted(onnx, onnx_model, tmp_path):
    """`planted(change)`: the folder of the model, `change(model)` applied to its ONNX file."""

    def plant(change):
        folder = shutil.copytree(onnx_model[0], tmp_path / "model")
        model = onnx.load(str(folder / "inference.onnx"))
        change(model)
        onnx.save(model, str(folder / "inference.onnx"))
        return folder

    return plant


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_file_agrees_in_batches_of_1_and_8(onnx_model, tmp_path, engine):
    pytest.importorskip(engine)
    outcome = agree(onnx_model[0], "--engine", engine, "--save", tmp_path / "figures.json")
    assert outcome.status == 0, outcome
    assert "valid, opset 10" in outcome.out
    assert "x float32 [?, 3, 32, 32]" in outcome.out
    for size in (1, 8):
        assert f"{engine}_batchsize_{size}: largest difference " in outcome.out
    figures = json.loads((tmp_path / "figures.json").read_text())["batch_sizes"]
    assert 0 < figures["1"]["largest"] < 1e-5
    assert figures["8"]["fault"] == ""
    rows = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "figures_predictions").iterdir()}
    expected, found = rows["strict"]["rows"], rows[engine]["rows"]
    assert rows[engine]["against"] == "strict.json"
    assert expected.keys() == found.keys()
    apart = max(abs(a - b) for key in expected for a, b in zip(expected[key], found[key]))
    assert apart == pytest.approx(figures["1"]["largest"], rel=0.01)


def test_a_detector_agrees_in_all_its_outputs(onnx_detector):
    outcome = agree(onnx_detector[0])
    assert outcome.status == 0, outcome
    assert "5 outputs" in outcome.out
    assert "0 without a partner" in outcome.out


def test_other_weights(planted):
    def change(model):
        for weight in model.graph.initializer:
            if len(weight.dims) == 4:
                weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) * np.float32(1.05)).tobytes()

    outcome = agree(planted(change))
    assert "DISAGREES" in outcome.out
    assert_one_line(outcome, "inference.onnx: ONNX Runtime", "batch size 1", "class ", ": expected ", ", found ")


def test_the_file_of_another_model(exported, onnx_model, tmp_path):
    """The same network with other weights, exported for itself: the usual mistake."""
    from ppcls_lite.infer.model.storage import variables
    from ppcls_lite.utils.tensor_files import read_tensors

    folder = shutil.copytree(onnx_model[0], tmp_path / "model")
    params = folder / "inference.pdiparams"
    content = bytearray(params.read_bytes())
    for name, (_, end, array) in zip(variables(folder / "inference.pdmodel"), read_tensors(params)):
        if array.ndim == 4 and "conv" in name:
            content[end - array.nbytes : end] = (array * np.float32(0.9)).tobytes()
    params.write_bytes(content)
    assert_one_line(agree(folder), "expected ", "found ")


def test_a_fixed_batch_where_any_is_expected(planted):
    def change(model):
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1

    message = "the input 'x' is [1, 3, 32, 32], and [?, 3, 32, 32] in the exported model: the batch is fixed"
    assert_one_line(agree(planted(change)), message)


def test_a_batch_that_is_fixed_within_the_network(onnx, planted):
    """The input says that any batch will do, and a reshape further on does not take it."""

    def change(model):
        output = model.graph.output[0]
        shape = onnx.helper.make_tensor("one_row", onnx.TensorProto.INT64, [2], [1, 3])
        model.graph.initializer.append(shape)
        last = next(node for node in model.graph.node if output.name in node.output)
        last.output[list(last.output).index(output.name)] = "before"
        model.graph.node.append(onnx.helper.make_node("Reshape", ["before", "one_row"], [output.name]))

    assert_one_line(agree(planted(change)), "inference.onnx: ")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_cut_file(onnx_model, tmp_path, share):
    folder = shutil.copytree(onnx_model[0], tmp_path / "model")
    content = (folder / "inference.onnx").read_bytes()
    (folder / "inference.onnx").write_bytes(content[: int(len(content) * share)])
    assert_one_line(agree(folder), "inference.onnx: not a whole and valid ONNX file")


def test_files_that_are_none(onnx_model, tmp_path):
    folder = shutil.copytree(onnx_model[0], tmp_path / "model")
    (folder / "text.onnx").write_text("<html>not found</html>")
    (folder / "empty.onnx").write_bytes(b"")
    assert_one_line(agree(folder, onnx="text.onnx"), "text.onnx: not a whole and valid ONNX file")
    assert_one_line(agree(folder, onnx="empty.onnx"), "empty.onnx: not a whole and valid ONNX file")
    assert_one_line(agree(folder, onnx="none.onnx"), "none.onnx: no such ONNX file")


def test_a_softmax_that_is_missing(planted):
    def change(model):
        (softmax,) = [node for node in model.graph.node if node.op_type == "Softmax"]
        model.graph.output[0].name = softmax.input[0]
        model.graph.node.remove(softmax)

    assert_one_line(agree(planted(change)), "expected ", "found ")


def test_other_preprocessing_in_the_file(onnx, planted):
    def change(model):
        half = onnx.helper.make_tensor("half", onnx.TensorProto.FLOAT, [], [0.5])
        model.graph.initializer.append(half)
        name = model.graph.input[0].name
        for node in model.graph.node:
            for place, one in enumerate(node.input):
                if one == name:
                    node.input[place] = "scaled"
        model.graph.node.insert(0, onnx.helper.make_node("Mul", [name, "half"], ["scaled"]))

    assert_one_line(agree(planted(change)), "expected ", "found ")


def test_another_name_of_the_input(planted):
    def change(model):
        name = model.graph.input[0].name
        for node in model.graph.node:
            for place, one in enumerate(node.input):
                if one == name:
                    node.input[place] = "image"
        model.graph.input[0].name = "image"

    assert_one_line(agree(planted(change)), "expected the input 'x' of the exported model, found image")


def test_an_engine_that_is_not_installed_is_skipped(onnx_model, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'openvino' else find(name, *more)\n"
    )
    outcome = agree(onnx_model[0], "--engine", "openvino", PYTHONPATH=str(tmp_path))
    assert outcome.status == 77
    assert outcome.out.splitlines()[-1] == "openvino: not compared: the package openvino is not installed"


def test_an_operator_that_cannot_be_converted_is_named(onnx, tmp_path):
    script = tmp_path / "export.py"
    script.write_text(
        "import paddle, sys\n"
        "class Net(paddle.nn.Layer):\n"
        "    def forward(self, x):\n"
        "        return paddle.linalg.svd(x.mean(axis=1))[1]\n"
        "spec = [paddle.static.InputSpec([None, 3, 8, 8], 'float32', 'x')]\n"
        "paddle.jit.save(Net(), sys.argv[1], input_spec=spec)\n"
    )
    made = run_process(script, tmp_path / "model/inference", FLAGS_enable_pir_api="0")
    assert made.status == 0, made.err
    (tmp_path / "model/inference.pdiparams").touch()
    outcome = convert(tmp_path / "model", tmp_path / "out/inference.onnx")
    assert_one_line(outcome, "Paddle2ONNX cannot convert it: it has no converter for the operator svd")
    assert not list((tmp_path / "out").iterdir())
    library = run_process("deploy/paddle2onnx/convert.py", "--model_dir", tmp_path / "model")
    assert_one_line(library, "it has no converter for the operator svd")
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir()) == [".pdiparams", ".pdmodel"]


# ----------------------------------------------------------------------------------------- outputs, without a model


def outputs(expected, found, limit=1e-5):
    compared = Outputs([f"o{place}" for place in range(len(expected))], limit)
    compared.add(expected, found, list(range(len(expected[0]))))
    return compared


def scores(*rows):
    return np.array(rows, dtype=np.float32)


def test_answers_that_are_the_same_for_all_images_do_not_pass():
    same = scores([0.2, 0.8], [0.2, 0.8], [0.2, 0.8])
    assert outputs([same], [same]).fault.endswith("they do not depend on the image")
    other = scores([0.2, 0.8], [0.2, 0.8], [0.3, 0.7])
    assert outputs([other], [other]).fault == ""


def test_the_limit_is_absolute_up_to_1_and_then_a_share():
    for largest, apart, agrees in ((1.0, 9e-6, True), (1.0, 2e-5, False), (100.0, 9e-4, True), (100.0, 2e-3, False)):
        expected = scores([largest, 0.1], [0.3, 0.4])
        found = expected + np.float32([[apart, 0], [0, 0]])
        assert (outputs([expected], [found]).fault == "") == agrees, (largest, apart)


def test_nan_shape_and_missing_boxes():
    expected = scores([0.1, 0.9], [0.8, 0.2])
    assert "found nan" in outputs([expected], [scores([np.nan, 0.9], [0.8, 0.2])]).fault
    assert "expected [2, 2], found [2, 3]" in outputs([expected], [np.zeros((2, 3), np.float32)]).fault
    assert outputs([np.zeros((2, 0), np.float32)], [np.zeros((2, 0), np.float32)]).fault.startswith("no output")
    boxes = np.array([[[1, 0.9, 2, 3, 20, 30]], [[0, 0.8, 4, 5, 40, 50]]], dtype=np.float32)
    moved = boxes + np.float32([0, 0, 0.5, 0, 0, 0])
    assert outputs([boxes], [boxes]).fault == ""
    assert "without a partner" in outputs([boxes], [moved]).fault


def test_classes_of_a_map_may_be_in_a_tie_here_and_there():
    expected = np.zeros((2, 64, 64), np.int64)
    few, many = expected.copy(), expected.copy()
    few[0, 0, :3], many[0, :9] = 1, 1
    assert outputs([expected], [few]).fault == ""
    assert "576 of 8192 whole numbers differ" in outputs([expected], [many]).fault
