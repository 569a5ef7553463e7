"""predict_rec.py and build_gallery.py: the training engine's bits, PaddleClas's sections, galleries, planted faults."""

import ast
import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from ppcls_lite.infer.engines.paddle_inference import PaddleEngine
from ppcls_lite.infer.gallery import Gallery, files
from ppcls_lite.infer.tasks import Recognition, task_of
from ppcls_lite.utils.config import load_config
from tests.helpers.ranks import run_ranks
from tests.helpers.recognition import NAMES
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line, results_of, with_library

PREDICT, BUILD = "deploy/python/predict_rec.py", "deploy/python/build_gallery.py"
CONFIGS = {PREDICT: ROOT / "deploy/configs/inference_rec.yaml", BUILD: ROOT / "deploy/configs/build_gallery.yaml"}
STRICT = {"use_gpu": False, "enable_mkldnn": False, "ir_optim": False, "cpu_num_threads": 1}


@pytest.fixture
def model(exported_recognizer):
    return exported_recognizer[1]


def options(section, **values):
    """The words of these settings; None leaves one as the config has it."""
    given = {key: value for key, value in values.items() if value is not None}
    return [word for key, value in given.items() for word in ("-o", f"{section}.{key}={value}")]


@pytest.fixture
def predict(run_here, model, rec_set):
    """`predict(*options, **settings)` runs predict_rec.py on the queries."""

    def run(*words, config=CONFIGS[PREDICT], **settings):
        given = {"inference_model_dir": model, "infer_imgs": rec_set / "query_list.txt", **STRICT, **settings}
        return run_here(PREDICT, "-c", config, *options("Global", **given), *words)

    return run


@pytest.fixture
def build(run_here, model, rec_set, tmp_path):
    """`build(**index)` runs build_gallery.py; the gallery is tmp_path/index."""

    def run(*words, config=CONFIGS[BUILD], model_dir=model, **index):
        given = {"image_root": rec_set, "data_file": rec_set / "data_file.txt", "delimiter": "\t"}
        given.update(index_dir=tmp_path / "index", **index)
        where = options("Global", inference_model_dir=model_dir, **STRICT)
        return run_here(BUILD, "-c", config, *where, *options("IndexProcess", **given), *words)

    return run


@pytest.fixture
def gallery(build, tmp_path):
    """The folder of a gallery of twelve images of four names."""
    outcome = build()
    assert outcome.status == 0, outcome.err
    return tmp_path / "index"


def printed(outcome):
    """{name of the file: what was printed of it}."""
    assert outcome.status == 0, outcome.err
    return {name: ast.literal_eval(shown) for name, shown in (line.split(":\t") for line in results_of(outcome))}


# ---- embeddings


def test_lines_are_the_training_engines_bit_by_bit(predict, run_here, exported_recognizer, rec_set):
    config, _ = exported_recognizer
    lines = printed(predict())
    assert {len(numbers) for numbers in lines.values()} == {16}
    trained = run_here("tools/infer.py", "-c", config, "-o", f"Infer.infer_imgs={rec_set / 'query_list.txt'}")
    records = [record for line in results_of(trained) for record in ast.literal_eval(line)]
    assert {record["file_name"].rpartition("/")[2]: record["features"] for record in records} == lines
    rows = np.array(list(lines.values()), np.float32)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.abs(rows[0] - rows[1:]).max() > 0.1  # different images


