"""The converter for Paddle 3's own format, inference.json: the same files, the same checks, and a service for it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ppcls_lite.infer.model.pir import read_pir
from ppcls_lite.serving.convert import convert, describe
from ppcls_lite.serving.program import Program, Variable, load_proto, read_program
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.tensor_files import read_tensors, write_tensor
from tests.helpers.scripts import assert_one_line, run_process
from tests.helpers.service import Service, encoded, make_image

SCRIPT = "deploy/paddleserving/convert.py"
MODEL = ["inference.json", "inference.pdiparams", "inference.yml", "label_list.txt"]


@pytest.fixture
def model(exported_json, tmp_path):
    """A copy of the exported model that a test may damage."""
    return Path(shutil.copytree(exported_json, tmp_path / "model"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_it_writes(model, tmp_path, run_here):
    server, client = tmp_path / "server", tmp_path / "client"
    options = ["--dirname", model, "--serving_server", server, "--serving_client", client]
    outcome = run_here(SCRIPT, *options, "--fetch_alias_names", "prediction")
    assert outcome.status == 0, outcome.err
    assert "x -> prediction" in outcome.out
    (note,) = [line for line in outcome.out.splitlines() if line.startswith("note: ")]
    for text in ("(.json)", "a C++ Paddle Serving server, ", "and Paddle Lite need .pdmodel", "export_format=pdmodel"):
        assert text in note
    assert names(server) == sorted([*MODEL, "serving_server_conf.prototxt", "serving_server_conf.stream.prototxt"])
    assert names(client) == ["serving_client_conf.prototxt", "serving_client_conf.stream.prototxt"]
    for name in MODEL:
        assert (server / name).read_bytes() == (model / name).read_bytes()
    messages = load_proto("paddle_serving_server", "proto/general_model_config_pb2.py")
    config = messages.GeneralModelConfig.FromString((server / "serving_server_conf.stream.prototxt").read_bytes())
    (feed,), (fetch,) = config.feed_var, config.fetch_var
    assert (feed.name, feed.alias_name, feed.feed_type, list(feed.shape)) == ("x", "x", 1, [3, 32, 32])
    assert (fetch.name, fetch.alias_name, fetch.fetch_type) == ("fetch_name_0", "prediction", 1)
    assert list(fetch.shape) == [3]
    before = {path: path.read_bytes() for path in server.iterdir()}
    outcome = run_here(SCRIPT, *options, "--fetch_alias_names", "prediction")  # over an earlier conversion
    assert outcome.status == 0, outcome.err
    assert {path: path.read_bytes() for path in server.iterdir()} == before


def test_both_formats_describe_the_same_model(exported, exported_json):
    """Inputs, outputs and the shapes of weights, but for the names."""
    if not Path(exported.model, "inference.pdmodel").is_file():
        pytest.skip("this Paddle writes no pdmodel")
    one, other = (
        read_program(path) for path in (exported.model / "inference.pdmodel", exported_json / "inference.json")
    )
    assert one.inputs == other.inputs
    assert [output[1:] for output in one.outputs] == [output[1:] for output in other.outputs]
    assert [(weight.name, weight.shape) for weight in one.weights] == [(w.name, w.shape) for w in other.weights]


def test_the_service_answers_with_it(exported_json, service, tmp_path):
    """As the service of the same network as .pdmodel does."""
    server = tmp_path / "server"
    convert(exported_json, server, tmp_path / "client")
    other = Service(tmp_path, server, "op.imagenet.local_service_conf.engine=paddle")
    try:
        for seed in range(3):
            data = encoded(make_image(seed=seed))
            (result,), (expected,) = other.results(data), service.results(data)
            assert result["class_ids"] == expected["class_ids"]
            assert result["scores"] == pytest.approx(expected["scores"], abs=1e-4)
    finally:
        assert other.stop() == 0


@pytest.mark.parametrize(
    ("dtype", "number"),
    [("int64", 0), ("float32", 1), ("int32", 2), ("float16", 5), ("bfloat16", 6), ("uint8", 7), ("bool", 9)],
)
def test_types_as_paddle_serving_numbers_them(dtype, number):
    config = describe(Program([Variable("a", dtype, [-1, 2])], [Variable("b", dtype, [])], []), "m.json")
    assert (config.feed_var[0].feed_type, config.fetch_var[0].fetch_type) == (number, number)


def test_a_type_that_paddle_serving_has_not():
    with pytest.raises(UserError, match=r"^m\.json: a has data type '25', unknown to Paddle Serving$"):
        describe(Program([Variable("a", "25", [2])], [Variable("b", "bool", [])], []), "m.json")


# ------------------------------------------------------------------------------------------------------ refused input


def change(model, edit):
    """Edit the operators of the program."""
    path = model / "inference.json"
    content = json.loads(path.read_text())
    edit(content["program"]["regions"][0]["blocks"][0]["ops"])
    path.write_text(json.dumps(content))


def kind(op):
    return op["#"].rpartition(".")[2]


def cut_program(model):
    path = model / "inference.json"
    path.write_bytes(path.read_bytes()[:-100])


def empty_program(model):
    (model / "inference.json").write_bytes(b"")


def other_json(model):
    (model / "inference.json").write_text('{"base_code": {}}')


def deep_json(model):
    (model / "inference.json").write_text("[" * 200_000)


def no_inputs(model):
    change(model, lambda ops: ops.__setitem__(slice(None), [op for op in ops if kind(op) != "data"]))


def no_outputs(model):
    change(model, lambda ops: ops.__setitem__(slice(None), [op for op in ops if kind(op) != "fetch"]))


def one_weight_less_in_the_program(model):
    change(model, lambda ops: ops.remove(next(op for op in ops if kind(op) == "p")))


def cut_params(model):
    path = model / "inference.pdiparams"
    path.write_bytes(path.read_bytes()[:-1])


def other_order(model):
    """The tensors of the weights file in reverse: as many, and each of another shape somewhere."""
    path = model / "inference.pdiparams"
    arrays = [array.copy() for _, _, array in read_tensors(path)]
    with path.open("wb") as stream:
        for array in reversed(arrays):
            write_tensor(stream, array)


def other_params(model):
    with (model / "inference.pdiparams").open("wb") as stream:
        write_tensor(stream, np.zeros((3, 4), np.float32))


def named_pdmodel(model):
    (model / "inference.json").rename(model / "inference.pdmodel")


FAULTS = {
    cut_program: "inference.json: not a Paddle program in JSON, or damaged",
    empty_program: "inference.json: not a Paddle program in JSON, or damaged",
    other_json: "inference.json: not an inference model as Paddle 3 writes it",
    deep_json: "inference.json: not a Paddle program in JSON, or damaged",
    no_inputs: "inference.json: the program has 0 inputs and 1 outputs: it is not an inference model",
    no_outputs: "inference.json: the program has 1 inputs and 0 outputs: it is not an inference model",
    one_weight_less_in_the_program: "tensors, and the model has",
    cut_params: "or a damaged one",
    other_order: "inference.pdiparams: the tensor ",
    other_params: "inference.pdiparams: holds 1 tensors, and the model has",
    named_pdmodel: "inference.pdmodel: holds Paddle 3's JSON format",
}


@pytest.mark.parametrize("damage", FAULTS)
def test_a_model_that_cannot_be_read_leaves_nothing(model, tmp_path, damage, run_here):
    damage(model)
    before = names(model)
    folders = ["--serving_server", tmp_path / "s", "--serving_client", tmp_path / "c"]
    assert_one_line(run_here(SCRIPT, "--dirname", model, *folders), str(model), FAULTS[damage])
    assert names(tmp_path) == ["model"]
    assert names(model) == before


def test_a_missing_file_is_named_with_the_one_that_is_there(model, tmp_path, run_here):
    options = ["--dirname", model, "--serving_server", tmp_path / "s", "--serving_client", tmp_path / "c"]
    outcome = run_here(SCRIPT, *options, "--model_filename", "inference.pdmodel")
    assert_one_line(outcome, f"{model}/inference.pdmodel: no such model file; found inference.json there")
    (model / "inference.json").rename(model / "other.json")
    outcome = run_here(SCRIPT, *options, "--model_filename", "inference.pdmodel")
    assert_one_line(outcome, f"{model}/inference.pdmodel: no such model file")
    assert "found" not in outcome.err
    outcome = run_here(SCRIPT, *options, "--model_filename", "other.json", "--params_filename", "inference.pdiparams")
    assert outcome.status == 0, outcome.err


def test_the_benchmark_names_what_a_stock_service_needs(model, run_here):
    """Paddle Serving's own predictor would end the whole process group."""
    outcome = run_here("deploy/paddleserving/benchmark.py", "--dirname", model, "--services", "ours", "stock_ir")
    assert_one_line(outcome, f"{model}/inference.json: Paddle Serving's own predictor cannot read this format")


