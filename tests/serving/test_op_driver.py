"""test_serving.sh with a config that sets operators: each combination on its own, and each planted fault."""

import json
import shutil

import pytest

from tests.helpers.bundles import differences, read_bundle
from tests.helpers.scripts import ROOT
from tests.helpers.shell import copy_tree, wait_for
from tests.serving.test_driver import Serving, left_running

CONF = "op.imagenet.local_service_conf"
CPP = ("server cpp", "skipped")
# speaks as classification_web_service.py does, and computes nothing: for what fails before answers are compared
STAND_IN = """
import http.server, json, os, signal, sys
told = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
onednn = {"True": "on", "False": "off"}[told["CONF.use_mkldnn"]]
threads = told["CONF.thread_num"]
asked = {}
SETTINGS = f"oneDNN {onednn}; threads {threads}"

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})

    def do_POST(self):
        images = len(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["key"])
        asked[images] = asked.get(images, 0) + 1
        result = [{"class_ids": [0], "scores": [1.0], "label_names": []}] * images
        self.answer({"err_no": 0, "err_msg": "", "key": ["result"], "value": [json.dumps(result)]})

    def answer(self, content):
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

def stop(*_):
    print("asked: " + ", ".join(f"{count} requests of {size} images" for size, count in asked.items()), flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, stop)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(f"[2026/11/26 05:36:15] ppcls_lite INFO: engine stand_in: {SETTINGS}")
print(f"listening: http://127.0.0.1:{server.server_port}/imagenet/prediction and grpc 127.0.0.1:1", flush=True)
server.serve_forever()
""".replace("CONF", CONF)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, exported):
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(exported.model, tree / "inference/small_net_infer")
    return tree


@pytest.fixture
def chain(tree, tmp_path):
    return Serving(tree, tmp_path, "paddleocr")


@pytest.fixture
def stand_in(chain):
    """`stand_in(old, new)`: the chain with that service, one combination, and a part of its text replaced."""

    def plant(old="", new="", onednn="True", threads="6"):
        assert old in STAND_IN
        (chain.tree / "deploy/paddleserving/stand_in.py").write_text(STAND_IN.replace(old, new, 1))
        chain.set("web_service", "stand_in.py --opt op.imagenet.concurrency=1")
        chain.set(f"{CONF}.use_mkldnn", onednn).set(f"{CONF}.thread_num", threads)
        return chain

    return plant


def results(run):
    """{(first word, device and combination): (result, reason)}; of the other steps, {name: …}."""
    return {name: (result, reason) for name, result, reason in run.steps}


# ----------------------------------------------------------------------------------------------------- it works


def test_both_values_of_onednn_are_in_effect_and_agree(chain):
    run = chain.run("--evidence")
    assert run.status == 0, run.out + run.err
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["compared"]
    assert summary["whole"]
    names = [f"cpu_usemkldnn_{value}_threads_2_batchsize_2" for value in ("True", "False")]
    expected = {"prepare": "passed", "convert": "passed", "server cpp": "skipped"}
    expected["server gpu_usetrt_False_precision_fp32_batchsize_2"] = "skipped"
    for name in names:
        expected.update({f"{step} {name}": "passed" for step in ("server", "stop", "agree")})
        expected[f"client {name} pipeline_http"] = "passed"
    assert run.results == expected
    for name, onednn in zip(names, ("True", "False")):
        log = (run.folder / f"server_infer_{name}.log").read_text()
        for line in (f"enable_mkldnn: {onednn}", "cpu_math_library_num_threads: 2", "batch_size: 2", "data_num: 5"):
            assert f"\n{line}\n" in log
        for part in ("model_name: small_net", "precision: fp32", "{'err_no': 0"):
            assert part in log
        server = (run.folder / f"python_server_{name}.log").read_text()
        assert "asked: 1 request of 1 image, 2 requests of 2 images" in server
        (agreed,) = json.loads((run.folder / f"agree_{name}.json").read_text())
        assert agreed["identical"] == agreed["images"] == 5
    lines = (run.folder / "results_serving.log").read_text().splitlines()
    assert len(lines) == 1 + 2 * 3
    assert all(line.startswith("\x1b[33m Run successfully with command - small_net - python ") for line in lines)
    evidence = chain.tree / "test_log/small_net/serving_options"
    kept = {f"server_infer_{name}.log" for name in names} | {"results_serving.log", "summary.json"}
    assert {path.name for path in evidence.iterdir()} >= kept
    assert set(differences(read_bundle(evidence), evidence).values()) == {(0, 0, 5)}
    settings = [step["figure"] for step in summary["steps"]]
    assert {"oneDNN on", "oneDNN off"} <= set(settings)
    assert wait_for(lambda: left_running(chain.folder) == [])