@pytest.mark.parametrize("engine", ["onednn", "openvino", "training_export", "auto"])
def test_other_engines(predict, engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    expected, found = printed(predict()), printed(predict(engine=engine, batch_size=3, ir_optim=True))
    assert found.keys() == expected.keys()
    assert np.allclose(list(found.values()), list(expected.values()), atol=1e-4)


def test_saved_results_are_the_printed_ones(predict, tmp_path):
    lines = printed(predict(save_file=tmp_path / "saved.jsonl"))
    saved = [json.loads(line) for line in (tmp_path / "saved.jsonl").read_text().splitlines()]
    assert [record["features"] for record in saved] == list(lines.values())


def test_processes_share_the_images(predict, model, rec_set, tmp_path):
    alone = predict(infer_imgs=rec_set / "images", batch_size=2)
    given = {"inference_model_dir": model, "infer_imgs": rec_set / "images", "batch_size": 2, **STRICT}
    first, second = run_ranks(PREDICT, "-c", CONFIGS[PREDICT], *options("Global", **given))
    assert results_of(first) == results_of(alone)
    assert results_of(second) == []


def test_paddleclas_names_mean_the_same(predict, model, tmp_path):
    own = yaml.safe_load((model / "inference.yml").read_text())
    config = {
        "Global": {"rec_inference_model_dir": "./models", "enable_benchmark": True, "use_gpu": True},
        "DetPreProcess": {"transform_ops": [{"DetPermute": {}}]},
        "RecPreProcess": own["PreProcess"],
        "RecPostProcess": None,
    }
    path = tmp_path / "official.yaml"
    path.write_text(yaml.safe_dump(config))
    outcome = predict(config=path)
    assert printed(outcome) == printed(predict())
    assert "the detector is not used: whole images are recognised" in outcome.err
    config["Global"]["rec_inference_model_dir"] = str(model)
    path.write_text(yaml.safe_dump(config))
    assert printed(predict(config=path, inference_model_dir=None)) == printed(predict())


def test_features_of_another_length(predict, model, tmp_path, monkeypatch):
    """A model that does not normalise, as PaddleClas exports it: `feature_normalize` decides."""
    expected = printed(predict())
    compute = PaddleEngine.compute
    monkeypatch.setattr(PaddleEngine, "compute", lambda self, images: 3 * compute(self, images))
    scaled = printed(predict())
    assert np.allclose(list(scaled.values()), list(expected.values()), atol=1e-6)
    raw = printed(predict(feature_normalize=False))
    assert np.allclose(list(raw.values()), 3 * np.array(list(expected.values())), atol=1e-5)


def test_models_and_scripts_of_other_tasks(predict, run_here, model, exported):
    assert_one_line(predict(inference_model_dir=exported.model), "predict_rec.py for recognisers")
    words = options("Global", inference_model_dir=model, infer_imgs=ROOT / "test_images", **STRICT)
    outcome = run_here("deploy/python/predict_cls.py", "-c", ROOT / "deploy/configs/inference_cls.yaml", *words)
    assert_one_line(outcome, "its predictions need Embedding", "predict_rec.py for recognisers")


def test_a_model_that_does_not_say_how_to_prepare_images(predict, exported, tmp_path):
    folder = shutil.copytree(exported.model, tmp_path / "model")
    (folder / "inference.yml").unlink()
    assert_one_line(predict(inference_model_dir=folder), "inference.yml: missing")


def test_both_names_of_a_section_are_refused(predict, tmp_path):
    ops = {"transform_ops": [{"ToCHWImage": None}]}
    path = tmp_path / "both.yaml"
    path.write_text(yaml.safe_dump({"Global": {}, "PreProcess": ops, "RecPreProcess": ops}))
    assert_one_line(predict(config=path), "expected RecPreProcess or PreProcess, which are the same, found both")


def test_binary_embeddings_are_refused(predict, tmp_path):
    path = tmp_path / "binary.yaml"
    post = {"main_indicator": "Binarize", "Binarize": {"method": "sign"}}
    path.write_text(yaml.safe_dump({"Global": {}, "RecPostProcess": post}))
    assert_one_line(predict(config=path), "RecPostProcess: expected null or Embedding, found 'Binarize'")


# ---- the task


def test_images_of_a_retrieval_are_queries_and_then_the_gallery(exported_recognizer, rec_set):
    config = load_config(exported_recognizer[0])
    task = task_of(config)
    assert isinstance(task, Recognition)
    paths, labels = task.validation_images(config)
    assert [path.rpartition("/")[2] for path in paths[:4]] == ["3_0.png", "4_0.png", "5_0.png", "6_0.png"]
    assert (len(paths), labels[:5]) == (16, [3, 4, 5, 6, 3])
    config["DataLoader"]["Eval"]["Gallery"] = config["DataLoader"]["Eval"]["Query"]
    assert len(task.validation_images(config)[0]) == 4
    config["DataLoader"]["Eval"] = config["DataLoader"]["Train"]
    assert len(task.validation_images(config)[0]) == 12


# ---- a gallery


def test_the_matches_of_a_gallery(predict, gallery, tmp_path):
    words = options("IndexProcess", index_dir=gallery, return_k=3)
    found = printed(predict(*words, save_file=tmp_path / "saved.jsonl"))
    assert [matches[0]["rec_docs"] for matches in list(found.values())[:3]] == list(NAMES[:3])
    loaded, features = Gallery.load(gallery), np.array(list(printed(predict()).values()), np.float32)
    assert list(found.values()) == loaded.matches(features, 3)
    saved = [json.loads(line) for line in (tmp_path / "saved.jsonl").read_text().splitlines()]
    assert [record["matches"] for record in saved] == list(found.values())
    assert printed(predict(*words, *options("IndexProcess", score_thres=1.5))) == {name: [] for name in found}


def test_images_of_the_gallery_find_themselves(predict, build, tmp_path, rec_set):
    assert build(dist_type="L2").status == 0
    words = options("IndexProcess", index_dir=tmp_path / "index", return_k=1, score_thres=1e-6)
    found = printed(predict(*words, infer_imgs=rec_set / "gallery_list.txt"))
    assert [match["rec_docs"] for (match,) in found.values()] == [name for name in NAMES for _ in range(3)]
    assert_one_line(predict(*words, *options("IndexProcess", dist_type="IP")), "its dist_type is L2, and IndexProcess.")


def test_the_same_images_make_the_same_files(build, gallery):
    before = {path.name: path.read_bytes() for path in gallery.iterdir()}
    outcome = build()
    assert outcome.out == f"{gallery}: 12 images of 4 names, embedding size 16, Flat, IP\n"
    assert {path.name: path.read_bytes() for path in gallery.iterdir()} == before


def test_append_and_remove(build, gallery, rec_set, tmp_path):
    more = tmp_path / "more.txt"
    more.write_text("images/0_0.png\tnew name\nimages/3_1.png\tash\nimages/0_0.png\tnew name\n")
    outcome = build(index_operation="append", data_file=more)
    assert outcome.status == 0, outcome.err
    assert "images that occur twice, and count once: 1, e.g. images/0_0.png" in outcome.err
    assert "in the gallery already, and stay as they are: 1, e.g. images/3_1.png" in outcome.err
    loaded = Gallery.load(gallery)
    assert (len(loaded), loaded.paths[-1], loaded.docs[-1]) == (13, "images/0_0.png", "new name")
    again = build(index_operation="append", data_file=more)
    assert (again.status, len(Gallery.load(gallery))) == (0, 13)
    more.write_text("images/0_0.png\nimages/99.png\n")
    outcome = build(index_operation="remove", data_file=more)
    assert "images that are not in the gallery: 1, e.g. images/99.png" in outcome.err
    assert "12 images of 4 names" in outcome.out
    assert "images/0_0.png" not in Gallery.load(gallery).paths


def test_an_image_with_another_name(build, gallery, tmp_path):
    more = tmp_path / "more.txt"
    more.write_text("images/3_1.png\toak\n")
    for operation, message in (
        ("append", "is 'oak' here, and 'ash' in the gallery"),
        ("remove", "is 'ash' in the gal"),
    ):
        assert_one_line(build(index_operation=operation, data_file=more), "more.txt:1: images/3_1.png", message)
    more.write_text("images/0_0.png\ta\nimages/0_0.png\tb\n")
    assert_one_line(build(data_file=more), "more.txt:2: images/0_0.png is 'b' here, and 'a' in line 1")
    assert len(Gallery.load(gallery)) == 12


def test_a_graph_cannot_remove(build, gallery, tmp_path):
    assert build(index_method="HNSW32").status == 0
    before = {path.name: path.read_bytes() for path in gallery.iterdir()}
    assert_one_line(build(index_method="null", index_operation="remove"), "HNSW32 cannot remove: build it again")
    assert {path.name: path.read_bytes() for path in gallery.iterdir()} == before
    assert_one_line(
        build(index_operation="append"), "its index_method is HNSW32, and IndexProcess.index_method is Flat"
    )


@pytest.mark.parametrize("content", ["no image", None])
def test_an_image_that_cannot_be_read_is_named_and_nothing_is_written(build, rec_set, tmp_path, content):
    root = tmp_path / "images"
    root.mkdir()
    shutil.copy(rec_set / "images/0_0.png", root / "good.png")
    if content:
        (root / "bad.png").write_text(content)
    (tmp_path / "list.txt").write_text("good.png\ta\nbad.png\tb\n")
    outcome = build(image_root=root, data_file=tmp_path / "list.txt")
    assert outcome.status == 1
    assert f"error: {root}/bad.png: " in outcome.err
    assert f"images that cannot be read: 1 of 2, e.g. {root}/bad.png: nothing was written" in outcome.err
    assert not (tmp_path / "index").exists()


def test_many_images_that_cannot_be_read_are_a_few_lines(build, rec_set, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("images/3_0.png\ta\n" + "".join(f"no{number}.png\tb\n" for number in range(30)))
    outcome = build(data_file=listed)
    *single, count, last = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert "0/31" not in outcome.err  # no bar
    assert [line.partition(": cannot be read")[0] for line in single] == [
        f"error: {rec_set}/no{number}.png" for number in range(20)
    ]
    assert count == "error: images that cannot be predicted: 30, the first 20 are named above"
    assert last == f"error: images that cannot be read: 30 of 31, e.g. {rec_set}/no0.png: nothing was written"


def test_a_gallery_that_is_replaced_is_said(build, gallery):
    def warned():
        outcome = build()
        assert outcome.status == 0
        return [line.partition("WARNING: ")[2] for line in outcome.err.splitlines() if "replaced" in line]

    adds = "will be replaced; IndexProcess.index_operation append adds to one"
    assert warned() == [f"{gallery}: the gallery of 12 images there {adds}"]
    (gallery / files.INDEX).write_bytes(b"")
    assert warned() == [f"{gallery}: a gallery that cannot be read {adds}"]
    for path in gallery.iterdir():
        path.unlink()
    assert warned() == []


def test_a_gallery_is_not_emptied(build, gallery, rec_set):
    line = f"error: {gallery}: nothing would be left in the gallery: {rec_set}/data_file.txt has all its 12 images"
    assert_one_line(build(index_operation="remove"), line)
    assert len(Gallery.load(gallery)) == 12


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"index_methd": "Flat"}, "unknown key 'index_methd'"),
        (
            {"index_method": "Flatt"},
            "IndexProcess.index_method: expected one of 'Flat', 'HNSW32', 'IVF', found 'Flatt' (did you mean 'Flat'?)",
        ),
        ({"index_operation": "add"}, "IndexProcess.index_operation: expected one of 'new', 'append', 'remove'"),
        ({"dist_type": "hamming"}, "embeddings of bits are not made"),
        ({"embedding_size": 512}, "IndexProcess.embedding_size: expected 16, the model's, found 512"),
        ({"delimiter": ";"}, "data_file.txt:1: expected '<path>;<name>', found 'images/3_1.png\\tash'"),
        ({"data_file": "null"}, "'IndexProcess.data_file' is missing"),
        ({"data_file": "no.txt"}, "no.txt: no such list file"),
        ({"image_root": "/nope"}, "error: /nope: no such folder (image_root of "),
        ({"index_operation": "append"}, "no gallery there (gallery.json): build_gallery.py makes one"),
        ({"index_operation": "remove"}, "no gallery there (gallery.json): build_gallery.py makes one"),
    ],
)
def test_faults_of_the_section(build, tmp_path, index, message):
    assert_one_line(build(**index), message)
    assert not (tmp_path / "index").exists()


