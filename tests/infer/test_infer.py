"""Prediction: top-k, printed lines, both engines, export, and the comparison that must see every planted fault."""

import ast
import re
import shutil

import numpy as np
import pytest
import yaml

from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.infer.model.postprocess import Topk, build_postprocess, format_line, format_record, read_label_names
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write
from tests.helpers.scripts import ROOT, assert_one_line, run_process

PREDICTION = "deploy/configs/inference_cls.yaml"
IMAGES = sorted(path for path in (ROOT / "test_images").glob("*.jpg"))
LINE = re.compile(
    r"^(?P<file>[^/]+): class id\(s\): (?P<ids>\[\d+(?:, \d+)*\]), "
    r"score\(s\): (?P<scores>\[\d\.\d\d(?:, \d\.\d\d)*\]), label_name\(s\): (?P<names>\[.*\])$"
)


# ---- top-k


def test_topk_with_ties_and_few_classes():
    scores = np.array([[0.2, 0.4, 0.4, 0.0], [0.25, 0.25, 0.25, 0.25]], np.float32)
    first, second = Topk(3)(scores)
    assert first == {"class_ids": [1, 2, 0], "scores": [0.4, 0.4, 0.2], "label_names": []}
    assert second["class_ids"] == [0, 1, 2]
    assert [len(result["class_ids"]) for result in Topk(9)(scores)] == [4, 4]
    many = np.tile(np.array([0.5, 0.25], np.float32), (1, 500))
    assert Topk(7)(many)[0]["class_ids"] == [0, 2, 4, 6, 8, 10, 12]


def test_names_stay_in_step_with_their_ids(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeff0 hen\n\n2 ruffed grouse, partridge\n3 coq doré\n1\n".encode())  # 1 has an empty name
    (result,) = Topk(4, path)(np.array([[0.1, 0.4, 0.3, 0.2]]))
    assert result["class_ids"] == [1, 2, 3, 0]
    assert result["label_names"] == ["", "ruffed grouse, partridge", "coq doré", "hen"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected lines '<id> <name>', found none"),
        (b"0 hen\ncock\n", r":2: expected '<id> <name>', found 'cock'"),
        (b"0 hen\n-1 cock\n", r":2: expected '<id> <name>'"),
        (b"0 hen\n0 cock\n", r":2: class 0 has a name already: 'hen'"),
        (b"0 \xff\n", "cannot be read"),
    ],
)
def test_wrong_label_file(tmp_path, content, message):
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        read_label_names(path)
    assert str(path) in str(raised.value)
    with pytest.raises(UserError, match="cannot be read"):
        read_label_names(tmp_path / "none.txt")
    with pytest.raises(UserError, match="cannot be read"):
        read_label_names(tmp_path)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"topk": 0}, "topk: expected a whole number of at least 1, found 0"),
        ({"topk": "five"}, "topk: expected a whole number of at least 1, found 'five'"),
        ({"name": "topk"}, r"^PostProcess.name: unknown post-processing 'topk' \(did you mean 'Topk'\?\); known: "),
        ({"name": ["Topk"]}, "PostProcess.name: unknown post-processing"),
        ({"topk": True}, "topk: expected a whole number of at least 1, found True"),
        ({"topk": 1, "threshold": 2}, "unknown key 'threshold'"),
    ],
)
def test_wrong_postprocess(section, message):
    with pytest.raises(UserError, match=message):
        build_postprocess(section)


def test_official_label_list_names_every_class():
    names = Topk(5, "ppcls/utils/imagenet1k_label_list.txt").names
    assert sorted(names) == list(range(1000))
    assert names[8] == "hen"


def test_formats_are_those_of_the_documents():
    result = {"class_ids": [8, 7], "scores": [0.92473, 7e-05], "label_names": ["hen", "cock's"]}
    assert format_line(result, "a/b/whl_demo.jpg") == (
        "whl_demo.jpg: class id(s): [8, 7], score(s): [0.92, 0.00], label_name(s): ['hen', \"cock's\"]"
    )
    assert str([format_record(result, "docs/whl_demo.jpg")]) == (
        "[{'class_ids': [8, 7], 'scores': [0.92473, 7e-05], 'file_name': 'docs/whl_demo.jpg', "
        "'label_names': ['hen', \"cock's\"]}]"
    )


