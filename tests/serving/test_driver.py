"""test_serving.sh with real servers: both dialects, each planted fault, and nothing left running."""

import json
import os
import re
import shutil
import signal
import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.helpers.bundles import differences, read_bundle
from tests.helpers.shell import CONFIGS, Chain, assert_one_error, copy_tree, is_running, wait_for

MODE = "serving_infer"
PASSED = {
    "prepare": "passed",
    "convert": "passed",
    "server gpu": "skipped",
    "server cpu": "passed",
    "client cpu pipeline_http batchsize 1": "passed",
    "client cpu pipeline_http batchsize 4": "passed",
    "stop cpu": "passed",
    "agree cpu": "passed",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory, exported):
    """A checkout with the exported model where the official configs expect it."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    for place in ("deploy/paddleserving/small_net_infer", "inference/small_net_infer"):
        shutil.copytree(exported.model, tree / place)
    return tree


@pytest.fixture
def chain(tree, tmp_path):
    return Serving(tree, tmp_path)


class Serving(Chain):
    """A serving config, and the driver that runs it."""

    def __init__(self, tree, folder, dialect="paddleclas"):
        self.tree, self.folder = tree, folder
        self.text = (CONFIGS / f"serving_{dialect}.txt").read_text()
        self.path = folder / "serving.txt"

    def output(self, mode=None):
        return super().output(MODE)

    def command(self, *options, mode=None, config=None):
        self.path.write_text(self.text)
        script = str(self.tree / "test_tipc/test_serving.sh")
        return ["bash", script, str(config or self.path), MODE, *options]

    def run(self, *options, **more):
        return super().run(*options, mode=MODE, **more)

    def script(self, name, old, new):
        """A copy of a script of deploy/paddleserving with a planted fault; its name."""
        source = (self.tree / "deploy/paddleserving" / name).read_text()
        assert old in source
        (self.tree / "deploy/paddleserving" / f"planted_{name}").write_text(source.replace(old, new))
        return f"planted_{name}"


def left_running(folder):
    """Numbers of the processes whose command line or environment names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in text and int(path.name) != os.getpid() and is_running(path.name):
            found.append(path.name)
    return found


def contents(tree):
    """{path: bytes} of every file of a checkout, without data and bytecode."""
    files = [path for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path: path.read_bytes() for path in files if path.relative_to(tree).parts[0] != "dataset"}


# ------------------------------------------------------------------------------------------------------- it works


