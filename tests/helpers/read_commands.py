"""Let the parsers of Python scripts read command lines, and stop there; a program of its own, for tests.

Standard input: JSON [[folder, script, [word]]]. Standard output: JSON [problem], "" for a command that can be read.
A script's own parser reads its words; then the config and the changes among them are read as the script reads them.
"""

import argparse
import contextlib
import io
import json
import os
import runpy
import sys
from pathlib import Path

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.schema import DEPLOY, RECOGNITION

ROOT, PATH = Path.cwd(), tuple(sys.path)
# a service's config has a schema of its own, and its script reads it
SERVICES = ("web_service.py", "rehearse_rolling.py")

OF_RECOGNISERS = ("predict_rec.py", "build_gallery.py")


class Read(BaseException):
    """The words of the command were read; nothing else is to be run."""


def read(folder, script, words):
    """What is wrong with the command `python SCRIPT WORD...` in `folder`, "" for nothing."""
    path = Path(os.path.normpath(ROOT / folder / script))
    if not path.is_file():
        return f"{script}: no such file in {folder or 'the root'}"
    os.chdir(path.parents[1] if folder and not (ROOT / folder).is_dir() else ROOT / folder)
    sys.argv, sys.path[:] = [script, *words], [str(path.parent), *PATH]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            runpy.run_path(str(path), run_name="__main__")
    except Read as end:
        return _check_config(path, end.args[0])
    except SystemExit as end:
        return "" if end.code in (0, None) else said.getvalue().strip().splitlines()[-1]
    finally:
        os.chdir(ROOT)
    return "" if not words else "it reads no words"


def _check_config(path, options):
    config = getattr(options, "config", None)
    if not config or path.name.endswith(SERVICES) or not str(config).endswith((".yaml", ".yml")):
        return ""
    if not Path(config).is_file():
        return "" if str(config).startswith("dataset/") else f"{config}: no such config"  # which a command before makes
    try:
        own = RECOGNITION if path.name in OF_RECOGNISERS else DEPLOY
        schema = {"schema": own} if path.is_relative_to(ROOT / "deploy") else {}
        if "deploy/slim" in str(path):
            schema = {}
        load_config(config, getattr(options, "override", None) or (), **schema)
    except UserError as error:
        return str(error)
    return ""


def stop_after(name):
    """Let the parsers' method of this name end in `Read`, once it has read all words."""
    parse = getattr(argparse.ArgumentParser, name)

    def parse_and_stop(self, args=None, namespace=None):
        raise Read(parse(self, args, namespace))

    setattr(argparse.ArgumentParser, name, parse_and_stop)


def main():
    commands = json.load(sys.stdin)
    stop_after("parse_args")
    stop_after("parse_intermixed_args")
    problems = []
    for folder, script, words in commands:
        try:
            problems.append(read(folder, script, words))
        except Exception as error:  # a parser that fails is a finding, too
            problems.append(f"{type(error).__name__}: {error}")
    json.dump(problems, sys.stdout)


if __name__ == "__main__":
    main()