# ---- both scripts on the test images


def predict(run_here, model, *options):
    given = ["-c", ROOT / PREDICTION, "-o", f"Global.inference_model_dir={model}"]
    return run_here("deploy/python/predict_cls.py", *given, "-o", f"Global.infer_imgs={ROOT}/test_images", *options)


def test_both_engines_print_the_same(exported, run_here):
    outcome = run_here("tools/infer.py", "-c", exported.config, "-o", "Infer.infer_imgs=" + str(ROOT / "test_images"))
    assert outcome.status == 0, outcome.err
    (batch,) = map(ast.literal_eval, outcome.out.splitlines())
    assert [record["file_name"] for record in batch] == [str(path) for path in IMAGES]
    assert all(list(record) == ["class_ids", "scores", "file_name", "label_names"] for record in batch)
    for size in (1, 3):
        options = ["-o", f"Global.infer_imgs={ROOT}/test_images", "-o", f"Global.batch_size={size}"]
        outcome = predict(run_here, exported.model, *options)
        assert outcome.status == 0, outcome.err
        matches = [LINE.match(line) for line in outcome.out.splitlines()]
        assert len(matches) == len(batch)
        for match, record in zip(matches, batch):
            assert record["file_name"].endswith("/" + match["file"])
            assert ast.literal_eval(match["ids"]) == record["class_ids"]
            assert ast.literal_eval(match["names"]) == record["label_names"]
            assert match["scores"] == "[" + ", ".join(f"{score:.2f}" for score in record["scores"]) + "]"
    assert len({tuple(record["scores"]) for record in batch}) == len(batch)  # the weights do tell images apart


def test_batches_of_the_training_engine(exported, run_here):
    options = ["-o", "Infer.batch_size=2", "-o", "Infer.PostProcess.topk=1"]
    outcome = run_here("tools/infer.py", "-c", exported.config, *options)
    batches = [ast.literal_eval(line) for line in outcome.out.splitlines()]
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert all(len(record["class_ids"]) == 1 for batch in batches for record in batch)


def test_single_image_list_file_and_benchmark(exported, run_here, tmp_path):
    outcome = predict(run_here, exported.model, "-o", f"Global.infer_imgs={IMAGES[1]}", "-o", "Global.benchmark=True")
    line, *benchmark, times = outcome.out.splitlines()
    assert LINE.match(line)["file"] == IMAGES[1].name
    assert any(re.fullmatch(r"\[\S+ \S+\] root INFO:  enable_mkldnn: True", text) for text in benchmark)
    assert "1 images, batch size 1, milliseconds per image: preprocess" in times
    names = tmp_path / "list.txt"
    names.write_text("".join(f"{path} 0\n" for path in IMAGES[:2]))
    assert len(predict(run_here, exported.model, "-o", f"Global.infer_imgs={names}").out.splitlines()) == 2


@pytest.mark.parametrize("engine", ["training", "inference"])
def test_broken_image_among_good_ones(exported, run_here, tmp_path, engine):
    for path in IMAGES[:2]:
        shutil.copy(path, tmp_path)
    (tmp_path / "broken.jpg").write_bytes(IMAGES[0].read_bytes()[:200])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not an image")
    if engine == "training":
        outcome = run_here("tools/infer.py", "-c", exported.config, "-o", f"Infer.infer_imgs={tmp_path}")
        assert len(ast.literal_eval(outcome.out)) == 2
    else:
        outcome = predict(run_here, exported.model, "-o", f"Global.infer_imgs={tmp_path}", "-o", "Global.batch_size=2")
        assert len(outcome.out.splitlines()) == 2
    assert outcome.status == 1
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1].rpartition("/")[2] for line in errors] == ["broken.jpg", "empty.png"]
    assert "skipped files that are not images: 1" in outcome.err
    assert "Traceback" not in outcome.err


