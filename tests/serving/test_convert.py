"""The converter: Paddle Serving reads its output, bad input is refused, and no folder is left incomplete or lost."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppcls_lite.serving import convert as converter
from ppcls_lite.serving.convert import convert
from ppcls_lite.serving.program import load_proto
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.tensor_files import write_tensor
from tests.helpers.scripts import LIMIT, assert_one_line, run_process, with_library

SCRIPT = "deploy/paddleserving/convert.py"
EXPECTED = {
    "server": ["serving_server_conf.prototxt", "serving_server_conf.stream.prototxt"],
    "client": ["serving_client_conf.prototxt", "serving_client_conf.stream.prototxt"],
}
MODEL = ["inference.pdiparams", "inference.pdiparams.info", "inference.pdmodel", "inference.yml", "label_list.txt"]


@pytest.fixture
def model(exported, tmp_path):
    """A copy of the exported model that a test may damage."""
    return Path(shutil.copytree(exported.model, tmp_path / "model"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_it_writes(model, tmp_path, run_here):
    server, client = tmp_path / "out/server", tmp_path / "out/client"
    outcome = run_here(SCRIPT, "--dirname", model, "--serving_server", server, "--serving_client", client)
    assert outcome.status == 0, outcome.err
    assert names(server) == sorted(MODEL + EXPECTED["server"])
    assert names(client) == EXPECTED["client"]
    assert names(tmp_path / "out") == ["client", "server"]
    for name in MODEL:
        assert (server / name).read_bytes() == (model / name).read_bytes()
    messages = load_proto("paddle_serving_server", "proto/general_model_config_pb2.py")
    from google.protobuf import text_format

    for side, folder in (("server", server), ("client", client)):
        text = (folder / EXPECTED[side][0]).read_text()
        config = text_format.Parse(text, messages.GeneralModelConfig())
        assert config == messages.GeneralModelConfig.FromString((folder / EXPECTED[side][1]).read_bytes())
        (feed,), (fetch,) = config.feed_var, config.fetch_var
        assert (feed.name, feed.alias_name, feed.feed_type, list(feed.shape)) == ("x", "x", 1, [3, 32, 32])
        assert (fetch.alias_name, fetch.fetch_type, list(fetch.shape)) == (fetch.name, 1, [3])
        assert not feed.is_lod_tensor
        assert not fetch.is_lod_tensor


def test_paddle_servings_own_predictor_loads_it(exported, converted, tmp_path):
    """In a process of its own, since Paddle Serving's import changes the logging of its process."""
    script = tmp_path / "load.py"
    script.write_text(
        "import ppcls_lite.serving.paddle_serving\nimport numpy as np\n"
        "from paddle_serving_app.local_predict import LocalPredictor\n"
        "from paddle_serving_server import OpMaker, OpSeqMaker, Server\n"
        "make, sequence, server = OpMaker(), OpSeqMaker(), Server()\n"
        "for name in ('GeneralReaderOp', 'GeneralInferOp', 'GeneralResponseOp'): sequence.add_op(make.create(name))\n"
        "server.set_op_sequence(sequence.get_op_sequence())\n"
        f"server.load_model_config({str(converted)!r})  # as the C++ server's start does\n"
        "assert server.get_fetch_list() == [name for name in server.get_fetch_list() if name]\n"
        f"local = LocalPredictor()\nlocal.load_model_config({str(converted)!r})\n"
        "images = np.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32).astype('float32')\n"
        "(scores,) = local.predict({'x': images}, local.fetch_names_, batch=True).values()\n"
        "np.save('scores.npy', scores)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=with_library(), capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stderr
    from ppcls_lite.infer.engines import create_engine

    images = np.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32).astype("float32")
    expected = create_engine(None, exported.model).run(images)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, atol=1e-5)


def test_aliases(model, tmp_path, run_here):
    server = tmp_path / "server"
    options = ["--dirname", model, "--serving_server", server, "--serving_client", tmp_path / "client"]
    outcome = run_here(SCRIPT, *options, "--feed_alias_names", "inputs", "--fetch_alias_names", "prediction")
    assert outcome.status == 0
    assert "inputs -> prediction" in outcome.out
    text = (server / EXPECTED["server"][0]).read_text()
    assert 'name: "x"\n  alias_name: "inputs"' in text
    assert 'alias_name: "prediction"' in text
    for wrong in ("a,b", "", ","):
        outcome = run_here(SCRIPT, *options, "--fetch_alias_names", wrong)
        assert_one_line(outcome, "--fetch_alias_names: expected 1 different names")
    assert (server / EXPECTED["server"][0]).read_text() == text


@pytest.mark.parametrize("value", [[], ["True"], ["true"]])
def test_show_proto_writes_nothing(model, tmp_path, monkeypatch, run_here, value):
    monkeypatch.chdir(tmp_path)
    outcome = run_here(SCRIPT, "--dirname", model, "--show_proto", *value)
    assert outcome.status == 0
    assert 'feed_var {\n  name: "x"' in outcome.out
    assert names(tmp_path) == ["model"]


# ------------------------------------------------------------------------------------------------------ refused input


def cut_program(model):
    path = model / "inference.pdmodel"
    path.write_bytes(path.read_bytes()[:-100])


def empty_program(model):
    (model / "inference.pdmodel").write_bytes(b"")


def foreign_program(model):
    (model / "inference.pdmodel").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")


def json_program(model):
    (model / "inference.pdmodel").unlink()
    (model / "inference.json").write_text('{"base_code": {}}')


