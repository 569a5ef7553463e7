"""Fixtures of the tests of serving."""

import pytest

from tests.helpers.scripts import run_process


@pytest.fixture(scope="session")
def exported_json(exported, tmp_path_factory):
    """The folder of the `exported` model in Paddle 3's own format."""
    folder = tmp_path_factory.mktemp("exported_json") / "model"
    options = ["--p", exported.weights, "--o", folder, "-o", "Global.export_format=json"]
    outcome = run_process("tools/export_model.py", "-c", exported.config, *options)
    assert outcome.status == 0, outcome.err
    return folder
