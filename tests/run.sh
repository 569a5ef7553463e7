#!/usr/bin/env bash
# Set up and run all tests: shellcheck, ruff, the chain on the compatibility lane, pytest.
#
#   bash tests/run.sh                                             everything: about 12 minutes on two cores
#   bash tests/run.sh tests/utils/test_config.py -k override      only these tests, in one process: arguments of pytest
#
# Requires bash, git and a Python from 3.9 to 3.13. The compatibility lane runs the chains on Python 3.9; where there is
# none, it is skipped with the reason. All tests run in several processes, one more than there are cores, since some of
# them mostly wait; WORKERS=N sets another number.
# Exit code: 0 all passed, 1 something failed; with arguments, that of pytest.

set -uo pipefail
unset CDPATH # it makes `cd` go elsewhere
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

CONFIG=test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt
SERVING_CONFIG=test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python.txt
LANE_CONFIGS=test_tipc/configs/mobilenet_v3_small
TOOLS=$PWD/.venv-tests
COMPAT=$PWD/.venv-compat

main() {
    local failed=0
    bash test_tipc/prepare.sh "$CONFIG" whole_train_whole_infer || exit 1
    bash test_tipc/prepare.sh "$SERVING_CONFIG" serving_infer || exit 1
    install_once "$TOOLS" tests/requirements.txt .venv/bin/python || exit 1
    if (($# > 0)); then
        run_pytest "$@"
        exit
    fi
    title shellcheck
    check_shell && echo "no findings" || failed=1
    title ruff
    PYTHONPATH=$TOOLS "$TOOLS/bin/ruff" check . || failed=1
    title "the chains on the compatibility lane"
    compatibility_lane || failed=1
    title pytest
    run_pytest --numprocesses "${WORKERS:-$(worker_count)}" --dist worksteal --durations=20 tests || failed=1
    exit "$failed"
}

check_shell() { # each script together with all that it sources, so that a variable without a value is found
    local script failed=0
    for script in test_tipc/*.sh tools/tables/*.sh tests/*.sh tests/benchmarks/*.sh .ci/run; do
        # SC2329: functions are passed by name
        "$TOOLS/bin/shellcheck" -x -a -o check-unassigned-uppercase -e SC2329 "$script" || failed=1
    done
    return "$failed"
}

title() {
    printf '\n==== %s ====\n' "$1"
}

worker_count() { # one more than there are cores, at most 4: each takes about 1 GB of memory
    local cores
    cores=$(nproc)
    echo $((cores < 3 ? cores + 1 : 4))
}

run_pytest() { # PYTEST_ARGUMENT...
    PYTHONPATH=$TOOLS TIPC_PYTHON=$PWD/.venv/bin/python .venv/bin/python -m pytest -p no:cacheprovider "$@"
}

install_once() { # FOLDER REQUIREMENTS PYTHON: packages in a folder beside the environment; the marker is written last
    local stamp
    stamp=$("$3" -V) && stamp+=" $(cksum <"$2")"
    [[ -f $1/ready && $(<"$1/ready") == "$stamp" ]] && return
    echo "installing $2 into ${1##*/}"
    rm -rf "$1"
    # pip remarks on packages beside this folder, which it does not use
    if ! "$3" -m pip install --disable-pip-version-check --no-input --target "$1" -r "$2" >"$1.log" 2>&1; then
        tail -n 5 "$1.log" >&2
        return 1
    fi
    echo "$stamp" >"$1/ready"
}

compatibility_lane() {
    local base stamp
    base=$(find_python39) || { echo "skipped: no Python 3.9 found" && return; }
    stamp=$(cat tests/requirements-compat.txt requirements-serving.txt | cksum)
    if [[ ! -f $COMPAT/ready || $(<"$COMPAT/ready") != "$stamp" ]]; then
        echo "installing tests/requirements-compat.txt into .venv-compat"
        rm -rf "$COMPAT"
        "$base" -m venv "$COMPAT" || return
        "$COMPAT/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
            -r tests/requirements-compat.txt || return
        bash test_tipc/install_serving.sh "$COMPAT/bin/python" -qq || return
        echo "$stamp" >"$COMPAT/ready"
    fi
    local output status=0
    output=$(mktemp -d) || return
    export TIPC_PYTHON=$COMPAT/bin/python TIPC_OUTPUT=$output
    lane_chain test_train_inference_python.sh "$LANE_CONFIGS/train_infer_python.txt" lite_train_lite_infer || status=1
    local -a exported=("$output"/mobilenet_v3_small/lite_train_lite_infer/*/inference)
    # serve the model that was just trained and exported
    sed "s|^--dirname:.*|--dirname:${exported[0]}|" "$LANE_CONFIGS/serving_infer_python.txt" >"$output/serving.txt"
    lane_chain test_serving.sh "$output/serving.txt" serving_infer || status=1
    unset TIPC_PYTHON TIPC_OUTPUT
    rm -rf "$output"
    return "$status"
}

lane_chain() { # SCRIPT CONFIG MODE: run one chain and print its last lines, more of them when it failed
    local status lines=12
    bash "test_tipc/$1" "$2" "$3" >"$output/screen.log" 2>&1
    status=$?
    ((status == 0)) || lines=60
    tail -n "$lines" "$output/screen.log"
    return "$status"
}

find_python39() {
    local path
    for path in "$(command -v python3.9)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.9.*/bin/python3.9; do
        [[ -x $path ]] && "$path" -c 'import ensurepip, venv' 2>/dev/null && echo "$path" && return
    done
    return 1
}

main "$@"
