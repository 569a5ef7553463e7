#!/usr/bin/env bash
# The environment .venv-lite, which has Paddle Lite: its wheels need an older Python than the rest. Sourced by
# prepare.sh and test_lite_arm_cpu_cpp.sh, after common_func.sh and packages.sh. More names of RUN:
#   lite_python     the interpreter that has Paddle Lite; empty where there is none
#   no_lite         why

declare -A RUN # see common_func.sh

LITE_PYTHONS=(python3.10 python3.9 python3.8 python3 python)
# beside those of PATH: the folders in which pyenv and uv keep the versions that they have installed
LITE_PLACES=("${PYENV_ROOT:-$HOME/.pyenv}/versions" "${XDG_DATA_HOME:-$HOME/.local/share}/uv/python")

# as seen from the working folder, as TIPC_PYTHON is
[[ ${TIPC_LITE_PYTHON:-} != */* || $TIPC_LITE_PYTHON == /* ]] || TIPC_LITE_PYTHON=$PWD/$TIPC_LITE_PYTHON

prepare_lite() { # .venv-lite, or the environment of TIPC_LITE_PYTHON; without a Python for it a note says so
    local base VENV=$ROOT/.venv-lite
    if [[ -n ${TIPC_LITE_PYTHON:-} ]]; then
        has_lite "$TIPC_LITE_PYTHON" ||
            die "TIPC_LITE_PYTHON=$TIPC_LITE_PYTHON: no Python interpreter with Paddle Lite;" \
                "install it with: $TIPC_LITE_PYTHON -m pip install -r $(tool lib/lite.txt)"
    elif lite_is_ready; then
        return
    elif base=$(python_for_lite); then
        lock_project ".venv-lite is being set up"
        lite_is_ready || build_lite "$base"
    else
        echo "note: $(why_no_lite)"
    fi
}

build_lite() { # PYTHON
    local log=$VENV.log
    clear_venv
    { : >"$log"; } 2>/dev/null || die "$log: cannot be written"
    echo "setting up .venv-lite with $("$1" -V 2>&1): about a minute the first time, log in .venv-lite.log"
    if ! run_in_group 1 2 install_lite "$1" >>"$log" 2>&1 || ! has_lite "$VENV/bin/python"; then
        tail -n 5 "$log" >&2
        die "setting up .venv-lite failed; all of pip's output is in .venv-lite.log"
    fi
    { lite_stamp >"$VENV/ready.new" && mv "$VENV/ready.new" "$VENV/ready"; } || die "$VENV/ready: cannot be written"
}

install_lite() { # PYTHON
    "$1" -m venv "$VENV" && "$VENV/bin/python" -m pip install --disable-pip-version-check -r "$TIPC/lib/lite.txt"
}

lite_is_ready() {
    local venv=$ROOT/.venv-lite
    [[ -f $venv/ready && $(<"$venv/ready") == "$(lite_stamp)" ]] && "$venv/bin/python" -c '' 2>/dev/null
}

lite_stamp() { # of the list that decides what is installed
    cksum <"$TIPC/lib/lite.txt"
}

has_lite() { # PYTHON
    "$1" -c 'import numpy, paddlelite.lite' 2>/dev/null
}

python_for_lite() { # print the first interpreter from 3.8 to 3.10 that can make environments
    local name path
    local -a kept=("${LITE_PLACES[@]/%//*3.10.*/bin/python}" "${LITE_PLACES[@]/%//*3.9.*/bin/python}")
    is_machine_for_lite || return
    for name in "${LITE_PYTHONS[@]}" "${kept[@]}"; do
        while IFS= read -r path; do
            "$path" -c 'import ensurepip, sys, venv; sys.exit(not (3, 8) <= sys.version_info < (3, 11))' \
                2>/dev/null || continue
            echo "$path"
            return
        done < <(if [[ $name == /* ]]; then compgen -G "$name"; else command -v "$name"; fi)
    done
    return 1
}

is_machine_for_lite() { # whether the wheels are for it
    [[ $OSTYPE == linux* && $HOSTTYPE == x86_64 ]]
}

find_lite() { # sets RUN[lite_python] and RUN[no_lite]; fails where there is none
    RUN[lite_python]='' RUN[no_lite]=''
    if [[ -n ${TIPC_LITE_PYTHON:-} ]]; then
        RUN[lite_python]=$(command -v "$TIPC_LITE_PYTHON")
    elif lite_is_ready; then
        RUN[lite_python]=$ROOT/.venv-lite/bin/python
    else
        RUN[no_lite]=$(why_no_lite)
    fi
    [[ -n ${RUN[lite_python]} ]]
}

describe_lite() { # adds the version to RUN[versions]
    RUN[versions]+=$("${RUN[lite_python]}" -c 'import platform
from importlib import metadata
print(", paddlelite", metadata.version("paddlelite"), "on Python", platform.python_version())') ||
        die "${RUN[lite_python]}: Paddle Lite cannot be used with it"
}

why_no_lite() {
    if ! is_machine_for_lite; then
        echo "Paddle Lite's packages are for Linux on x86_64, and this is $OSTYPE on $HOSTTYPE"
    elif python_for_lite >/dev/null; then
        echo ".venv-lite is not ready; start with --stage 0"
    else
        echo "no Python from 3.8 to 3.10, which Paddle Lite's packages need; install one, or set TIPC_LITE_PYTHON"
    fi
}
