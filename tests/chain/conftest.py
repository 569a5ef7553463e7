"""What the tests of the base chain share: a copy of the scripts, and a chain whose steps are small programs."""

import pytest

from tests.helpers.shell import Chain, copy_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return copy_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def chain(tree, tmp_path):
    return Chain(tree, tmp_path)
