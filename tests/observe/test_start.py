"""How Python starts with the observer's folder on its path: as without it. No Paddle is needed for that."""

import pytest

from tests.observe.conftest import OBSERVER

SHOW = """
import sys
print(sys.path)
print(sorted(name for name in sys.modules if not name.startswith("tipc_observe")))
print(getattr(sys.modules.get("sitecustomize"), "__file__", None), getattr(sys, "seen", None))
print([type(finder).__name__ for finder in sys.meta_path if "tipc" not in type(finder).__module__])
"""
OTHERS = {
    "none": None,
    "another": "import sys\nsys.seen = 'another'\n",
    "one that fails": "raise ValueError('broken')\n",
    "one that misses a module": "import not_there_at_all\n",
    "one that ends the process": "raise SystemExit(5)\n",
}


def same(left, right):
    return (left.status, left.out, left.err) == (right.status, right.out, right.err)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("watching", [True, False], ids=["watching", "without the variable"])
def test_the_next_sitecustomize_runs_as_without_ours(run, tmp_path, kind, watching):
    """Also what Python says of a broken one, sys.path and sys.modules."""
    other = tmp_path / "other"
    other.mkdir()
    if OTHERS[kind] is not None:
        (other / "sitecustomize.py").write_text(OTHERS[kind])
    plain = run(SHOW, observed=False, path=[other])
    if watching:
        seen = run(SHOW, path=[other])
    else:
        seen = run(SHOW, observed=False, path=[OBSERVER, other])
    if kind == "one that ends the process":  # Python dies of it, and names the files on the way
        assert (seen.status, seen.err.splitlines()[-1]) == (plain.status, plain.err.splitlines()[-1])
    else:
        assert same(seen, plain), seen
    assert ("another" in plain.out.decode()) == (kind == "another")
    assert ("broken" in plain.err.decode()) == (kind == "one that fails")
    assert not seen.events


def test_usercustomize_still_runs(run, tmp_path):
    (tmp_path / "usercustomize.py").write_text("import sys\nsys.seen = 'user'\n")
    flags = [
        "-c",
        "import site; site.ENABLE_USER_SITE = True; site.execusercustomize(); exec(open('script.py').read())",
    ]
    plain = run(SHOW, observed=False, path=[tmp_path], flags=flags)
    assert same(run(SHOW, path=[tmp_path], flags=flags), plain)
    assert "user" in plain.out.decode()


@pytest.mark.parametrize("flag", ["-S", "-E", "-I"])
def test_a_python_without_site_or_path_is_not_observed(run, flag):
    seen = run("import sys; print('tipc_observe' in sys.modules)", flags=[flag])
    assert (seen.status, seen.out, seen.err) == (0, b"False\n", b"")


def test_without_the_variable_nothing_of_ours_is_loaded(run):
    seen = run("import sys; print('tipc_observe' in sys.modules)", observed=False, path=[OBSERVER])
    assert (seen.status, seen.out, seen.err) == (0, b"False\n", b"")


@pytest.mark.parametrize(
    "content",
    ["value = 1\n", "raise ValueError('no library')\n", "class nn:\n    Layer = 3\n", "import sys\nsys.exit(4)\n"],
    ids=["without layers", "that fails", "with other layers", "that exits"],
)
def test_another_package_of_that_name(run, tmp_path, content):
    """Its module is as it would be; where its import fails, it fails in the same way."""
    (tmp_path / "paddle.py").write_text(content)
    script = """
import importlib.util, sys
print(importlib.util.find_spec("paddle").name, "paddle" in sys.modules)
try:
    import paddle
except ValueError as error:
    print(repr(error), "paddle" in sys.modules)
else:
    print(sorted(vars(paddle)), vars(paddle.__loader__))
"""
    plain = run(script, observed=False, path=[tmp_path])
    seen = run(script, path=[tmp_path])
    assert same(seen, plain), seen


def test_find_spec_does_not_wear_the_observer_out(run):
    script = """
import importlib.util
for _ in range(3):
    importlib.util.find_spec("paddle")
import paddle
"""
    seen = run(script, flags=["-W", "ignore"])
    assert seen.status == 0
    [process] = seen.of("process")
    assert process["argv"] == ["script.py"]
    assert (process["images"], process["megabytes"]) == (32, 512)
