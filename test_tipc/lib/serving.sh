#!/usr/bin/env bash
# What the steps of test_serving.sh need: folders, the model to serve, and starting and stopping the server.
# Sourced after service.sh and serving_config.sh. More names of RUN:
#   http_port rpc_port seconds     the server's ports and how long it may take to start
#   served_output server_dir client_dir    the output folder as the server sees it, and the converted model
#   http grpc                      where the server listens
#   answers                        the file of a client's answers

declare -A RUN # see common_func.sh

read_serving_environment() {
    RUN[seconds]=${TIPC_SERVING_SECONDS:-120} RUN[http_port]=0 RUN[rpc_port]=0
    [[ ${RUN[seconds]} =~ ^[0-9]{1,5}$ ]] || die "TIPC_SERVING_SECONDS: expected seconds, found '${RUN[seconds]}'"
    [[ -n ${TIPC_SERVING_PORTS:-} ]] || return 0
    [[ $TIPC_SERVING_PORTS =~ ^([0-9]{1,5}),([0-9]{1,5})$ ]] ||
        die "TIPC_SERVING_PORTS: expected two ports such as 18080,9993, found '$TIPC_SERVING_PORTS'"
    RUN[http_port]=${BASH_REMATCH[1]} RUN[rpc_port]=${BASH_REMATCH[2]}
}

name_serving_folders() { # RUN[served_output] is the output folder as seen from serving_dir, where server and clients run
    RUN[served_output]=$(from_serving_dir "${RUN[output_dir]}")
    RUN[server_dir]=${RUN[output_dir]}/$(basename -- "${VALUE[serving_server]}")
    RUN[client_dir]=${RUN[output_dir]}/$(basename -- "${VALUE[serving_client]}")
}

# -------------------------------------------------------------------------------------------------------- the model

weights_of() { # CONFIG of the base chain: print the path of its provided weights, if they are there
    local path
    [[ -f $1 ]] && path=$( (read_config "$1" && weights_for_whole_infer) 2>/dev/null) && [[ -n $path ]] || return 0
    [[ -e $path ]] || path+=.pdparams
    [[ ! -e $path ]] || echo "$path"
}

find_trained_model() { # CONFIG: a model that the base chain has trained before, where no weights are provided
    local run=${RUN[output_root]}/${RUN[model]}/lite_train_lite_infer
    [[ -z $(weights_of "$1") ]] && "${RUN[python]}" test_tipc/lib/certificate.py "$run" >/dev/null &&
        take_model "$run/*/inference"
}

take_model() { # PATTERN: sets RUN[model_dir] to the first such folder with a model; fails when there is none
    local folder
    while IFS= read -r folder; do
        structure_in "$folder" >/dev/null && RUN[model_dir]=$folder && return
    done < <(compgen -G "$1")
    return 1
}

structure_in() { # FOLDER: print the name of the model's structure there, the config's or Paddle 3's; fail without one
    local name=${VALUE[model_filename]}
    if [[ ! -f $1/$name ]]; then
        [[ $name == *.pdmodel ]] || return
        name=${name%.pdmodel}.json # all that Paddle 3.2 and later write
    fi
    [[ -f $1/$name ]] && echo "$name"
}

find_base_model() { # the one that the base chain has exported for this run
    take_model "${RUN[output_dir]}/base/*/*/*/inference" && return
    echo "error: the base chain left no ${VALUE[model_filename]} in ${RUN[output_dir]}/base; start with --stage 1"
    record model failed 0 "${RUN[facts]}" '' "there is no ${VALUE[model_filename]}"
    return 1
}

new_base_model() { # EXPECT of model
    take_model "${RUN[output_dir]}/base/*/*/*/inference" && is_new "${RUN[model_dir]}/$(structure_in "${RUN[model_dir]}")" && return
    STEP[reason]="the base chain left no new ${VALUE[model_filename]} in ${RUN[output_dir]}/base"
    return 1
}

new_service_model() { # EXPECT of convert
    if is_new "${RUN[server_dir]}"; then
        STEP[facts]+=" $(service_fact)"
        return
    fi
    STEP[reason]="it wrote nothing to ${RUN[server_dir]}"
    return 1
}

