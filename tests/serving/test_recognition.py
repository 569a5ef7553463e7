"""The service of a recogniser: its answers, what it refuses, and the comparison that sees each planted fault."""

import json
import re
import shutil

import numpy as np
import pytest

from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.gallery import Gallery
from ppcls_lite.infer.model.config import build_processing
from tests.helpers.scripts import assert_one_line, run_process
from tests.helpers.service import REC_SCRIPT, SCRIPT, Service, encoded, make_image
from tests.serving.conftest import export_recognizer
from tests.serving.test_clients import CLIENTS, where

COMPARE = "tools/compare_serving.py"
IMAGES = 7


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(IMAGES):
        (folder / f"{number}.jpg").write_bytes(encoded(make_image(seed=number)))
    return folder


@pytest.fixture(scope="module")
def answers(rec_service, images, tmp_path_factory):
    """What the service answered to two requests, as the client saved it."""
    path = tmp_path_factory.mktemp("answers") / "answers.json"
    options = ["--image_dir", images, "--batch_size", 4, "--save", path]
    outcome = run_process(CLIENTS["http"], *where(rec_service, "http"), *options)
    assert outcome.status == 0, outcome.err
    return path


def changed(path, folder, change, request=0):
    """A copy of saved answers in which `change` was made to the results of one request."""
    saved = json.loads(path.read_text())
    answer = saved[request]["answer"]
    place = answer["key"].index("result")
    results = json.loads(answer["value"][place])
    change(results)
    answer["value"][place] = json.dumps(results)
    (folder / "changed.json").write_text(json.dumps(saved))
    return folder / "changed.json"


# ------------------------------------------------------------------------------------------------- what is answered


@pytest.mark.parametrize("kind", CLIENTS)
def test_both_clients_get_the_very_embeddings_of_predict_rec(rec_service, recognizer, images, kind, tmp_path, run_here):
    named = []
    for size in (1, 3):
        options = ["--image_dir", images, "--batch_size", size, "--save", tmp_path / f"{size}.json"]
        outcome = run_process(CLIENTS[kind], *where(rec_service, kind), *options)
        assert outcome.status == 0, outcome.err
        named.append(f"of_{size}={tmp_path / f'{size}.json'}")
    saved = json.loads((tmp_path / "1.json").read_text())
    assert [entry["answer"]["key"] for entry in saved] == [["result"]] * IMAGES
    options = ["-o", f"Global.inference_model_dir={recognizer}", "-o", f"Global.infer_imgs={images}"]
    printed = run_here("deploy/python/predict_rec.py", "-c", "deploy/configs/inference_rec.yaml", *options)
    assert printed.status == 0, printed.err
    features = [json.loads(entry["answer"]["value"][0])[0]["features"] for entry in saved]
    assert [json.loads(line.partition("\t")[2]) for line in printed.out.splitlines()] == features
    options = ["--inference_model_dir", recognizer, "--engine", "onednn", "--save", tmp_path / "agree.json"]
    outcome = run_here(COMPARE, *options, *named)
    assert outcome.status == 0, outcome.err
    for size in (1, 3):
        line = f"of_{size}: largest difference 0 (bitwise equality required), 7 of 7 images bitwise equal"
        assert f"{line}, 7 of 7 with the same 5 nearest neighbours: agrees\n" in outcome.out
    figures = json.loads((tmp_path / "agree.json").read_text())
    assert [(one["client"], one["identical"], one["agrees"]) for one in figures] == [
        ("of_1", 7, True),
        ("of_3", 7, True),
    ]
    kept = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "agree_predictions").iterdir()}
    assert set(kept) == {"of_1", "of_1_predicted", "of_3", "of_3_predicted"}
    assert kept["of_1"]["images"] == kept["of_1_predicted"]["images"] == kept["of_3"]["images"]
    assert kept["of_1"]["against"] == "of_1_predicted.json"
    assert [one["rows"] for one in kept["of_1"]["images"].values()] == features


def test_requests_are_limited_and_checked_as_those_of_a_classifier(rec_service):
    good = encoded(make_image())
    assert rec_service.ask(b"no image")["err_no"] == 53
    assert rec_service.ask("no base64!")["err_no"] == 51
    assert rec_service.ask(*[good] * 33)["err_msg"] == "33 images in one request; expected at most 32"
    (result,) = rec_service.results(good)
    assert np.linalg.norm(np.float32(result["features"])) == pytest.approx(1, abs=1e-6)


