"""Documents under test: their examples, run in a copy of the repository, and compared with the printed output."""

import os
import re
import signal
import subprocess
import sys
from typing import NamedTuple

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import copy_tree

BLOCKS = re.compile(r"```bash\n(?P<command>(?:(?!```).)*?)```\n\n```text\n(?P<output>.*?)```", re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+(?:e-?\d+)?|\d+e-\d+")


class Example(NamedTuple):
    """A block of commands in a document, and the block of its output."""

    command: str
    output: str


def examples_of(text):
    """The `Example`s of a Markdown text."""
    return [Example(match["command"], match["output"]) for match in BLOCKS.finditer(text)]


def short_ids(examples):
    """The number of each example, and the first script that it starts."""
    scripts = [re.search(r"python3? (?:\S*/)?(\w+\.py)", example.command)[1] for example in examples]
    return [f"{number}-{script}" for number, script in enumerate(scripts, start=1)]


def comparable(text):
    """(lines without times, their decimal numbers): the last digits depend on the processor."""
    text = re.sub(r"^\[\d{4}/[^\]]*\] ", "", text.replace("\\\n", ""), flags=re.MULTILINE)
    text = re.sub(r"largest difference \S+ \(at most", "largest difference (at most", text)
    numbers = [float(number) for number in NUMBER.findall(text)]
    return [line.rstrip() for line in NUMBER.sub("#", text).strip().splitlines()], numbers


def python_on_path(folder):
    """An environment in which `python` is the interpreter of the tests, as in an activated one: `folder`/bin."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("python", "python3"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


class Document:
    """The examples of a document, each run once and in their order, since later ones use the files of earlier ones.

    They run in a copy of the repository with the digits prepared, so that nothing changes in the repository itself, and
    any example can be tested alone.
    """

    def __init__(self, examples, folder):
        self.examples = examples
        self.tree = copy_tree(folder)
        for name in ("pretrain_models", "docs"):
            (self.tree / name).symlink_to(ROOT / name)
        self.environment = python_on_path(folder)
        self._runs = []
        made = self.run("python tools/data/make_digits.py --output dataset/digits")
        assert made.returncode == 0, made.stderr

    def check(self, number):
        """Run example `number`, from 0, after those before it; its output must be that of the document."""
        while len(self._runs) <= number:
            self._runs.append(self.run(self.examples[len(self._runs)].command))
        run = self._runs[number]
        assert run.returncode == 0, run.stderr
        (lines, numbers), (expected, expected_numbers) = map(comparable, (run.stdout, self.examples[number].output))
        assert lines == expected
        assert numbers == pytest.approx(expected_numbers, abs=2e-5)

    def run(self, command):
        """Run a command of the document in the root of the copy: the completed process."""
        process = subprocess.Popen(
            ["bash", "-e", "-c", command],
            cwd=self.tree,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)
