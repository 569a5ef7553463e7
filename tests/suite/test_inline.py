"""Copying definitions out of a library: what they need comes along, names that clash are changed, faults are named."""

import textwrap

import pytest

from ppcls_lite.utils.errors import UserError
from tools.suite.inline import Closure
from tools.suite.modules import Definition, Library

REGISTRY = "ppcls_lite.registry"
FILES = {
    "__init__": "from ppcls_lite.layers import Block\n",
    "registry": "def register(builder):\n    return builder\n\nTABLE = {}\n",
    "layers": """
        import math as m
        from paddle import nn

        UNUSED = 1
        # how wide
        WIDTHS = [1, 2]
        WIDTHS.append(3)
        WIDTHS[0] = 5


        def double(x):
            return helper(x) * 2


        def helper(x):
            return m.floor(x) + sum(WIDTHS)


        class Block(nn.Layer):
            '''A block.'''

            width = double(1)  # the width
    """,
}


@pytest.fixture
def copied(tmp_path):
    """`copied(text, name="net")`: the imports and the text that copying `name` of a new module takes."""

    def copy(text, name="net"):
        (tmp_path / "ppcls_lite").mkdir()
        for file, content in {**FILES, "new": text}.items():
            (tmp_path / "ppcls_lite" / f"{file}.py").write_text(textwrap.dedent(content))
        library = Library(tmp_path)
        closure = Closure(library, [Definition(library.module("ppcls_lite.new"), name)], (REGISTRY,), {"taken"})
        return closure.imports(), "".join(text for _, text in closure.texts())

    return copy


def values(imports, text):
    """What the copied text defines."""
    found = {}
    exec("\n".join(line for line in imports if "paddle" not in line) + "\n" + text, found)
    return found


def test_all_that_is_needed_comes_along_and_nothing_else(copied):
    imports, text = copied("from ppcls_lite.layers import double\n\n\ndef net():\n    return double(1.5)\n")
    assert imports == ["import math as m", ""]
    assert "UNUSED" not in text
    assert "class Block" not in text
    assert "# how wide\nWIDTHS = [1, 2]\nWIDTHS.append(3)\nWIDTHS[0] = 5\n" in text
    assert values(imports, text)["net"]() == 2 * (1 + 5 + 2 + 3)


@pytest.mark.parametrize(
    "head",
    [
        "from ppcls_lite.layers import double as twice\n",
        "from .layers import double as twice\n",
        "from ppcls_lite import layers as l\ntwice = l.double\n",
        "import ppcls_lite.layers as l\ndef twice(x):\n    return l.double(x)\n",
    ],
)
def test_every_way_to_import(copied, head):
    imports, text = copied(f"{head}\ndef net():\n    return twice(1)\n")
    assert "ppcls_lite" not in text
    assert values(imports, text)["net"]() == 22


def test_a_name_that_a_package_passes_on_is_found(copied):
    imports, text = copied("from ppcls_lite import Block\n\n\nclass net(Block):\n    pass\n")
    assert imports[-1] == "from paddle import nn"
    assert "class Block(nn.Layer):\n    '''A block.'''\n" in text


def test_names_that_clash_are_changed(copied):
    text = """
        from ppcls_lite.layers import double

        def helper(x):
            return x + 1000

        def taken():
            return 7

        def net():
            return double(1) + helper(1) + taken()  # helper
    """
    imports, text = copied(text)
    assert "def layers_helper(x):" in text
    assert "return layers_helper(x) * 2" in text
    assert "# helper" in text
    assert "def taken" not in text
    assert values(imports, text)["net"]() == 22 + 1001 + 7


def test_packages_that_share_a_name_are_kept_apart(copied):
    text = "import os as m\nfrom ppcls_lite.layers import double\n\ndef net():\n    return m.sep, double(1)\n"
    imports, text = copied(text)
    assert sorted(imports) == ["", "import math as m_", "import os as m"] or sorted(imports) == [
        "",
        "import math as m",
        "import os as m_",
    ]
    assert values(imports, text)["net"]() == ("/", 22)


def test_the_registry_is_left_behind(copied):
    text = "from ppcls_lite import registry\n\n# a remark\n@registry.register\ndef net():\n    return 3\n"
    imports, text = copied(text)
    assert text == "# a remark\ndef net():\n    return 3\n"
    assert imports == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from ppcls_lite.registry import TABLE\n\ndef net():\n    return TABLE\n", ("new.py:3", "TABLE", "only")),
        ("from ppcls_lite import layers\n\ndef net():\n    return layers\n", ("new.py:3", "layers", "<name>")),
        ("from ppcls_lite import layers\n\ndef net():\n    return layers.nn\n", ("new.py:3", "layers.nn")),
        ("from ppcls_lite.layers import *\n\ndef net():\n    return 1\n", ("new.py:1", "import *")),
        ("def net():\n    from ppcls_lite import layers\n    return layers\n", ("new.py:2", "inside a function")),
        ("def net():\n    from .layers import double\n    return double\n", ("new.py:2", "inside a function")),
        ("from ppcls_lite.layers import nothing\n\ndef net():\n    return nothing\n", ("nothing", "no such name")),
        (
            "from ppcls_lite.layers import double\n\ndef helper(x):\n    return x\n\n"
            "def net():\n    taken = 1\n    return double(helper(taken))\n\ndef taken():\n    return 1\n",
            None,
        ),
        (
            "def taken():\n    return 1\n\ndef net():\n    def inner(taken):\n        return taken\n"
            "    return inner(taken())\n",
            ("new.py:", "'taken'", "local name too"),
        ),
    ],
)
def test_what_cannot_be_copied_is_said_in_one_line(copied, text, words):
    if words is None:
        imports, text = copied(text)
        assert values(imports, text)["net"]() == 22
        return
    with pytest.raises(UserError) as caught:
        copied(text)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
