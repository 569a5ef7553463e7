"""docs/own_model.md: a network is begun, looked at, trained and certified by the commands that are shown, with their
outputs; both languages show the same."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.documents import examples_of, python_on_path
from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import copy_tree

ENGLISH, CHINESE = ((ROOT / f"docs/own_model{end}.md").read_text(encoding="utf-8") for end in ("", "_ch"))
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
OWN = ENGLISH.partition("## Your own network\n")[2]
PROJECT = Path("/tmp/mininet")


def blocks(kind):
    return [body for name, body in BLOCK.findall(OWN) if name == kind]


class Tree:
    """A copy of the repository with what new_model.sh writes to, and `python` on the path."""

    def __init__(self, folder):
        self.tree = copy_tree(folder)
        for name in ("docs/models.md", "docs/models/series.yaml", "tests/arch/test_networks.py"):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.tree / name)
        shutil.copytree(ROOT / "tests/fixtures/projects", self.tree / "tests/fixtures/projects")
        self.environment = {**python_on_path(folder), "TIPC_PYTHON": sys.executable}

    def run(self, command):
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.tree,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * LIMIT,
        )


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The tree after the first command, and how that ended; PlainNet is registered, too."""
    tree = Tree(tmp_path_factory.mktemp("own_model"))
    first = tree.run(blocks("bash")[0])
    (tree.tree / "ppcls_lite/arch/plain_net.py").write_text(blocks("python")[1])
    package = tree.tree / "ppcls_lite/arch/__init__.py"
    package.write_text(package.read_text().replace("    my_net,\n", "    my_net,\n    plain_net,\n"))
    return tree, first


def test_the_recipe_that_is_advised_is_the_one_that_is_written(begun):
    text = (begun[0].tree / "ppcls_lite/configs/MyNet.yaml").read_text()
    found = re.search(r"^Optimizer:\n  name: (\w+)\n(?:.*\n)*?    learning_rate: (\S+)", text, re.MULTILINE)
    assert f"16 epochs; {found[1]} at {found[2]}, a third" in ENGLISH


def test_both_languages_show_the_same():
    assert BLOCK.findall(CHINESE) == BLOCK.findall(ENGLISH)
    assert re.findall(r"^\|.*\d px.*$", CHINESE, re.MULTILINE) == re.findall(r"^\|.*\d px.*$", ENGLISH, re.MULTILINE)


def test_the_network_that_is_shown_is_the_one_that_is_written(begun):
    tree, first = begun
    assert (first.returncode, first.stderr) == (0, "")
    assert (tree.tree / "ppcls_lite/arch/my_net.py").read_text() == blocks("python")[0]


@pytest.mark.parametrize("number", range(len(examples_of(OWN))))
def test_an_output_is_what_is_printed(begun, number):
    tree, first = begun
    example = examples_of(OWN)[number]
    done = first if number == 0 else run_example(tree, example)
    lines = (done.stdout + done.stderr).splitlines(keepends=True)
    assert "".join(line for line in lines if " INFO: " not in line) == example.output
    assert done.returncode == ("error: " in example.output)


def run_example(tree, example):
    """The project is made in a folder of the test, whose name the output has."""
    place = str(tree.tree.parent / "mininet")
    done = tree.run(example.command.replace(str(PROJECT), place))
    return subprocess.CompletedProcess("", done.returncode, done.stdout.replace(place, str(PROJECT)), done.stderr)


def test_the_commands_without_an_output(begun):
    """Long ones are planned only; of the trainings, one epoch each is enough to see that they run."""
    tree, _ = begun
    shown = {example.command for example in examples_of(OWN)}
    commands = [line for body in blocks("bash") if body not in shown for line in re.split(r"(?<!\\)\n", body) if line]
    commands = [re.sub(r"\\\n +", "", command) for command in commands]
    assert len(commands) == 7
    for command in commands:
        if "new_model" in command or command.startswith("cp "):
            continue
        if command.startswith("bash"):
            command += " --dry_run" if "test_serving" not in command else " --help"
        else:
            command += " -o Global.epochs=1 -o Global.device=cpu"
        done = tree.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
        if "whole_infer" in command.split()[-2]:
            assert "pretrain_models/MyNet_digits" in done.stdout or "whole_train" in command


def test_the_chain_passes_on_it_at_once_and_beats_chance(begun):
    tree, _ = begun
    (command,) = re.findall(r"^bash test_tipc/test_train\S+ \S+ lite_train_lite_infer$", OWN, re.MULTILINE)
    done = tree.run(command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert re.fullmatch(r"passed: \d+ steps, and all predictions agree", done.stdout.splitlines()[-1])
    top1 = re.search(r"^evaluate +passed +\S+ +top1: (\S+)", done.stdout, re.MULTILINE)
    assert float(top1[1].rstrip(",")) > 0.33  # 3 standard deviations of 48 guesses above 1 of 6
