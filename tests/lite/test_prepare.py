"""prepare.sh and the environment .venv-lite: once, from a Python of the right version, and never without a word."""

import sys

import pytest

from tests.helpers.preparation import INTERPRETER, PIP, SetUp
from tests.helpers.shell import CONFIGS, assert_one_error, copy_tree

CONFIG = str(CONFIGS / "lite_arm_cpu_cpp.txt")
# this pip makes the modules that are looked for
MODULES = """
if any("paddlelite" in line for line in wanted):
    for name in ("numpy", "paddlelite"):
        (Path(__file__).parents[1] / name).mkdir(exist_ok=True)
        (Path(__file__).parents[1] / name / "__init__.py").touch()
    (Path(__file__).parents[1] / "paddlelite/lite.py").touch()
"""
# of the version that Paddle Lite needs, whatever it really is
OLD = INTERPRETER.replace(
    'elif [ "$1" = -c ] && [ -n "$FAKE_VERSION" ]; then',
    'elif [ "$1" = -c ] && case $2 in *"< (3, 11)"*) true ;; *) false ;; esac; then\n    exit 0\n'
    'elif [ "$1" = -c ] && [ -n "$FAKE_VERSION" ]; then',
)


@pytest.fixture
def setup(tmp_path):
    made = SetUp(tmp_path, copy_tree(tmp_path))
    (made.notes / "pip.py").write_text(PIP + MODULES)
    return made


def add_old_python(setup, place=None):
    path = (place or setup.bin) / ("python" if place else "python3.10")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OLD.format(python=sys._base_executable))
    path.chmod(0o755)


def prepare(setup, **environment):
    return setup.run(CONFIG, "lite_arm_cpu_cpp", **environment)


def test_it_is_made_once(setup):
    add_old_python(setup)
    run = prepare(setup)
    assert run.status == 0, run.out + run.err
    assert "setting up .venv-lite with Python" in run.out
    assert (setup.tree / ".venv-lite/ready").is_file()
    count = setup.installations()
    run = prepare(setup)
    assert (run.status, run.out, run.err) == (0, "", "")
    assert setup.installations() == count
    assert not list(setup.tree.glob(".venv*.lock*"))


def test_a_python_that_pyenv_keeps_is_found(setup):
    add_old_python(setup, setup.notes / ".pyenv/versions/3.10.13/bin")
    run = prepare(setup)
    assert run.status == 0, run.out + run.err
    assert (setup.tree / ".venv-lite/ready").is_file()


def test_another_list_makes_it_again(setup):
    add_old_python(setup)
    assert prepare(setup).status == 0
    packages = setup.tree / "test_tipc/lib/lite.txt"
    packages.write_text(packages.read_text() + "# another one\n")
    assert "setting up .venv-lite" in prepare(setup).out


def test_without_such_a_python_a_note_says_so(setup):
    run = prepare(setup)
    assert run.status == 0, run.out + run.err
    assert run.out.splitlines()[-1] == (
        "note: no Python from 3.8 to 3.10, which Paddle Lite's packages need; install one, or set TIPC_LITE_PYTHON"
    )
    assert not (setup.tree / ".venv-lite").exists()


def test_a_failed_installation_is_one_line_and_is_made_again(setup):
    prepare(setup)  # the environment of the other chains
    add_old_python(setup)
    (setup.notes / "fail").write_text("no such package")
    run = prepare(setup)
    assert run.status == 1
    assert run.err.splitlines()[-1] == "error: setting up .venv-lite failed; all of pip's output is in .venv-lite.log"
    assert not (setup.tree / ".venv-lite/ready").exists()
    (setup.notes / "fail").unlink()
    assert prepare(setup).status == 0
    assert (setup.tree / ".venv-lite/ready").is_file()


def test_an_environment_of_somebody_else_is_left_alone(setup):
    add_old_python(setup)
    (setup.tree / ".venv-lite").mkdir()
    (setup.tree / ".venv-lite/mine").touch()
    run = prepare(setup)
    assert run.status == 1
    assert "was not made by this script, and is left alone" in run.err
    assert (setup.tree / ".venv-lite/mine").exists()


def test_the_other_chains_do_not_make_it(setup):
    add_old_python(setup)
    run = setup.run()
    assert run.status == 0, run.out + run.err
    assert not (setup.tree / ".venv-lite").exists()


def test_an_interpreter_without_paddle_lite_is_refused(setup):
    prepare(setup)
    run = prepare(setup, TIPC_LITE_PYTHON="/bin/false")
    assert_one_error(run, "TIPC_LITE_PYTHON=/bin/false: no Python interpreter with Paddle Lite; install it with: ")
