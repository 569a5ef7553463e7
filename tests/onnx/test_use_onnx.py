"""`Global.use_onnx=True`, deploy/onnx_python/infer.py and deploy/paddle2onnx/convert.py."""

import shutil

import numpy as np
import pytest

from tests.helpers.scripts import ROOT, assert_one_line, results_of, run_process

CLASSIFY, DETECT = "deploy/python/predict_cls.py", "deploy/python/predict_det.py"
CONVERT, INFER = "deploy/paddle2onnx/convert.py", "deploy/onnx_python/infer.py"


def predict(script, folder, images, *overrides):
    config = "inference_det.yaml" if script == DETECT else "inference_cls.yaml"
    words = [f"Global.inference_model_dir={folder}", f"Global.infer_imgs={images}", *overrides]
    options = [text for word in words for text in ("-o", word)]
    return run_process(script, "-c", ROOT / "deploy/configs" / config, *options)


def lines(outcome):
    assert outcome.status == 0, outcome
    return sorted(results_of(outcome))


@pytest.fixture
def alone(onnx_model, tmp_path):
    """A folder with the ONNX file and what describes it, and nothing of Paddle's."""
    folder = tmp_path / "alone"
    folder.mkdir()
    for path in onnx_model[0].iterdir():
        if path.suffix not in (".pdmodel", ".pdiparams", ".info"):
            shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("engine", ["null", "onnxruntime", "openvino"])
def test_the_same_lines_as_paddle(onnx_model, engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    images = ROOT / "test_images"
    expected = lines(predict(CLASSIFY, onnx_model[0], images, "Global.engine=paddle"))
    found = predict(
        CLASSIFY, onnx_model[0], images, "Global.use_onnx=True", f"Global.engine={engine}", "Global.batch_size=3"
    )
    assert lines(found) == expected
    assert len(expected) == 5
    assert ("OpenVINO on" if engine == "openvino" else "ONNX Runtime on") in found.err


def test_a_detector(onnx_detector):
    images = sorted((ROOT / "lite_data_det/val").glob("*.jpg"))[0]
    expected = lines(predict(DETECT, onnx_detector[0], images, "Global.engine=paddle"))
    assert lines(predict(DETECT, onnx_detector[0], images, "Global.use_onnx=True")) == expected


def test_nothing_of_paddle_is_needed(alone):
    images = ROOT / "test_images"
    found = lines(predict(CLASSIFY, alone, images, "Global.use_onnx=True"))
    assert len(found) == 5
    assert lines(run_process(INFER, f"--onnx_file={alone}/inference.onnx", f"--img_path={images}")) == found
    without = predict(CLASSIFY, alone, images)
    assert_one_line(without, "expected inference.pdmodel or inference.json", "(Global.use_onnx=True reads it)")


def test_what_would_not_be_in_effect_is_refused(onnx_model):
    for switch in ("use_gpu", "use_tensorrt", "enable_mkldnn"):
        outcome = predict(
            CLASSIFY, onnx_model[0], ROOT / "test_images", "Global.use_onnx=True", f"Global.{switch}=True"
        )
        message = f"Global.{switch}=True: a model in ONNX's format is computed on the CPU, without Paddle"
        assert_one_line(outcome, message, status=77)
    outcome = predict(CLASSIFY, onnx_model[0], ROOT / "test_images", "Global.use_onnx=True", "Global.engine=onednn")
    assert_one_line(outcome, "engine onednn: cannot read", "engine=onnxruntime or openvino can")


def test_a_file_that_is_missing_or_cut(exported, alone):
    outcome = predict(CLASSIFY, exported.model, ROOT / "test_images", "Global.use_onnx=True")
    assert_one_line(outcome, f"{exported.model}: expected inference.onnx, found", "convert.py makes it")
    path = alone / "inference.onnx"
    path.write_bytes(path.read_bytes()[:5000])
    for engine in ("onnxruntime", "openvino"):
        outcome = predict(CLASSIFY, alone, ROOT / "test_images", "Global.use_onnx=True", f"Global.engine={engine}")
        if outcome.status != 77:  # it is not installed
            assert_one_line(outcome, f"engine {engine}: {alone}: it cannot run it: ")


# ----------------------------------------------------------------------------------------------------- conversion


def test_conversion_is_checked_and_compared(onnx, exported, tmp_path):
    folder = shutil.copytree(exported.model, tmp_path / "model")
    outcome = run_process(CONVERT, "--model_dir", folder)
    assert outcome.status == 0, outcome
    for size in (1, 8):
        assert f"onnxruntime_batchsize_{size}: largest difference " in outcome.out
    assert f"{folder}/inference.onnx: " in outcome.out
    assert "takes a batch of any size" in outcome.out
    assert sorted(path.name for path in folder.glob(".*")) == []


def test_a_fixed_batch_is_made_on_request(onnx, exported, tmp_path):
    import onnxruntime

    target = tmp_path / "new/two.onnx"
    words = ["--batch_size", "2", "--save_file", target, "--opset_version", "11"]
    outcome = run_process(CONVERT, "--model_dir", exported.model, *words)
    assert outcome.status == 0, outcome
    assert "takes batches of 2" in outcome.out
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert entry.shape == [2, 3, 32, 32]
    with pytest.raises(Exception, match=r"(?i)invalid dimensions"):
        session.run(None, {entry.name: np.zeros((1, 3, 32, 32), np.float32)})


def test_what_disagrees_is_not_written(onnx, exported, tmp_path, monkeypatch, run_here):
    from ppcls_lite.infer.engines import to_onnx

    def wrong(files, opset):
        model = onnx.load_from_string(real(files, opset))
        (softmax,) = [node for node in model.graph.node if node.op_type == "Softmax"]
        model.graph.output[0].name = softmax.input[0]
        model.graph.node.remove(softmax)
        return model.SerializeToString()

    real = to_onnx.convert_to_onnx
    monkeypatch.setattr(to_onnx, "convert_to_onnx", wrong)
    outcome = run_here(CONVERT, "--model_dir", exported.model, "--save_file", tmp_path / "inference.onnx")
    assert "DISAGREES" in outcome.out
    assert_one_line(outcome, "the ONNX file does not give what the exported model gives: not written")
    assert list(tmp_path.iterdir()) == []


def test_wrong_words(exported, tmp_path):
    assert_one_line(run_process(CONVERT, "--model_dir", tmp_path), "expected inference.pdmodel or inference.json")
    outcome = run_process(CONVERT, "--model_dir", exported.model, "--save_file", "model.bin")
    assert_one_line(outcome, "--save_file: expected a name that ends in .onnx, found model.bin")
    assert_one_line(run_process(INFER, "--onnx_file=none.onnx", "--img_path=x"), "none.onnx: no such ONNX file")