@pytest.mark.parametrize("dialect", ["paddleclas", "models"])
def test_official_configs_run_as_they_are(tree, tmp_path, dialect):
    chain = Serving(tree, tmp_path, dialect)
    before = contents(tree)
    run = chain.run(http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    assert run.status == 0, run.out + run.err
    assert run.results == PASSED
    assert "and all answers are identical to the predictions" in run.out
    assert wait_for(lambda: left_running(tmp_path) == [])
    kept = {"serving_paddleclas": "small_net_serving", "serving_models": "serving_server"}[f"serving_{dialect}"]
    assert (run.folder / kept / "serving_server_conf.prototxt").is_file()
    assert 'alias_name: "prediction"' in (run.folder / kept / "serving_server_conf.prototxt").read_text()
    lines = (run.folder / "results_serving.log").read_text().splitlines()
    assert len(lines) == 5
    assert all(line.startswith("\x1b[33m Run successfully with command - small_net - python ") for line in lines)
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["passed"]
    assert "paddle-serving-server" in summary["versions"]
    (figure,) = [step["figure"] for step in summary["steps"] if step["name"] == "agree cpu"]
    assert figure == "http_1 0, http_4 0"
    assert ElementTree.parse(run.folder / "junit.xml").getroot().get("failures") == "0"
    for name in ("python_server_cpu.log", "python_client_cpu_pipeline_http_batchsize_1.log", "agree_cpu.log"):
        assert (run.folder / name).stat().st_size
    request = json.loads((run.folder / "request_cpu_http_1.json").read_text())
    assert request["key"] == ["image"]
    answers = json.loads((run.folder / "answers_cpu_http_1.json").read_text())
    assert len(answers) == 5
    assert contents(tree) == before


def test_both_clients_evidence_and_fixed_ports(chain):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = f"{one.getsockname()[1]},{other.getsockname()[1]}"
    chain.set("pipline", "pipeline_http_client.py|pipeline_rpc_client.py")
    run = chain.run("--evidence", TIPC_SERVING_PORTS=ports)
    assert run.status == 0, run.out + run.err
    assert run.results["client cpu pipeline_rpc batchsize 1"] == "passed"
    http, rpc = ports.split(",")
    assert f"listening: http://127.0.0.1:{http}/imagenet/prediction and grpc 127.0.0.1:{rpc}" in run.out
    evidence = chain.tree / "test_log/small_net/serving"
    expected = {"agree.log", "answers.json", "client_grpc.log", "client_http.log", "client_http_4_images.log"}
    expected |= {"python_server.log", "request.json", "summary.json"}
    assert {path.name for path in evidence.iterdir()} >= expected
    content = read_bundle(evidence)
    assert set(differences(content, evidence).values()) == {(0, 0, 5)}
    assert {one["file"] for one in content["lineage"] if one["kind"] == "answers"} >= {"answers.json"}


# ----------------------------------------------------------------------------------------------- planted faults


def test_a_service_with_other_transforms_is_seen(chain, exported):
    """The service's transforms differ from those of the exported model."""
    web = chain.script("classification_web_service.py", "def main():", "def main():\n    import plant  # noqa")
    (chain.tree / "deploy/paddleserving/plant.py").write_text(
        "from ppcls_lite.data.transforms import basic\n"
        "call = basic.NormalizeImage.__call__\n"
        "basic.NormalizeImage.__call__ = lambda self, image, rng=None: call(self, image, rng) * 0.5\n"
    )
    run = chain.set("web_service", web).run()
    assert run.status == 1
    assert [name for name, result, _ in run.steps if result == "failed"] == ["agree cpu"]
    assert "DISAGREES" in run.out
    assert "FAILED: 1 of " in run.out


def test_a_service_with_another_engine_is_seen(chain):
    option = "-o op.imagenet.local_service_conf.engine=paddle"
    run = chain.set("web_service", f"classification_web_service.py {option}").run()
    assert run.status == 1
    assert [name for name, result, _ in run.steps if result == "failed"] == ["agree cpu"]
    assert "error: the service computes with engine paddle, and predict_cls.py with onednn: Global of " in run.out


def test_one_line_changes_the_engine_of_both(chain):
    path = chain.tree / "deploy/configs/inference_cls.yaml"
    text = path.read_text()
    path.write_text(text.replace("  engine: null ", "  engine: paddle "))
    try:
        run = chain.run()
    finally:
        path.write_text(text)
    assert run.status == 0, run.out + run.err
    assert "engine: paddle\n" in run.out
    assert (run.folder / "agree_cpu.log").read_text().count("5 of 5 images identical") == 2


def test_a_service_with_another_last_bit_is_seen(chain):
    """Of one score, in the answer to one image."""
    web = chain.script("classification_web_service.py", "def main():", "def main():\n    import plant_bit  # noqa")
    (chain.tree / "deploy/paddleserving/plant_bit.py").write_text(
        "import numpy as np\nfrom ppcls_lite.serving import engines\npredict, asked = engines.Engines.predict, []\n"
        "def changed(self, images):\n    scores = predict(self, images)\n    asked.append(len(images))\n"
        "    if len(asked) == 3:\n        scores[0, 0] = np.nextafter(scores[0, 0], np.float32(1))\n    return scores\n"
        "engines.Engines.predict = changed\n"
    )
    run = chain.set("web_service", web).run()
    assert run.status == 1
    assert [name for name, result, _ in run.steps if result == "failed"] == ["agree cpu"]
    assert re.search(r"^http_1: largest difference \S+e-\d+ .* 4 of 5 images identical, 5 of 5 with the", run.out, re.M)
    assert "http_4: largest difference 0 (bitwise equality required), 5 of 5 images identical" in run.out
    assert "FAILED: 1 of 7 steps failed: agree cpu" in run.out


def test_the_answers_of_an_earlier_run_are_not_taken_for_those_of_this_one(chain):
    """The client ends well and saves nothing; the file of the run before is still there."""
    assert chain.run().status == 0
    client = chain.tree / "deploy/paddleserving/pipeline_http_client.py"
    text = client.read_text()
    client.write_text("print('asked')\n")
    run = chain.run("--stage", "3")
    client.write_text(text)
    assert run.status == 1
    reasons = {name: why for name, result, why in run.steps if result == "failed"}
    assert reasons["client cpu pipeline_http batchsize 1"].startswith("it left no answers in ")


def test_a_model_that_was_exchanged_after_the_conversion(chain, exported):
    run = chain.run("--stop_stage", "3")
    assert run.status == 0, run.out + run.err
    served = next(run.folder.glob("*/inference.yml"))
    served.write_text(served.read_text() + "# another\n")
    run = chain.run("--stage", "4")
    assert run.status == 1
    assert "FAILED: agree cpu had another converted model than convert: " in run.out


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("def main():", "def main():\n    sys.exit('cannot start')", "ended before it was ready"),
        ("def main():", "def main():\n    import time; time.sleep(1000)", "not ready after 3 seconds"),
    ],
)
def test_a_server_that_does_not_become_ready(chain, old, new, reason):
    web = chain.script("classification_web_service.py", old, new)
    limit = {"TIPC_SERVING_SECONDS": "3"} if "3 seconds" in reason else {}
    run = chain.set("web_service", web).run(**limit)
    assert run.status == 1
    assert ("server cpu", "failed", reason) in run.steps
    assert run.results["client cpu"] == run.results["agree cpu"] == "not run"
    assert "Run failed with command" in (run.folder / "results_serving.log").read_text()
    assert wait_for(lambda: left_running(chain.folder) == [])