def test_documented_command_from_the_deploy_folder(exported):
    """As in the documents: from `deploy`, with relative paths; and it does not take the screen for its log."""
    outcome = run_process(
        "deploy/python/predict_cls.py",
        *("-c", "configs/inference_cls.yaml", "-o", f"Global.inference_model_dir={exported.model}"),
        cwd=ROOT / "deploy",
    )
    assert outcome.status == 0, outcome.err
    assert [LINE.match(line)["file"] for line in outcome.out.splitlines()] == ["ILSVRC2012_val_00000010.jpeg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["Global.inference_model_dir=no/such"], "no/such: expected a folder with an exported model, found nothing"),
        (["Global.inference_model_dir={images}"], "expected inference.pdmodel or inference.json, and inference.pd"),
        (["Global.inference_model_dir={images}/chelsea.jpg"], "found a file"),
        (["Global.inference_model_dir=null"], "'Global.inference_model_dir' is missing"),
        (["Global.infer_imgs=null"], "'Global.infer_imgs' is missing"),
        (["Global.infer_imgs=none.jpg"], "none.jpg: no such image, folder or list file"),
        (["Global.batch_size=0"], "batch_size: expected a whole number of at least 1, found 0"),
        (["Global.cpu_num_threads=0"], "Global.cpu_num_threads: expected a whole number of at least 1, found 0"),
        (["Global.use_gpu=Fasle"], "expected True or False, found 'Fasle' (did you mean 'False'?)"),
        (["Global.use_gpus=True"], "did you mean 'use_gpu'"),
        (["PostProcess.topk=0"], "PostProcess.topk: expected a whole number of at least 1"),
        (["PostProcess.class_id_map_file=none.txt"], "none.txt: class_id_map_file cannot be read"),
        (["PreProcess.transform_ops=[{ResizeImag: {size: 8}}]"], "did you mean 'ResizeImage'"),
        (["PreProcess.transform_ops=[{ResizeImage: {size: 32}}]"], "is NormalizeImage or ToCHWImage missing?"),
        (
            ["PreProcess.transform_ops=[{NormalizeImage: {order: ''}}, ToCHWImage]", "Global.batch_size=5"],
            "images of one batch differ in shape, (3, ",
        ),
    ],
    ids=str,
)
def test_wrong_prediction(exported, run_here, options, message):
    options = [word for option in options for word in ("-o", option.replace("{images}", f"{ROOT}/test_images"))]
    outcome = predict(run_here, exported.model, *options)
    assert outcome.status == 1
    assert "Traceback" not in outcome.err
    assert message in next(line for line in outcome.err.splitlines() if line.startswith("error: "))
    assert not outcome.out


def test_stated_preprocessing_is_used_with_a_warning(exported, run_here, write_config):
    prediction = yaml.safe_load((ROOT / PREDICTION).read_text())
    prediction["Global"].update(inference_model_dir=str(exported.model), infer_imgs=str(IMAGES[1]))
    own = yaml.safe_load((exported.model / "inference.yml").read_text())["PreProcess"]["transform_ops"]
    prediction["PreProcess"]["transform_ops"] = own

    def run():
        return run_here("deploy/python/predict_cls.py", "-c", write_config(prediction))

    same = run()
    assert "WARNING" not in same.err
    own[3]["NormalizeImage"]["mean"] = [0.1, 0.9, 0.1]
    other = run()
    assert "PreProcess.transform_ops of the prediction config is used" in other.err
    assert other.status == 0
    assert other.out != same.out


def test_model_without_its_own_processing(exported, run_here, tmp_path):
    for name in ("inference.pdmodel", "inference.pdiparams"):
        shutil.copy(exported.model / name, tmp_path)
    assert_one_line(predict(run_here, tmp_path), "inference.yml: missing, and the prediction config has no PrePro")
    stated = {"PreProcess": {"transform_ops": [{"ResizeImage": {"size": 8}}]}}
    transforms, postprocess = build_processing(tmp_path, stated)
    assert len(transforms.ops) == 1
    assert postprocess.topk == 5


def test_damaged_model(exported, tmp_path):
    """In a process of its own, since it is Paddle's C++ that reads these files."""
    shutil.copytree(exported.model, tmp_path / "model")
    path = tmp_path / "model/inference.pdmodel"
    path.write_bytes(path.read_bytes()[:-1000])
    (tmp_path / "model/inference.yml").write_text(  # an export of others, which states no sizes
        re.sub(r"(?m)^  bytes:\n(    .*\n)+", "", (tmp_path / "model/inference.yml").read_text())
    )
    options = ["-c", ROOT / PREDICTION, "-o", f"Global.inference_model_dir={tmp_path}/model"]
    outcome = run_process("deploy/python/predict_cls.py", *options, "-o", f"Global.infer_imgs={IMAGES[0]}")
    assert_one_line(outcome, f"{tmp_path}/model: Paddle Inference cannot load it")


