"""serving_effect.py: what a service's log says is in effect, against what it was told."""

import json

import pytest

import serving_effect
from script import UserError
from serving_effect import NotInEffect, check_asked, check_sent, check_settings, version_in

HEAD = "[2026/11/26 05:36:15] ppcls_lite INFO: engine onednn: "
SETTINGS = "oneDNN on (94 of 95 results); IR passes on; memory optimisation on; threads 6 (on 2 cores)"
GOOD = f"{HEAD}{SETTINGS}\nprecision: fp32\n"


@pytest.fixture
def log(tmp_path):
    def write(text):
        path = tmp_path / "server.log"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def answers(tmp_path):
    """`answers(2, 2, 1)`: the path of a file with requests of so many images."""

    def write(*sizes):
        path = tmp_path / f"answers_{'_'.join(map(str, sizes))}.json"
        path.write_text(json.dumps([{"images": ["x"] * size, "answer": {}} for size in sizes]))
        return path

    return write


# -------------------------------------------------------------------------------------------------------- settings


def test_settings_in_effect(log, capsys):
    check_settings(log(GOOD), {"oneDNN": "on", "threads": "6", "precision": "fp32"})
    assert capsys.readouterr().out.splitlines() == [
        "in effect: oneDNN on (94 of 95 results)",
        "in effect: threads 6 (on 2 cores)",
        "in effect: precision fp32",
    ]


@pytest.mark.parametrize(
    ("text", "wanted", "message"),
    [
        (
            "listening: http://x\n",
            {"oneDNN": "on"},
            "the service does not say what is in effect; expected a line such as",
        ),
        (GOOD, {"oneDNN": "off"}, "oneDNN off was passed to the service, which ignores it: on (94 of 95 results)"),
        (GOOD, {"threads": "1"}, "threads 1 was passed to the service, which ignores it: 6"),
        (GOOD, {"precision": "fp16"}, "precision fp16 was passed to the service, which ignores it: fp32"),
        (GOOD, {"TensorRT": "on"}, "TensorRT on was passed to the service, which says nothing of it: oneDNN on; "),
        (f"{GOOD}{HEAD}oneDNN off; threads 6\n", {"oneDNN": "on"}, "which ignores it: off"),  # the last line counts
    ],
)
def test_an_ignored_setting(log, text, wanted, message):
    with pytest.raises(UserError) as error:
        check_settings(log(text), wanted)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("found", "wanted", "message"),
    [
        ("oneDNN on; threads 6 -> 2 (few cores)", {"threads": "6"}, "threads 6 is not in effect: 2 (few cores)"),
        ("oneDNN on; threads 6 -> unknown", {"threads": "6"}, "threads 6 is not in effect: unknown"),
        ("oneDNN on -> off (no pass)", {"oneDNN": "on"}, "oneDNN on is not in effect: off (no pass)"),
    ],
)
def test_what_the_service_says_it_cannot_have(log, found, wanted, message):
    with pytest.raises(NotInEffect) as error:
        check_settings(log(f"{HEAD}{found}\n"), wanted)
    assert str(error.value) == message


def test_the_exit_codes(log, monkeypatch, capsys):
    path = str(log(GOOD.replace("threads 6", "threads 6 -> 2")))
    for expected, status in (("oneDNN=on", 0), ("threads=6", 77)):
        monkeypatch.setattr("sys.argv", ["x", "settings", "--log", path, "--expected", expected])
        assert serving_effect.main() == status
    assert capsys.readouterr().err == "threads 6 is not in effect: 2 (on 2 cores)\n"


# --------------------------------------------------------------------------------------------------------- batches


def test_batches_as_requested(log, answers, capsys):
    assert check_sent(answers(4, 4, 1), 4) == 9
    check_asked(log("asked: 1 request of 1 image, 2 requests of 4 images\n"), [answers(4, 4, 1)], 4)
    check_asked(log("asked: 4 requests of 2 images\n"), [answers(2, 2), answers(2, 2)], 2)
    assert capsys.readouterr().out.splitlines()[0] == "in effect: 1 request of 1 image, 2 requests of 4 images"


@pytest.mark.parametrize(("sizes", "size"), [((1, 1, 1, 1), 2), ((2, 2), 4), ((1, 4), 2), ((2, 1, 2), 3)])
def test_a_client_that_sends_other_batches(answers, sizes, size):
    with pytest.raises(UserError, match=f"batches of {size} were requested, and the client sent"):
        check_sent(answers(*sizes), size)


@pytest.mark.parametrize("asked", ["9 requests of 1 image", "nothing", "3 requests of 4 images"])
def test_a_service_that_got_other_batches(log, answers, asked):
    with pytest.raises(UserError, match=f"and the service got {asked}; expected 1 request of 1 image, 2 requests of 4"):
        check_asked(log(f"asked: {asked}\n"), [answers(4, 4, 1)], 4)


def test_files_that_say_nothing(log, answers, tmp_path):
    with pytest.raises(UserError, match="the service does not say what it was asked"):
        check_asked(log("stopping\n"), [answers(1)], 1)
    with pytest.raises(UserError, match="no image was sent"):
        check_sent(answers(), 1)
    (tmp_path / "other.json").write_text("{}[]")
    with pytest.raises(UserError, match="expected the answers of a client"):
        check_sent(tmp_path / "other.json", 1)


# --------------------------------------------------------------------------------------------------------- summary


def test_the_summary_says_what_is_in_effect(log, answers, monkeypatch, capsys):
    text = GOOD.replace("IR passes on", "IR passes on -> off").replace(
        "memory optimisation on", "memory optimisation unknown"
    )
    words = ["--answers", str(answers(2, 2, 1)), "--batch_size", "2", "--model_name", "net", "--data", "images"]
    words += ["--protocol", "gRPC", "--versions", "Python 3.11, paddlepaddle 3.1.1, paddle-serving-server 0.9.0"]
    monkeypatch.setattr("sys.argv", ["x", "summary", "--log", str(log(text)), *words])
    assert serving_effect.main() == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [line.strip("- ") for line in lines if line.startswith("---")]
    assert titles == ["Env info", "Paddle info", "Conf info", "Model info", "Data info", "Serving info"]
    values = dict(line.split(": ", 1) for line in lines if not line.startswith("---"))
    expected = {
        "paddle_version": "3.1.1",
        "paddle_serving_version": "0.9.0",
        "runtime_device": "cpu",
        "ir_optim": "False",
        "enable_memory_optim": "None",
        "enable_tensorrt": "False",
        "enable_mkldnn": "True",
        "cpu_math_library_num_threads": "6",
        "model_name": "net",
        "precision": "fp32",
        "batch_size": "2",
        "data_num": "5",
        "data_path": "images",
        "protocol": "gRPC",
    }
    assert {key: values[key] for key in expected} == expected


def test_versions_are_found_by_their_whole_name():
    versions = "Python 3.11, paddlepaddle-gpu 2.6.2, paddle-serving-server 0.9.0"
    assert version_in(versions, "paddlepaddle(?:-gpu)?") == "2.6.2"
    assert version_in(versions, "serving-server") is None
