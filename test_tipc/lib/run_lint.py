"""Say what is wrong with configs of any chain and dialect, without running anything. lint_config.sh calls it.

    python test_tipc/lib/run_lint.py test_tipc/configs

Exit code: 0 no errors (there may be warnings), 1 errors, or a file that cannot be read.
"""

import argparse
import json
import os
from pathlib import Path

import lint.commands
import lint.names
import lint.naming
import lint.structure
import lint.text
import lint.values  # noqa: F401 registers its checks, as the others do
from lint import kinds
from lint.config import Config
from lint.findings import CHECKS, ERROR, WARNING
from lint.reader import read_all
from lint.repair import repair
from new_model import TO_DO
from script import ROOT, UserError, counted, run_main

MOST_PASSES = 5  # of --fix
OTHER_FILES = {"CMakeLists.txt", "requirements.txt"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="configs, and folders of them")
    parser.add_argument("--project", type=Path, help="the folder in which scripts are looked for")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--fix", action="store_true", help="write what needs no person: typing errors, ends of lines")
    args = parser.parse_args()
    if args.project and not args.project.is_dir():
        raise UserError(f"--project: expected a folder, found '{args.project}'")
    configs = _read(_files(args.files), args.project)
    found = _find(configs)
    fixed = _fix(configs, found) if args.fix else None
    if args.json:
        print(json.dumps(_as_json(configs, found, fixed), indent=1, ensure_ascii=False))
    else:
        _print(configs, found, fixed)
    return 1 if _counts(found)["errors"] else 0


def _read(paths, project):
    """The `Config` of each path, with its chain and its project."""
    configs = [Config(path) for path in paths]
    for config in configs:
        kinds.sort_out(config)
        config.project = project.resolve() if project else _project_of(config)
    has = {project: _has_scripts(project) for project in {config.project for config in configs}}
    for config in configs:
        config.checks_scripts = has[config.project]
    return configs


def _find(configs):
    """{path: findings}, in the order of their lines."""
    read_all(configs)
    return {config.path: _findings(config) for config in configs}


def _fix(configs, found):
    """Write what can be written, and look again, since a line may need more than one change; how many findings went."""
    before = sum(map(len, found.values()))
    for _ in range(MOST_PASSES):
        changed = [config for config in configs if repair(config, found[config.path])]
        if not changed:
            break
        for config in changed:
            config.read_again()
        found.update(_find(changed))
    return before - sum(map(len, found.values()))


def _files(paths):
    """The configs among files and folders, each once, in order."""
    found = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*.txt") if each.is_file() and each.name not in OTHER_FILES)
            if not inside:
                raise UserError(f"{path}: expected a folder with configs (*.txt), found none")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"{path}: no such file or folder")
    return list(dict.fromkeys(found))


def _project_of(config):
    """The folder that holds the config's test_tipc/, or the repository of this tool for one that is in none."""
    place = config.place.resolve()
    inside = [parent.parent for parent in place.parents if parent.name == "test_tipc"]
    return inside[0] if inside else ROOT


def _has_scripts(project):
    for _, folders, files in os.walk(project):
        folders[:] = [name for name in folders if name != "test_tipc" and not name.startswith(".")]
        if any(name.endswith(".py") for name in files):
            return True
    return False


def _findings(config):
    found = [finding for check in CHECKS for finding in check(config)]
    return sorted(found, key=lambda finding: (finding.line, finding.level, finding.check))


def _as_json(configs, found, fixed):
    files = [
        {
            "path": config.path,
            "chain": config.chain or None,
            "dialect": config.dialect or None,
            "unread": config.reason or None,
            "scripts_checked": config.checks_scripts,
            "left_to_do": config.left,
            "findings": [{**one._asdict(), "fixed": one.fixed is not None} for one in found[config.path]],
        }
        for config in configs
    ]
    return {"files": files, "mended": fixed, **_counts(found)}


def _counts(found):
    levels = [finding.level for findings in found.values() for finding in findings]
    return {"errors": levels.count(ERROR), "warnings": levels.count(WARNING)}


def _print(configs, found, fixed):
    for config in configs:
        if config.reason and not config.reason.startswith("unknown title"):
            print(f"note: {config.path}: {config.reason}: only its text was checked")
        for finding in found[config.path]:
            print(finding.text(config.path))
        if config.left:
            print(f"note: {config.path}: {counted(config.left, 'thing')} left to do: see its section {TO_DO}")
    _print_unchecked(configs)
    counts = _counts(found)
    able = sum(finding.fixed is not None for findings in found.values() for finding in findings)
    words = f"{counted(len(configs), 'file')}: {counted(counts['errors'], 'error')}"
    words += f", {counted(counts['warnings'], 'warning')}"
    if fixed is not None:
        words += f"; {counted(fixed, 'finding')} mended"
    elif able:
        words += f"; --fix mends {able}"
    print(words)


def _print_unchecked(configs):
    """Of which files the scripts were not looked at."""
    projects = list(dict.fromkeys(str(config.project) for config in configs if not config.checks_scripts))
    if projects:
        count = sum(not config.checks_scripts for config in configs)
        where = projects[0] if len(projects) == 1 else f"{projects[0]} and {len(projects) - 1} more"
        print(f"note: scripts and their options were not checked for {counted(count, 'file')}: no scripts in {where}")


if __name__ == "__main__":
    run_main(main)
