"""Exported models: predictors in both styles, loaded layers, inference programs; and networks on their way there."""

import numpy as np
import pytest

from ppcls_lite.utils import paddle_version
from tests.observe.conftest import run_script

NETWORK = """
import os, sys
import numpy as np
import paddle
from paddle import nn


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2D(3, 4, 3), nn.Linear(4, 5)

    def forward(self, image, scale):
        x = self.conv(image).mean([2, 3])
        if x.shape[0] > 100:  # a translation of the source has to see this
            x = x * 2
        return self.fc(x) * scale, nn.functional.softmax(x)


def rounded(value):  # the last bits of a sum depend on where the memory lies
    return np.asarray(value).round(5).tolist()


paddle.seed(1)
x, scale = np.random.default_rng(3).random((2, 3, 8, 8), dtype=np.float32), np.ones((2, 1), np.float32)
a, b = paddle.to_tensor(x), paddle.to_tensor(scale)
"""
EXPORT = (
    NETWORK
    + """
shapes = {"image": [None, 3, 8, 8], "scale": [None, 1]}
spec = [paddle.static.InputSpec(shape, "float32", name) for name, shape in shapes.items()]


def show(name, values):
    print(name, [rounded(value) for value in values])


net = Net()
net.eval()
net.forward(a, b)  # the hook is there before the translation
static = paddle.jit.to_static(net, input_spec=spec, full_graph=True)
show("static", static(a, b))
show("static forward", static.forward(a, b))
paddle.jit.save(static, "model/inference")
other = Net()
other.eval()
paddle.jit.save(other, "other/inference", input_spec=spec)  # translated within save
third = Net()
third.eval()
third.forward = paddle.jit.to_static(third.forward, input_spec=spec, full_graph=True)
show("third", third(a, b))
fourth = Net()
fourth.eval()
def straight(x, y):
    return fourth(x, y)
whole = paddle.jit.to_static(straight, full_graph=True)
show("function", whole(a, b))
if "bytecode" not in sys.argv:
    sys.exit()
fifth = paddle.jit.to_static(fourth, full_graph=False)
show("bytecode", fifth(a, b))
sixth = Net()
sixth.eval()
def around(x, y):
    return sixth(x, y)
show("function by bytecode", paddle.jit.to_static(around, full_graph=False)(a, b))
"""
)
INFER = (
    NETWORK
    + """
from paddle import inference

suffix = ".json" if os.path.exists("model/inference.json") else ".pdmodel"


def config(optimise=False):
    made = inference.Config("model/inference" + suffix, "model/inference.pdiparams")
    made.disable_glog_info()
    made.switch_ir_optim(optimise)
    getattr(made, "disable_mkldnn", lambda: None)()
    return made


def infer(predictor):
    for name, value in {"image": x, "scale": scale}.items():
        predictor.get_input_handle(name).copy_from_cpu(value)
    predictor.run()
    out = [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
    print([rounded(value) for value in out])


first = inference.create_predictor(config())
infer(first)
clone = first.clone()
infer(clone)
pool = inference.PredictorPool(config(optimise=True), 2)
take = getattr(pool, "retrieve", None) or pool.retrive
infer(take(0))
infer(take(1))
print(first.get_input_names())
if not paddle.__version__.startswith("2."):  # 2.6 crashes in it, observed or not
    print([rounded(value) for value in first.run([paddle.to_tensor(x), paddle.to_tensor(scale)])])
empty = inference.create_predictor(config())
try:
    empty.run()
except Exception as error:
    print(type(error).__name__)
loaded = paddle.jit.load("model/inference")
print(rounded(loaded(a, b)[0]))
loaded.eval()
loaded.forward(x, scale)
paddle.enable_static()
for module in (paddle.static, paddle.static.io):
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, feeds, fetches = module.load_inference_model("model/inference", executor)
    feed = {"image": x, "scale": scale}
    out = executor.run(program, feed=feed, fetch_list=fetches)
    print([rounded(value) for value in out])
if "pir" not in str(type(program)):
    program = paddle.static.CompiledProgram(program)
out = executor.run(program, feed, fetches, return_numpy=False)
print([rounded(value) for value in out])
start, main = paddle.static.Program(), paddle.static.Program()
with paddle.static.program_guard(main, start):
    value = paddle.static.data("value", [2, 2])
    out = paddle.static.nn.fc(value, 3)
executor.run(start)
print(len(executor.run(main, feed={"value": np.ones((2, 2), np.float32)}, fetch_list=[out])))
"""
)
FLAGS = ["-W", "ignore"]


@pytest.fixture(scope="module", params=["json", "pdmodel"])
def place(request, tmp_path_factory):
    """(folder, recording of the export, the output without the observer)."""
    folder = tmp_path_factory.mktemp("engines") / "run"
    version = paddle_version.number()
    if request.param == "json" and version < (3, 0):
        pytest.skip("Paddle 2 does not have the format json")
    if request.param == "pdmodel" and version >= (3, 2):
        pytest.skip("this Paddle does not write pdmodel")
    flag = {"FLAGS_enable_pir_api": "1" if request.param == "json" else "0"}
    words = ["bytecode"] if version < (3, 0) or request.param == "json" else []  # needs the new representation
    plain = run_script(folder, EXPORT, *words, flags=FLAGS, observed=False, **flag)
    recording = run_script(folder, EXPORT, *words, flags=FLAGS, **flag)
    assert recording.status == plain.status == 0, recording.err.decode()
    return folder, recording, plain


