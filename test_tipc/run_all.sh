#!/usr/bin/env bash
# Certify all models, or those named, one after the other, and write one table of models and steps.
#
#   bash test_tipc/run_all.sh MODE [NAME...] [--again] [--evidence]
#   bash test_tipc/run_all.sh lite_train_lite_infer MobileNetV3_small_x1_0 PPHGNetV2_B0
#
# NAME is a folder of test_tipc/configs, or the path of any train_infer_python.txt; default: all folders.
# MODE, TIPC_PYTHON and TIPC_OUTPUT are those of test_train_inference_python.sh. A failure does not stop the others.
# A model whose last run passed, with the same code, config, data, versions and GPUs, and whose weights and exported model
# are as that run left them, is not run again without --again.
# --evidence renews test_log/<model> from the models that are run.
# Leaves matrix.txt, matrix.json and matrix.md in test_tipc/output/, and each model's screen in .run_all/<model>.log.
# Exit code: 0 all passed, 1 one did not, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"

declare -a CONFIGS=() MODELS=() # of the same index

main() {
    local i
    parse_options --again --evidence -- "$@"
    ((${#ARGUMENTS[@]} > 0)) || die "usage: bash test_tipc/run_all.sh MODE [NAME...] [--again] (see --help)"
    RUN[mode]=${ARGUMENTS[0]}
    is_mode "${RUN[mode]}" || die "unknown mode '${RUN[mode]}'; expected one of: ${MODES[*]}"
    find_configs "${ARGUMENTS[@]:1}"
    choose_output
    [[ -z ${TIPC_OUTPUT:-} ]] || export TIPC_OUTPUT=${RUN[output_root]} # for the chains, which are started in the root
    cd "$ROOT" || die "$ROOT: cannot be entered"
    name_models

    open_output "${RUN[output_root]}/.run_all"
    start_record "${RUN[output_dir]}/results.log"
    prepare_environment
    for i in "${!CONFIGS[@]}"; do certify "${CONFIGS[i]}" "${MODELS[i]}"; done
    summarise
    exit
}

find_configs() { # NAME...: sets CONFIGS, one for each name; all folders where none is given
    local name path
    if (($# == 0)); then
        for path in "$ROOT"/test_tipc/configs/*/train_infer_python.txt; do
            [[ -e $path ]] || die "test_tipc/configs has no folder with a train_infer_python.txt"
            CONFIGS+=("${path#"$ROOT/"}")
        done
        return
    fi
    for name in "$@"; do
        path=test_tipc/configs/$name/train_infer_python.txt
        if [[ -e $ROOT/$path ]]; then
            CONFIGS+=("$path")
        elif [[ -f $name ]]; then
            path=$(realpath "$name") && CONFIGS+=("${path#"$ROOT/"}")
        else
            die "unknown model '$name'; known: $(known_models)"
        fi
    done
}

known_models() {
    (cd "$ROOT/test_tipc/configs" && printf '%s\n' */train_infer_python.txt | sed 's#/[^/]*$##' | paste -sd ' ')
}

name_models() { # sets MODELS, the names of the output folders; the driver reports what is wrong with a config
    local config model
    local -A taken=()
    for config in "${CONFIGS[@]}"; do
        model=$(read_config "$config" 2>/dev/null && for_mode "$(value_of model_name)" "${RUN[mode]}")
        [[ $model =~ ^[A-Za-z0-9][A-Za-z0-9._+-]*$ ]] || model=$(basename "$(dirname "$config")")
        [[ -z ${taken[$model]:-} ]] || die "$config: its model_name '$model' is that of ${taken[$model]} too"
        taken[$model]=$config
        MODELS+=("$model")
    done
}

prepare_environment() { # Python and data, with the first config that can be read; the driver looks for the weights
    local config
    for config in "${CONFIGS[@]}"; do
        (read_config "$config") 2>/dev/null && break
        config=''
    done
    [[ -z $config ]] || bash test_tipc/prepare.sh "$config" lite_train_lite_infer || exit 1
    find_python
    describe_environment
}

certify() { # CONFIG MODEL: run the driver, unless the model passed before, nothing has changed, and its files are there
    local run=${RUN[output_root]}/$2/${RUN[mode]} inputs reason
    RUN[model]=$2
    inputs=$(list_inputs "$1" | short_hash)
    if [[ -z ${RUN[again]} ]] &&
        reason=$("${RUN[python]}" test_tipc/lib/certificate.py "$run" --inputs "$inputs" 2>&1); then
        echo "==== $2: passed before, nothing has changed ===="
        record "$2" passed 0 '' "$run/summary.json" 'passed before'
        return
    fi
    [[ ! -e $run/summary.json || -z ${reason:-} ]] || echo "==== $2: run again: $reason ===="
    rm -f "$run/summary.json" # or it would stay if the driver stops at once
    run_step "$2" "${RUN[output_dir]}/$2.log" . bash test_tipc/test_train_inference_python.sh "$1" "${RUN[mode]}" \
        ${RUN[evidence]:+--evidence}
}

summarise() { # write and print the table, also after an interruption; fail unless all passed
    [[ -n ${RUN[versions]:-} ]] || return
    "${RUN[python]}" test_tipc/lib/matrix.py "${RUN[output_root]}" --mode "${RUN[mode]}" --commit "${RUN[commit]}" \
        --versions "${RUN[versions]}" "${MODELS[@]}"
}

main "$@"