def test_a_server_that_dies_while_it_serves(chain):
    web = chain.script(
        "classification_web_service.py",
        "def main():",
        "def main():\n    import os\n    from ppcls_lite.serving import front\n"
        "    front.Front.respond = lambda *words: os._exit(7)",
    )
    run = chain.set("web_service", web).run()
    assert run.status == 1
    failed = {name: reason for name, result, reason in run.steps if result == "failed"}
    assert failed["stop cpu"] == "the server ended by itself, exit code 7"
    assert "client cpu pipeline_http batchsize 1" in failed
    assert run.results["agree cpu"] == "not run"
    assert wait_for(lambda: left_running(chain.folder) == [])


def test_a_server_whose_children_outlive_it(chain):
    """As Paddle Serving's own workers and proxy do: they run on in sessions of their own."""
    web = chain.script(
        "classification_web_service.py",
        "    run_service(",
        "    import subprocess\n"
        f"    children = [subprocess.Popen(['sleep', '1000'], start_new_session=True) for _ in range(3)]\n"
        f"    Path({str(chain.folder / 'children')!r}).write_text(' '.join(str(child.pid) for child in children))\n"
        "    run_service(",
    )
    run = chain.set("web_service", web).run()
    assert run.status == 0, run.out + run.err
    children = (chain.folder / "children").read_text().split()
    assert len(children) == 3
    assert wait_for(lambda: not any(map(is_running, children)))
    assert wait_for(lambda: left_running(chain.folder) == [])


def test_a_port_in_use_is_reported_at_once(chain):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = chain.run(TIPC_SERVING_PORTS=f"{port},0")
    assert run.status == 1
    assert ("server cpu", "failed", "ended before it was ready") in run.steps
    assert run.results["client cpu"] == run.results["agree cpu"] == "not run"
    assert wait_for(lambda: left_running(chain.folder) == [])
    assert f"error: http_port: 127.0.0.1:{port} cannot be listened on (Address already in use)" in run.out


def test_a_model_that_cannot_be_converted(chain, exported):
    broken = chain.folder / "broken"
    shutil.copytree(exported.model, broken)
    (broken / "inference.pdiparams").write_bytes(b"cut")
    run = chain.set("--dirname", broken).run()
    assert run.status == 1
    assert run.results["convert"] == "failed"
    assert f"error: {broken}/inference.pdiparams: not a Paddle tensor at byte 0" in run.out
    assert [step for step in run.steps if step[1] == "not run"] == [
        (name, "not run", "the conversion failed") for name in ("server", "client", "agree")
    ]


