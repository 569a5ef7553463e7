#!/usr/bin/env bash
# Try every pair of Paddle and Python: the chains of a classifier, of a detector and of a service, and all engines, each
# pair in an environment of its own; then make the tables of docs/versions.md of what happened.
#
#   bash tools/tables/versions.sh [--paddle V] [--python V] [--keep FOLDER] [--again] [--install]
#   nohup nice -n 19 bash tools/tables/versions.sh >output/versions.log 2>&1 &
#   bash tools/tables/versions.sh --paddle 3.1.1 --python 3.11 --again
#
# --paddle and --python try these pairs only, and replace only these in the tables. Environments (1.2 GB each) and logs
# are kept in FOLDER, output/versions unless given; what is there and was tried at the same commit is not tried again
# without --again. --install makes the environments and stops. Called again after an interruption, it goes on with the
# pair that was interrupted; the tables change when all pairs that were asked for have been tried.
# Paddle up to 3.1 is tried with the pinned packages of the requirements files, newer ones with the newest packages.
# TIPC_PYTHON=/path/to/python makes the tables with that interpreter instead of .venv's.
# A pair takes about two minutes, and one more to install. Leaves docs/measured/versions.json, test_log/versions/,
# test_tipc/lib/certified_versions.tsv and the tables between the markers of docs/versions.md.
# Exit code: 0 all was tried, however it ended, and the tables are made; 1 a Python or the network is missing, or
# something cannot be used; 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../test_tipc/common_func.sh"
# shellcheck source=tools/tables/pair.sh
source "$ROOT/tools/tables/pair.sh"

PADDLES=(2.6.2 3.0.0 3.1.1 3.2.2 3.3.1)
PYTHONS=(3.9 3.10 3.11 3.12 3.13)
# what this script makes, pair by pair, is not a change of the code that it tries
EVIDENCE+=(':!docs/versions.md' ':!docs/measured/versions.json' ':!test_tipc/lib/certified_versions.tsv')
PARTS=(classifier detector engines serving) # the last two take what the first exported

main() {
    local paddle python failed=0
    local -a tried=()
    parse_options '--paddle=[0-9]+\.[0-9]+\.[0-9]+=a version such as 3.1.1' \
        '--python=3\.[0-9]+=a version such as 3.11' '--keep=.+=a folder' --again --install -- "$@"
    ((${#ARGUMENTS[@]} == 0)) || die "usage: bash tools/tables/versions.sh [OPTION...] (see --help)"
    [[ -z ${RUN[paddle]} ]] || PADDLES=("${RUN[paddle]}")
    [[ -z ${RUN[python]} ]] || PYTHONS=("${RUN[python]}")
    KEEP=${RUN[keep]:-$ROOT/output/versions}
    { mkdir -p "$KEEP" && KEEP=$(cd "$KEEP" && pwd); } 2>/dev/null || die "$KEEP: cannot be written"
    cd "$ROOT" || die "$ROOT: cannot be entered"
    find_python
    speed_up_mkl
    take_lock "$KEEP/lock" "another call of this script is trying versions"
    guard "$KEEP/lock"
    for paddle in "${PADDLES[@]}"; do
        for python in "${PYTHONS[@]}"; do
            if try "$paddle" "$python"; then tried+=("${paddle}_$python"); else failed=1; fi
        done
    done
    [[ -z ${RUN[install]} ]] || exit "$failed"
    ((${#tried[@]} == 0)) || "${RUN[python]}" tools/tables/versions_table.py --collect "$KEEP" \
        --update docs/versions.md "${tried[@]}" || exit 1
    exit "$failed"
}

try() { # PADDLE PYTHON: install and run everything, unless that was done at this commit; fails where it cannot be tried
    local folder=$KEEP/$1_$2 base part reason
    base=$(find_interpreter "$2") || { echo "$1, Python $2: not tried: there is no Python $2 here" && return 1; }
    if [[ -z ${RUN[again]}${RUN[install]} ]] && grep -sqx "commit=$(commit)" "$folder/tried"; then
        echo "$1, Python $2: tried before"
        return
    fi
    mkdir -p "$folder" || die "$folder: cannot be written"
    printf '%s, Python %s: %(%F %T)T\n' "$1" "$2" -1
    if ! run_in_group 1 2 install "$folder" "$base" "$(kind_of "$1")" "$1"; then
        reason=$(last_error "$folder/install.log")
        echo "    not installed: $reason"
        has_no_wheel "$folder" || return 1
        [[ -n ${RUN[install]} ]] || note_trial "$1" "$2" "$base" "$reason"
        return 0
    fi
    [[ -z ${RUN[install]} ]] || return 0
    { rm -rf "$folder"/{tried,parts.tsv,runs} && mkdir "$folder/runs"; } || die "$folder: cannot be written"
    for part in "${PARTS[@]}"; do try_part "$part" "$folder"; done
    note_trial "$1" "$2" "$base" ''
}

install() { # FOLDER PYTHON KIND PADDLE
    make_environment "$@" && add_engines "$@" && add_serving "$@" && list_packages "$1"
}

has_no_wheel() { # FOLDER: pip named other versions, so the index was there, and has nothing for this Python
    [[ ! -e $1/venv/ready ]] && grep -q 'Could not find a version .*(from versions: [0-9]' "$1/install.log"
}

kind_of() { # PADDLE
    case $1 in
        2.* | 3.[01].*) echo pinned ;;
        *) echo newest ;;
    esac
}

try_part() { # PART FOLDER: one line of parts.tsv: name, exit code, seconds, and why it was not run
    local status=- reason='' start
    start=$(now)
    if ! reason=$(why_not_run "$1" "$2"); then
        run_in_group 1 2 run_part "$1" "$2/venv/bin/python" "$2"
        status=$?
    fi
    printf '%s\t%s\t%s\t%s\n' "$1" "$status" "$(elapsed "$start")" "$reason" >>"$2/parts.tsv" ||
        die "$2/parts.tsv: cannot be written"
    echo "    $1: ${reason:+not run: $reason}${reason:-exit code $status}"
}

note_trial() { # PADDLE PYTHON INTERPRETER REASON: written last, so that an interrupted pair is tried again
    local folder=$KEEP/$1_$2
    printf '%s\n' "paddle=$1" "python=$("$3" -V | cut -d ' ' -f 2)" "packages=$(kind_of "$1")" "reason=$4" \
        "format=$(exported_format "$folder")" "processor=$(processor)" "date=$(date +%F)" "commit=$(commit)" \
        >"$folder/tried.new" || die "$folder/tried.new: cannot be written"
    mv "$folder/tried.new" "$folder/tried" || die "$folder/tried: cannot be written"
}

main "$@"
