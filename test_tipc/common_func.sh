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

# ---------------------------------------------------------------------------------------- what every chain does alike

# A chain has stages from 0 (prepare) to $AGREE, the last one; STEP_NAMES has the steps of each, with | between them.

parse_options() { # "$@" of a chain: sets ARGUMENTS to what is no option, FIRST_STAGE, LAST_STAGE and EVIDENCE
    ARGUMENTS=() FIRST_STAGE=0 LAST_STAGE=$AGREE EVIDENCE=''
    while (($# > 0)); do
        case $1 in
            --stage | --stop_stage)
                [[ ${2:-} =~ ^[0-$AGREE]$ ]] || die "$1: expected a stage from 0 to $AGREE, found '${2:-}'"
                if [[ $1 == --stage ]]; then FIRST_STAGE=$2; else LAST_STAGE=$2; fi
                shift
                ;;
            --evidence) EVIDENCE=1 ;;
            -h | --help)
                sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
                exit 0
                ;;
            -*) die "unknown option '$1'; see --help" ;;
            *) ARGUMENTS+=("$1") ;;
        esac
        shift
    done
    ((FIRST_STAGE <= LAST_STAGE)) || die "--stop_stage $LAST_STAGE comes before --stage $FIRST_STAGE"
}

in_stage() { # NUMBER
    (($1 >= FIRST_STAGE && $1 <= LAST_STAGE))
}

choose_output() { # sets OUTPUT: TIPC_OUTPUT as seen from the working folder, or the usual one
    OUTPUT=${TIPC_OUTPUT:-test_tipc/output}
    [[ $OUTPUT != *[[:cntrl:]]* ]] || die "TIPC_OUTPUT: a folder's name must not have control characters"
    [[ -z ${TIPC_OUTPUT:-} || $OUTPUT == /* ]] || OUTPUT=$PWD/$OUTPUT
}

begin_chain() { # RECORD: take the output folder, keep the record there, and prepare; the end where no more is wanted
    open_output "$OUTPUT/$MODEL/$MODE"
    if ((FIRST_STAGE == 0)); then
        start_record "$OUT/$1"
    else
        continue_record "$OUT/$1" "$(IFS='|' && echo "${STEP_NAMES[*]:FIRST_STAGE}")"
    fi
    in_stage 0 && { prepare || exit 1; }
    ((LAST_STAGE > 0)) || exit 0
    find_python
    describe_environment
}

prepare() { # the environment, data and weights of CONFIG and MODE, as a recorded step
    local status start
    echo "==== prepare ===="
    start=$(now)
    run_in_group 1 2 bash test_tipc/prepare.sh "$CONFIG" "$MODE"
    status=$?
    if ((status == 0)); then
        record prepare passed "$(elapsed "$start")" '' ''
    else
        record prepare failed "$(elapsed "$start")" '' "exit code $status"
    fi
    return "$status"
}

summarise() { # write and show the summary; fails unless all is well
    [[ -n ${VERSIONS:-} ]] || return
    "$PYTHON" tools/tipc_report.py "$OUT" --model "$MODEL" --mode "$MODE" --versions "$VERSIONS" --commit "$COMMIT"
}

finish() { # KIND: the summary comes last; evidence, of this kind, is kept of a whole run that passed
    local status=0
    summarise >"$OUT/summary.txt" || status=1
    # a run in another place than usual is a try, unless evidence is asked for
    if ((status == 0 && LAST_STAGE == AGREE)) && [[ -n $1 && (-n $EVIDENCE || -z ${TIPC_OUTPUT:-}) ]]; then
        "$PYTHON" tools/tipc_evidence.py "$OUT" --model "$MODEL" --mode "$1" ${EVIDENCE:+--renew} || status=1
    fi
    cat "$OUT/summary.txt"
    exit "$status"
}
