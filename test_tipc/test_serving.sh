#!/usr/bin/env bash
# Certify a model as a service: convert it, start Paddle Serving, ask it over HTTP and gRPC, and prove that every answer
# is what Paddle Inference predicts.
#
#   bash test_tipc/test_serving.sh [CONFIG] [MODE] [--stage N] [--stop_stage N] [--evidence]
#   bash test_tipc/test_serving.sh test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python.txt serving_infer
#
# CONFIG: that file by default. MODE: serving_infer, the only one.
# Stages: 0 prepare, 1 model, 2 convert, 3 serve and ask, 4 agree. --stage and --stop_stage choose from them; earlier
# stages must have left their files. --evidence renews test_log/<model>/serving from this run.
# TIPC_PYTHON=/path/to/python uses that interpreter; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is
# kept with --evidence only); TIPC_SERVING_PORTS=18080,9993 fixes the ports for HTTP and gRPC, which are free ones
# otherwise; TIPC_SERVING_SECONDS=120 is how long the server may take to get ready.
# Leaves logs, results_serving.log, summary.json and junit.xml in test_tipc/output/<model>/serving_infer/.
# Exit code: 0 every step passed, 1 a step failed or nothing could be run, 130 or 143 interrupted.

# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/run_service.sh
source "$ROOT/test_tipc/run_service.sh"
# shellcheck source=test_tipc/serving_dialects.sh
source "$ROOT/test_tipc/serving_dialects.sh"

DEFAULT_CONFIG=test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python.txt
MODEL_STAGE=1 CONVERT=2 SERVE=3 AGREE=4
STEP_NAMES=(prepare model convert 'server|client|stop' agree) # by stage
SECONDS_TO_START=${TIPC_SERVING_SECONDS:-120}

main() {
    parse_arguments "$@"
    read_config "$CONFIG"
    name_serving_config
    begin_chain results_serving.log
    certify_service
    finish serving
}

