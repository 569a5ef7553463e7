"""The service of a detector: its answers, its drawings, what it refuses, and the comparison that sees each fault."""

import base64
import json
import threading

import cv2
import numpy as np
import pytest

from ppcls_lite.infer.engines import EngineOptions
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.serving.answer import make_answer
from ppcls_lite.serving.tasks import Detection
from ppcls_lite.utils.config import load_config
from tests.helpers.configs import save_arrays
from tests.helpers.detection import detector_weights
from tests.helpers.scripts import ROOT, assert_one_line, run_process
from tests.helpers.service import DET_SCRIPT, OPERATORS, REC_SCRIPT, SCRIPT, Service, encoded, make_image
from tests.serving.test_clients import CLIENTS, where
from tests.serving.test_service import refused

COMPARE = "tools/compare_serving.py"
SIZES = ((60, 48), (48, 60), (200, 90))  # width and height of the images of the set, and of one of another shape


@pytest.fixture(scope="module")
def model(exported_detector):
    return exported_detector[1]


@pytest.fixture(scope="module")
def converted_det(model, tmp_path_factory):
    """The folder of the detector, converted for Paddle Serving's server."""
    folder = tmp_path_factory.mktemp("converted_det")
    places = ["--serving_server", folder / "server", "--serving_client", folder / "client"]
    outcome = run_process("deploy/paddleserving/convert.py", "--dirname", model, *places)
    assert outcome.status == 0, outcome.err
    return folder / "server"


@pytest.fixture(scope="module")
def det_service(converted_det, tmp_path_factory):
    """One real server that answers boxes, shared by all tests. Few scores of a network of random weights are high."""
    running = Service(tmp_path_factory.mktemp("det_service"), converted_det, script=DET_SCRIPT)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def images(det_set, tmp_path_factory):
    """A folder of seven images of different sizes."""
    folder = tmp_path_factory.mktemp("images")
    for number, path in enumerate(sorted((det_set / "val").iterdir())[:5]):
        (folder / f"{number}.png").write_bytes(path.read_bytes())
    for number in (5, 6):
        width, height = SIZES[2]
        (folder / f"{number}.jpg").write_bytes(encoded(make_image(height, width, seed=number)))
    return folder


@pytest.fixture(scope="module")
def predicted(model, images, tmp_path_factory):
    """The folder with what predict_det.py saved: boxes.jsonl, and its drawings below drawn/."""
    folder = tmp_path_factory.mktemp("predicted")
    settings = {
        "inference_model_dir": model,
        "infer_imgs": images,
        "output_dir": folder / "drawn",
        "save_file": folder / "boxes.jsonl",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"Global.{key}={value}")]
    outcome = run_process("deploy/python/predict_det.py", "-c", "deploy/configs/inference_det.yaml", *options)
    assert outcome.status == 0, outcome.err
    return folder


@pytest.fixture(scope="module")
def answers(det_service, images, tmp_path_factory):
    """What the service answered to two requests, as the client saved it."""
    path = tmp_path_factory.mktemp("answers") / "answers.json"
    options = ["--image_dir", images, "--batch_size", 4, "--save", path]
    outcome = run_process(CLIENTS["http"], *where(det_service, "http"), *options)
    assert outcome.status == 0, outcome.err
    return path


def results_in(path):
    saved = json.loads(path.read_text())
    assert {tuple(entry["answer"]["key"]) for entry in saved} == {("result",)}
    return [result for entry in saved for result in json.loads(entry["answer"]["value"][0])]


# ------------------------------------------------------------------------------------------------- what is answered