new_answers() { # EXPECT of a client
    is_new "${RUN[answers]}" && return
    STEP[reason]="it left no answers in ${RUN[answers]}"
    return 1
}

model_fact() { # print what a step that reads the exported model notes
    echo "model=$(hash_of "${RUN[model_dir]}")"
}

service_fact() { # print what a step that uses the converted model notes
    echo "service=$(hash_of "${RUN[server_dir]}")"
}

# ------------------------------------------------------------------------------------------------------- the server

start_server() { # DEVICE: start it and wait until it is ready; sets RUN[http] and RUN[grpc], where it listens
    local device=$1 type=0 identity='' log=${RUN[output_dir]}/python_server_$1.log reason
    local conf=op.${RUN[op]}.local_service_conf
    [[ $device == cpu ]] || type=1 identity=${RUN[gpu]}
    begin_command web_service
    COMMAND+=(-o "http_port=${RUN[http_port]}" "rpc_port=${RUN[rpc_port]}"
        "$conf.model_config=$(from_serving_dir "${RUN[server_dir]}")" "$conf.device_type=$type" "$conf.devices=$identity")
    FACTS=$(service_fact) begin_step "server $device" "$log"
    printf '\n==== %s ====\n' "${STEP[name]}"
    SERVING_LOG_PATH=${RUN[served_output]} SERVING_HOME=${RUN[served_output]} start_service "$log" "${VALUE[serving_dir]}" "${COMMAND[@]}"
    if wait_for_service "${RUN[seconds]}" service_is_ready; then
        grep -a '^# ' "$log"
        grep -a -E '^(engine|listening): ' "$log"
        report_status 0 "$log" "${COMMAND[@]}"
        end_step passed ''
        return
    fi
    reason="not ready after ${RUN[seconds]} seconds"
    service_runs || reason="ended before it was ready"
    stop_service
    report_status 1 "$log" "${COMMAND[@]}"
    end_step failed "$reason"
    echo "the server: $reason"
    print_end "$log"
    not_run "client $device" "agree $device" "the server was not ready"
    return 1
}

service_is_ready() { # ask it at the address that its log names
    local said
    said=$(last_line_with "${SERVICE[log]}" 'listening: ') && [[ $said =~ ^(http://(.+):([0-9]+)/.*)\ and\ grpc\ (.*)$ ]] || return
    RUN[http]=${BASH_REMATCH[1]} RUN[grpc]=${BASH_REMATCH[4]}
    answers_http "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}" "/${RUN[op]}/ready"
}

end_server() { # DEVICE: stop it, and record whether it had ended before
    local lived=1
    begin_step "stop $1" "${SERVICE[log]}"
    service_runs || lived=0
    stop_service
    if ((!lived)); then
        end_step failed "the server ended by itself, exit code ${SERVICE[status]}"
    elif ((SERVICE[status])); then
        end_step failed "exit code ${SERVICE[status]}"
    else
        end_step passed ''
    fi
    printf '\n# ended: exit code %d\n' "${SERVICE[status]}" >>"${SERVICE[log]}"
}

# ------------------------------------------------------------------------------------------------------ the answers

add_image() { # the images that the config names, or else test_images
    if is_set image; then add_field image; else COMMAND+=(--image_dir "$(from_serving_dir test_images)"); fi
}

saved_answers() { # DEVICE: print NAME=FILE per line, as tools/compare_serving.py takes them
    local path name
    for path in "${RUN[output_dir]}/answers_$1"_*.json; do
        name=${path##*/answers_"$1"_}
        [[ ! -f $path ]] || printf '%s\n' "${name%.json}=${RUN[served_output]}/${path##*/}"
    done
}

engine_option() { # DEVICE: print the server's engine as an option for tools/compare_serving.py, a word per line
    local engine
    ! engine=$(last_line_with "${RUN[output_dir]}/python_server_$1.log" 'engine: ') || printf '%s\n' --engine "$engine"
}