def test_engine_options():
    options = EngineOptions.from_config({"enable_mkldnn": None, "cpu_num_threads": 3, "infer_imgs": "x"})
    assert options.enable_mkldnn
    assert options.cpu_num_threads == 3
    strict = options.strict()
    assert not any([strict.enable_mkldnn, strict.ir_optim, strict.use_tensorrt, strict.use_fp16])


def test_newer_json_models_are_found(tmp_path):
    for name in ("inference.json", "inference.pdiparams"):
        (tmp_path / name).touch()
    assert find_model(tmp_path)[0].name == "inference.json"


# ---- export


def test_exported_files(exported):
    names = {path.name for path in exported.model.iterdir()}
    files = {"inference.pdmodel", "inference.pdiparams", "inference.pdiparams.info", "inference.yml", "label_list.txt"}
    assert names == files
    config = yaml.safe_load(exported.config.read_text())
    own = yaml.safe_load((exported.model / "inference.yml").read_text())
    assert own["PreProcess"]["transform_ops"] == config["Infer"]["transforms"]
    assert own["PostProcess"] == {"name": "Topk", "topk": 5, "class_id_map_file": "label_list.txt"}
    assert own["Global"]["image_shape"] == [3, 32, 32]
    assert re.match(r"paddlepaddle \d", own["Global"]["exported_with"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["Global.image_shape=[3, 33, 32]"], "image_shape is [3, 33, 32], but Infer.transforms make images of [3, 32"),
        (["Global.image_shape=[3, 32]"], "Global.image_shape: expected [3, height, width], found [3, 32]"),
        (["Global.image_shape=[3, a, 32]"], "Global.image_shape: expected [3, height, width]"),
        (["Global.image_shape=null"], "'Global.image_shape' is missing"),
        (["Global.save_inference_dir=null"], "'Global.save_inference_dir' is missing"),
        (["Global.save_inference_dir={file}"], "the model was not exported (File exists)"),
        (["Global.pretrained_model=null"], "Global.pretrained_model: no weights given"),
        (["Global.pretrained_model={file}"], "no such weights file"),
        (["Arch.class_num=4", "Infer.PostProcess.class_id_map_file=null"], "does not fit the network"),
        (["Infer.PostProcess.class_id_map_file=none.txt"], "none.txt: class_id_map_file cannot be read"),
        (["Infer.transforms=null"], "'Infer.transforms' is missing"),
    ],
    ids=str,
)
def test_wrong_export(exported, run_here, tmp_path, options, message):
    before = {path.name: path.read_bytes() for path in exported.model.iterdir()}
    (tmp_path / "file").touch()
    options = [word for option in options for word in ("-o", option.format(file=tmp_path / "file"))]
    assert_one_line(run_here("tools/export_model.py", "-c", exported.config, *options), message)
    assert {path.name: path.read_bytes() for path in exported.model.iterdir()} == before


def test_export_that_fails_leaves_the_former_one(exported, run_here, monkeypatch):
    import paddle

    def fail(layer, path):
        with open(f"{path}.pdmodel", "wb") as stream:
            stream.write(b"half")
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in exported.model.iterdir()}
    monkeypatch.setattr(paddle.jit, "save", fail)
    outcome = run_here("tools/export_model.py", "-c", exported.config)
    assert_one_line(outcome, "the model was not exported (No space left on device)")
    assert {path.name: path.read_bytes() for path in exported.model.iterdir()} == before


def test_atomic_write(tmp_path):
    path = tmp_path / "new/file.txt"
    with atomic_write(path) as stream:
        stream.write("one")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as stream:
        stream.write(f"two {1 / 0}")
    with pytest.raises(OSError, match=r"No space.*: '.*new/file\.txt'"), atomic_write(path) as stream:
        raise OSError(28, "No space left on device")  # as a write to a full disk raises it: without a file name
    assert path.read_text() == "one"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_cut_weights_file_is_refused_before_it_is_used(exported, tmp_path):
    """Paddle itself loads it without an error."""
    folder = shutil.copytree(exported.model, tmp_path / "cut")
    weights = folder / "inference.pdiparams"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"inference\.pdiparams: has \d+ bytes, and its export had \d+"):
        build_processing(folder)
