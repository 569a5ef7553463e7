#!/usr/bin/env bash
# Certify all models, or those named, one after the other, and write one table of models and steps.
#
#   bash test_tipc/run_all.sh MODE [NAME...] [--chains LIST] [--again] [--evidence] [--verbose]
#   bash test_tipc/run_all.sh lite_train_lite_infer MobileNetV3_small_x1_0 PPHGNetV2_B0
#   bash test_tipc/run_all.sh lite_train_lite_infer MobileNetV3_small_x1_0 --chains all
#
# NAME is a folder of test_tipc/configs, or the path of any train_infer_python.txt; default: all folders.
# LIST is `all`, or names with commas between them: train_inference_python (the default), serving, paddle2onnx,
# lite_arm_cpu_cpp, inference_cpp, serving_infer_cpp; each is test_tipc/test_<name>.sh with the model's config for it,
# where the model has one.
# MODE, TIPC_PYTHON and TIPC_OUTPUT are those of test_train_inference_python.sh. A failure does not stop the others.
# A chain whose last run passed, with the same code, config, data, versions and GPUs, and whose weights and exported model
# are as that run left them, is not run again without --again.
# --evidence renews test_log/<model> from the models that are run.
# On a terminal each chain has one live line; --verbose shows all output there.
# Leaves matrix.txt, matrix.json, matrix.md and index.html in test_tipc/output/, and each chain's screen in
# .run_all/<model>.log, or .run_all/<model>.<chain>.log.
# Exit code: 0 all passed, or could not be run on this machine (`skipped`), 1 one did not, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"

declare -a CONFIGS=() MODELS=() # of the same index
BASE=train_inference_python
CHAINS=("$BASE" serving paddle2onnx lite_arm_cpu_cpp inference_cpp serving_infer_cpp)
# the config in the model's folder, and the mode, of those that begin with an exported model
declare -A CONFIG_NAME=([serving]=serving_infer_python.txt [paddle2onnx]=paddle2onnx_infer_python.txt
    [lite_arm_cpu_cpp]=lite_arm_cpu_cpp.txt [inference_cpp]=inference_cpp.txt [serving_infer_cpp]=serving_infer_cpp.txt)
declare -A CHAIN_MODE=([serving]=serving_infer [paddle2onnx]=paddle2onnx_infer [lite_arm_cpu_cpp]=lite_arm_cpu_cpp
    [inference_cpp]=cpp_infer [serving_infer_cpp]=serving_infer_cpp)
declare -a CHOSEN=()   # the chains to run
declare -a DEPLOYED=() # MODEL:CHAIN:MODE of each further chain that a model has a config for

main() {
    local i
    parse_options '--chains=.+=names with commas between them, or all' --again --evidence --verbose -- "$@"
    ((${#ARGUMENTS[@]} > 0)) || die "usage: bash test_tipc/run_all.sh MODE [NAME...] [--again] (see --help)"
    RUN[mode]=${ARGUMENTS[0]}
    is_mode "${RUN[mode]}" || die "unknown mode '${RUN[mode]}'; expected one of: ${MODES[*]}"
    choose_chains
    find_configs "${ARGUMENTS[@]:1}"
    choose_output
    [[ -z ${TIPC_OUTPUT:-} ]] || export TIPC_OUTPUT=${RUN[output_root]} # for the chains, which are started in the root
    cd "$ROOT" || die "$ROOT: cannot be entered"
    name_models

    open_output "${RUN[output_root]}/.run_all"
    start_record "${RUN[output_dir]}/results.log"
    prepare_environment
    for i in "${!CONFIGS[@]}"; do
        ! is_one_of "$BASE" "${CHOSEN[@]}" || certify "$BASE" "${CONFIGS[i]}" "${MODELS[i]}" "${RUN[mode]}" "${MODELS[i]}"
        certify_deployments "${CONFIGS[i]}" "${MODELS[i]}"
    done
    summarise
    exit
}

choose_chains() { # sets CHOSEN
    local chain
    CHOSEN=("$BASE")
    [[ -n ${RUN[chains]} ]] || return 0
    if [[ ${RUN[chains]} == all ]]; then CHOSEN=("${CHAINS[@]}"); else IFS=, read -r -a CHOSEN <<<"${RUN[chains]}"; fi
    for chain in "${CHOSEN[@]}"; do
        is_one_of "$chain" "${CHAINS[@]}" || die "--chains: expected all, or some of ${CHAINS[*]}, found '$chain'"
    done
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

certify_deployments() { # CONFIG MODEL: the further chains; their configs are beside that of the base chain
    local chain config
    for chain in "${CHOSEN[@]}"; do
        [[ $chain != "$BASE" ]] || continue
        config=${1%/*}/${CONFIG_NAME[$chain]}
        [[ -f $config ]] || continue
        DEPLOYED+=("$2:$chain:${CHAIN_MODE[$chain]}")
        MAY_SKIP=1 certify "$chain" "$config" "$2" "${CHAIN_MODE[$chain]}" "$2 $chain"
    done
}

certify() { # CHAIN CONFIG MODEL MODE NAME: run it, unless it passed before, nothing has changed, and its files are there
    local run=${RUN[output_root]}/$3/$4 name=$5 mode=${RUN[mode]} inputs reason
    RUN[model]=$3 RUN[mode]=$4
    inputs=$(list_inputs "$2" | short_hash)
    RUN[mode]=$mode
    if [[ -z ${RUN[again]} ]] &&
        reason=$("${RUN[python]}" test_tipc/lib/certificate.py "$run" --inputs "$inputs" 2>&1); then
        echo "==== $name: passed before, nothing has changed ===="
        record "$name" passed 0 '' "$run/summary.json" 'passed before'
        return
    fi
    [[ ! -e $run/summary.json || -z ${reason:-} ]] || echo "==== $name: run again: $reason ===="
    rm -f "$run/summary.json" # or it would stay if the driver stops at once
    run_step "$name" "${RUN[output_dir]}/${name// /.}.log" . bash "test_tipc/test_$1.sh" "$2" "$4" \
        ${RUN[evidence]:+--evidence}
}

summarise() { # write and print the table, also after an interruption; fail unless all passed
    local status
    local -a models=()
    [[ -n ${RUN[versions]:-} ]] || return
    ! is_one_of "$BASE" "${CHOSEN[@]}" || models=("${MODELS[@]}")
    "${RUN[python]}" test_tipc/lib/matrix.py "${RUN[output_root]}" --mode "${RUN[mode]}" --commit "${RUN[commit]}" \
        --versions "${RUN[versions]}" "${models[@]}" --deployed "${DEPLOYED[@]}"
    status=$?
    "${RUN[python]}" test_tipc/lib/page/index.py "${RUN[output_root]}" --try
    return "$status"
}

main "$@"
