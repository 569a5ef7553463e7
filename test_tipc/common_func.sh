#!/usr/bin/env bash
# Shared by the scripts of test_tipc/, and sourced by them: where we are running, reading a config, running steps.
# Needs bash 4.4.

# shellcheck disable=SC2034,SC2153 # its variables are read by the scripts that source it
set -uo pipefail

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    echo "error: bash 4.4 or newer is needed, this is $BASH_VERSION" >&2
    exit 1
fi

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
MODES=(lite_train_lite_infer lite_train_whole_infer whole_infer whole_train_whole_infer)

die() { # MESSAGE: one line on standard error, and the end
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# shellcheck source=test_tipc/read_config.sh
source "$ROOT/test_tipc/read_config.sh"
# shellcheck source=test_tipc/run_step.sh
source "$ROOT/test_tipc/run_step.sh"

find_config() { # PATH: sets CONFIG to it, from the working folder or else from the repository's root; enters the root
    local at=$1
    [[ -e $at || ! -e $ROOT/$at ]] || at=$ROOT/$at
    [[ $at == /* || ! -e $at ]] || at=$PWD/$at
    CONFIG=${at#"$ROOT/"}
    cd "$ROOT" || die "$ROOT: cannot be entered"
    check_text_file "$CONFIG"
}

find_python() { # sets PYTHON: the interpreter of TIPC_PYTHON, or of the managed environment
    PYTHON=${TIPC_PYTHON:-$ROOT/.venv/bin/python}
    [[ $PYTHON == */* ]] || PYTHON=$(command -v "$PYTHON") || die "TIPC_PYTHON=$TIPC_PYTHON: no such program"
    [[ -f $PYTHON && -x $PYTHON ]] || die "$PYTHON: no such interpreter"
}

describe_environment() { # sets VERSIONS, COMMIT and GPUS (how many can be used)
    VERSIONS=$("$PYTHON" "$ROOT/tools/versions.py") || die "$PYTHON: its environment cannot be used (see above)"
    COMMIT=$(git -C "$ROOT" rev-parse --short=12 HEAD 2>/dev/null) || COMMIT='none (no git repository)'
    if [[ $COMMIT != none* ]]; then
        # what a run itself writes (test_log) is no change of the code
        if [[ -z $(git -C "$ROOT" status --porcelain -- ':!test_log' 2>/dev/null) ]]; then
            COMMIT+=' (clean tree)'
        else
            COMMIT+=' (with uncommitted changes)'
        fi
    fi
    GPUS=0
    if [[ $VERSIONS == *paddlepaddle-gpu* ]] && command -v nvidia-smi >/dev/null; then
        GPUS=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
    fi
}

is_mode() { # NAME
    local mode
    for mode in "${MODES[@]}"; do [[ $mode == "$1" ]] && return; done
    return 1
}

provided_weights() { # CONFIG: where the weights of its whole_infer lie, from the repository's root
    local value
    value=$(sed -n 's/^ *\(pretrained_model_url\|train_model\) *: *//p' "$1" | head -n 1)
    value=$(trim "$value")
    case $value in
        '' | null) die "$1: no pretrained_model_url or train_model line names the weights for whole_infer" ;;
        *://*) echo "pretrain_models/${value##*/}" ;;
        *) echo "${value#./}" ;;
    esac
}
