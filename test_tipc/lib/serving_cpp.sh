#!/usr/bin/env bash
# The configs of C++ Serving in the dialects of PaddleClas, of PaddlePaddle/models and PaddleSeg, and of PaddleDetection,
# and the steps of test_serving_infer_cpp.sh. Sourced after exported.sh, service.sh and prepare_serving_cpp.sh. More names of RUN:
#   server_dir client_dir    the converted model
#   op port seconds          the server's operator, its port, and how long it may take to start
#   gpu                      the number of the GPU that the config names

declare -A RUN VALUE KEY LINE DIALECT # see common_func.sh, config.sh and dialects.sh

read_cpp_config() { # read and check RUN[config]; sets RUN[model], RUN[op], RUN[gpu] and DEVICES
    local block title=serving_params field
    read_config "${RUN[config]}"
    print_notes
    [[ ${BLOCK_TITLE[0]} != serving_infer_cpp_params ]] || title=serving_infer_cpp_params # of PaddleDetection
    block=$(find_block "$title") || exit 1
    RUN[op]=''
    if [[ ${LINE_KEY[BLOCK_FIRST[block] + 2]:-} == filename ]]; then
        name_detection_lines "$block"
    elif [[ ${LINE_KEY[BLOCK_FIRST[block] + 2]:-} == cls_inference_model_url ]]; then
        die "$CONFIG_FILE:${LINE_NUMBER[BLOCK_FIRST[block] + 2]}: a system of two models, a detector and a classifier," \
            "which this chain does not run"
    else
        name_model_lines "$block"
    fi
    for field in "${FIELDS[@]}"; do
        split_words "${VALUE[$field]}" ||
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has a quote that is not closed"
    done
    check_model_name
    RUN[model]=${VALUE[model_name]}
    ! is_set op || RUN[op]=${VALUE[op]}
    take_devices '^[0-9]+(,[0-9]+)*$' # the server takes several
}

name_model_lines() { # BLOCK: PaddleClas's lines, or those of models and PaddleSeg, which have one for each server option
    local at=${BLOCK_FIRST[$1]}
    local -a names=(model_name python)
    [[ ${LINE_KEY[at + 2]:-} != inference_model_url ]] || names+=(inference_model_url)
    names+=(trans_model dirname model_filename params_filename serving_server serving_client serving_dir)
    if [[ ${LINE_KEY[at + ${#names[@]}]:-} == web_service ]]; then
        DIALECT=([name]=paddleclas)
        names+=(web_service device client)
    else
        DIALECT=([name]=models)
        names+=(model op port device client) # and lines with names of variables, which the conversion knows itself
    fi
    name_fields "$1" "${names[@]}"
    check_fixed_keys model_name trans_model serving_dir
    check_needed model_name trans_model dirname model_filename params_filename serving_server serving_client serving_dir client
    [[ $(basename -- "${VALUE[serving_server]}") != "$(basename -- "${VALUE[serving_client]}")" ]] ||
        die "$CONFIG_FILE:${LINE[serving_client]}: serving_server and serving_client need folders of different names"
}

name_detection_lines() { # BLOCK: PaddleDetection exports the model for the server itself
    DIALECT=([name]=paddledetection)
    name_fields "$1" model_name python filename
    name_fields $(($1 + 1)) output_dir weights norm_export quant_export fpgm_export distill_export export1 export2 kl_quant_export
    name_fields $(($1 + 2)) infer_mode infer_quant model op port device free client serving_client image
    check_needed model_name norm_export client
    [[ -n ${RUN[dry_run]:-} ]] ||
        die "$CONFIG_FILE:${LINE[filename]}: a config of PaddleDetection, whose client prints its own form of boxes: this" \
            "chain cannot compare it; --dry_run prints the plan"
}

# ------------------------------------------------------------------------------------------------------- the server

find_server_program() { # exports SERVING_BIN, as Paddle Serving calls it; fails, and sets REPLY to the reason, without one
    if [[ -z ${SERVING_BIN:-} && -x $SERVER_FOLDER/serving ]]; then
        export SERVING_BIN=$PWD/$SERVER_FOLDER/serving LD_LIBRARY_PATH=$PWD/$SERVER_FOLDER${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    fi
    REPLY="there is no program of Paddle Serving's C++ server here, and it could not be fetched; SERVING_BIN names yours"
    [[ -n ${SERVING_BIN:-} ]] || return
    [[ -f $SERVING_BIN && -x $SERVING_BIN ]] || die "SERVING_BIN=$SERVING_BIN: no such program"
    export SERVING_BIN
}

server_words() { # DEVICE: sets COMMAND
    COMMAND=(python -m paddle_serving_server.serve --model "$(from_serving_dir "${RUN[server_dir]}")" --port "${RUN[port]}")
    [[ -z ${RUN[op]} ]] || COMMAND+=(--op "${RUN[op]}")
    [[ $1 == cpu ]] || COMMAND+=(--gpu_ids "${RUN[gpu]}")
    COMMAND+=(--workdir "$(from_serving_dir "${RUN[output_dir]}")/cpp_server_$1")
}

start_cpp_server() { # DEVICE: fails where it does not start
    local log=${RUN[output_dir]}/cpp_server_$1.log reason
    server_words "$1"
    FACTS=$(service_fact) begin_step "server $1" "$log"
    announce
    SERVING_HOME=$(from_serving_dir "${RUN[output_dir]}") SERVING_LOG_PATH=$SERVING_HOME
    export SERVING_HOME SERVING_LOG_PATH
    start_service "$log" "${VALUE[serving_dir]}" "${COMMAND[@]}"
    start_live "$log"
    if wait_for_service "${RUN[seconds]}" is_listening; then
        stop_live
        grep -a '^# ' "$log" >&"$SCREEN"
        report_status 0 "$log" "${COMMAND[@]}"
        end_step passed ''
        return
    fi
    stop_live
    reason="not ready after ${RUN[seconds]} seconds"
    service_runs || reason="ended before it was ready"
    stop_service
    report_status 1 "$log" "${COMMAND[@]}"
    printf 'the server: %s\n' "$reason"
    print_end "$log"
    end_step failed "$reason"
    not_run "client $1" "agree $1" "the server was not ready"
    return 1
}

is_listening() { # brpc answers /health
    answers_http 127.0.0.1 "${RUN[port]}" /health 2>/dev/null
}

end_cpp_server() { # DEVICE
    local lived=1
    begin_step "stop $1" "${SERVICE[log]}"
    service_runs || lived=0
    stop_service
    if ((lived)); then end_step passed ''; else end_step failed "the server ended by itself, exit code ${SERVICE[status]}"; fi
    printf '\n# ended: exit code %d\n' "${SERVICE[status]}" >>"${SERVICE[log]}"
}
