"""test_serving.sh with a recogniser: embeddings, then names from a gallery; each planted fault, and stages."""

import json
import re
import shutil

import pytest

from tests.helpers.bundles import differences, read_bundle
from tests.helpers.recognition import NAMES
from tests.helpers.scripts import ROOT
from tests.helpers.shell import bash, copy_tree, wait_for
from tests.serving.test_driver import Serving, left_running
from tests.serving.test_op_configs import steps

BUILD = "deploy/python/build_gallery.py -c deploy/configs/build_gallery.yaml"
PLANT = "def main():\n    import plant_rec  # noqa\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory, recognizer):
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(recognizer, tree / "inference/small_rec_infer")
    return tree


@pytest.fixture
def chain(tree, rec_set, tmp_path):
    made = Serving(tree, tmp_path, "recognition")
    made.text = made.text.replace("SET", str(rec_set))
    return made


def failed(run):
    return [name for name, result, _ in run.steps if result == "failed"]


def test_embeddings_and_names_are_those_of_predict_rec(chain):
    run = chain.run("--evidence")
    assert run.status == 0, run.out + run.err
    names = ["pipeline_http batchsize 1", "pipeline_rpc batchsize 1", "pipeline_http batchsize 4"]
    expected = {"prepare": "passed", "convert": "passed", "gallery": "passed"}
    for variant in ("cpu", "gallery_cpu"):
        expected.update({f"{step} {variant}": "passed" for step in ("server", "stop", "agree")})
        expected.update({f"client {variant} {name}": "passed" for name in names})
    assert run.results == expected
    assert "and all answers are identical to the predictions" in run.out
    for name in ("agree_cpu", "agree_gallery_cpu"):
        agreed = json.loads((run.folder / f"{name}.json").read_text())
        assert [(one["client"], one["images"], one["identical"]) for one in agreed] == [
            (client, 4, 4) for client in ("http_1", "http_4", "rpc_1")
        ]
    answers = json.loads((run.folder / "answers_gallery_cpu_http_4.json").read_text())
    (found,) = (json.loads(one["answer"]["value"][0]) for one in answers)
    assert all(len(result["rec_docs"]) == 5 and set(result["rec_docs"]) <= set(NAMES) for result in found)
    assert wait_for(lambda: left_running(chain.folder) == [])
    evidence = chain.tree / "test_log/small_net/serving"
    assert set(differences(read_bundle(evidence), evidence).values()) == {(0, 0, 4)}
    for log in ("python_server.log", "client_http.log", "agree.log"):
        assert "gallery" not in (evidence / log).read_text().partition("\n# started")[0]
        assert "gallery" in (evidence / "gallery_cpu" / log).read_text()

    passed = {"predictions agree": "PASS", "predictions there": "PASS", "answers": "PASS"}
    assert audited(run.folder, passed) == passed
    for variant, key in (("cpu", '"features": ['), ("gallery_cpu", '"rec_scores": [')):
        forged = shutil.copytree(run.folder, chain.folder / f"forged_{variant}")
        text = answers[0]["answer"]["value"][0] if key == '"rec_scores": [' else embedding_of(run.folder)
        number = text.partition(key)[2].partition(",")[0]
        for path in (*forged.glob("answers_*.json"), *forged.glob("python_client_*.log")):
            path.write_text(path.read_text().replace(number, "0.123"))
        assert audited(forged, passed)["answers"] == "FAIL"


def audited(folder, checks):
    """{check: PASS, FAIL or SKIP} of some checks of a run's files."""
    run = bash('bash "$0/test_tipc/check_submission.sh" "$1"', folder)
    found = re.findall(r"^(PASS|FAIL|SKIP)  \S+  (.+?)  ", run.out, re.MULTILINE)
    return {check: word for word, check in found if check in checks}


def embedding_of(folder):
    """The text of the first embedding that was answered."""
    answers = json.loads((folder / "answers_cpu_http_1.json").read_text())
    return answers[0]["answer"]["value"][0]


def test_a_service_that_swaps_names_is_seen(chain):
    """In the gallery's answers only: the embeddings are right."""
    (chain.tree / "deploy/paddleserving/plant_rec.py").write_text(
        "from ppcls_lite.infer.gallery import Gallery\nfind = Gallery.matches\n"
        "def swapped(self, *words):\n    found = find(self, *words)\n    for row in found:\n"
        "        row[0]['rec_docs'], row[1]['rec_docs'] = row[1]['rec_docs'] + 'x', row[0]['rec_docs']\n"
        "    return found\nGallery.matches = swapped\n"
    )
    web = chain.script("recognition_web_service.py", "def main():\n", PLANT)
    chain.set("pipline", "pipeline_http_client.py")
    run = chain.set("web_service", f"{web} --config=config_rec.yml").run()
    assert run.status == 1
    assert failed(run) == ["agree gallery_cpu"]
    assert "0 of 4 with the same names: DISAGREES" in run.out


def test_a_gallery_that_is_not_made_leaves_the_embeddings(chain):
    chain.set("pipline", "pipeline_http_client.py")
    run = chain.set("gallery", f"{BUILD} -o IndexProcess.data_file=no/such.txt").run()
    assert run.status == 1
    assert failed(run) == ["gallery"]
    assert run.results["agree cpu"] == "passed"
    assert run.results["server gallery_cpu"] == run.results["agree gallery_cpu"] == "not run"


def test_a_gallery_that_was_exchanged_after_it_was_asked(chain):
    run = chain.set("pipline", "pipeline_http_client.py").run("--stop_stage", "3")
    assert run.status == 0
    made = run.folder / "gallery/gallery.json"
    made.write_text(made.read_text() + "\n")  # its content is the same
    run = chain.run("--stage", "4")
    assert run.status == 1
    assert run.out.count("with the same names: agrees") == 2
    assert "FAILED: agree gallery_cpu had another gallery than gallery: they do not belong to one run" in run.out


@pytest.mark.parametrize("name", ["ArcFace_MobileFaceNet", "ArcFace_MobileNetV3_small"])
def test_the_delivered_configs_are_planned(name):
    config = ROOT / f"test_tipc/configs/{name}/serving_infer_python.txt"
    run = bash('bash "$0/test_tipc/test_serving.sh" "$@"', config, "serving_infer", "--dry_run")
    servers, agreed = steps(run), steps(run, "agree")
    assert list(servers) == ["gpu", "cpu", "gallery_gpu", "gallery_cpu"]
    index = f"IndexProcess.index_dir=../../test_tipc/output/{name}/serving_infer/gallery"
    assert f" op.ArcFace.{index}" in servers["gallery_cpu"]
    assert f" -o {index} " in agreed["gallery_cpu"]
    assert index not in servers["cpu"] + agreed["cpu"]
    assert f"-o IndexProcess.index_dir=test_tipc/output/{name}/serving_infer/gallery\n" in run.out
