"""test_serving.sh with a detector, each planted fault; and the configs of all networks that are delivered."""

import json
import re
import shutil

import pytest

from tests.helpers.bundles import differences, read_bundle
from tests.helpers.scripts import ROOT
from tests.helpers.shell import bash, copy_tree, wait_for
from tests.serving.test_driver import Serving, left_running
from tests.serving.test_gallery_driver import audited, failed
from tests.serving.test_op_configs import steps

FOREIGN = "ms1mv2_mobileface"  # its scripts are insightface's, which has no such service
NAMES = sorted(path.parent.name for path in (ROOT / "test_tipc/configs").glob("*/train_infer_python.txt"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory, exported_detector):
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(exported_detector[1], tree / "inference/small_det_infer")
    return tree


@pytest.fixture
def chain(tree, det_set, tmp_path):
    made = Serving(tree, tmp_path, "detection")
    made.text = made.text.replace("SET", str(det_set))
    return made


def test_boxes_are_those_of_predict_det(chain):
    run = chain.run("--evidence")
    assert run.status == 0, run.out + run.err
    names = ["pipeline_http batchsize 1", "pipeline_rpc batchsize 1", "pipeline_http batchsize 4"]
    expected = {f"client cpu {name}": "passed" for name in names}
    expected.update(dict.fromkeys(["prepare", "convert", "server cpu", "stop cpu", "agree cpu"], "passed"))
    assert run.results == expected
    agreed = json.loads((run.folder / "agree_cpu.json").read_text())
    assert [(one["client"], one["images"], one["identical"]) for one in agreed] == [
        (client, 5, 5) for client in ("http_1", "http_4", "rpc_1")
    ]
    assert wait_for(lambda: left_running(chain.folder) == [])
    evidence = chain.tree / "test_log/small_net/serving"
    assert set(differences(read_bundle(evidence), evidence).values()) == {(0, 0, 5)}

    passed = {"predictions agree": "PASS", "predictions there": "PASS", "answers": "PASS"}
    assert audited(run.folder, passed) == passed
    text = json.loads((run.folder / "answers_cpu_http_1.json").read_text())[0]["answer"]["value"][0]
    (result,) = json.loads(text)
    for name, old, new in (
        ("score", f"{result['scores'][0]!r}", "0.123"),
        ("corner", f"{result['boxes'][0][2]!r}", f"{result['boxes'][0][2] - 0.5!r}"),
        ("class", f'"class_ids": [{result["class_ids"][0]}', f'"class_ids": [{result["class_ids"][0] + 1}'),
    ):
        forged = shutil.copytree(run.folder, chain.folder / f"forged_{name}")
        for path in (*forged.glob("answers_*.json"), *forged.glob("python_client_*.log")):
            written = path.read_text()
            for quote in ('"', '\\"'):  # JSON has them escaped
                written = written.replace(old.replace('"', quote), new.replace('"', quote))
            path.write_text(written)
        assert audited(forged, passed)["answers"] == "FAIL", name


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (  # the last bit of the scores
            "np.where(np.arange(6) == 1, np.nextafter(found, np.float32(0)), found)",
            "0 of 5 images identical, 5 of 5 with the same classes",
        ),
        ("found[:, ::-1]", "0 of 5 images identical, 0 of 5 with the same classes"),
    ],
)
def test_a_service_with_other_boxes_is_seen(chain, fault, said):
    """In the service only, whatever the engine computes."""
    plant = chain.tree / "deploy/paddleserving/plant_det.py"
    plant.write_text(
        "import numpy as np\nfrom ppcls_lite.serving.network import DetectorNetwork\nrun = DetectorNetwork.run\n"
        f"def other(self, *words):\n    found = run(self, *words)\n    return np.ascontiguousarray({fault})\n"
        "DetectorNetwork.run = other\n"
    )
    web = chain.script("detection_web_service.py", "def main():\n", "def main():\n    import plant_det  # noqa\n")
    chain.set("pipline", "pipeline_http_client.py")
    run = chain.set("web_service", f"{web} --config=config_det.yml").run()
    assert run.status == 1
    assert failed(run) == ["agree cpu"]
    assert said in run.out
    assert "DISAGREES" in run.out


def test_a_detector_in_the_service_of_classifiers(chain):
    run = chain.set("web_service", "classification_web_service.py").run()
    assert run.status == 1
    assert failed(run) == ["server cpu"]
    assert "its predictions need DetectionBoxes" in run.out


# ------------------------------------------------------------------------------------------------ all delivered configs


@pytest.mark.parametrize("name", [name for name in NAMES if name != FOREIGN])
def test_every_network_has_a_service(name):
    folder = ROOT / "test_tipc/configs" / name
    written = (folder / "serving_infer_python.txt").read_text()
    values = dict(line.split(":", 1) for line in written.splitlines()[1:])
    base = (folder / "train_infer_python.txt").read_text()
    (kind,) = set(re.findall(r"python/predict_(cls|det|rec)\.py", base))
    script = {"cls": "classification", "det": "detection", "rec": "recognition"}[kind]
    assert values["web_service"].startswith(f"{script}_web_service.py")
    assert values["model_name"] == name
    for key, end in (("--dirname", "infer"), ("--serving_server", "serving"), ("--serving_client", "client")):
        assert values[key].rstrip("/").endswith(f"/{name}_{end}")


@pytest.mark.parametrize("name", ["CenterNet_ResNet50_vd", "ShuffleNetV2_x0_5"])
def test_new_configs_are_planned(name):
    config = ROOT / f"test_tipc/configs/{name}/serving_infer_python.txt"
    run = bash('bash "$0/test_tipc/test_serving.sh" "$@"', config, "serving_infer", "--dry_run")
    operator = "CenterNet" if name.startswith("CenterNet") else "imagenet"
    assert list(steps(run)) == ["gpu", "cpu"]
    assert f" op.{operator}.local_service_conf.device_type=0" in steps(run)["cpu"]
    assert re.findall(r"^client cpu (\S+) batchsize (\d)", run.out, re.MULTILINE) == [
        ("pipeline_http", "1"),
        ("pipeline_rpc", "1"),
        ("pipeline_http", "4"),
    ]
