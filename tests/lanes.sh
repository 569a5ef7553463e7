#!/usr/bin/env bash
# The chains in other environments than .venv: the lanes of tests/run.sh, which sources this file.

# shellcheck source=tools/tables/pair.sh
source tools/tables/pair.sh

COMPAT=$PWD/.venv-compat
NEWEST=$PWD/.venv-newest

compatibility_lane() { # the oldest: Python 3.9, Paddle 2.6.2
    local base stamp output status=0
    base=$(find_interpreter 3.9) || { echo "skipped: no Python 3.9 found" && return; }
    stamp=$(cat tests/requirements-compat.txt requirements-serving.txt "${SERVING_INSTALLER[@]}" | cksum)
    if [[ ! -f $COMPAT/ready || $(<"$COMPAT/ready") != "$stamp" ]]; then
        echo "installing tests/requirements-compat.txt into .venv-compat"
        rm -rf "$COMPAT"
        "$base" -m venv "$COMPAT" || return
        "$COMPAT/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
            -r tests/requirements-compat.txt || return
        bash test_tipc/install_serving.sh "$COMPAT/bin/python" -qq -c tests/requirements-compat.txt \
            -c requirements-serving.txt || return
        echo "$stamp" >"$COMPAT/ready"
    fi
    output=$(mktemp -d) || return
    show_part classifier "$COMPAT/bin/python" "$output" || status=1
    show_part serving "$COMPAT/bin/python" "$output" || status=1
    rm -rf "$output"
    return "$status"
}

newest_lane() { # the newest release of every package that we need, on the newest Python here; no pins
    local base version part reason
    local -a outcomes=()
    for version in 3.13 3.12 3.11 3.10 3.9; do base=$(find_interpreter "$version") && break; done
    [[ -n $base ]] || { echo "skipped: no Python from 3.9 to 3.13 found" && return; }
    renew_newest "$base" || return 0
    echo "Python $("$base" -V | cut -d ' ' -f 2) with the newest of $(date -r "$NEWEST/venv/ready" +%F):"
    paste -sd ' ' "$NEWEST/packages.txt" | fold -s -w 118
    rm -rf "$NEWEST/runs" "$NEWEST"/{classifier,detector,serving}.log
    for part in classifier detector serving; do
        if [[ -s $NEWEST/$part.missing ]]; then
            echo "$part: skipped: it cannot be installed: $(<"$NEWEST/$part.missing")"
        elif reason=$(why_not_run "$part" "$NEWEST"); then
            outcomes+=("$part=not run: $reason")
        else
            show_part "$part" "$NEWEST/venv/bin/python" "$NEWEST"
            outcomes+=("$part=$?")
        fi
    done
    # a failure that is not ours, and that is on the list, is skipped; every other one fails
    PYTHONPATH=. .venv/bin/python tests/known_failures.py "$NEWEST" "${outcomes[@]}"
}

renew_newest() { # PYTHON: make the environment again when the requirements have changed, or each day; keep the old one
    # where that is not possible; fails, and says so, when there is none
    local old=$NEWEST/venv.old reason
    mkdir -p "$NEWEST" || return
    [[ -f $NEWEST/venv/ready || ! -d $old ]] || restore_newest # it was interrupted
    if [[ -n $(find "$NEWEST/venv/ready" -mmin -1440 2>/dev/null) ]] && install_newest "$1"; then return; fi
    echo "installing the newest packages into .venv-newest"
    [[ ! -f $NEWEST/venv/ready ]] || { rm -rf "$old" && mv "$NEWEST/venv" "$old"; } || return
    if install_newest "$1"; then
        rm -rf "$old"
        return
    fi
    reason=$(last_error "$NEWEST/install.log")
    if [[ -f $old/ready ]]; then
        restore_newest
        echo "note: not renewed ($reason); these are the packages of $(date -r "$NEWEST/venv/ready" +%F)"
    else
        echo "skipped: the newest packages cannot be installed: $reason"
        return 1
    fi
}

install_newest() { # PYTHON
    make_environment "$NEWEST" "$1" newest && add_serving "$NEWEST" "$1" newest && list_packages "$NEWEST"
}

restore_newest() {
    rm -rf "$NEWEST/venv" && mv "$NEWEST/venv.old" "$NEWEST/venv"
}

show_part() { # PART PYTHON FOLDER: run it and print its last lines, more of them when it failed
    local status lines=12
    run_part "$1" "$2" "$3"
    status=$?
    ((status == 0)) || lines=60
    printf '\n---- %s ----\n' "$1"
    tail -n "$lines" "$3/$1.log"
    return "$status"
}
