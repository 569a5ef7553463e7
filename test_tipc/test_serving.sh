#!/usr/bin/env bash
# Certify a model as a service: convert it, start Paddle Serving, send images over HTTP and gRPC, and prove that every
# answer is, bit by bit, what predict_cls.py predicts; of a recogniser, what predict_rec.py does, and of a detector, what
# predict_det.py does.
#
#   bash test_tipc/test_serving.sh [CONFIG] [MODE] [--stage N] [--stop_stage N] [--evidence]
#       [--project FOLDER] [--dry_run] [--verbose]
#   bash test_tipc/test_serving.sh test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python.txt serving_infer
#
# CONFIG: that file by default. MODE: serving_infer, the only one.
# Stages: 0 prepare, 1 model, 2 convert, 3 serve and ask, 4 agree. --stage and --stop_stage choose from them; earlier
# stages must have left their files. --evidence renews test_log/<model>/serving from this run.
# TIPC_PYTHON=/path/to/python uses that interpreter; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is
# kept with --evidence only); TIPC_SERVING_PORTS=18080,9993 fixes the ports for HTTP and gRPC, which are free ones
# otherwise; TIPC_SERVING_SECONDS=120 is how long the server may take to start.
# --dry_run prints what would be run, and runs and writes nothing; with --project, for a config of another project.
# On a terminal each step has one live line, with the whole output in its log; --verbose shows all output there.
# Leaves logs, results_serving.log, summary.json and junit.xml in test_tipc/output/<model>/serving_infer/.
# Exit code: 0 every step passed, 1 a step failed or nothing could be run, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/exported.sh
source "$TIPC/lib/exported.sh"
# shellcheck source=test_tipc/lib/service.sh
source "$TIPC/lib/service.sh"
# shellcheck source=test_tipc/lib/serving_config.sh
source "$TIPC/lib/serving_config.sh"
# shellcheck source=test_tipc/lib/gallery.sh
source "$TIPC/lib/gallery.sh"
# shellcheck source=test_tipc/lib/serving_ops.sh
source "$TIPC/lib/serving_ops.sh"
# shellcheck source=test_tipc/lib/serving.sh
source "$TIPC/lib/serving.sh"
# shellcheck source=test_tipc/lib/dry_run.sh
source "$TIPC/lib/dry_run.sh"
# shellcheck source=test_tipc/lib/serving_plan.sh
source "$TIPC/lib/serving_plan.sh"

COMPARE=tools/compare_serving.py
STAGES=(prepare model convert 'server|client|stop' agree)

