#!/usr/bin/env python3
"""Write the train_infer_python.txt of another project, as far as its scripts say what it must be.

    python test_tipc/lib/new_config.py --project /path/to/project
    python test_tipc/lib/new_config.py --project /path/to/project --run_help MyNet

The scripts that train, evaluate, predict, export and infer are found by their names; their options are read from their
text, which is never run. With --run_help, `SCRIPT --help` is run for a script whose options cannot be read. NAME is the
model's; by default the folder's name. Prints the lines that a person has to complete; they are in a last section of the
file, too. `bash test_tipc/new_model.sh` starts this.
Exit code: 0 written, 1 nothing was written (one line says why), 2 wrong options.
"""

import argparse
import contextlib
import re
import shlex
import sys
from pathlib import Path

from new_model.commands import command_of
from new_model.config_text import write_lines
from new_model.roles import find_roles, uses_paddle
from new_model.sources import Project
from script import UserError, atomic_write, counted, run_main

ROLES = {"train": "trains", "eval": "evaluates", "predict": "predicts", "export": "exports", "infer": "infers"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")  # a model's name becomes a folder's


def describe(root, name, python=None):
    """(text of the config, {role: path}, [(line, what is left to do there)], [what else is left])."""
    project = Project(root)
    roles = find_roles(project)
    if "train" not in roles:
        raise UserError(f"{root}: {_no_training(project)}")
    commands, required, general = {}, {}, []
    for role, path in roles.items():
        commands[role], required[role] = command_of(project, path, name, general, python, role == "infer")
    if not any(uses_paddle(project, path) for path in project.scripts()[:200]):
        general.append("no script imports paddle: is it a project of Paddle?")
    if "requirements.txt" not in project.files:
        general.append("there is no requirements.txt: the environment gets the packages of test_tipc/lib/lane.txt")
    lines = write_lines(project, name, commands, required)
    return lines.text(general), roles, lines.left, general


def _no_training(project):
    """What there is where no script trains."""
    count = len(project.scripts())
    books = [path for path in project.files if path.endswith(".ipynb")]
    if books and not count:
        turn = f"jupyter nbconvert --to script {shlex.quote(books[0])}"
        return f"no Python file, and {counted(len(books), 'notebook')} such as {books[0]}: make a train.py ({turn})"
    return f"none of its {count} Python files is a train.py or alike: is it a project of Paddle?"


def write_new(path, text):
    """Write a file that must not be there yet, whole or not at all, with the folders that it needs."""
    made = []
    try:
        for folder in reversed([path.parent, *path.parent.parents]):
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        with atomic_write(path) as stream:
            stream.write(text)
    except OSError as error:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        place = error.filename or path
        raise UserError(f"{place}: cannot be written ({error.strerror}); nothing was changed") from error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", metavar="NAME", help="the name of the model")
    parser.add_argument("--project", required=True, type=Path, metavar="FOLDER", help="the root of the project")
    parser.add_argument("--run_help", action="store_true", help="run SCRIPT --help where options cannot be read")
    args = parser.parse_args()
    if not args.project.is_dir():
        raise UserError(f"--project: expected a folder, found {str(args.project)!r:.200}")
    root = args.project.resolve()
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", root.name) if args.name is None else args.name
    if not _NAME.fullmatch(name):
        raise UserError(f"the model's name becomes a folder's: expected letters, digits, . _ + -, found {name!r:.80}")
    path = root / "test_tipc/configs" / name / "train_infer_python.txt"
    if path.exists():
        raise UserError(f"{path}: is there already, and was not changed")
    text, roles, left, general = describe(root, name, sys.executable if args.run_help else None)
    write_new(path, text)
    evaluation = re.search(r"^eval:(.+)$", text, re.MULTILINE)[1]
    if "eval" not in roles and evaluation != "null":
        roles["eval"] = evaluation  # the training evaluates
    report(root, path, roles, left, general)


def report(root, path, roles, left, general):
    """What was found and written, what is left, and the next commands."""
    for role, verb in ROLES.items():
        print(f"{verb + ':':11}{roles.get(role, 'no script of its own')}")
    print(f"written: {path.relative_to(root)}")
    print(f"left to do: {len(left) + len(general) or 'nothing that can be seen from here'}")
    for number, to_do in left:
        print(f"  line {number}: {to_do}")
    for to_do in general:
        print(f"  {to_do}")
    chain = "bash test_tipc/test_train_inference_python.sh"
    config = f"{shlex.quote(str(path))} lite_train_lite_infer --project {shlex.quote(str(root))}"
    print(f"next:\n  {chain} {config} --dry_run\n  {chain} {config}")


if __name__ == "__main__":
    run_main(main)
