"""test_serving.sh with a model in Paddle 3's own format, which official configs do not name."""

import shutil

import pytest

from tests.helpers.shell import copy_tree
from tests.serving.test_driver import PASSED, Serving

NOTE = "note: {} has inference.json, Paddle 3's format of inference.pdmodel; converting that"


@pytest.fixture(scope="module")
def tree(tmp_path_factory, exported_json):
    """A checkout with the model where the official config expects it."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(exported_json, tree / "deploy/paddleserving/small_net_infer")
    return tree


@pytest.fixture
def chain(tree, tmp_path):
    return Serving(tree, tmp_path)


def command(run):
    """The command of the conversion."""
    return next(line for line in (run.folder / "convert.log").read_text().splitlines() if "--model_filename" in line)


def test_an_official_config_runs_as_it_is(chain):
    run = chain.run()
    assert run.status == 0, run.out + run.err
    assert run.results == PASSED
    assert run.out.count("note: ") == 2  # the driver's, and the converter's on servers in C++
    assert NOTE.format("./deploy/paddleserving/small_net_infer") in run.out.splitlines()
    assert "--model_filename=inference.json --params_filename=inference.pdiparams" in command(run)
    (served,) = run.folder.glob("*/inference.json")
    assert (served.parent / "serving_server_conf.prototxt").is_file()


def test_a_config_that_names_the_format(chain):
    run = chain.set("--model_filename", "inference.json").run("--stop_stage", "2")
    assert run.status == 0, run.out + run.err
    assert "inference.pdmodel" not in run.out
    assert "--model_filename=inference.json" in command(run)


def test_what_the_config_names_comes_first(chain, exported):
    """A folder with both formats."""
    both = shutil.copytree(exported.model, chain.folder / "both")
    if not (both / "inference.pdmodel").is_file():
        pytest.skip("this Paddle writes no pdmodel")
    (both / "inference.json").write_text("{}")
    run = chain.set("--dirname", both).run("--stop_stage", "2")
    assert run.status == 0, run.out + run.err
    assert "note: " not in run.out
    assert "--model_filename=inference.pdmodel" in command(run)


@pytest.mark.parametrize("name", ["other.pdmodel", "__model__", "inference.pdmodel.json"])
def test_another_name_is_not_replaced(chain, name):
    run = chain.set("--model_filename", name).run("--stop_stage", "2")
    assert run.status == 1
    assert ("model", "failed", "no test_tipc/configs/small_net/train_infer_python.txt") in run.steps
    assert f"note: there is no {name} in ./deploy/paddleserving/small_net_infer" in run.out