def test_the_real_service_without_a_setting(chain):
    """The web service drops use_mkldnn=False: it goes on with its usual engine, and that is seen."""
    web = chain.script(
        "classification_web_service.py",
        "    run_service(",
        "    sys.argv = [word for word in sys.argv if 'use_mkldnn' not in word]\n    run_service(",
    )
    chain.set("web_service", web).set(f"{CONF}.use_mkldnn", "False")
    run = chain.run()
    assert run.status == 1
    name = "cpu_usemkldnn_False_threads_2_batchsize_2"
    result, reason = results(run)[f"server {name}"]
    assert result == "failed"
    assert reason.startswith("oneDNN off was passed to the service, which ")
    assert run.results[f"client {name}"] == run.results[f"agree {name}"] == "not run"
    assert wait_for(lambda: left_running(chain.folder) == [])


# ------------------------------------------------------------------------------------------------ planted faults


def test_the_stand_in_passes_without_a_fault(stand_in):
    run = (
        stand_in()
        .set("pipline", "pipeline_http_client.py|pipeline_http_client.py --timeout 9")
        .run("--stop_stage", "3")
    )
    assert run.status == 0, run.out + run.err
    name = "usemkldnn_True_threads_6_batchsize_2"
    assert run.results[f"stop cpu_{name}"] == "passed"
    # several clients have their names in those of their logs, as in PaddleOCR's script
    assert f"server_infer_cpu_pipeline_http_{name}.log" in run.logs


@pytest.mark.parametrize(
    ("old", "new", "result", "reason"),
    [
        ("threads {threads}", "threads 2", "failed", "threads 6 was passed to the service, which ignores it: 2"),
        ("{onednn}", "off", "failed", "oneDNN on was passed to the service, which ignores it: off"),
        ("INFO: engine", "INFO: motor", "failed", "the service does not say what is in effect"),
        ("threads {threads}", "threads {threads} -> 2 (few)", "skipped", "threads 6 is not in effect: 2 (few)"),
        ("signal.signal", "sys.exit(print('no oneDNN here') or 77)\nsignal.signal", "skipped", "no oneDNN here"),
        ("signal.signal", "sys.exit('cannot')\nsignal.signal", "failed", "ended before it was ready"),
    ],
)
def test_a_service_that_does_not_have_what_it_was_told(stand_in, old, new, result, reason):
    chain = stand_in(old, new)
    run = chain.run("--stop_stage", "3")
    assert run.status == (1 if result == "failed" else 0), run.out + run.err
    found = results(run)["server cpu_usemkldnn_True_threads_6_batchsize_2"]
    assert found[0] == result
    assert reason in found[1]
    assert not [name for name, (word, _) in results(run).items() if name.startswith("client") and word == "passed"]
    assert wait_for(lambda: left_running(chain.folder) == [])
    if result == "skipped":  # and no later stage takes it for a fault
        assert "could not be run" not in chain.run("--stage", "4").out


def test_a_service_that_is_asked_in_other_batches(stand_in):
    run = stand_in("len(json.loads", "0 * len(json.loads").run("--stop_stage", "3")
    assert run.status == 1
    result, reason = results(run)["stop cpu_usemkldnn_True_threads_6_batchsize_2"]
    assert result == "failed"
    assert reason.startswith(
        "batches of 2 were requested, and the service got 3 requests of 0 images; expected 1 request"
    )


def test_a_client_that_sends_one_image_at_a_time(stand_in):
    chain = stand_in()
    client = chain.script(
        "pipeline_http_client.py", "    import requests", "    import requests\n    args.batch_size = 1"
    )
    run = chain.set("pipline", client).run("--stop_stage", "3")
    assert run.status == 1
    reasons = {name: reason for name, result, reason in run.steps if result == "failed"}
    (reason,) = [reason for name, reason in reasons.items() if name.startswith("client")]
    assert reason.endswith("batches of 2 were requested, and the client sent 5 requests of 1 image")


def test_a_server_that_dies_and_the_next_combination(stand_in):
    """The first combination's server dies while it is asked; the second one is started and passes."""
    chain = stand_in(
        "        images = len", "        onednn == 'on' and os._exit(7)\n        images = len", onednn="True|False"
    )
    run = chain.run("--stop_stage", "3")
    assert run.status == 1
    found = results(run)
    assert found["stop cpu_usemkldnn_True_threads_6_batchsize_2"] == (
        "failed",
        "the server ended by itself, exit code 7",
    )
    assert found["client cpu_usemkldnn_True_threads_6_batchsize_2 pipeline_http"][0] == "failed"
    assert found["stop cpu_usemkldnn_False_threads_6_batchsize_2"][0] == "passed"
    assert wait_for(lambda: left_running(chain.folder) == [])


def test_the_delivered_config_is_the_small_one_with_more_values():
    """What is proven here of the small config holds for the delivered one: they have the same lines."""
    delivered = (ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python_options.txt").read_text()
    small = (ROOT / "tests/fixtures/tipc/serving_paddleocr.txt").read_text()
    keys = [[line.partition(":")[0] for line in text.splitlines()] for text in (delivered, small)]
    assert keys[0] == keys[1]
