#!/usr/bin/env bash
# Find what is wrong with configs of any chain and dialect, before anything is run: typing errors, lines that are missing
# or misplaced, modes without a value, scripts and options that are not there.
#
#   bash test_tipc/lint_config.sh FILE... [--project FOLDER] [--json] [--fix]
#   bash test_tipc/lint_config.sh test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt
#   bash test_tipc/lint_config.sh test_tipc/configs
#
# FILE is a config, or a folder in which all *.txt are configs. One line a finding: file, line, key, what was found, what
# was expected, what was probably meant, and the kind of the finding. An error stops a chain or makes it do something else
# than the line says; a warning does not.
# --project FOLDER is where the scripts of the commands are looked for; without it the folder that holds the config's
# test_tipc/, or this repository. Scripts are read and never run; where the folder has none, they are not checked.
# --fix writes what needs no person: typing errors of True, False and modes, ends of lines, tabs, blanks, full-width signs.
# --json prints all of it for a program.
# TIPC_PYTHON=/path/to/python uses that interpreter (3.9 or newer; no package is needed).
# Exit code: 0 no errors (there may be warnings), 1 errors, or a file that cannot be read.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"

main() {
    parse_options '--project=.+=a folder' --json --fix -- "$@"
    ((${#ARGUMENTS[@]} > 0)) || die "usage: bash test_tipc/lint_config.sh FILE... (see --help)"
    find_any_python
    exec "${RUN[python]}" "$TIPC/lib/run_lint.py" ${RUN[project]:+--project "${RUN[project]}"} ${RUN[json]:+--json} \
        ${RUN[fix]:+--fix} -- "${ARGUMENTS[@]}"
}

main "$@"