main() {
    local name
    parse_chain_options '--project=.+=a folder' --dry_run -- "$@"
    ((${#ARGUMENTS[@]} <= 2)) || die "usage: bash test_tipc/test_serving.sh [CONFIG] [MODE] (see --help)"
    RUN[mode]=${ARGUMENTS[1]:-serving_infer}
    [[ ${RUN[mode]} == serving_infer ]] || die "unknown mode '${RUN[mode]}'; expected serving_infer"
    [[ -z ${RUN[project]} || -n ${RUN[dry_run]} ]] ||
        die "--project needs --dry_run: the service of another project is planned from here, and run with a copy of" \
            "test_tipc in that project"
    read_serving_environment
    find_config "${ARGUMENTS[0]:-$ROOT/test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python.txt}"
    read_serving_config
    [[ -z ${RUN[dry_run]} ]] || { plan_only && plan_service; }

    begin_chain results_serving.log bash "$(tool prepare.sh)" "${RUN[config]}" "${RUN[mode]}" \
        ${RUN[project]:+--project "$ROOT"} # stage 0
    note_inputs
    name_serving_folders
    if ! find_exported_model "${VALUE[dirname]}" "${VALUE[model_filename]}"; then
        not_run convert server client agree "there is no exported model"
    elif ! convert; then
        not_run server client agree "the conversion failed"
    else
        make_gallery || leave_out_gallery
        for name in "${VARIANTS[@]}"; do certify_service "$name"; done
        leave_out_cpp
        ARTEFACTS=("${RUN[model_dir]}" "${RUN[server_dir]}")
    fi
    finish
}

certify_service() { # NAME of VARIANTS
    RUN[tag]=$1
    choose_variant "$1"
    if [[ -n ${VARIANT[skip]} ]]; then
        ! in_stage 3 || skip_step "server $1" "${VARIANT[skip]}"
    elif serve_and_ask; then
        agree
    fi
    RUN[tag]=''
}

convert() { # each model of the config
    local model
    in_stage 2 || return 0
    for model in "${MODELS[@]}"; do
        name_serving_folders "$model"
        ((${#MODELS[@]} == 1)) || RUN[model_dir]=${VALUE[${model}dirname]%/}
        convert_model "convert${model:+ ${model%_}}" || return
    done
}

convert_model() { # STEP: that in RUN[model_dir]
    local structure
    local -a names=(--fetch_alias_names prediction) # of the one output
    structure=$(structure_in "${RUN[model_dir]}")
    [[ $structure == "${VALUE[model_filename]}" ]] ||
        echo "note: ${RUN[model_dir]} has $structure, Paddle 3's format of ${VALUE[model_filename]}; converting that"
    ! is_detector || names=()
    begin_command trans_model
    if [[ "${COMMAND[*]:1}" == '-m paddle_serving_client.convert' ]]; then # which works with no Paddle since 2.5
        if [[ -f deploy/paddleserving/convert.py ]]; then COMMAND=(python deploy/paddleserving/convert.py); else names=(); fi
    fi
    add_field dirname "${RUN[model_dir]}"
    add_field model_filename "$structure"
    add_field params_filename
    add_field serving_server "${RUN[server_dir]}"
    add_field serving_client "${RUN[client_dir]}"
    FACTS=$(model_fact) EXPECT=new_service_model run_step "$1" "${RUN[output_dir]}/${1// /_}.log" . \
        "${COMMAND[@]}" "${names[@]}"
}

is_detector() { # whether the model in RUN[model_dir] says so: it has several outputs
    grep -q -s '^  name: DetectionBoxes' "${RUN[model_dir]}/inference.yml"
}

serve_and_ask() { # every client's answers in answers_<variant>_<client>_<batch size>.json; fails when nothing was served
    local client
    in_stage 3 || return 0
    ASKED=()
    start_server || return
    while IFS= read -r client; do
        ask "$client" "${VARIANT[batch_size]:-1}"
    done < <(split_list "${VALUE[pipeline]}")
    [[ -n ${VARIANT[batch_size]} ]] || ask "$(split_list "${VALUE[pipeline]}" | head -n 1)" 4
    end_server
}

ask() { # CLIENT BATCH_SIZE: one client asks for all images; sets RUN[answers], the file of its answers
    local name where=(--url "${RUN[http]}") answers protocol=HTTP size=" batchsize $2"
    split_words "$1"
    name=$(basename -- "${WORDS[0]}" .py)
    name=${name%_client}
    answers=answers_${VARIANT[name]}_${name#pipeline_}_$2.json
    RUN[answers]=${RUN[output_dir]}/$answers
    [[ $name != *rpc* ]] || protocol=gRPC where=(--endpoint "${RUN[grpc]}")
    COMMAND=(python "${WORDS[@]}" "${where[@]}")
    add_image
    COMMAND+=(--batch_size "$2" --save "${RUN[served_output]}/$answers"
        --save_request "${RUN[served_output]}/${answers/answers/request}")
    [[ -z ${VARIANT[batch_size]} ]] || size='' # it is in the variant's name
    run_client "client ${VARIANT[name]} $name$size" "$name" "$2" "$protocol"
}

agree() { # every answer is, bit by bit, what predict_cls.py predicts with the same settings
    local name=${VARIANT[name]}
    local -a answers options
    in_stage 4 || return 0
    mapfile -t answers < <(saved_answers)
    if ((${#answers[@]} == 0)); then
        was_skipped "server $name" || not_run "agree $name" "there are no answers"
        return
    fi
    mapfile -t options < <(inference_options)
    FACTS="$(model_fact) $(served_fact)" run_step "agree $name" "${RUN[output_dir]}/agree_$name.log" \
        "${VALUE[serving_dir]}" python "$(from_serving_dir "$COMPARE")" \
        --inference_model_dir "$(from_serving_dir "${RUN[model_dir]}")" "${options[@]}" \
        --save "${RUN[served_output]}/agree_$name.json" "${answers[@]}"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