@pytest.mark.parametrize("kind", CLIENTS)
def test_both_clients_get_the_boxes_and_drawings_of_predict_det(
    det_service, model, images, predicted, kind, tmp_path, run_here
):
    named = []
    for size in (1, 3):
        options = ["--batch_size", size, "--save", tmp_path / f"{size}.json", "--draw", tmp_path / f"drawn_{size}"]
        outcome = run_process(CLIENTS[kind], *where(det_service, kind), "--image_dir", images, *options)
        assert outcome.status == 0, outcome.err
        assert "7 images, 0 answered with an error" in outcome.out
        named.append(f"of_{size}={tmp_path / f'{size}.json'}")
        expected = [json.loads(line) for line in (predicted / "boxes.jsonl").read_text().splitlines()]
        found = results_in(tmp_path / f"{size}.json")
        assert sum(len(one["class_ids"]) for one in found) > 7
        assert [rounded_like_predict_det(one) for one in found] == [without_name(one) for one in expected]
        drawn, files = tmp_path / f"drawn_{size}", sorted((predicted / "drawn").iterdir())
        assert sorted(path.name for path in drawn.iterdir()) == [path.name for path in files]
        assert [(drawn / path.name).read_bytes() for path in files] == [path.read_bytes() for path in files]
    options = ["--inference_model_dir", model, "--engine", "onednn", "--save", tmp_path / "agree.json"]
    outcome = run_here(COMPARE, *options, *named)
    assert outcome.status == 0, outcome.err
    for size in (1, 3):
        line = f"of_{size}: largest difference 0 (bitwise equality required), 7 of 7 images identical, "
        assert f"{line}7 of 7 with the same classes, {boxes_of(found)} boxes: agrees\n" in outcome.out
    figures = json.loads((tmp_path / "agree.json").read_text())
    assert [(one["client"], one["identical"], one["different"], one["agrees"]) for one in figures] == [
        ("of_1", 7, 7, True),
        ("of_3", 7, 7, True),
    ]
    kept = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "agree_predictions").iterdir()}
    assert kept["of_1"]["images"] == kept["of_1_predicted"]["images"] == kept["of_3"]["images"]
    assert kept["of_1"]["images"]["5.jpg"]["side"] == max(SIZES[2])
    rows = [[[row[1], *row[2:]] for row in one["rows"]] for one in kept["of_1"]["images"].values()]
    exact = [[[score, *box] for score, box in zip(one["scores"], one["boxes"])] for one in found]
    assert [np.float32(one).tolist() for one in rows] == exact  # all digits


def rounded_like_predict_det(result):
    scores, boxes = np.around(result["scores"], 5).tolist(), np.around(result["boxes"], 2).tolist()
    return {**result, "scores": scores, "boxes": boxes}


def without_name(record):
    return {key: value for key, value in record.items() if key != "file_name"}


def boxes_of(results):
    return sum(len(result["class_ids"]) for result in results)


def test_each_image_keeps_its_own_size_among_those_of_other_requests(det_service, images):
    """Requests of images of several sizes at once are predicted together: nobody gets another one's boxes."""
    files = [path.read_bytes() for path in sorted(images.iterdir())]
    alone = [det_service.results(content)[0] for content in files]
    wrong = []

    def ask(number):
        for turn in range(12):
            picked = [(number + turn) % 7, (number + 3 * turn) % 7]
            found = det_service.results(*(files[one] for one in picked))
            if found != [alone[one] for one in picked]:
                wrong.append(picked)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len({json.dumps(one) for one in alone}) == 7


def test_a_drawing_is_on_request_only(det_service):
    image = encoded(make_image(48, 60))
    plain = det_service.ask(image)
    assert plain["key"] == ["result"]
    for value, keys in (("true", ["result", "drawn"]), ("false", ["result"])):
        answer = det_service.ask(image, value, keys=["image", "draw"])
        assert (answer["err_no"], answer["key"], answer["value"][0]) == (0, keys, plain["value"][0])
    answer = det_service.ask("true", image, image, keys=["draw", "a", "b"])
    drawn = [base64.b64decode(text) for text in json.loads(answer["value"][1])]
    assert drawn[0] == drawn[1]
    assert cv2.imdecode(np.frombuffer(drawn[0], np.uint8), cv2.IMREAD_COLOR).shape == (48, 60, 3)


def test_requests_are_limited_and_checked_as_those_of_a_classifier(det_service):
    image = encoded(make_image())
    assert det_service.ask(b"no image")["err_no"] == 53
    assert det_service.ask("no base64!")["err_no"] == 51
    assert det_service.ask(*[image] * 33)["err_msg"] == "33 images in one request; expected at most 32"
    full = det_service.ask(*[image] * 32, "true", keys=[*map(str, range(32)), "draw"])
    assert (full["err_no"], len(json.loads(full["value"][1]))) == (0, 32)  # the key is no image
    wrong = det_service.ask(image, "yes", keys=["image", "draw"])
    assert (wrong["err_no"], wrong["err_msg"]) == (51, "the value of 'draw': expected true or false, found 'yes'")
    alone = det_service.ask("true", keys=["draw"])
    assert alone["err_no"] == 51
    assert alone["err_msg"].endswith("found 'draw' alone")


