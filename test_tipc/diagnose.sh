#!/usr/bin/env bash
# Name the first stage at which a deployed model differs from the network that was trained, and why.
#
#   bash test_tipc/diagnose.sh CONFIG [MODE] [--project FOLDER] [--all] [--stage NAME] [--reprod]
#   bash test_tipc/diagnose.sh test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt
#
# Takes the newest run of the config that is on record, of any mode or of MODE; where there is none, it trains, exports
# and infers first, as test_train_inference_python.sh does (lite_train_lite_infer). The prediction and one inference
# command are run once more, with every operator and every decoded image recorded; then lib/diagnose.py prints a line for
# each stage: decoded pixels, network input, weights, network, memory optimisation, IR passes, oneDNN, OpenVINO, ONNX
# Runtime, TensorRT, precision, batch size and threads, outputs of infer, post-processing.
# --project FOLDER takes any Paddle project, unchanged. --all goes on behind the first stage that differs; --stage NAME
# examines that one only; --reprod writes the outputs of all operators as files of reprod_log.
# TIPC_PYTHON and TIPC_OUTPUT are as for the chain.
# Leaves diagnose.json, diagnose.png and the recordings in test_tipc/output/<model>/<mode>/<training>_diagnosis/.
# Exit code: 0 no stage differs, 1 one does (the last line says which, why, and what to do) or something failed,
# 77 nothing could be compared, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/test_train_inference_python.sh
source "$(dirname "${BASH_SOURCE[0]}")/test_train_inference_python.sh"

STATUS=0 # of the worst training
STAGE_NAMES='decoded pixels|network input|weights|network|memory optimisation|IR passes|oneDNN|OpenVINO|ONNX Runtime'
STAGE_NAMES+='|TensorRT|precision|batch size and threads|outputs of infer|post-processing'

main_diagnose() {
    parse_options '--project=.+=a folder' --all "--stage=($STAGE_NAMES)=one of $STAGE_NAMES" --reprod --verbose -- "$@"
    ((${#ARGUMENTS[@]} == 1 || ${#ARGUMENTS[@]} == 2)) ||
        die "usage: bash test_tipc/diagnose.sh CONFIG [MODE] (see --help)"
    choose_diagnosis
    choose_project
    choose_output
    find_config "${ARGUMENTS[0]}"
    choose_mode "${ARGUMENTS[1]:-}"
    read_train_config
    has_run || run_chain
    RUN[stage]=9 RUN[stop_stage]=9 # none of the chain's own
    open_output "${RUN[output_root]}/${RUN[model]}/${RUN[mode]}"
    find_python
    describe_environment
    if [[ ${RUN[mode]} == whole_infer ]]; then
        certify_provided
    else
        for_each_part certify_trainings
    fi
    exit "$STATUS"
}

choose_diagnosis() { # sets DIAGNOSE_OPTIONS
    [[ -z ${RUN[all]} ]] || DIAGNOSE_OPTIONS+=(--all)
    [[ -z ${RUN[stage]} ]] || DIAGNOSE_OPTIONS+=(--stage "${RUN[stage]}")
}

choose_mode() { # MODE: sets RUN[mode]: that, or the mode of the newest run; what a config says may depend on it
    local list newest='' model
    RUN[mode]=${1:-lite_train_lite_infer}
    is_mode "${RUN[mode]}" || die "unknown mode '${RUN[mode]}'; expected one of: ${MODES[*]}"
    [[ -z $1 ]] || return 0
    model=$(sed -n 's/^model_name:[[:space:]]*//p;T;q' "${RUN[config]}")
    for list in "${RUN[output_root]}/${model%$'\r'}"/*/steps.tsv; do
        is_mode "$(basename "${list%/steps.tsv}")" || continue
        [[ -n $newest && ! $list -nt $newest ]] || newest=$list
    done
    [[ -z $newest ]] || RUN[mode]=$(basename "${newest%/steps.tsv}")
}

has_run() { # whether the mode has a run on record that came as far as an inference
    awk -F '\t' 'index($2, "infer ") == 1 && $3 == "passed" { found = 1 } END { exit !found }' \
        "${RUN[output_root]}/${RUN[model]}/${RUN[mode]}/steps.tsv" 2>/dev/null
}

run_chain() {
    echo "no run of ${RUN[config]} with ${RUN[mode]} is on record that came as far as an inference: running it now"
    bash "$TIPC/test_train_inference_python.sh" "${RUN[config]}" "${RUN[mode]}" --stop_stage 5 \
        ${RUN[project]:+--project "$ROOT"} ${RUN[verbose]:+--verbose}
    has_run || die "the run did not come as far as an inference: nothing can be diagnosed"
}

summarise() { # in place of the chain's, after a signal: the run on record is as it was
    :
}

certify_weights() { # in place of the chain's: every training, or the provided weights
    local status=0
    echo "==== diagnosis of ${RUN[tag]} ===="
    [[ -z ${RUN[reprod]} ]] || DIAGNOSE_OPTIONS+=(--reprod "${RUN[training_dir]}_diagnosis")
    diagnose_weights || status=$?
    ((status == 0 || STATUS == 1)) || STATUS=$status
}

main_diagnose "$@"
