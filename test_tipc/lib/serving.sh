#!/usr/bin/env bash
# What the steps of test_serving.sh need: folders, the converted model, and starting and stopping the server.
# Sourced after exported.sh, service.sh and serving_config.sh. More names of RUN:
#   http_port rpc_port seconds     the server's ports and how long it may take to start
#   served_output server_dir client_dir    the output folder as the server sees it, and the converted model
#   http grpc                      where the server listens
#   answers                        the file of a client's answers

declare -A RUN VARIANT # see common_func.sh and serving_config.sh
declare -a MODELS      # see serving_config.sh
declare -a ASKED=()    # the files of the answers of the current variant's clients

read_serving_environment() {
    RUN[seconds]=${TIPC_SERVING_SECONDS:-120} RUN[http_port]=0 RUN[rpc_port]=0
    [[ ${RUN[seconds]} =~ ^[0-9]{1,5}$ ]] || die "TIPC_SERVING_SECONDS: expected seconds, found '${RUN[seconds]}'"
    [[ -n ${TIPC_SERVING_PORTS:-} ]] || return 0
    [[ $TIPC_SERVING_PORTS =~ ^([0-9]{1,5}),([0-9]{1,5})$ ]] ||
        die "TIPC_SERVING_PORTS: expected two ports such as 18080,9993, found '$TIPC_SERVING_PORTS'"
    RUN[http_port]=${BASH_REMATCH[1]} RUN[rpc_port]=${BASH_REMATCH[2]}
}

name_serving_folders() { # [PREFIX of a model]: RUN[served_output] is the output folder as seen from serving_dir, where
    # server and clients run
    RUN[served_output]=$(from_serving_dir "${RUN[output_dir]}")
    RUN[server_dir]=${RUN[output_dir]}/$(basename -- "${VALUE[${1:-}serving_server]}")
    RUN[client_dir]=${RUN[output_dir]}/$(basename -- "${VALUE[${1:-}serving_client]}")
}

# ------------------------------------------------------------------------------------------------------- the clients

run_client() { # STEP CLIENT BATCH_SIZE PROTOCOL: run COMMAND; adds its answers to ASKED
    PROTOCOL=$4 FACTS=$(served_fact) EXPECT=new_answers run_step "$1" \
        "$(client_log "$2" "$3")" "${VALUE[serving_dir]}" "${COMMAND[@]}"
    [[ ! -f ${RUN[answers]} ]] || ASKED+=("${RUN[answers]}")
}

