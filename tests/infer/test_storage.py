"""Both storage forms of weights, one file or one file per variable: read, written, and refused when damaged."""

import io
import re
import shutil
import struct
from dataclasses import replace

import numpy as np
import pytest

from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.infer.model import storage
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.files import ModelFiles, find_model, given_files
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import as_float16, load_arrays
from ppcls_lite.utils.tensor_files import read_folder, read_tensors, tensor_bytes, write_tensor
from tests.helpers.configs import NETWORK, random_weights
from tests.helpers.scripts import assert_one_line, run_process

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
STRICT = EngineOptions().strict()


@pytest.fixture(scope="session")
def separate(exported, tmp_path_factory):
    """The `exported` model again, with __model__ and one file per variable, made by tools/export_model.py."""
    folder = tmp_path_factory.mktemp("separate") / "model"
    options = ["-c", exported.config, "--o", folder, "--separate_params", "--names=__model__"]
    outcome = run_process("tools/export_model.py", *options)
    assert outcome.status == 0, outcome.err
    return folder


@pytest.fixture(scope="session")
def variable_folder(exported, tmp_path_factory):
    """The weights of `exported` as a folder of variables, made by tools/export_model.py."""
    folder = tmp_path_factory.mktemp("persistable") / "weights"
    outcome = run_process("tools/export_model.py", "-c", exported.config, "--o", folder, "--persistable", "--separate")
    assert outcome.status == 0, outcome.err
    return folder


# ---- one tensor


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 300, 1)])
def test_tensor_comes_back(dtype, shape):
    array = np.random.default_rng(1).integers(0, 2, shape).astype(dtype)
    stream = io.BytesIO()
    write_tensor(stream, array)
    found, end = tensor_bytes(stream.getvalue())
    assert end == len(stream.getvalue())
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert (found == array).all()


def test_numbers_that_paddle_has_not():
    with pytest.raises(ValueError, match="a Paddle tensor cannot hold complex128"):
        write_tensor(io.BytesIO(), np.zeros(2, complex))


def test_paddles_own_file_is_written_again_byte_by_byte(exported):
    path = exported.model / "inference.pdiparams"
    stream = io.BytesIO()
    for _, _, array in read_tensors(path):
        write_tensor(stream, array)
    assert stream.getvalue() == path.read_bytes()


def test_every_cut_is_seen(tmp_path):
    stream = io.BytesIO()
    write_tensor(stream, np.arange(3, dtype=np.float32))
    for length in range(1, len(stream.getvalue())):
        path = tmp_path / "cut"
        path.write_bytes(stream.getvalue()[:length])
        with pytest.raises(UserError, match=r"cut: not a Paddle tensor at byte 0, or a damaged one"):
            read_tensors(path)


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (b"\x08\x05\x10" + b"\xff" * 8 + b"\x7f", "numbers need"),  # a side of 2 ** 63 - 1
        (b"\x08\x05" + (b"\x10" + b"\xff" * 8 + b"\x7f") * 3, "numbers need"),  # whose product would wrap around
        (b"\x08\x63\x10\x01", "numbers of the unknown kind 99"),
        (b"\x10\x01", "numbers of the unknown kind None"),
        (b"\x08\x05\x1a\x01", "unknown field 3"),
        (b"\x08\x05\x10" + b"\xff" * 12, "a number without end"),
    ],
)
def test_forged_descriptions(tmp_path, description, reason):
    path = tmp_path / "forged"
    path.write_bytes(struct.pack("<IQIi", 0, 0, 0, len(description)) + description + bytes(64))
    with pytest.raises(UserError, match=reason):
        read_tensors(path)


# ---- the exported model


def test_both_forms_hold_the_same_bytes(exported, separate):
    one, many = find_model(exported.model), find_model(separate)
    assert many == ModelFiles(separate / "__model__", None)
    assert many.is_separate
    assert not one.is_separate
    assert storage.joined_params(many) == one.params.read_bytes()
    names = set(storage.variables(many.structure))
    assert names | {"__model__", "inference.yml", "label_list.txt"} == {path.name for path in separate.iterdir()}


@pytest.mark.parametrize("name", ["paddle", "onednn", "openvino", "training_export"])
def test_every_engine_reads_both_forms(exported, separate, tmp_path, name):
    reason = ENGINES.get(name).why_not()
    if reason:
        pytest.skip(reason)
    files = find_model(exported.model)
    for structure, params in (("model", "params"), ("__model__", "__params__")):
        (tmp_path / structure).mkdir()
        shutil.copy(files.structure, tmp_path / structure / structure)
        shutil.copy(files.params, tmp_path / structure / params)
    scores = [
        create_engine(name, model, replace(STRICT, ir_optim=True)).run(IMAGES)  # oneDNN comes by the IR passes
        for model in (exported.model, separate, tmp_path / "model", tmp_path / "__model__")
    ]
    assert all((scores[0] == other).all() for other in scores[1:])


