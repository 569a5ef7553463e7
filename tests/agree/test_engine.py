"""The engine check: what an inference command computed, against strict mode."""

import shutil

import numpy as np
import pytest

from tests.agree import zoo
from tests.agree.test_network import assert_only, copy_of, lines, network  # noqa: F401 - a fixture

PIXELS = zoo.images(6)


@pytest.fixture
def model(exports, network):  # noqa: F811
    return exports("plain", lambda: copy_of(network))


@pytest.fixture
def ran(steps, model, network):  # noqa: F811
    made = steps(model, network)
    made.settings.clear()
    return made


@pytest.mark.parametrize(
    "folder",
    [
        "cpu_usemkldnn_True_threads_6",
        "python_infer_cpu_gpus_0,1_usemkldnn_True_threads_6_observed",
        "norm_train_gpus_-1_autocast_null_nodes_1_infer_cpu_usemkldnn_True_threads_6_observed",
    ],
)
def test_an_engine_has_the_name_of_its_step(tmp_path, run_here, folder):
    for name in (folder, "inference"):
        (tmp_path / name).mkdir()
    outcome = run_here("test_tipc/lib/agree.py", tmp_path / "inference", "--inferred", tmp_path / folder)
    assert "\nengine cpu usemkldnn_True_threads_6: not compared" in outcome.out


def test_rounding(ran):
    ran.infer(PIXELS[:3], setting="one", outputs=lambda array: array + np.float32(2e-6))
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert lines(outcome)["engine one"].startswith("largest difference ")
    assert ran.saved["engine"][0]["largest"] < 1e-5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda array: array + np.float32(0.01), "the largest difference is 0.01"),
        (lambda array: array[:, ::-1].copy(), "the largest difference is"),
        (lambda array: np.repeat(array[:1], len(array), 0), "they do not depend on the image"),
        (lambda array: np.where(array > 0, np.nan, array), "the largest difference is inf"),
        (lambda array: array[:, :4].copy(), "an output is [3, 4], in strict mode [3, 8]"),
    ],
)
def test_wrong_engine(ran, change, words):
    ran.infer(PIXELS[:3], setting="wrong", outputs=change)
    assert_only(ran.agree(), "engine wrong", words)


def test_another_order_of_classes_within_the_tolerance(project, exports, network):  # noqa: F811
    def close():
        copy = copy_of(network)
        copy.fc.weight.set_value(copy.fc.weight[:, :1] + np.linspace(0, 0.0004, 8, dtype=np.float32) * 1)
        copy.fc.bias.set_value(copy.fc.bias * 0 + np.arange(8, dtype=np.float32) * 1e-5)
        return copy

    ran = project(exports("close", close))
    ran.layer("evaluate", close(), {"x": PIXELS})
    ran.infer(PIXELS[:3], outputs=lambda array: array[:, [1, 0, 2, 3, 4, 5, 6, 7]].copy())
    assert "with the same top-5" in ran.agree().out


def test_nan_on_both_sides(project, exports, network):  # noqa: F811
    def broken():
        copy = copy_of(network)
        copy.fc.bias.set_value(copy.fc.bias * np.float32("nan"))
        return copy

    ran = project(exports("nan", broken))
    ran.layer("evaluate", broken(), {"x": PIXELS})
    ran.infer(PIXELS[:3])
    outcome = ran.agree()
    assert outcome.status == 1
    assert "its outputs, and those of the network, hold nan" in lines(outcome)["network"]
    assert "24 of 24 numbers of an output are nan" in lines(outcome)["engine infer"]


def test_files_of_another_folder(ran, model, tmp_path):
    copies = [tmp_path / file.name for file in model.files]
    for file, copy in zip(model.files, copies):
        shutil.copy(file, copy)
    ran.infer(PIXELS[:3], setting="elsewhere", files=copies)
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert f"infer loaded {copies[0]}, which is not in the model's folder: agrees" in lines(outcome)["engine elsewhere"]


def test_an_engine_with_another_model(ran, exports, network):  # noqa: F811
    def other():
        return zoo.filled(zoo.Classifier(), seed=5)

    ran.infer(PIXELS[:3], setting="other", model=exports("seed5", other))
    outcome = ran.agree(folder=ran.model.files[0].parent)
    assert_only(outcome, "engine other", "infer loaded ", "whose weights are not the exported model's")
    assert ran.saved["engine"][-1]["largest"] > 0.01


def test_an_engine_with_nearly_the_same_model(ran, exports, network):  # noqa: F811
    """Its outputs are within the limit, and the model of an earlier run proves nothing about this one."""

    def other():
        copy = copy_of(network)
        copy.fc.weight.set_value(copy.fc.weight * 1.000001)
        return copy

    ran.infer(PIXELS[:3], setting="other", model=exports("other", other))
    outcome = ran.agree(folder=ran.model.files[0].parent)
    assert_only(outcome, "engine other", "infer loaded ", "whose weights are not the exported model's")


def test_why_nothing_was_observed_is_one_line(ran):
    ran.recorder("lost").write(event="lost", why="RuntimeError: no memory.\n  [Hint: a holder]\n")
    ran.settings.append("lost")
    outcome = ran.agree()
    why = "nothing was observed of infer: RuntimeError: no memory. [Hint: a holder]"
    assert lines(outcome)["engine lost"] == f"not compared ({why})"
    assert outcome.out.splitlines()[-1].endswith(f"the engine lost was not compared: {why}")


def test_why_no_arrays_were_kept(ran):
    ran.recorder("full", kept=0).write(event="lost", why="OSError: the disk is nearly full: no more arrays")
    ran.infer(PIXELS[:3], setting="full")
    outcome = ran.agree()
    assert outcome.status == 77
    why = "the arrays of no call were kept: OSError: the disk is nearly full: no more arrays"
    assert lines(outcome)["engine full"] == f"not compared ({why})"


def test_nothing_was_observed(ran):
    ran.recorder("empty")
    ran.settings.append("empty")
    outcome = ran.agree()
    assert outcome.status == 77
    assert lines(outcome)["engine empty"] == "not compared (nothing was observed of infer)"
    assert outcome.out.splitlines()[-1].endswith("the engine empty was not compared: nothing was observed of infer")