parse_arguments() {
    parse_options "$@"
    ((${#ARGUMENTS[@]} <= 2)) || die "usage: bash test_tipc/test_serving.sh [CONFIG] [MODE] (see --help)"
    MODE=${ARGUMENTS[1]:-serving_infer}
    [[ $MODE == serving_infer ]] || die "unknown mode '$MODE'; expected serving_infer"
    [[ $SECONDS_TO_START =~ ^[0-9]{1,5}$ ]] || die "TIPC_SERVING_SECONDS: expected seconds, found '$SECONDS_TO_START'"
    PORTS=(0 0)
    if [[ -n ${TIPC_SERVING_PORTS:-} ]]; then
        [[ $TIPC_SERVING_PORTS =~ ^([0-9]{1,5}),([0-9]{1,5})$ ]] ||
            die "TIPC_SERVING_PORTS: expected two ports such as 18080,9993, found '$TIPC_SERVING_PORTS'"
        PORTS=("${BASH_REMATCH[@]:1}")
    fi
    choose_output
    find_config "${ARGUMENTS[0]:-$ROOT/$DEFAULT_CONFIG}"
}

# ------------------------------------------------------------------------------------------------------ the chain

# The server and the clients run in serving_dir: THERE is the output folder as they see it.

certify_service() {
    local device
    THERE=$(from_serving_dir "$OUT")
    SERVER_DIR=$OUT/$(basename -- "${VALUE[serving_server]}")
    CLIENT_DIR=$OUT/$(basename -- "${VALUE[serving_client]}")
    if ! find_model; then
        not_run convert server client agree "there is no exported model"
        return
    fi
    if in_stage $CONVERT && ! convert; then
        not_run server client agree "the conversion failed"
        return
    fi
    for device in "${DEVICES[@]}"; do
        if [[ $device == gpu ]] && ((GPUS == 0)); then
            ! in_stage $SERVE || skip_step "server gpu" "no GPU that this Paddle can use"
            continue
        fi
        in_stage $SERVE && { serve_and_ask "$device" || continue; }
        in_stage $AGREE && agree "$device"
    done
}

find_model() { # sets MODEL_DIR: the config's folder; else an export of the provided weights, of the base chain, or a new one
    local base=test_tipc/configs/$MODEL/train_infer_python.txt weights=''
    MODEL_DIR=${VALUE[dirname]%/}
    [[ ! -f $MODEL_DIR/${VALUE[model_filename]} ]] || return 0
    echo "note: there is no ${VALUE[model_filename]} in $MODEL_DIR; taking what the base chain exports"
    [[ ! -f $base ]] || weights=$(provided_weights "$base" 2>/dev/null)
    if [[ ! -f $weights ]]; then # a model that the base chain has trained before
        exported_model "$OUTPUT/$MODEL/lite_train_lite_infer/*/inference" && return
    fi
    if in_stage $MODEL_STAGE; then
        export_model "$base" "$weights" || return
    fi
    exported_model "$OUT/base/*/*/*/inference" && return
    echo "error: the base chain left no ${VALUE[model_filename]} in $OUT/base"
    return 1
}

exported_model() { # PATTERN: sets MODEL_DIR to the first such folder with a model; fails when there is none
    local found
    found=$(compgen -G "$1/${VALUE[model_filename]}" | head -n 1)
    [[ -n $found ]] && MODEL_DIR=${found%/*}
}

export_model() { # CONFIG WEIGHTS: by the base chain, of the provided weights, or of a short training where there are none
    local base=$1 mode=lite_train_lite_infer
    local -a stages=(--stage 1 --stop_stage 4)
    if [[ ! -f $base ]]; then
        echo "error: no $base says how to make the model"
        record model failed 0 '' "no $base"
        return 1
    fi
    [[ ! -f $2 ]] || mode=whole_infer stages=(--stage 4 --stop_stage 4)
    run_step model "$OUT/model.log" . env TIPC_OUTPUT="$OUT/base" TIPC_PYTHON="$PYTHON" \
        bash test_tipc/test_train_inference_python.sh "$base" "$mode" "${stages[@]}"
}

convert() {
    begin_command trans_model
    # Paddle Serving's own converter works with no Paddle since 2.5
    [[ "${COMMAND[*]:1}" != '-m paddle_serving_client.convert' ]] || COMMAND=(python deploy/paddleserving/convert.py)
    add_field dirname "$MODEL_DIR"
    add_field model_filename
    add_field params_filename
    add_field serving_server "$SERVER_DIR"
    add_field serving_client "$CLIENT_DIR"
    run_step convert "$OUT/convert.log" . "${COMMAND[@]}" --fetch_alias_names prediction
}

serve_and_ask() { # DEVICE: every client's answers in $OUT/answers_<device>_<client>.json; fails when nothing was served
    local client
    start_server "$1" || return
    while IFS= read -r client; do
        ask "$1" "$client" 1
    done < <(split_list "${VALUE[pipeline]}")
    ask "$1" "$(split_list "${VALUE[pipeline]}" | head -n 1)" 4
    end_server "$1"
}

start_server() { # DEVICE: the server, ready; sets HTTP and GRPC, where it listens
    local device=$1 type=0 identity='' log=$OUT/python_server_$1.log start limit=$SECONDS_TO_START
    [[ $device == cpu ]] || type=1 identity=$GPU_ID
    begin_command web_service
    COMMAND+=(-o "http_port=${PORTS[0]}" "rpc_port=${PORTS[1]}" "op.$OP.local_service_conf.model_config=$(from_serving_dir "$SERVER_DIR")"
        "op.$OP.local_service_conf.device_type=$type" "op.$OP.local_service_conf.devices=$identity")
    printf '\n==== server %s ====\n' "$device"
    STEP_NAME="server $device" STEP_LOG=$log STEP_START=$(now)
    start=$STEP_START
    SERVING_LOG_PATH=$THERE SERVING_HOME=$THERE start_service "$log" "${VALUE[serving_dir]}" "${COMMAND[@]}"
    if wait_for_service "$limit" service_is_ready; then
        head -n 5 "$log"
        grep -a -E '^(engine|listening): ' "$log"
        report_status 0 "$log" "${COMMAND[@]}"
        record "server $device" passed "$(elapsed "$start")" "$log" ''
        STEP_NAME=''
        return
    fi
    local reason="not ready after $limit seconds"
    service_runs || reason="ended before it was ready"
    stop_service
    report_status 1 "$log" "${COMMAND[@]}"
    record "server $device" failed "$(elapsed "$start")" "$log" "$reason"
    echo "the server $reason; the last lines of $log:"
    tail -n 12 "$log" | cut -b -400 | sed 's/^/    /'
    not_run "client $device" "agree $device" "the server was not ready"
    return 1
}

# shellcheck disable=SC2329 # wait_for_service calls it
service_is_ready() { # asks it, where its log says that it listens
    local said
    said=$(service_said 'listening: ') && [[ $said =~ ^(http://(.+):([0-9]+)/.*)\ and\ grpc\ (.*)$ ]] || return
    HTTP=${BASH_REMATCH[1]} GRPC=${BASH_REMATCH[4]}
    answers_http "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}" "/$OP/ready"
}

ask() { # DEVICE CLIENT BATCH_SIZE: one client asks for all images
    local name where=(--url "$HTTP") tag answers
    split_words "$2"
    name=$(basename -- "${WORDS[0]}" .py)
    name=${name%_client}
    tag=${1}_${name}_batchsize_$3
    answers=answers_${1}_${name#pipeline_}_$3.json
    [[ $name != *rpc* ]] || where=(--endpoint "$GRPC")
    COMMAND=(python "${WORDS[@]}" "${where[@]}")
    add_image
    run_step "client $1 $name batchsize $3" "$OUT/python_client_$tag.log" "${VALUE[serving_dir]}" "${COMMAND[@]}" \
        --batch_size "$3" --save "$THERE/$answers" --save_request "$THERE/${answers/answers/request}"
}

add_image() { # the images that the config names; those of the repository where it names none
    if is_set image; then add_field image; else COMMAND+=(--image_dir "$(from_serving_dir test_images)"); fi
}

end_server() { # DEVICE: stop it, and look whether it had ended before, and whether anything is left
    local start lived=1
    start=$(now)
    service_runs || lived=0
    stop_service
    if ((!lived)); then
        record "stop $1" failed "$(elapsed "$start")" "$SERVICE_LOG" "the server ended by itself, exit code $SERVICE_STATUS"
    elif ((SERVICE_STATUS)); then
        record "stop $1" failed "$(elapsed "$start")" "$SERVICE_LOG" "exit code $SERVICE_STATUS"
    else
        record "stop $1" passed "$(elapsed "$start")" "$SERVICE_LOG" ''
    fi
    printf '\n# ended: exit code %d\n' "$SERVICE_STATUS" >>"$SERVICE_LOG"
}

agree() { # DEVICE: every answer with what predict_cls.py predicts
    local path name engine
    local -a answers=() options=()
    for path in "$OUT/answers_$1"_*.json; do
        name=${path##*/answers_"$1"_}
        [[ ! -f $path ]] || answers+=("${name%.json}=$THERE/${path##*/}")
    done
    SERVICE_LOG=$OUT/python_server_$1.log
    engine=$(service_said 'engine: ') && options=(--engine "$engine")
    if ((${#answers[@]} == 0)); then
        not_run "agree $1" "there are no answers"
        return
    fi
    run_step "agree $1" "$OUT/agree_$1.log" "${VALUE[serving_dir]}" python \
        "$(from_serving_dir tools/compare_serving.py)" --inference_model_dir "$(from_serving_dir "$MODEL_DIR")" \
        "${options[@]}" --save "$THERE/agree_$1.json" "${answers[@]}"
}

main "$@"
