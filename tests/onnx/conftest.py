"""An exported network and a detector with their ONNX files, made once; skipped where Paddle2ONNX is not installed."""

import shutil

import pytest

from tests.helpers.scripts import ROOT, run_process

CONVERT, AGREE = "test_tipc/lib/convert_onnx.py", "test_tipc/lib/agree_onnx.py"


def convert(model, target, *options, opset=10, structure="inference.pdmodel"):
    """Run the chain's converter as a config of the official suites has it."""
    words = [f"--model_dir={model}", f"--model_filename={structure}", "--params_filename=inference.pdiparams"]
    words += [f"--save_file={target}", f"--opset_version={opset}", "--enable_onnx_checker=True"]
    return run_process(CONVERT, *words, *options)


@pytest.fixture(scope="session")
def onnx():
    """The package; all that needs it is skipped without it, and without Paddle2ONNX and ONNX Runtime."""
    for name in ("paddle2onnx", "onnxruntime"):
        pytest.importorskip(name, reason=f"no {name}: pip install -r requirements-engines.txt")
    return pytest.importorskip("onnx")


@pytest.fixture(scope="session")
def onnx_model(onnx, exported, tmp_path_factory):
    """(folder of the exported model with its inference.onnx, what the converter said)."""
    folder = tmp_path_factory.mktemp("onnx") / "model"
    shutil.copytree(exported.model, folder)
    outcome = convert(folder, folder / "inference.onnx")
    assert outcome.status == 0, outcome
    return folder, outcome.out


@pytest.fixture(scope="session")
def onnx_detector(onnx, tmp_path_factory):
    """The same of a detector with provided weights: random ones leave many boxes in ties of two scores."""
    folder = tmp_path_factory.mktemp("onnx_det") / "model"
    words = ["Arch.Backbone.name=MobileNetV3_small_x1_0", f"Global.save_inference_dir={folder}"]
    words.append(f"Global.pretrained_model={ROOT / 'pretrain_models/CenterNet_MobileNetV3_small_x1_0'}")
    words.append("Infer.PostProcess.class_id_map_file=null")  # the names belong to a data set that is not needed here
    options = [text for word in words for text in ("-o", word)]
    made = run_process("tools/export_model.py", "-c", "ppcls_lite/configs/detection/centernet_stamps.yaml", *options)
    assert made.status == 0, made.err
    outcome = convert(folder, folder / "inference.onnx")
    assert outcome.status == 0, outcome
    return folder, outcome.out
