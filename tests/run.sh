#!/usr/bin/env bash
# Set up and run all tests: shellcheck, ruff, the chains on two other lanes, pytest.
#
#   bash tests/run.sh                                             everything: about 40 minutes on two cores
#   bash tests/run.sh tests/utils/test_config.py -k override      only these tests, in one process: arguments of pytest
#   bash tests/run.sh --gpu-package                               only Paddle's GPU build (docs/gpu.md); no GPU is needed
#
# Requires bash, git and a Python from 3.9 to 3.13. The compatibility lane runs the chains on Python 3.9 with Paddle
# 2.6.2; the newest lane on the newest Python here with the newest release of every package, which it looks for once a
# day. A lane that cannot be set up is skipped with the reason; without a network, the newest lane uses what is there. A
# failure that is on the list tests/known_failures_newest.tsv, because it is not ours, is skipped too. All tests run in
# several processes, one more than there are cores, since some of them mostly wait; WORKERS=N sets another number.
# Exit code: 0 all passed, 1 something failed; with arguments, that of pytest.

set -uo pipefail
unset CDPATH # it makes `cd` go elsewhere
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

CONFIG=test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt
TOOLS=$PWD/.venv-tests
TRITON=$PWD/.venv-triton # a client that some tests ask the service with

# shellcheck source=tests/lanes.sh
source tests/lanes.sh

main() {
    local failed=0
    if [[ ${1:-} == --gpu-package ]]; then
        title "Paddle's GPU build"
        gpu_package_lane
        exit
    fi
    bash test_tipc/prepare.sh "$CONFIG" whole_train_whole_infer || exit 1
    bash deploy/docker/install.sh python cpu || exit 1
    install_once "$TOOLS" tests/requirements.txt .venv/bin/python || exit 1
    install_once "$TRITON" tests/requirements-triton.txt .venv/bin/python --no-deps || exit 1
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
    title "the chains on the newest of everything"
    newest_lane || failed=1
    title pytest
    run_pytest --numprocesses "${WORKERS:-$(worker_count)}" --dist worksteal --durations=20 tests || failed=1
    exit "$failed"
}

check_shell() { # each script together with all that it sources, so that a variable without a value is found
    local script failed=0
    for script in test_tipc/*.sh test_tipc/lib/*/*.sh deploy/*/*.sh tools/tables/*.sh tests/*.sh tests/benchmarks/*.sh .ci/run; do
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
    PYTHONPATH=$TOOLS:$TRITON TIPC_PYTHON=$PWD/.venv/bin/python .venv/bin/python -m pytest -p no:cacheprovider "$@"
}

install_once() { # FOLDER REQUIREMENTS PYTHON PIP_OPTION...: packages in a folder beside the environment; the marker is written last
    local stamp
    stamp=$("$3" -V) && stamp+=" $(cksum <"$2")"
    [[ -f $1/ready && $(<"$1/ready") == "$stamp" ]] && return
    echo "installing $2 into ${1##*/}"
    rm -rf "$1"
    # pip remarks on packages beside this folder, which it does not use
    if ! "$3" -m pip install --disable-pip-version-check --no-input --target "$1" -r "$2" "${@:4}" >"$1.log" 2>&1; then
        tail -n 5 "$1.log" >&2
        return 1
    fi
    echo "$stamp" >"$1/ready"
}

main "$@"