def test_predict_cls_reads_the_separate_form(separate, exported, run_here):
    options = ["-c", "deploy/configs/inference_cls.yaml", "-o", "Global.infer_imgs=test_images"]
    first, second = (
        run_here("deploy/python/predict_cls.py", *options, "-o", f"Global.inference_model_dir={folder}")
        for folder in (separate, exported.model)
    )
    assert first.status == 0
    assert first.out == second.out
    agreed = run_here("tools/compare_engines.py", "-c", exported.config, "--inference_model_dir", separate)
    assert "strict: largest difference 0" in agreed.out


def _remove(folder):
    (folder / "linear_0.b_0").unlink()


def _cut(folder):
    path = folder / "linear_0.w_0"
    path.write_bytes(path.read_bytes()[:-1])


def _other_shape(folder):
    shutil.copy(folder / "linear_0.b_0", folder / "linear_0.w_0")


def _two(folder):
    path = folder / "linear_0.b_0"
    path.write_bytes(path.read_bytes() * 2)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (_remove, "neither one file of them nor a file 'linear_0.b_0' of this variable"),
        (_cut, "linear_0.w_0: not a Paddle tensor at byte 0, or a damaged one"),
        (_other_shape, r"linear_0.w_0: variable 'linear_0.w_0' is \[3\], its structure has \[\d+, 3\]"),
        (_two, "linear_0.b_0: expected one tensor, found 2"),
    ],
)
def test_damaged_variables_are_refused(separate, tmp_path, fault, message):
    folder = shutil.copytree(separate, tmp_path / "model")
    fault(folder)
    with pytest.raises(UserError, match=message):
        create_engine("paddle", folder)


def test_variables_stay_in_their_folder(separate, monkeypatch, tmp_path):
    """A name from a model file must not lead elsewhere, neither to read nor to write."""
    monkeypatch.setattr(storage, "variables", lambda structure: {"../outside": [3]})
    with pytest.raises(UserError, match=r"a file '\.\./outside' of this variable"):
        storage.joined_params(find_model(separate))
    monkeypatch.setattr(storage, "check_params", lambda files: None)
    with pytest.raises(UserError, match=r"variable '\.\./outside' cannot be a file's name"):
        storage.write_separate(ModelFiles(separate / "__model__", separate / "linear_0.b_0"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ["paddle", "training_export"])
def test_cut_weights_of_others_are_refused(exported, tmp_path, engine):
    """Without an inference.yml that states sizes; Paddle itself would read stray memory."""
    files = find_model(exported.model)
    shutil.copy(files.structure, tmp_path)
    content, (*_, (start, _, _)) = files.params.read_bytes(), read_tensors(files.params)
    for cut, message in ((content[:-4], "or a damaged one"), (content[:start], r"holds \d+ variables, .* has \d+")):
        (tmp_path / "inference.pdiparams").write_bytes(cut)
        with pytest.raises(UserError, match=message):
            create_engine(engine, tmp_path)


def test_pickle_beside_the_model_is_not_loaded(exported, tmp_path):
    """`paddle.jit.load` unpickles inference.pdiparams.info where it finds one."""
    folder = shutil.copytree(exported.model, tmp_path / "model")
    touched = tmp_path / "touched"
    (folder / "inference.pdiparams.info").write_bytes(b"cos\nsystem\n(S'touch " + str(touched).encode() + b"'\ntR.")
    create_engine("training_export", folder, STRICT).run(IMAGES)
    assert not touched.exists()


# ---- writing


@pytest.mark.parametrize(
    ("there", "options", "message"),
    [
        ("model", [], "holds model, from a model in another form: choose another folder"),
        (
            "inference.pdmodel",
            ["--names", "model"],
            "holds inference.pdmodel, from a model in another form",
        ),
        (
            "inference.pdiparams",
            ["--separate_params"],
            "holds inference.pdiparams, from a model in another form",
        ),
    ],
)
def test_a_folder_has_one_model(exported, run_here, tmp_path, there, options, message):
    (tmp_path / there).write_bytes(b"former")
    outcome = run_here("tools/export_model.py", "-c", exported.config, "--o", tmp_path, *options)
    assert_one_line(outcome, message)
    assert (tmp_path / there).read_bytes() == b"former"


def test_names_and_sizes_of_the_other_form(separate, exported):
    assert find_model(separate).folder == separate
    build_processing(separate)
    text = (separate / "inference.yml").read_text()
    assert re.search(r"bytes:\n    __model__: \d+\n", text)
    assert "inference.pdiparams: " in (exported.model / "inference.yml").read_text()


def test_given_files(exported, separate, tmp_path):
    files = find_model(exported.model)
    assert given_files(*files) == files
    assert given_files(separate / "__model__") == given_files(separate / "__model__", separate)
    with pytest.raises(UserError, match="none: no such model file"):
        given_files(tmp_path / "none", None)
    with pytest.raises(UserError, match="none: no such weights file"):
        given_files(files.structure, tmp_path / "none")


# ---- weights without structure


def test_variable_folder_holds_the_weights(variable_folder):
    arrays, expected = load_arrays(variable_folder), random_weights()
    assert set(arrays) == set(expected)
    assert all((arrays[name] == expected[name]).all() for name in expected)
    assert load_arrays(f"{variable_folder}/").keys() == arrays.keys()


@pytest.mark.parametrize("script", ["tools/eval.py", "tools/infer.py"])
def test_commands_read_a_variable_folder(exported, variable_folder, run_here, script):
    first = run_here(script, "-c", exported.config)
    second = run_here(script, "-c", exported.config, "-o", f"Global.pretrained_model={variable_folder}")
    without_time = [re.sub(r"^\[[^\]]*\] ", "", outcome.out, flags=re.MULTILINE) for outcome in (first, second)]
    assert first.status == second.status == 0
    assert without_time[0] == without_time[1]


def test_wrong_variable_folder(exported, variable_folder, run_here, tmp_path):
    folder = shutil.copytree(variable_folder, tmp_path / "weights")
    options = ["tools/infer.py", "-c", exported.config, "-o", f"Global.pretrained_model={folder}"]
    (folder / "fc.bias").write_bytes(b"no tensor")
    assert_one_line(run_here(*options), "fc.bias: not a Paddle tensor at byte 0, or a damaged one")
    (folder / "fc.bias").unlink()
    assert_one_line(run_here(*options), "does not fit the network, 1 entries: missing fc.bias [3]")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="expected a folder with one file per variable, found no file"):
        read_folder(tmp_path / "empty")