# ------------------------------------------------------------------------------------------------- planted faults


def last_bit(results):
    numbers = results[1]["features"]
    numbers[3] = float(str(np.nextafter(np.float32(numbers[3]), np.float32(2))))


def rounded(results):
    for result in results:
        result["features"] = [round(number, 5) for number in result["features"]]


def swapped(results):
    results[1], results[2] = results[2], results[1]


def cut(results):
    results[0]["features"].pop()


def of_words(results):
    results[0]["features"] = ["a"] * 16


def infinite(results):
    results[0]["features"][0] = float("inf")


def of_classes(results):
    results[0] = {"class_ids": [0], "scores": [1.0], "label_names": []}


FAULTS = {
    last_bit: (6, r"\d\.\d+e-\d+"),
    rounded: (3, r"[\d.]+e-06"),
    swapped: (5, r"0\.\d+"),
    cut: (6, "inf"),
    of_words: (6, "inf"),
    infinite: (6, "inf"),
    of_classes: (6, "inf"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_sees_a_wrong_embedding(answers, recognizer, fault, tmp_path, run_here):
    path = changed(answers, tmp_path, fault)
    outcome = run_here(COMPARE, "--inference_model_dir", recognizer, f"http={path}")
    assert_one_line(outcome, "its predictions are not those of the service")
    equal, largest = FAULTS[fault]
    assert re.match(
        f"http: largest difference {largest} .*, {equal} of 7 images bitwise equal.* DISAGREES", outcome.out
    )


@pytest.mark.parametrize(
    ("fault", "limit", "status"),
    [(last_bit, 1e-6, 0), (rounded, 1e-6, 1), (rounded, 1e-4, 0), (swapped, 0.9, 1), (cut, 0.9, 1)],
)
def test_with_a_limit_the_direction_and_the_neighbours_count(
    answers, recognizer, fault, limit, status, tmp_path, run_here
):
    path = changed(answers, tmp_path, fault)
    outcome = run_here(COMPARE, "--inference_model_dir", recognizer, "--limit", limit, f"http={path}")
    assert outcome.status == status, outcome
    assert "1 - cosine " in outcome.out
    if status:
        assert_one_line(outcome, "its predictions are not those of the service")


def test_the_answers_of_another_model_disagree(answers, rec_set, tmp_path, run_here):
    other = export_recognizer(tmp_path, rec_set, seed=4)
    outcome = run_here(COMPARE, "--inference_model_dir", other, f"http={answers}")
    assert_one_line(outcome, f"{other}: its predictions are not those of the service")
    assert "0 of 7 images bitwise equal" in outcome.out


def test_another_engine_is_refused(answers, recognizer, run_here):
    outcome = run_here(COMPARE, "--inference_model_dir", recognizer, f"http={answers}", "--engine", "openvino")
    assert_one_line(outcome, "the service computes with engine openvino, and predict_rec.py with onednn: Global of ")
    assert "inference_rec.yaml chooses one for both" in outcome.err


def test_embeddings_that_are_the_same_for_all_images_are_refused(images, rec_set, tmp_path, run_here):
    """A model that ignores its images, and a service that is right about it."""
    zeros = {"neck.fc.weight": np.zeros((256, 16), np.float32)}
    model = export_recognizer(tmp_path, rec_set, **zeros)
    transforms, embedding = build_processing(model)
    (result,) = embedding(create_engine(None, model).run(transforms(encoded(make_image()))[None]))
    answer = {"err_no": 0, "err_msg": "", "key": ["result"], "value": [json.dumps([result])]}
    names = sorted(map(str, images.iterdir()))
    for sent, status in ((names, 1), (names[:1] * 5, 0)):
        path = tmp_path / "answers.json"
        path.write_text(json.dumps([{"images": [name], "answer": answer} for name in sent]))
        outcome = run_here(COMPARE, "--inference_model_dir", model, f"http={path}")
        assert outcome.status == status, outcome
        assert ("the embeddings of 7 different images differ by at most 0: the answers do" in outcome.out) is bool(
            status
        )


# ------------------------------------------------------------------------------------------------------- a gallery

INDEX = "op.ArcFace.IndexProcess"


def make_gallery(folder, model, images, names="abcdefg"):
    """A gallery of these images, by the model itself."""
    transforms, embedding = build_processing(model)
    engine = create_engine(None, model)
    paths = sorted(images.iterdir())[: len(names)]
    rows = [engine.run(transforms(path.read_bytes())[None]) for path in paths]
    features = embedding.normalized(np.concatenate(rows))
    Gallery.build(features, list(names), [path.name for path in paths], str(model)).save(folder)
    return folder


@pytest.fixture(scope="module")
def gallery(recognizer, images, tmp_path_factory):
    return make_gallery(tmp_path_factory.mktemp("gallery") / "index", recognizer, images)


@pytest.fixture(scope="module")
def names(converted_rec, gallery, images, tmp_path_factory):
    """What the service answered from the gallery to two requests, as the client saved it."""
    folder = tmp_path_factory.mktemp("names")
    settings = [f"{INDEX}.index_dir={gallery}", f"{INDEX}.return_k=3"]
    service = Service(folder, converted_rec, *settings, script=REC_SCRIPT)
    options = ["--image_dir", images, "--batch_size", 4, "--save", folder / "answers.json"]
    outcome = run_process(CLIENTS["grpc"], *where(service, "grpc"), *options)
    assert outcome.status == 0, outcome.err
    assert service.stop() == 0
    return folder / "answers.json"


def compare_names(run_here, model, gallery, path, *options):
    settings = [f"IndexProcess.index_dir={gallery}", "IndexProcess.return_k=3"]
    words = [word for setting in settings for word in ("-o", setting)]
    return run_here(COMPARE, "--inference_model_dir", model, *words, *options, f"grpc={path}")


def test_names_and_scores_from_a_gallery(names, recognizer, gallery, tmp_path, run_here):
    saved = json.loads(names.read_text())
    assert [entry["answer"]["key"] for entry in saved] == [["result"]] * 2
    results = [result for entry in saved for result in json.loads(entry["answer"]["value"][0])]
    assert [sorted(result) for result in results] == [["rec_docs", "rec_scores"]] * IMAGES
    assert "".join(result["rec_docs"][0] for result in results) == "abcdefg"  # each image finds itself
    for result in results:
        assert len(result["rec_docs"]) == 3
        assert result["rec_scores"] == sorted(result["rec_scores"], reverse=True)
        assert result["rec_scores"][0] == pytest.approx(1, abs=1e-6)
    outcome = compare_names(run_here, recognizer, gallery, names, "--save", tmp_path / "agree.json")
    assert outcome.status == 0, outcome.err
    expected = "grpc: largest difference 0 (bitwise equality required), 7 of 7 images identical, 7 of 7 with the same "
    assert f"{expected}names: agrees\n" in outcome.out
    (figures,) = json.loads((tmp_path / "agree.json").read_text())
    assert (figures["identical"], figures["different"], figures["agrees"]) == (7, 7, True)


def swap_names(results):
    results[0]["rec_docs"][:2] = reversed(results[0]["rec_docs"][:2])


def swap_answers(results):
    results[0], results[1] = results[1], results[0]


def round_scores(results):
    results[0]["rec_scores"] = [round(score, 5) for score in results[0]["rec_scores"]]


def last_bit_of_a_score(results):
    score = np.float32(results[0]["rec_scores"][2])
    results[0]["rec_scores"][2] = float(str(np.nextafter(score, np.float32(2))))


def drop_one(results):
    results[0]["rec_docs"].pop()


def no_names(results):
    results[0] = {"features": [1.0]}


@pytest.mark.parametrize(
    ("fault", "same"),
    [
        (swap_names, 6),
        (swap_answers, 5),
        (round_scores, 7),
        (last_bit_of_a_score, 7),
        (drop_one, 6),
        (no_names, 6),
    ],
)
def test_the_comparison_sees_wrong_names_and_scores(names, recognizer, gallery, fault, same, tmp_path, run_here):
    path = changed(names, tmp_path, fault)
    outcome = compare_names(run_here, recognizer, gallery, path)
    assert_one_line(outcome, "its predictions are not those of the service")
    assert f"{5 if fault is swap_answers else 6} of 7 images identical, {same} of 7 with the same names" in outcome.out
    limited = compare_names(run_here, recognizer, gallery, path, "--limit", "1e-4")
    assert limited.status == (0 if same == 7 else 1)


def test_the_answers_of_an_old_gallery_disagree(names, recognizer, images, tmp_path, run_here):
    """A gallery that has got another name since, and one that has lost an entry."""
    for words, same in (("abcdefX", "of 7 with the same names"), ("abcdef", "of 7 with the same names")):
        renewed = make_gallery(tmp_path / words, recognizer, images, words)
        outcome = compare_names(run_here, recognizer, renewed, names)
        assert_one_line(outcome, "its predictions are not those of the service")
        assert same in outcome.out
        assert "7 of 7" not in outcome.out


def test_a_gallery_of_embeddings_that_are_all_the_same(images, rec_set, tmp_path, run_here):
    """The service is right about every name, and the model ignores its images."""
    model = export_recognizer(tmp_path, rec_set, **{"neck.fc.weight": np.zeros((256, 16), np.float32)})
    gallery = make_gallery(tmp_path / "index", model, images)
    result = {"rec_docs": ["a", "b", "c"], "rec_scores": [1.0] * 3}
    score = compare_names(run_here, model, gallery, write_names(tmp_path, images, result)).out
    assert "7 of 7 with the same names: DISAGREES: the embeddings of 7 different images differ by at most 0" in score


def write_names(folder, images, result):
    answer = {"err_no": 0, "err_msg": "", "key": ["result"], "value": [json.dumps([result])]}
    path = folder / "answers.json"
    path.write_text(json.dumps([{"images": [str(image)], "answer": answer} for image in sorted(images.iterdir())]))
    return path


# --------------------------------------------------------------------------------------- what the service refuses


def refused(tmp_path, script, *options):
    """The error line of a service that does not start."""
    outcome = run_process(script, "-o", "http_port=0", "rpc_port=0", *options, cwd=tmp_path)
    assert outcome.status == 1, outcome
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in outcome.err
    return line


def test_galleries_that_cannot_be_used(converted_rec, gallery, images, rec_set, tmp_path):
    model = f"op.ArcFace.local_service_conf.model_config={converted_rec}"
    other = make_gallery(tmp_path / "other", export_recognizer(tmp_path, rec_set, seed=4), images)
    damaged = shutil.copytree(gallery, tmp_path / "damaged")
    index = damaged / "vector.index"
    index.write_bytes(index.read_bytes()[:-1])
    for folder, message in (
        (other, f"{other}: a gallery of another model (RecModel, sha256 of the weights "),
        (damaged, f"{index}: not the index of gallery.json: "),
        (tmp_path / "nothing", "nothing: no gallery there (gallery.json): build_gallery.py makes one"),
    ):
        assert message in refused(tmp_path, REC_SCRIPT, model, f"{INDEX}.index_dir={folder}")
    line = refused(tmp_path, REC_SCRIPT, model, f"{INDEX}.index_dir={gallery}", f"{INDEX}.return_k=0")
    assert "IndexProcess.return_k: expected a whole number of at least 1, found 0" in line


def test_the_client_of_the_cpp_server_is_for_classifiers(converted_rec, recognizer):
    options = ["--client", converted_rec.parent / "client", "--model", recognizer]
    outcome = run_process("deploy/paddleserving/test_cpp_serving_client.py", *options)
    assert_one_line(outcome, f"{recognizer}: expected a classifier, found a model with Embedding")


def test_each_service_refuses_the_models_of_the_other(converted, converted_rec, gallery, tmp_path):
    conf = "local_service_conf.model_config"
    line = refused(tmp_path, SCRIPT, f"op.imagenet.{conf}={converted_rec}")
    assert f"{converted_rec}: its predictions need Embedding, but the prediction config has Topk" in line
    line = refused(tmp_path, SCRIPT, f"op.imagenet.{conf}={converted_rec}", "op.imagenet.inference_config=null")
    assert f"{converted_rec}: expected a classifier, found a model with Embedding" in line
    line = refused(tmp_path, REC_SCRIPT, f"op.ArcFace.{conf}={converted}")
    assert f"{converted}: its predictions need Topk, but the prediction config has Embedding" in line
    line = refused(tmp_path, REC_SCRIPT, f"op.ArcFace.{conf}={converted}", "op.ArcFace.inference_config=null")
    assert f"{converted}: expected a recogniser, found a model with Topk" in line
    line = refused(tmp_path, SCRIPT, f"op.imagenet.{conf}={converted}", f"op.imagenet.IndexProcess.index_dir={gallery}")
    assert f"IndexProcess: a gallery needs a recogniser, and {converted} is a classifier" in line