def test_an_unknown_key_of_the_file_is_refused(build, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"Global": {}, "IndexProcess": {"retrun_k": 5}}))
    assert_one_line(build(config=path), "IndexProcess: unknown key 'retrun_k' (did you mean 'return_k'?)")


def test_a_gallery_of_another_model(predict, build, gallery, model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "other")
    weights = bytearray((folder / "inference.pdiparams").read_bytes())
    weights[-1] ^= 1  # one bit of one number
    (folder / "inference.pdiparams").write_bytes(weights)
    words = options("IndexProcess", index_dir=gallery)
    made_by, other = (hashlib.sha256((one / "inference.pdiparams").read_bytes()) for one in (model, folder))
    said = "RecModel, sha256 of the weights"
    refused = (
        f"another model ({said} {made_by.hexdigest()[:12]}…) than this one ({said} {other.hexdigest()[:12]}…); build"
    )
    assert_one_line(predict(*words, inference_model_dir=tmp_path / "other"), refused)
    assert_one_line(build(index_operation="append", model_dir=tmp_path / "other"), refused)
    ops = "PreProcess.transform_ops=[ResizeImage: {size: 32}, NormalizeImage: {order: ''}, ToCHWImage: null]"
    assert_one_line(predict(*words, "-o", ops), "images that were prepared in another way")
    assert_one_line(predict(*words, feature_normalize=False), "images that were prepared in another way")


def test_without_faiss(predict, gallery, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert_one_line(predict(*options("IndexProcess", index_dir=gallery)), "a gallery needs faiss", "pip install faiss-")
    assert predict().status == 0  # nothing else needs it


def test_faiss_is_imported_with_a_gallery_only():
    code = "import sys, ppcls_lite.infer.deployed, ppcls_lite.infer.gallery_build; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=with_library(), timeout=LIMIT).returncode == 0


def test_damaged_galleries_are_one_line(predict, gallery):
    words = options("IndexProcess", index_dir=gallery)
    whole = (gallery / files.INDEX).read_bytes()
    (gallery / files.INDEX).write_bytes(whole[:-1])
    assert_one_line(predict(*words), "vector.index: not the index of gallery.json")
    (gallery / files.INDEX).write_bytes(whole)
    (gallery / files.CONTENT).write_text((gallery / files.CONTENT).read_text()[:200])
    assert_one_line(predict(*words), "gallery.json: not JSON, or cut")
    assert_one_line(predict(*options("IndexProcess", index_dir=gallery / "no")), "no gallery there")