def test_persistable_in_one_file(exported, run_here, tmp_path):
    outcome = run_here("tools/export_model.py", "-c", exported.config, "--o", tmp_path / "new/w", "--persistable")
    assert outcome.status == 0, outcome
    assert f"wrote the weights of {NETWORK} to {tmp_path}/new/w.pdparams" in outcome.out
    arrays, expected = load_arrays(tmp_path / "new/w"), random_weights()
    assert all((arrays[name] == expected[name]).all() for name in expected)


@pytest.mark.parametrize("separate", [[], ["--separate_params"]])
def test_weights_in_half_the_space(exported, run_here, tmp_path, separate):
    options = ["--o", tmp_path / "w", "--persistable", "--float16", *separate]
    outcome = run_here("tools/export_model.py", "-c", exported.config, *options)
    assert outcome.status == 0, outcome
    arrays, expected = load_arrays(tmp_path / "w"), random_weights()
    assert {array.dtype for array in arrays.values()} == {np.dtype("float32")}
    for name, array in expected.items():
        rounded = array.astype("float16").astype("float32") if array.ndim > 1 else array
        assert (arrays[name] == rounded).all(), name
    stored = sum(path.stat().st_size for path in [*tmp_path.glob("w/*"), *tmp_path.glob("w.pdparams")])
    assert stored < 0.6 * exported.weights.stat().st_size
    weights = f"Global.pretrained_model={tmp_path / 'w'}"
    words = ["-c", exported.config, "-o", weights, "--persistable", "--o", tmp_path / "again"]
    assert run_here("tools/export_model.py", *words).status == 0  # the network takes them


def test_what_float16_cannot_hold_is_named():
    arrays = {"conv": np.full((2, 2), 1e5, "float32"), "variance": np.full(2, 1e5, "float32")}
    with pytest.raises(UserError, match=r"conv: float16 holds numbers up to 65504, found 100000"):
        as_float16(arrays)
    arrays["conv"][:] = 1
    halves = as_float16(arrays)
    assert (halves["conv"].dtype, halves["variance"].dtype) == (np.float16, np.float32)


def test_float16_is_not_for_an_exported_model(exported, run_here, tmp_path):
    outcome = run_here("tools/export_model.py", "-c", exported.config, "--o", tmp_path / "m", "--float16")
    assert outcome.status == 2
    assert "--float16 is for --persistable" in outcome.err


def test_variables_are_written_to_a_new_folder(exported, run_here, tmp_path):
    (tmp_path / "kept").write_text("former")
    options = ["--o", tmp_path, "--persistable", "--separate_params"]
    assert_one_line(run_here("tools/export_model.py", "-c", exported.config, *options), "exists already")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
