"""A bundle, made by hand in the form that chains leave, for the tests of its pages."""

import json

import pytest

from tests.page.bundles import write_bundle


@pytest.fixture
def bundle(tmp_path):
    """The folder of a small bundle that passed: a training, two engines, predictions of two images."""
    return write_bundle(tmp_path / "test_log/Net")


@pytest.fixture
def change(bundle):
    """A function that changes the content of the bundle's bundle.json."""

    def change(**content):
        path = bundle / "bundle.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **content}))
        return bundle

    return change