@pytest.fixture(scope="module")
def inferred(place):
    """(recording, the output without the observer)."""
    folder, _, _ = place
    for path in (folder / "recorded").iterdir():
        path.unlink()
    flag = {"FLAGS_enable_pir_api": "1" if (folder / "model/inference.json").exists() else "0"}
    plain = run_script(folder, INFER, flags=FLAGS, observed=False, **flag)
    recording = run_script(folder, INFER, flags=FLAGS, **flag)
    assert recording.status == plain.status == 0, recording.err.decode()
    return recording, plain


def test_translation_and_export_are_not_disturbed(place):
    """Networks that were translated are still called as networks; functions around them are not observed."""
    _, recording, plain = place
    assert recording.out == plain.out
    assert recording.lost == []
    found = [call["network"].partition("-")[2] for call in recording.calls]
    assert found == ["0", "0", "0", "1", *(["2"] if b"bytecode" in recording.out else [])]
    assert {call["kind"] for call in recording.calls} == {"layer"}
    assert {tuple(entry["name"] for entry in call["inputs"]) for call in recording.calls} == {("image", "scale")}
    assert {entry["hash"] for call in recording.calls[:3] for entry in call["inputs"]} == {
        entry["hash"] for entry in recording.calls[0]["inputs"]
    }


def test_results_are_as_without(inferred):
    recording, plain = inferred
    assert recording.out == plain.out


def test_every_engine_is_recorded(inferred):
    recording, _ = inferred
    kinds = [call["kind"] for call in recording.calls]
    lists = kinds.count("predictor") - 4
    paddle = recording.events[0]["paddle"]
    assert lists == (0 if paddle.startswith("2.") else 1)
    assert kinds == ["predictor"] * (4 + lists) + ["translated"] * 2 + ["program"] * 3
    for call in recording.calls:
        assert [(entry["name"], entry["shape"]) for entry in call["inputs"]] == [
            ("image", [2, 3, 8, 8]),
            ("scale", [2, 1]),
        ]
        assert [entry["shape"] for entry in call["outputs"]] == [[2, 5], [2, 4]]
        assert (call["batch"], call["training"], call["place"]) == (2, False, "cpu")
    assert len({entry["hash"] for call in recording.calls for entry in call["inputs"]}) == 2


def test_model_files(inferred):
    recording, _ = inferred
    engines = recording.of("predictor")
    assert len(engines) == 7  # four predictors, the loaded layer, two programs
    for line in engines:
        endings = [path.rpartition(".")[2] for path in line["files"]]
        assert endings in (["json", "pdiparams"], ["pdmodel", "pdiparams"])
        assert all(path.startswith(str(recording.folder.parent)) for path in line["files"])
    assert [line["optimised"] for line in engines] == [False, False, True, True, False, False, False]
    assert {call["network"] for call in recording.calls} == {line["network"] for line in engines}


def test_a_run_that_fails_is_noted_and_fails_as_before(inferred):
    recording, plain = inferred
    assert len(recording.lost) <= 1
    assert b"Error" in plain.out


def test_arrays(inferred):
    recording, plain = inferred
    call = recording.calls[0]
    arrays = recording.arrays(call)
    assert sorted(arrays) == ["in0", "in1", "out0", "out1"]
    np.testing.assert_array_equal(arrays["in0"], np.random.default_rng(3).random((2, 3, 8, 8), dtype=np.float32))
    assert str(arrays["out0"].round(5).tolist()) in plain.out.decode()


SETTINGS = """
import sys
import numpy as np
from paddle import inference


def config():
    made = inference.Config(*sys.argv[1:3])
    made.disable_glog_info()
    made.disable_gpu()
    return made


def run(made):
    predictor = inference.create_predictor(made)
    for name in predictor.get_input_names():
        shape = [1, 3, 8, 8] if name == "image" else [1, 1]
        predictor.get_input_handle(name).copy_from_cpu(np.ones(shape, "float32"))
    predictor.run()


first = config()
first.disable_mkldnn()
first.switch_ir_optim(False)
run(first)
second = config()
second.enable_mkldnn()
second.enable_mkldnn_bfloat16()
second.set_cpu_math_library_num_threads(2)
second.delete_pass("conv_bn_fuse_pass")
if sys.argv[1].endswith(".pdmodel"):
    second.enable_memory_optim()
run(second)
"""


def test_settings_of_a_predictor(place, tmp_path):
    folder, _, _ = place
    model = next(path for path in (folder / "model").iterdir() if path.suffix in (".pdmodel", ".json"))
    flag = {"FLAGS_enable_pir_api": str(int(model.suffix == ".json"))}
    recording = run_script(tmp_path / "run", SETTINGS, model, model.with_suffix(".pdiparams"), **flag)
    assert recording.status == 0, recording.err.decode()
    assert recording.lost == []
    first, second = (line["settings"] for line in recording.of("predictor"))
    assert not any(first[name] for name in ("ir_optim", "onednn", "memory_optim", "openvino", "tensorrt", "gpu"))
    assert (first["threads"], first["precision"], first["deleted"]) == (1, "float32", [])
    assert second["ir_optim"]
    assert second["onednn"]
    assert second["memory_optim"] is (model.suffix == ".pdmodel")
    assert (second["threads"], second["deleted"]) == (2, ["conv_bn_fuse_pass"])
    assert "fc_fuse_pass" in second["passes"]
    # without the instructions, Paddle may leave the processor at float32
    assert second["precision"] in ("bfloat16", "float32")
    assert (second["precision"] == "bfloat16") is ("cpu_bfloat16_pass" in second["passes"])