def test_json_files_of_others_are_not_replaced(model, tmp_path):
    server, client = tmp_path / "s", tmp_path / "c"
    convert(model, server, client)
    for folder in (server, client):
        (folder / "answers.json").write_text("{}")
        with pytest.raises(UserError, match=r"holds 'answers\.json', not part of a converted model"):
            convert(model, server, client)
        (folder / "answers.json").unlink()
    convert(model, server, client)


def test_a_protobuf_that_cannot_load_paddle_servings_messages(tmp_path, model):
    """As protobuf 4 and newer refuse the modules of the wheels themselves."""
    proto = tmp_path / "site/paddle_serving_server/proto"
    proto.mkdir(parents=True)
    (proto.parent / "__init__.py").write_text("")
    refuse = "raise TypeError('Descriptors cannot be created directly.\\nIf this call came from a _pb2.py file…')\n"
    (proto / "general_model_config_pb2.py").write_text(refuse)
    outcome = run_process(
        SCRIPT,
        *("--dirname", model, "--serving_server", tmp_path / "s", "--serving_client", tmp_path / "c"),
        PYTHONPATH=str(tmp_path / "site"),
    )
    assert_one_line(
        outcome,
        f"{proto}/general_model_config_pb2.py: this Python's protobuf cannot load it "
        "(Descriptors cannot be created directly.)",
        "bash test_tipc/install_serving.sh",
    )
    assert not (tmp_path / "s").exists()


def test_the_weights_are_those_of_the_program_in_its_order(exported_json):
    """Each tensor of the file has the shape of the weight at its place in the sorted names."""
    weights = read_pir(exported_json / "inference.json").weights
    found = read_tensors(exported_json / "inference.pdiparams")
    assert [weight.shape for weight in weights] == [list(array.shape) for _, _, array in found]
    assert [weight.name for weight in weights] == sorted(weight.name for weight in weights)
