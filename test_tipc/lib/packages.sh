#!/usr/bin/env bash
# The environment .venv of a project, from its requirements.txt or from lane.txt. Sourced by prepare.sh.

declare -A RUN # see common_func.sh

VENV='' # set by prepare.sh; the log is beside it
PYTHONS=(python3.11 python3.12 python3.10 python3.13 python3.9 python3 python)

venv_is_ready() { # the marker is written last, and names what was installed
    [[ -f $VENV/ready && $(<"$VENV/ready") == "$(venv_stamp)" ]] && "$VENV/bin/python" -c '' 2>/dev/null
}

venv_stamp() { # of the lists that decide what is installed: install.py names those that requirements.txt leads to
    local -a further=()
    [[ ! -f $VENV/lists ]] || mapfile -t further <"$VENV/lists"
    cat "$(list_of_packages)" "${further[@]}" 2>/dev/null | cksum
}

list_of_packages() { # print the path of the list from which an environment is made
    if [[ -f $ROOT/requirements.txt ]]; then echo requirements.txt; else tool lib/lane.txt; fi
}

build_venv() {
    local base log=$VENV.log
    base=$(suitable_python) || exit 1
    clear_venv
    { : >"$log"; } 2>/dev/null || die "$log: cannot be written"
    echo "setting up .venv with $("$base" -V 2>&1): a few minutes the first time, log in .venv.log"
    run_in_group 1 2 install_packages "$base" 2>"$log" || explain_failure "setting up .venv"
    { venv_stamp >"$VENV/ready.new" && mv "$VENV/ready.new" "$VENV/ready"; } || die "$VENV/ready: cannot be written"
}

clear_venv() { # make the folder, empty but for the mark of this script; what others have made is left alone
    local mark=$VENV/made-by-test_tipc
    if [[ -e $VENV && ! -f $mark && ! -f $VENV/ready ]] &&
        [[ ! -d $VENV || -n $(find "$VENV/" -mindepth 1 -print -quit) ]]; then
        die "$VENV was not made by this script, and is left alone: move it away, or use its interpreter with" \
            "TIPC_PYTHON=$VENV/bin/python"
    fi
    [[ ! -L $VENV ]] || rm -f "$VENV" # a link, to one of this script's or to nothing; what it leads to stays
    # the mark comes first and is never removed: a run that was killed here leaves what the next one may clear
    { mkdir -p "$VENV" && : >"$mark" &&
        find "$VENV" -mindepth 1 -maxdepth 1 ! -name made-by-test_tipc -exec rm -rf {} + &&
        echo '*' >"$VENV/.gitignore"; } 2>/dev/null || die "$VENV: cannot be written"
}

install_packages() { # PYTHON: what could not be installed as the project wants it is said on standard output
    "$1" -m venv "$VENV" >&2 && "$1" "$TIPC/lib/install.py" "$VENV/bin/python" "$(list_of_packages)"
}

explain_failure() { # WHAT: exit with the reason, which is the last line of the log, or else pip's own words before it
    local reason
    reason=$(tail -n 1 "$VENV.log")
    [[ $reason != 'error: '* ]] || die "$1 failed: ${reason#error: } (all of pip's output is in .venv.log)"
    tail -n 5 "$VENV.log" >&2
    die "$1 failed; all of pip's output is in .venv.log"
}

print_venv_notes() { # in what the environment differs from the project's list
    [[ ! -s $VENV/notes ]] || cat "$VENV/notes"
}

suitable_python() { # the first interpreter from 3.9 to 3.13 that can make environments
    local name found='' usable=''
    for name in "${PYTHONS[@]}"; do
        command -v "$name" >/dev/null || continue
        found=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        case $found in
            3.9 | 3.10 | 3.11 | 3.12 | 3.13) ;;
            *) continue ;;
        esac
        usable=$found
        "$name" -c 'import ensurepip, venv' 2>/dev/null || continue
        command -v "$name"
        return
    done
    [[ -z $usable ]] ||
        die "Python $usable has no venv module; on Debian and Ubuntu: apt-get install python$usable-venv"
    die "no Python from 3.9 to 3.13 found (the last one seen is ${found:-none}); install one, or set TIPC_PYTHON;" \
        "bash $(tool doctor.sh) looks at the whole machine"
}

check_modules() { # INSTALL_COMMAND MODULE...: exit with an error unless TIPC_PYTHON has them all
    local missing
    missing=$("${RUN[python]}" - "${@:2}" 2>/dev/null <<'PY'
import importlib.util
import sys

print("missing:", *(name for name in dict.fromkeys(sys.argv[1:]) if importlib.util.find_spec(name) is None))
PY
    ) && [[ $missing == missing:* ]] || die "TIPC_PYTHON=${RUN[python]}: not a Python interpreter that works"
    missing=$(trim "${missing#*:}")
    [[ -z $missing ]] || die "TIPC_PYTHON=${RUN[python]} has no $missing; install with: $1"
}

# ------------------------------------------------------------------------------------------------------ Paddle Serving

SERVING_MODULES=(grpc aiohttp prometheus_client flask func_timeout six pytest paddle_serving_server paddle_serving_app paddle_serving_client)

prepare_serving() { # Paddle Serving, in .venv, or looked for in the environment of TIPC_PYTHON
    if [[ -n ${TIPC_PYTHON:-} ]]; then
        check_modules "bash $(tool install_serving.sh) ${RUN[python]}" "${SERVING_MODULES[@]}"
    elif [[ ! -f $ROOT/requirements-serving.txt ]]; then
        die "the project has no requirements-serving.txt: set TIPC_PYTHON to an interpreter that has Paddle Serving"
    elif ! serving_is_ready; then
        lock_project "Paddle Serving is being installed"
        serving_is_ready || install_serving
    fi
}

serving_is_ready() {
    [[ -f $VENV/ready-serving && $(<"$VENV/ready-serving") == "$(serving_stamp)" ]]
}

serving_stamp() {
    cat "$ROOT/requirements-serving.txt" "$TIPC/install_serving.sh" "$TIPC/lib/renew_pb2.py" | cksum
}

install_serving() {
    local log=$VENV.log
    local -a options=(-c "$ROOT/requirements.txt" -c "$ROOT/requirements-serving.txt")
    # packages of an interrupted installation may be incomplete
    [[ ! -e $VENV/serving-began ]] || options+=(--force-reinstall)
    echo "installing Paddle Serving into .venv: about a minute the first time, log in .venv.log"
    { rm -f "$VENV/ready-serving" && touch "$VENV/serving-began"; } || die "$VENV: cannot be written"
    if ! run_in_group 1 2 bash "$TIPC/install_serving.sh" "$VENV/bin/python" "${options[@]}" >>"$log" 2>&1; then
        tail -n 5 "$log" >&2
        die "installing Paddle Serving failed; all of pip's output is in .venv.log"
    fi
    { serving_stamp >"$VENV/ready-serving.new" && mv "$VENV/ready-serving.new" "$VENV/ready-serving" &&
        rm "$VENV/serving-began"; } || die "$VENV/ready-serving: cannot be written"
}
