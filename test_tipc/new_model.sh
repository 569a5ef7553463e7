#!/usr/bin/env bash
# Begin with a model of your own: everything that the chains need is written, and they pass on it at once.
#
#   bash test_tipc/new_model.sh NAME [--from NETWORK]
#   bash test_tipc/new_model.sh MyNet
#   bash test_tipc/new_model.sh [NAME] --project FOLDER [--run_help]
#
# Writes the network's file in ppcls_lite/arch, its training config, the configs of all chains, a document and a test, and
# prints what it wrote and the next commands. --from begins with a copy of a registered network instead of a small one.
# --project writes FOLDER/test_tipc/configs/NAME/train_infer_python.txt for another project, from what its scripts say of
# their options, and prints what is left to do; NAME is the folder's name unless given. The scripts are read and not run;
# --run_help runs `SCRIPT --help` of those whose options cannot be read. In a test_tipc that was copied into a project,
# that project is meant.
# Asks nothing. Nothing that is there is replaced, and all files are written or none.
# TIPC_PYTHON=/path/to/python uses that interpreter (3.9 or newer; no package is needed).
# Exit code: 0 written, 1 nothing was written (one line says why).

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"

main() {
    local own=$ROOT/tools/new_model.py
    parse_options '--project=.+=a folder' '--from=.+=the name of a network' --run_help -- "$@"
    [[ -f $own || -n ${RUN[project]} ]] || RUN[project]=$ROOT
    find_any_python
    if [[ -n ${RUN[project]} ]]; then
        [[ -z ${RUN[from]} ]] || die "--from: is for a network of this repository, not for --project"
        ((${#ARGUMENTS[@]} <= 1)) || die "expected one NAME, found: ${ARGUMENTS[*]} (see --help)"
        exec "${RUN[python]}" "$TIPC/lib/new_config.py" --project "${RUN[project]}" ${RUN[run_help]:+--run_help} \
            -- "${ARGUMENTS[@]}"
    fi
    [[ -z ${RUN[run_help]} ]] || die "--run_help: is for --project"
    ((${#ARGUMENTS[@]} == 1)) || die "usage: bash test_tipc/new_model.sh NAME (see --help)"
    exec "${RUN[python]}" "$own" ${RUN[from]:+--from "${RUN[from]}"} -- "${ARGUMENTS[0]}"
}

main "$@"