def test_no_model_and_no_config_to_train_one(chain):
    run = chain.set("--dirname", "./no/such/folder").run()
    assert run.status == 1
    assert ("model", "failed", "no test_tipc/configs/small_net/train_infer_python.txt") in run.steps
    assert [step for step in run.steps if step[1] == "not run"] == [
        (name, "not run", "there is no exported model") for name in ("convert", "server", "client", "agree")
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing_running(chain, number):
    """In the middle of a client that never ends, with a server beside it."""
    client = chain.script("pipeline_http_client.py", "def main():", "def main():\n    import time; time.sleep(1000)")
    process = chain.set("pipline", client).start()
    log = chain.output() / f"python_client_cpu_{client.replace('_client.py', '')}_batchsize_1.log"
    assert wait_for(log.exists)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    run = chain.finish(process)
    assert run.status == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert wait_for(lambda: left_running(chain.folder) == [])
    if number != signal.SIGKILL:
        assert run.steps[-1][1:] == ("failed", "interrupted")


def test_stages(chain):
    run = chain.run("--stop_stage", "2")
    assert run.status == 0, run.out + run.err
    assert run.results == {"prepare": "passed", "convert": "passed"}
    converted = (run.folder / "convert.log").read_bytes()
    run = chain.run("--stage", "3", "--stop_stage", "3")
    assert run.status == 0, run.out + run.err
    assert run.results == {name: result for name, result in PASSED.items() if name != "agree cpu"}
    assert (run.folder / "convert.log").read_bytes() == converted  # this stage was not run again
    run = chain.run("--stage", "4")
    assert run.status == 0, run.out + run.err
    assert run.results == PASSED


# ------------------------------------------------------------------------------------------------ wrong configs


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model_name", "a/b", ":2: model_name becomes a folder's name"),
        ("serving_dir", "./no/such", ":11: serving_dir: there is no folder ./no/such"),
        ("web_service", "null", ":12: 'web_service' has no value"),
        ("web_service", "'x", ":12: 'web_service' has a quote that is not closed"),
        ("--use_gpu", "gpu", ":13: '--use_gpu': expected null or the number of a GPU, found 'gpu'"),
        ("pipline", "", ":14: 'pipline' has no value"),
        ("--serving_client", "./x/small_net_serving", ":10: serving_server and serving_client need folders"),
        ("--serving_server", "./..", ":9: '--serving_server': expected a folder's name"),
    ],
)
def test_impossible_values(chain, key, value, message):
    assert_one_error(chain.set(key, value).run(), f"{chain.path}{message}")


def test_lines_that_are_missing_or_shifted(chain):
    text = chain.text
    chain.text = text.replace("trans_model:-m paddle_serving_client.convert\n", "")
    assert_one_error(chain.run(), "expected 'trans_model:…'", "is a line missing or added?")
    chain.text = text.replace("pipline:pipeline_http_client.py\n", "")
    assert_one_error(chain.run(), f"{chain.path}:13: serving_params ends after 12 lines; expected 'pipeline' next")
    chain.text = text.replace("serving_params", "other")
    assert_one_error(chain.run(), "the section ===serving_params=== is missing")


def test_wrong_calls(chain):
    assert_one_error(chain.run("--stage", "9"), "--stage: expected a stage from 0 to 4")
    assert_one_error(chain.run("--stage", "3", "--stop_stage", "1"), "--stop_stage 1 comes before --stage 3")
    assert_one_error(chain.run("--no"), "unknown option '--no'")
    assert_one_error(chain.run("more"), "usage: bash test_tipc/test_serving.sh")
    assert_one_error(chain.run(TIPC_SERVING_PORTS="80"), "TIPC_SERVING_PORTS: expected two ports")
    assert_one_error(chain.run(TIPC_SERVING_SECONDS="soon"), "TIPC_SERVING_SECONDS: expected seconds")
    assert_one_error(chain.run(config=chain.folder / "no.txt"), "no such config file")
    run = chain.run("--help")
    assert run.status == 0
    for text in ("[CONFIG] [MODE]", "TIPC_SERVING_PORTS", "Exit code"):
        assert text in run.out


@pytest.mark.parametrize("value", ["a b; $(touch X) `touch X` * ~ && touch X", "-x"])
def test_values_are_arguments_and_nothing_else(chain, value):
    folder = chain.tree / "deploy/paddleserving" / value
    folder.mkdir(exist_ok=True)
    shutil.copy(chain.tree / "test_images/coffee.jpg", folder / "coffee.jpg")
    chain.text += f"--image_dir:{value}\n"
    run = chain.run()
    assert run.status == 0, run.out + run.err
    (entry,) = json.loads((run.folder / "answers_cpu_http_1.json").read_text())
    assert [Path(image).name for image in entry["images"]] == ["coffee.jpg"]
    assert Path(entry["images"][0]).parent.name == value
    assert not [path for path in chain.tree.rglob("X") if path.is_file()]