def cut_params(model):
    path = model / "inference.pdiparams"
    path.write_bytes(path.read_bytes()[:-1])


def other_params(model):
    with (model / "inference.pdiparams").open("wb") as stream:
        write_tensor(stream, np.zeros((3, 4), np.float32))


def long_params(model):
    with (model / "inference.pdiparams").open("ab") as stream:
        stream.write(b"x")


def foreign_params(model):
    (model / "inference.pdiparams").write_bytes(np.random.default_rng(1).bytes(100_000))


def no_params(model):
    (model / "inference.pdiparams").unlink()


def unreadable(model):
    (model / "inference.pdmodel").unlink()
    (model / "inference.pdmodel").mkdir()


FAULTS = {
    cut_program: "expected the structure of an exported model",
    empty_program: "expected the structure of an exported model, found 0 bytes",
    foreign_program: "expected the structure of an exported model",
    json_program: "inference.json: not an inference model as Paddle 3 writes it",
    cut_params: "or a damaged one",
    other_params: "holds 1 tensors, and the model has",
    long_params: "or a damaged one",
    foreign_params: "or a damaged one",
    no_params: "its weights are one file per variable",
    unreadable: "inference.pdiparams, found",
}


@pytest.mark.parametrize("damage", FAULTS)
def test_a_model_that_cannot_be_read_leaves_nothing(model, tmp_path, damage, run_here):
    damage(model)
    before = names(model)
    outcome = run_here(
        SCRIPT, "--dirname", model, "--serving_server", tmp_path / "s", "--serving_client", tmp_path / "c"
    )
    assert_one_line(outcome, str(model), FAULTS[damage])
    assert names(tmp_path) == ["model"]
    assert names(model) == before
    assert not Path("ran").exists()


def test_impossible_folders_and_names(model, tmp_path, run_here):
    server, client = tmp_path / "s", tmp_path / "c"
    common = ["--serving_server", server, "--serving_client", client]
    assert_one_line(run_here(SCRIPT, "--dirname", tmp_path / "no", *common), "found nothing")
    assert_one_line(run_here(SCRIPT, "--dirname", model / "inference.yml", *common), "found a file")
    for option in ("--model_filename", "--params_filename"):
        assert_one_line(run_here(SCRIPT, "--dirname", model, option, "no", *common), "/no: no such")
        for name in ("../x", "/etc/passwd", ""):
            assert_one_line(run_here(SCRIPT, "--dirname", model, option, name, *common), option, "the name of a file")
    for same in ([server, server], [model, client], [server, model]):
        options = ["--serving_server", same[0], "--serving_client", same[1]]
        assert_one_line(run_here(SCRIPT, "--dirname", model, *options), "expected different folders for model")
    server.write_text("mine")
    assert_one_line(run_here(SCRIPT, "--dirname", model, *common), "found a file")
    assert server.read_text() == "mine"
    assert names(tmp_path) == ["model", "s"]


def test_a_folder_with_other_files_is_not_replaced(model, tmp_path):
    server, client = tmp_path / "s", tmp_path / "c"
    convert(model, server, client)
    (client / "serving_client_conf.prototxt").write_text("old")
    convert(model, server, client)  # an earlier conversion is
    assert "old" not in (client / "serving_client_conf.prototxt").read_text()
    (server / "notes.txt").write_text("mine")
    before = names(server)
    with pytest.raises(UserError, match=r"holds 'notes\.txt', not part of a converted model"):
        convert(model, server, client)
    assert names(server) == before
    assert names(tmp_path) == ["c", "model", "s"]


def test_a_full_disk_leaves_what_was_there(model, tmp_path, monkeypatch):
    server, client = tmp_path / "s", tmp_path / "c"
    convert(model, server, client)
    before = {path: path.read_bytes() for path in (*server.iterdir(), *client.iterdir())}

    def full(*arguments):
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(converter.shutil, "copyfile", full)
    with pytest.raises(UserError, match=r"was not written \(No space left on device\)"):
        convert(model, server, client)
    assert {path: path.read_bytes() for path in (*server.iterdir(), *client.iterdir())} == before
    assert names(tmp_path) == ["c", "model", "s"]


def test_a_kill_leaves_no_half_folder(model, tmp_path):
    """The process dies while it copies the weights."""
    script = tmp_path / "killed.py"
    script.write_text(
        "import os\n"
        "from ppcls_lite.serving import convert\n"
        "copy = convert.shutil.copyfile\n"
        "def dying(source, target):\n"
        "    copy(source, target)\n"
        "    if 'pdiparams' in str(source): os.kill(os.getpid(), 9)\n"
        "convert.shutil.copyfile = dying\n"
        f"convert.convert({str(model)!r}, {str(tmp_path / 's')!r}, {str(tmp_path / 'c')!r})\n"
    )
    done = subprocess.run([sys.executable, script], timeout=LIMIT, env=with_library(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "c").exists()


def test_help_and_a_missing_option_need_no_paddle():
    outcome = run_process(SCRIPT, "--help")
    assert outcome.status == 0
    for option in ("--dirname", "--fetch_alias_names", "--show_proto", "python deploy/paddleserving/convert.py"):
        assert option in outcome.out
    outcome = run_process(SCRIPT)
    assert outcome.status == 2
    assert "the following arguments are required: --dirname" in outcome.err
    outcome = run_process(SCRIPT, "--dirname", "x", "--show_proto", "maybe")
    assert outcome.status == 2
    assert "expected True or False, found 'maybe'" in outcome.err