new_answers() { # EXPECT of a client; where the config has settings, the log ends with what is in effect, in AutoLog's form
    local said
    if ! is_new "${RUN[answers]}"; then
        STEP[reason]="it left no answers in ${RUN[answers]}"
        return 1
    fi
    [[ -n ${VARIANT[expected]} ]] || return 0
    if said=$(effect summary --answers "${RUN[answers]}" --model_name "${RUN[model]}" --data "$(images_asked)" \
        --protocol "${PROTOCOL:-HTTP}" --versions "${RUN[versions]}"); then
        printf '%s\n' "$said" | tee -a "${STEP[log]}"
    else
        STEP[reason]=${said#error: }
        return 1
    fi
}

# ------------------------------------------------------------------------------------------------------- the server

server_command() { # sets COMMAND: the web service of VARIANT
    local model word conf=local_service_conf
    begin_command web_service
    find_open_option
    [[ -n $OPEN_OPTION ]] || COMMAND+=(-o)
    add_words "http_port=${RUN[http_port]}" "rpc_port=${RUN[rpc_port]}"
    for model in "${MODELS[@]}"; do
        name_serving_folders "$model"
        model=${model%_}
        add_words "op.${model:-${RUN[op]}}.$conf.model_config=$(from_serving_dir "${RUN[server_dir]}")"
    done
    split_words "${VARIANT[options]}"
    for word in "${WORDS[@]}"; do add_words "op.${RUN[op]}.$conf.$word"; done
    [[ -z ${VARIANT[gallery]:-} ]] || add_words "op.${RUN[op]}.$GALLERY_DIR=$(from_serving_dir "${RUN[gallery]}")"
}

start_server() { # start that of VARIANT, and wait until it is ready; sets RUN[http] and RUN[grpc], where it listens. Fails
    # where it does not start, and where what it was told is not in effect
    local log=${RUN[output_dir]}/python_server_${VARIANT[name]}.log reason
    server_command
    FACTS=$(served_fact) begin_step "server ${VARIANT[name]}" "$log"
    announce
    SERVING_LOG_PATH=${RUN[served_output]} SERVING_HOME=${RUN[served_output]} \
        start_service "$log" "${VALUE[serving_dir]}" "${COMMAND[@]}"
    start_live "$log"
    if wait_for_service "${RUN[seconds]}" service_is_ready; then
        stop_live
        grep -a '^# ' "$log" >&"$SCREEN"
        grep -a -E '^(engine|precision|listening): ' "$log" >&"$SCREEN"
        settings_in_effect || return
        report_status 0 "$log" "${COMMAND[@]}"
        end_step passed ''
        return
    fi
    stop_live
    reason="not ready after ${RUN[seconds]} seconds"
    service_runs || reason="ended before it was ready"
    stop_service
    if ((SERVICE[status] == 77)) && [[ -n ${VARIANT[expected]} ]]; then
        leave_out_server "$(last_words "$log")"
    else
        fail_server "$reason"
    fi
    return 1
}

settings_in_effect() { # whether what the config sets is in effect in the running service, as its log says; else it is ended
    local said status
    local -a expected
    [[ -n ${VARIANT[expected]} ]] || return 0
    read -r -a expected <<<"${VARIANT[expected]}"
    said=$(effect settings --expected "${expected[@]}")
    status=$?
    printf '%s\n' "$said" >&"$SCREEN"
    ((status)) || return 0
    stop_service
    said=${said##*$'\n'}
    if ((status == 77)); then leave_out_server "$said"; else fail_server "${said#error: }"; fi
    return 1
}

effect() { # WHAT OPTION...: what serving_effect.py prints about the service's log, errors included; its exit status
    "${RUN[python]}" "$TIPC/lib/serving_effect.py" "$1" --log "${SERVICE[log]}" \
        --batch_size "${VARIANT[batch_size]}" "${@:2}" 2>&1
}

leave_out_server() { # REASON: the step is skipped, and so are those that need the server
    printf '\n==== %s: skipped (%s) ====\n' "${STEP[name]}" "$1" >&"$SCREEN"
    end_step skipped "$1"
}

fail_server() { # REASON
    report_status 1 "${STEP[log]}" "${COMMAND[@]}"
    printf 'the server: %s\n' "$1"
    print_end "${STEP[log]}"
    end_step failed "$1"
    not_run "client ${VARIANT[name]}" "agree ${VARIANT[name]}" "the server was not ready"
}

service_is_ready() { # ask it at the address that its log names
    local said
    said=$(last_line_with "${SERVICE[log]}" 'listening: ') &&
        [[ $said =~ ^(http://(.+):([0-9]+)/.*)\ and\ grpc\ (.*)$ ]] || return
    RUN[http]=${BASH_REMATCH[1]} RUN[grpc]=${BASH_REMATCH[4]}
    answers_http "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}" "/${RUN[op]}/ready"
}

end_server() { # stop it; it fails where it had ended before, or was not asked in the batches that the config says
    local lived=1 reason=''
    begin_step "stop ${VARIANT[name]}" "${SERVICE[log]}"
    service_runs || lived=0
    stop_service
    if ((!lived)); then
        reason="the server ended by itself, exit code ${SERVICE[status]}"
    elif ((SERVICE[status])); then
        reason="exit code ${SERVICE[status]}"
    elif [[ -n ${VARIANT[expected]} ]] && ((${#ASKED[@]} > 0)); then
        reason=$(effect batches --answers "${ASKED[@]}") && echo "$reason" && reason=''
    fi
    if [[ -z $reason ]]; then end_step passed ''; else end_step failed "${reason#error: }"; fi
    printf '\n# ended: exit code %d\n' "${SERVICE[status]}" >>"${SERVICE[log]}"
}

# ------------------------------------------------------------------------------------------------------ the answers

add_image() { # the images that the config names, or else test_images
    if is_set image; then
        add_field image
    elif [[ " ${COMMAND[*]} " != *' --im'* ]]; then
        COMMAND+=(--image_dir "$(from_serving_dir test_images)")
    fi
}

images_asked() { # print what add_image gave to the client
    local word
    if is_set image; then
        echo "${VALUE[image]}"
        return
    fi
    for word in "${COMMAND[@]}"; do [[ $word != --im*=* ]] || { echo "${word#*=}" && return; }; done
    from_serving_dir test_images
}

client_log() { # CLIENT BATCH_SIZE: print the path of its log
    local name=${VARIANT[name]} client=''
    if [[ -z ${VARIANT[expected]} ]]; then
        echo "${RUN[output_dir]}/python_client_${name}_${1}_batchsize_$2.log"
        return
    fi
    # PaddleOCR's document has no client in this name, its script has, between the device and the settings
    [[ ${VALUE[pipeline]} != *'|'* ]] || client=_$1
    echo "${RUN[output_dir]}/server_infer_${VARIANT[device]}${client}_${name#*_}.log"
}

saved_answers() { # print NAME=FILE per line, as tools/compare_serving.py takes them
    local path name
    for path in "${RUN[output_dir]}/answers_${VARIANT[name]}"_*.json; do
        name=${path##*/answers_"${VARIANT[name]}"_}
        [[ ! -f $path ]] || printf '%s\n' "${name%.json}=${RUN[served_output]}/${path##*/}"
    done
}

inference_options() { # print what tools/compare_serving.py is told of both engines, a word per line
    local engine word
    if [[ -n ${VARIANT[reference]} ]]; then
        for word in ${VARIANT[reference]}; do printf '%s\n' -o "Global.$word"; done
    elif [[ ${VARIANT[device]} == gpu ]]; then
        printf '%s\n' -o Global.use_gpu=True -o "Global.gpu_id=${RUN[gpu]}"
    else
        printf '%s\n' -o Global.use_gpu=False
    fi
    [[ -z ${VARIANT[gallery]:-} ]] || printf '%s\n' -o "$GALLERY_DIR=$(from_serving_dir "${RUN[gallery]}")"
    ! engine=$(last_line_with "${RUN[output_dir]}/python_server_${VARIANT[name]}.log" 'engine: ') ||
        printf '%s\n' --engine "$engine"
}
