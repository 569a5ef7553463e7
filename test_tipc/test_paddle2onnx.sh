#!/usr/bin/env bash
# Certify a model in ONNX's format: convert it with Paddle2ONNX, run it, and prove that the file computes what Paddle
# computes with the exported model, on ONNX Runtime and on OpenVINO.
#
#   bash test_tipc/test_paddle2onnx.sh [CONFIG] [MODE] [--stage N] [--stop_stage N] [--evidence]
#       [--project FOLDER] [--dry_run] [--verbose]
#   bash test_tipc/test_paddle2onnx.sh test_tipc/configs/MobileNetV3_small_x1_0/paddle2onnx_infer_python.txt paddle2onnx_infer
#
# CONFIG: that file by default; official ones are read unchanged. MODE: paddle2onnx_infer, the only one.
# Stages: 0 prepare, 1 model, 2 convert, 3 infer, 4 agree. --stage and --stop_stage choose from them; earlier stages must
# have left their files. --evidence renews test_log/<model>/paddle2onnx_infer from this run.
# TIPC_PYTHON=/path/to/python uses that interpreter; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is
# kept with --evidence only). --project FOLDER certifies another Paddle project. --dry_run prints what would be run, and
# runs and writes nothing.
# On a terminal each step has one live line, with the whole output in its log; --verbose shows all output there.
# Leaves logs, results_paddle2onnx.log, summary.json and junit.xml in test_tipc/output/<model>/paddle2onnx_infer/.
# Exit code: 0 every step passed, 1 a step failed or nothing could be run, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/exported.sh
source "$TIPC/lib/exported.sh"
# shellcheck source=test_tipc/lib/agree.sh
source "$TIPC/lib/agree.sh"
# shellcheck source=test_tipc/lib/onnx_config.sh
source "$TIPC/lib/onnx_config.sh"
# shellcheck source=test_tipc/lib/onnx.sh
source "$TIPC/lib/onnx.sh"
# shellcheck source=test_tipc/lib/dry_run.sh
source "$TIPC/lib/dry_run.sh"
# shellcheck source=test_tipc/lib/onnx_plan.sh
source "$TIPC/lib/onnx_plan.sh"

STAGES=(prepare model convert infer agree)
ENGINES=(onnxruntime openvino)

main() {
    parse_chain_options '--project=.+=a folder' --dry_run -- "$@"
    ((${#ARGUMENTS[@]} <= 2)) || die "usage: bash test_tipc/test_paddle2onnx.sh [CONFIG] [MODE] (see --help)"
    RUN[mode]=${ARGUMENTS[1]:-paddle2onnx_infer}
    [[ ${RUN[mode]} == paddle2onnx_infer ]] || die "unknown mode '${RUN[mode]}'; expected paddle2onnx_infer"
    find_config "${ARGUMENTS[0]:-$ROOT/test_tipc/configs/MobileNetV3_small_x1_0/paddle2onnx_infer_python.txt}"
    read_onnx_config
    [[ -z ${RUN[dry_run]} ]] || { plan_only && plan_conversion; }

    begin_chain results_paddle2onnx.log bash "$(tool prepare.sh)" "${RUN[config]}" "${RUN[mode]}" \
        ${RUN[project]:+--project "$ROOT"} # stage 0
    RUN[tag]=''
    note_inputs
    find_inference
    if ! find_onnx_model; then
        not_run convert infer agree "there is no exported model"
    elif ! convert; then
        not_run infer agree "the conversion failed"
    else
        infer
        agree
        ARTEFACTS=("${RUN[onnx_dir]}")
    fi
    finish
}

find_onnx_model() { # sets RUN[model_dir], RUN[structure], RUN[onnx_dir] and RUN[onnx]
    if [[ ${DIALECT[name]} == paddledetection && ${RUN[export_field]} != null ]]; then
        export_model || return
    fi
    find_exported_model "${VALUE[model_dir]}" "${VALUE[model_filename]}" && place_onnx
}

export_model() { # by the lines of PaddleDetection's config; what is there is kept where the stage is not run
    in_stage 1 || return 0
    begin_command "${RUN[export_field]}"
    add_words "weights=${VALUE[weights]}" "filename=${VALUE[model_name]}"
    add_fields export_param export_dir
    in_old_format "${RUN[export_field]}" . run_step model "${RUN[output_dir]}/export.log" . "${COMMAND[@]}"
}

convert() {
    in_stage 2 || return 0
    converter_command
    FACTS=$(exported_fact) EXPECT=new_onnx run_step convert "${RUN[output_dir]}/trans_model.log" . "${COMMAND[@]}"
}

infer() { # the config's command; where it can use Paddle as well, so that the same images go through both
    in_stage 3 || return 0
    if ! is_set inference; then
        skip_step 'infer onnxruntime' "the config has no inference command; the two files are compared in the next stage"
    elif ! script_is_here; then
        skip_step 'infer onnxruntime' \
            "there is no ${RUN[script]} in this project; the two files are compared in the next stage"
    else
        inference_command True
        FACTS="$(exported_fact) $(onnx_fact)" run_step 'infer onnxruntime' "${RUN[output_dir]}/paddle2onnx_infer_cpu.log" \
            "${RUN[infer_folder]}" "${COMMAND[@]}"
        [[ ${DIALECT[name]} != paddleclas ]] || infer_with_paddle
    fi
}

infer_with_paddle() {
    inference_command False
    FACTS=$(exported_fact) OBSERVE=1 TIPC_OBSERVE_IMAGES=64 run_step 'infer paddle' "${RUN[output_dir]}/paddle_infer_cpu.log" \
        "${RUN[infer_folder]}" "${COMMAND[@]}"
}

agree() {
    local engine
    in_stage 4 || return 0
    for engine in "${ENGINES[@]}"; do
        agree_command "$engine"
        FACTS="$(exported_fact) $(onnx_fact)" MAY_SKIP=1 run_step "agree $engine" "${RUN[output_dir]}/agree_$engine.log" \
            . "${COMMAND[@]}"
    done
    [[ -z $(passed_logs 'infer paddle') || -z $(passed_logs 'infer onnxruntime') ]] || agree_printed
}

agree_printed() { # both inferences have printed the same
    FACTS="$(exported_fact) $(onnx_fact)" run_step 'agree printed' "${RUN[output_dir]}/agree_printed.log" . \
        python "$(tool lib/agree_printed.py)" "$(passed_logs 'infer paddle')" "$(passed_logs 'infer onnxruntime')"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
