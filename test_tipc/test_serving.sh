#!/usr/bin/env bash
# Certify a model as a service: convert it, start Paddle Serving, send images over HTTP and gRPC, and prove that every
# answer is what Paddle Inference predicts.
#
#   bash test_tipc/test_serving.sh [CONFIG] [MODE] [--stage N] [--stop_stage N] [--evidence]
#   bash test_tipc/test_serving.sh test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python.txt serving_infer
#
# CONFIG: that file by default. MODE: serving_infer, the only one.
# Stages: 0 prepare, 1 model, 2 convert, 3 serve and ask, 4 agree. --stage and --stop_stage choose from them; earlier
# stages must have left their files. --evidence renews test_log/<model>/serving from this run.
# TIPC_PYTHON=/path/to/python uses that interpreter; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is
# kept with --evidence only); TIPC_SERVING_PORTS=18080,9993 fixes the ports for HTTP and gRPC, which are free ones
# otherwise; TIPC_SERVING_SECONDS=120 is how long the server may take to start.
# Leaves logs, results_serving.log, summary.json and junit.xml in test_tipc/output/<model>/serving_infer/.
# Exit code: 0 every step passed, 1 a step failed or nothing could be run, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/service.sh
source "$TIPC/lib/service.sh"
# shellcheck source=test_tipc/lib/serving_config.sh
source "$TIPC/lib/serving_config.sh"
# shellcheck source=test_tipc/lib/serving.sh
source "$TIPC/lib/serving.sh"

STAGES=(prepare model convert 'server|client|stop' agree)

main() {
    local device
    parse_chain_options -- "$@"
    ((${#ARGUMENTS[@]} <= 2)) || die "usage: bash test_tipc/test_serving.sh [CONFIG] [MODE] (see --help)"
    RUN[mode]=${ARGUMENTS[1]:-serving_infer}
    [[ ${RUN[mode]} == serving_infer ]] || die "unknown mode '${RUN[mode]}'; expected serving_infer"
    read_serving_environment
    find_config "${ARGUMENTS[0]:-$ROOT/test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python.txt}"
    read_serving_config

    begin_chain results_serving.log bash test_tipc/prepare.sh "${RUN[config]}" "${RUN[mode]}" # stage 0
    note_inputs
    name_serving_folders
    if ! find_model; then
        not_run convert server client agree "there is no exported model"
    elif ! convert; then
        not_run server client agree "the conversion failed"
    else
        for device in "${DEVICES[@]}"; do certify_service "$device"; done
        ARTEFACTS=("${RUN[model_dir]}" "${RUN[server_dir]}")
    fi
    finish
}

certify_service() { # DEVICE
    RUN[tag]=$1
    if [[ $1 == gpu ]] && ((RUN[gpus] == 0)); then
        ! in_stage 3 || skip_step "server gpu" "no GPU that this Paddle can use"
    elif serve_and_ask "$1"; then
        agree "$1"
    fi
}

find_model() { # sets RUN[model_dir]: the config's folder; else what the base chain has exported; else a new export
    local base=test_tipc/configs/${RUN[model]}/train_infer_python.txt
    RUN[model_dir]=${VALUE[dirname]%/}
    ! structure_in "${RUN[model_dir]}" >/dev/null || return 0
    echo "note: there is no ${VALUE[model_filename]} in ${RUN[model_dir]}; taking what the base chain exports"
    find_trained_model "$base" && return
    if in_stage 1; then export_model "$base"; else find_base_model; fi
}

export_model() { # CONFIG: by the base chain, of the provided weights, or of a short training where there are none
    local mode=lite_train_lite_infer
    local -a stages=(--stage 1 --stop_stage 4)
    if [[ ! -f $1 ]]; then
        echo "error: no $1 says how to make the model"
        record model failed 0 "${RUN[facts]}" '' "no $1"
        return 1
    fi
    [[ ! -f $(weights_of "$1") ]] || mode=whole_infer stages=(--stage 4 --stop_stage 4)
    EXPECT=new_base_model run_step model "${RUN[output_dir]}/model.log" . \
        env TIPC_OUTPUT="${RUN[output_dir]}/base" TIPC_PYTHON="${RUN[python]}" \
        bash test_tipc/test_train_inference_python.sh "$1" "$mode" "${stages[@]}"
}

convert() {
    local structure
    in_stage 2 || return 0
    structure=$(structure_in "${RUN[model_dir]}")
    [[ $structure == "${VALUE[model_filename]}" ]] ||
        echo "note: ${RUN[model_dir]} has $structure, Paddle 3's format of ${VALUE[model_filename]}; converting that"
    begin_command trans_model
    # Paddle Serving's own converter works with no Paddle since 2.5
    [[ "${COMMAND[*]:1}" != '-m paddle_serving_client.convert' ]] || COMMAND=(python deploy/paddleserving/convert.py)
    add_field dirname "${RUN[model_dir]}"
    add_field model_filename "$structure"
    add_field params_filename
    add_field serving_server "${RUN[server_dir]}"
    add_field serving_client "${RUN[client_dir]}"
    FACTS=$(model_fact) EXPECT=new_service_model run_step convert "${RUN[output_dir]}/convert.log" . \
        "${COMMAND[@]}" --fetch_alias_names prediction
}

serve_and_ask() { # DEVICE: every client's answers in answers_<device>_<client>.json; fails when nothing was served
    local client
    in_stage 3 || return 0
    start_server "$1" || return
    while IFS= read -r client; do
        ask "$1" "$client" 1
    done < <(split_list "${VALUE[pipeline]}")
    ask "$1" "$(split_list "${VALUE[pipeline]}" | head -n 1)" 4
    end_server "$1"
}

ask() { # DEVICE CLIENT BATCH_SIZE: one client asks for all images; sets RUN[answers], the file of its answers
    local name where=(--url "${RUN[http]}") answers
    split_words "$2"
    name=$(basename -- "${WORDS[0]}" .py)
    name=${name%_client}
    answers=answers_${1}_${name#pipeline_}_$3.json
    RUN[answers]=${RUN[output_dir]}/$answers
    [[ $name != *rpc* ]] || where=(--endpoint "${RUN[grpc]}")
    COMMAND=(python "${WORDS[@]}" "${where[@]}")
    add_image
    COMMAND+=(--batch_size "$3" --save "${RUN[served_output]}/$answers"
        --save_request "${RUN[served_output]}/${answers/answers/request}")
    FACTS=$(service_fact) EXPECT=new_answers run_step "client $1 $name batchsize $3" \
        "${RUN[output_dir]}/python_client_${1}_${name}_batchsize_$3.log" "${VALUE[serving_dir]}" "${COMMAND[@]}"
}

agree() { # DEVICE: every answer with what predict_cls.py predicts
    local -a answers engine
    in_stage 4 || return 0
    mapfile -t answers < <(saved_answers "$1")
    if ((${#answers[@]} == 0)); then
        not_run "agree $1" "there are no answers"
        return
    fi
    mapfile -t engine < <(engine_option "$1")
    FACTS="$(model_fact) $(service_fact)" run_step "agree $1" "${RUN[output_dir]}/agree_$1.log" "${VALUE[serving_dir]}" python \
        "$(from_serving_dir tools/compare_serving.py)" --inference_model_dir "$(from_serving_dir "${RUN[model_dir]}")" \
        "${engine[@]}" --save "${RUN[served_output]}/agree_$1.json" "${answers[@]}"
}

main "$@"