def test_an_image_that_is_too_large_for_a_jpeg_is_not_drawn(det_service):
    image = encoded(np.zeros((2, 65501, 3), np.uint8), ".png")
    assert det_service.ask(image)["err_no"] == 0
    answer = det_service.ask(image, "true", keys=["image", "draw"])
    assert answer["err_no"] == 52
    assert answer["err_msg"] == "'image': an image of 65501x2 pixels cannot be a JPEG file"


def test_others_draw_nothing(service, rec_service):
    image = encoded(make_image())
    for running in (service, rec_service):
        answer = running.ask(image, "true", keys=["image", "draw"])
        assert answer["err_no"] == 51
        assert answer["err_msg"] == "draw: expected no such key, since only a detector's service draws"
        assert running.ask(image, "false", keys=["image", "draw"])["err_no"] == 0


# -------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("script", [SCRIPT, REC_SCRIPT])
def test_the_services_of_others_refuse_a_detector(script, converted_det, tmp_path):
    noun = {SCRIPT: "a classifier", REC_SCRIPT: "a recogniser"}[script]
    model = f"op.{OPERATORS[script]}.local_service_conf.model_config={converted_det}"
    assert f"{converted_det}: its predictions need DetectionBoxes" in refused(tmp_path, model, script=script)
    bare = f"op.{OPERATORS[script]}.inference_config=null"
    assert f"expected {noun}, found a model with DetectionBoxes" in refused(tmp_path, model, bare, script=script)


def test_a_detectors_service_refuses_others(exported, recognizer, converted_det, tmp_path):
    place = "op.CenterNet.local_service_conf.model_config"
    for model, found in ((exported.model, "Topk"), (recognizer, "Embedding")):
        text = refused(tmp_path, f"{place}={model}", script=DET_SCRIPT)
        assert f"{model}: its predictions need {found}, but the prediction config has DetectionBoxes" in text
        text = refused(tmp_path, f"{place}={model}", "op.CenterNet.inference_config=null", script=DET_SCRIPT)
        assert f"{model}: expected a detector, found a model with {found}" in text
    gallery = refused(tmp_path, f"{place}={converted_det}", "op.CenterNet.IndexProcess.index_dir=x", script=DET_SCRIPT)
    assert f"IndexProcess: a gallery needs a recogniser, and {converted_det} is a detector" in gallery
    auto = refused(
        tmp_path, f"{place}={converted_det}", "op.CenterNet.local_service_conf.engine=auto", script=DET_SCRIPT
    )
    assert "engine auto: it tries classifiers only" in auto


# ------------------------------------------------------------------------------------------------- planted faults


def next_number(number):
    return float(np.nextafter(np.float32(number), np.float32(0)))


def last_bit_of_a_score(results):
    results[1]["scores"][2] = next_number(results[1]["scores"][2])


def last_bit_of_a_corner(results):
    results[1]["boxes"][0][3] = next_number(results[1]["boxes"][0][3])


def another_coordinate(results):
    results[0]["boxes"][1][2] += 3


def another_class(results):
    results[0]["class_ids"][0] = (results[0]["class_ids"][0] + 1) % 3


def another_name(results):
    results[0]["label_names"][0] = "circle"


def missing_box(results):
    for values in results[0].values():
        values.pop()


def one_box_more(results):
    for values in results[0].values():
        values.append(values[-1])


def other_order(results):
    for values in results[0].values():
        values[0], values[1] = values[1], values[0]


def swapped(results):
    results[1], results[2] = results[2], results[1]


def rounded(results):
    results[:] = [rounded_like_predict_det(result) for result in results]


def three_corners(results):
    results[0]["boxes"][0].pop()


def words(results):
    results[0]["scores"][0] = "0.5"


def infinite(results):
    results[0]["boxes"][0][0] = float("inf")


def of_classes(results):
    results[0] = {"class_ids": [0], "scores": [1.0], "label_names": []}


FAULTS = {
    last_bit_of_a_score: 6,
    last_bit_of_a_corner: 6,
    another_coordinate: 6,
    another_class: 6,
    another_name: 6,
    missing_box: 6,
    one_box_more: 6,
    other_order: 6,
    swapped: 5,
    rounded: 3,
    three_corners: 6,
    words: 6,
    infinite: 6,
    of_classes: 6,
}


