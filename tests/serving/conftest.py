"""Fixtures of the tests of serving."""

import pytest
import yaml

from tests.helpers.configs import save_arrays
from tests.helpers.recognition import make_rec_config, recognizer_weights
from tests.helpers.scripts import run_process
from tests.helpers.service import REC_SCRIPT, Service


@pytest.fixture(scope="session")
def exported_json(exported, tmp_path_factory):
    """The folder of the `exported` model in Paddle 3's own format."""
    folder = tmp_path_factory.mktemp("exported_json") / "model"
    options = ["--p", exported.weights, "--o", folder, "-o", "Global.export_format=json"]
    outcome = run_process("tools/export_model.py", "-c", exported.config, *options)
    assert outcome.status == 0, outcome.err
    return folder


def export_recognizer(folder, rec_set, seed=3, **changed):
    """The folder of an exported recogniser with weights of that seed, but for those in `changed`."""
    content = make_rec_config(rec_set)
    weights = save_arrays({**recognizer_weights(content, seed), **changed}, folder / "weights.pdparams")
    content["Global"].update(pretrained_model=str(weights), save_inference_dir=str(folder / "model"))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    outcome = run_process("tools/export_model.py", "-c", path)
    assert outcome.status == 0, outcome.err
    return folder / "model"


@pytest.fixture(scope="session")
def recognizer(exported_recognizer):
    """The folder of the exported recogniser, of 16 features."""
    return exported_recognizer[1]


@pytest.fixture(scope="session")
def converted_rec(recognizer, tmp_path_factory):
    """The folder of the recogniser, converted for Paddle Serving's server."""
    folder = tmp_path_factory.mktemp("converted_rec")
    places = ["--serving_server", folder / "server", "--serving_client", folder / "client"]
    outcome = run_process("deploy/paddleserving/convert.py", "--dirname", recognizer, *places)
    assert outcome.status == 0, outcome.err
    return folder / "server"


@pytest.fixture(scope="session")
def rec_service(converted_rec, tmp_path_factory):
    """One real server that answers embeddings, shared by all tests."""
    running = Service(tmp_path_factory.mktemp("rec_service"), converted_rec, script=REC_SCRIPT)
    yield running
    assert running.stop() == 0