def changed(path, folder, change):
    """A copy of saved answers in which `change` was made to the results of the first request."""
    saved = json.loads(path.read_text())
    results = json.loads(saved[0]["answer"]["value"][0])
    change(results)
    saved[0]["answer"]["value"] = [json.dumps(results)]
    (folder / "changed.json").write_text(json.dumps(saved))
    return folder / "changed.json"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_sees_a_wrong_box(answers, model, fault, tmp_path, run_here):
    path = changed(answers, tmp_path, fault)
    outcome = run_here(COMPARE, "--inference_model_dir", model, f"http={path}")
    assert_one_line(outcome, "its predictions are not those of the service")
    assert f"{FAULTS[fault]} of 7 images identical" in outcome.out
    assert "DISAGREES" in outcome.out


@pytest.mark.parametrize(
    ("fault", "limit", "status"),
    [(last_bit_of_a_corner, 1e-6, 0), (rounded, 1e-3, 0), (rounded, 1e-7, 1), (another_coordinate, 1e-3, 1)]
    + [(fault, 0.9, 1) for fault in (another_class, another_name, missing_box, three_corners)],
)
def test_with_a_limit_the_classes_count(answers, model, fault, limit, status, tmp_path, run_here):
    path = changed(answers, tmp_path, fault)
    outcome = run_here(COMPARE, "--inference_model_dir", model, "--limit", limit, f"http={path}")
    assert outcome.status == status, outcome


def test_another_engine_is_refused(answers, model, run_here):
    outcome = run_here(COMPARE, "--inference_model_dir", model, f"http={answers}", "--engine", "openvino")
    assert_one_line(outcome, "the service computes with engine openvino, and predict_det.py with onednn: Global of ")


def test_answers_without_a_box_show_nothing(answers, model, tmp_path, run_here):
    def emptied(results):
        results[:] = [{"class_ids": [], "scores": [], "boxes": [], "label_names": []} for _ in results]

    saved = json.loads(changed(answers, tmp_path, emptied).read_text())[:1]
    (tmp_path / "empty.json").write_text(json.dumps(saved))
    high = ["-o", "PostProcess.threshold=1"]
    outcome = run_here(COMPARE, "--inference_model_dir", model, *high, f"http={tmp_path / 'empty.json'}")
    assert_one_line(outcome, "its predictions are not those of the service")
    assert "4 of 4 images identical, 4 of 4 with the same classes, 0 boxes: DISAGREES" in outcome.out


def test_a_model_that_ignores_its_images_is_refused(exported_detector, images, tmp_path, run_here):
    """Right answers that are the same for all images, but for the images' sizes."""
    config, _ = exported_detector
    arrays = detector_weights(load_config(config))
    zeros = {name: np.zeros_like(rows) for name, rows in arrays.items() if name.startswith("heat.") and rows.ndim == 4}
    weights = save_arrays({**arrays, **zeros}, tmp_path / "zeros.pdparams")
    changes = [f"Global.pretrained_model={weights}", f"Global.save_inference_dir={tmp_path / 'zeros'}"]
    made = run_process("tools/export_model.py", "-c", config, *(word for one in changes for word in ("-o", one)))
    assert made.status == 0, made.err
    task, model = Detection(), tmp_path / "zeros"
    low = ["PostProcess.threshold=0"]
    settings = task.read_config(ROOT / "deploy/configs/inference_det.yaml", low)
    transforms, postprocess = build_processing(model, settings)
    results_of, engine = task.results_of(postprocess, model, settings), task.network.create(model, EngineOptions())
    saved = []
    for path in sorted(images.iterdir()):
        prepared = [task.network.read(path, transforms)]
        results = results_of(task.network.run(engine, prepared), **task.network.facts(prepared))
        answer = make_answer(results)
        saved.append({"images": [str(path)], "answer": {"err_no": 0, "key": [*answer], "value": [*answer.values()]}})
    (tmp_path / "answers.json").write_text(json.dumps(saved))
    outcome = run_here(COMPARE, "--inference_model_dir", model, "-o", *low, f"http={tmp_path / 'answers.json'}")
    assert_one_line(outcome, "its predictions are not those of the service")
    assert "7 of 7 images identical" in outcome.out
    assert "the scores of 7 different images differ by at most 0: the answers do not depend on the image" in outcome.out
