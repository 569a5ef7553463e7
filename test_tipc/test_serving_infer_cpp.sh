#!/usr/bin/env bash
# Certify a model on Paddle Serving's C++ server (brpc): convert it, start the server, send images, and prove that every
# answer agrees with what predict_cls.py predicts.
#
#   bash test_tipc/test_serving_infer_cpp.sh [CONFIG] [MODE] [--stage N] [--stop_stage N] [--evidence]
#       [--project FOLDER] [--dry_run] [--verbose]
#   bash test_tipc/test_serving_infer_cpp.sh test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_cpp.txt
#
# CONFIG: that file by default. MODE: serving_infer_cpp, or serving_infer as the official documents have it.
# The server's program is that of SERVING_BIN=/path/to/serving, or else the one of Paddle Serving 0.9.0 that prepare.sh
# fetches from Paddle's server. Where there is neither, the chain is skipped, with that reason, and never passes.
# Stages: 0 prepare, 1 model, 2 convert, 3 serve and ask, 4 agree. --stage and --stop_stage choose from them; earlier
# stages must have left their files. --evidence renews test_log/<model>/serving_infer_cpp from this run.
# TIPC_PYTHON=/path/to/python uses that interpreter; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is
# kept with --evidence only); TIPC_SERVING_SECONDS=120 is how long the server may take to start.
# --dry_run prints what would be run, and runs and writes nothing; with --project, for a config of another project.
# On a terminal each step has one live line, with the whole output in its log; --verbose shows all output there.
# Leaves logs, results_serving_cpp.log, summary.json and junit.xml in test_tipc/output/<model>/serving_infer_cpp/.
# Exit code: 0 every step passed, 1 a step failed, 77 there is no program of the server, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/exported.sh
source "$TIPC/lib/exported.sh"
# shellcheck source=test_tipc/lib/service.sh
source "$TIPC/lib/service.sh"
# shellcheck source=test_tipc/lib/prepare_serving_cpp.sh
source "$TIPC/lib/prepare_serving_cpp.sh"
# shellcheck source=test_tipc/lib/serving_cpp.sh
source "$TIPC/lib/serving_cpp.sh"
# shellcheck source=test_tipc/lib/dry_run.sh
source "$TIPC/lib/dry_run.sh"

COMPARE=tools/compare_serving.py
LIMIT=1e-5 # of a score; the server computes with the Paddle that it was built with
STAGES=(prepare model convert 'server|client|stop' agree)

main() {
    parse_chain_options '--project=.+=a folder' --dry_run -- "$@"
    ((${#ARGUMENTS[@]} <= 2)) || die "usage: bash test_tipc/test_serving_infer_cpp.sh [CONFIG] [MODE] (see --help)"
    is_one_of "${ARGUMENTS[1]:-serving_infer_cpp}" serving_infer_cpp serving_infer ||
        die "unknown mode '${ARGUMENTS[1]}'; expected serving_infer_cpp"
    RUN[mode]=serving_infer_cpp RUN[seconds]=${TIPC_SERVING_SECONDS:-120}
    [[ ${RUN[seconds]} =~ ^[0-9]{1,5}$ ]] || die "TIPC_SERVING_SECONDS: expected seconds, found '${RUN[seconds]}'"
    [[ -z ${RUN[project]} || -n ${RUN[dry_run]} ]] ||
        die "--project needs --dry_run: the service of another project is planned from here, and run with a copy of" \
            "test_tipc in that project"
    find_config "${ARGUMENTS[0]:-$ROOT/test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_cpp.txt}"
    read_cpp_config
    [[ -z ${RUN[dry_run]} ]] || { plan_only && plan_cpp_service; }

    begin_chain results_serving_cpp.log bash "$(tool prepare.sh)" "${RUN[config]}" "${RUN[mode]}" \
        ${RUN[project]:+--project "$ROOT"} # stage 0
    note_inputs
    name_folders
    if ! find_server_program; then
        skip_step server "$REPLY"
    elif [[ ${DIALECT[name]} == paddledetection ]]; then
        certify_on_devices
    elif ! find_exported_model "${VALUE[dirname]}" "${VALUE[model_filename]}"; then
        not_run convert server client agree "there is no exported model"
    elif ! convert; then
        not_run server client agree "the conversion failed"
    else
        certify_on_devices
        ARTEFACTS=("${RUN[model_dir]}" "${RUN[server_dir]}")
    fi
    finish
}

name_folders() { # sets RUN[server_dir] and RUN[client_dir]
    RUN[server_dir]=${RUN[output_dir]}/$(basename -- "${VALUE[serving_server]:-server}")
    RUN[client_dir]=${RUN[output_dir]}/$(basename -- "${VALUE[serving_client]:-client}")
}

convert() {
    local script=deploy/paddleserving/convert.py
    local -a names=(--fetch_alias_names prediction) # the first output, as every client here reads it
    in_stage 2 || return 0
    if [[ ${RUN[structure]} != *.pdmodel && -z ${RUN[dry_run]} ]]; then
        echo "error: ${RUN[model_dir]} has ${RUN[structure]}, Paddle 3's own format, which a C++ server cannot read"
        record convert failed 0 "${RUN[facts]}" '' "a C++ server cannot read ${RUN[structure]}; export .pdmodel with Paddle up to 3.1"
        return 1
    fi
    begin_command trans_model
    if [[ "${COMMAND[*]:1}" == '-m paddle_serving_client.convert' ]]; then # which works with no Paddle since 2.5
        if [[ -f $script ]]; then COMMAND=(python "$script"); else names=(); fi
    fi
    add_field dirname "${RUN[model_dir]}"
    add_field model_filename "${RUN[structure]}"
    add_field params_filename
    add_field serving_server "${RUN[server_dir]}"
    add_field serving_client "${RUN[client_dir]}"
    FACTS=$(model_fact) EXPECT=new_cpp_model run_step convert "${RUN[output_dir]}/convert.log" . "${COMMAND[@]}" "${names[@]}"
}

new_cpp_model() { # EXPECT of convert; the server leaves this file in the folder, which is to stay as it was converted
    touch "${RUN[server_dir]}/fluid_time_file" 2>/dev/null
    new_service_model
}

certify_on_devices() {
    local device
    for device in "${DEVICES[@]}"; do
        RUN[tag]=$device
        if [[ $device == gpu && -z ${RUN[dry_run]} ]] && ((RUN[gpus] == 0)); then
            ! in_stage 3 || skip_step "server $device" "no GPU that this Paddle can use"
        elif serve_and_ask "$device"; then
            agree "$device"
        fi
        RUN[tag]=''
    done
}

serve_and_ask() { # DEVICE: fails when nothing was served
    in_stage 3 || return 0
    choose_port
    start_cpp_server "$1" || return
    ask "$1" 1
    is_image_operator || ask "$1" 4
    end_cpp_server "$1"
}

choose_port() {
    RUN[port]=$("${RUN[python]}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])') ||
        die "no free port was found"
}

is_image_operator() { # whether the server's operator decodes images itself, one in a request
    [[ ${RUN[op]} == *ClasOp ]]
}

ask() { # DEVICE BATCH_SIZE: the client asks for all images
    RUN[answers]=${RUN[output_dir]}/answers_$1_$2.json
    split_words "${VALUE[client]}"
    COMMAND=(python "${WORDS[@]}" --url "http://127.0.0.1:${RUN[port]}" --client "$(from_serving_dir "${RUN[client_dir]}")"
        --model "$(from_serving_dir "${RUN[server_dir]}")" --image_dir "$(from_serving_dir test_images)" --batch_size "$2"
        --save "$(from_serving_dir "${RUN[answers]}")")
    [[ -z ${RUN[op]} ]] || COMMAND+=(--op "${RUN[op]}")
    FACTS=$(service_fact) EXPECT=new_answers run_step "client $1 batchsize $2" \
        "${RUN[output_dir]}/cpp_client_$1_batchsize_$2.log" "${VALUE[serving_dir]}" "${COMMAND[@]}"
}

new_answers() { # EXPECT of a client
    ! is_new "${RUN[answers]}" || return 0
    STEP[reason]="it left no answers in ${RUN[answers]}"
    return 1
}

agree() { # DEVICE: every answer is what predict_cls.py predicts without optimisations
    local path
    local -a answers=()
    in_stage 4 || return 0
    for path in "${RUN[output_dir]}/answers_$1"_*.json; do
        [[ ! -f $path ]] || answers+=("batchsize_$(basename "${path##*_}" .json)=$(from_serving_dir "$path")")
    done
    if ((${#answers[@]} == 0)) && [[ -z ${RUN[dry_run]} ]]; then
        not_run "agree $1" "there are no answers"
        return
    fi
    # in the folder of the client, whose answers name the images as it sees them
    FACTS="$(model_fact) $(service_fact)" run_step "agree $1" "${RUN[output_dir]}/agree_$1.log" "${VALUE[serving_dir]}" \
        python "$(from_serving_dir "$COMPARE")" --inference_model_dir "$(from_serving_dir "${RUN[model_dir]}")" \
        -o Global.use_gpu=False -o Global.engine=paddle -o Global.ir_optim=False \
        --limit "$LIMIT" --save "$(from_serving_dir "${RUN[output_dir]}/agree_$1.json")" "${answers[@]}"
}

plan_cpp_service() { # what --dry_run replaces: no server is started
    RUN[port]=PORT
    find_server_program() { :; }
    choose_port() { :; }
    service_fact() { :; }
    end_cpp_server() { :; }
    start_cpp_server() { # DEVICE
        server_words "$1"
        run_step "server $1" "${RUN[output_dir]}/cpp_server_$1.log" "${VALUE[serving_dir]}" "${COMMAND[@]}"
    }
    if [[ ! -f $COMPARE ]]; then
        agree() { skip_step "agree $1" "this project has no $COMPARE"; }
    fi
    [[ ${DIALECT[name]} != paddledetection ]] || plan_detection
}

plan_detection() { # PaddleDetection's export writes the folders for server and client, and its client draws boxes
    local output=${VALUE[output_dir]}/${VALUE[filename]}
    VALUE[serving_dir]=.
    RUN[server_dir]=$output/serving_server RUN[client_dir]=$output/serving_client RUN[model_dir]=$output
    name_folders() {
        RUN[output_dir]=${RUN[output_root]}/${RUN[model]}/${RUN[mode]}
        begin_command norm_export
        add_words "weights=${VALUE[weights]}"
        add_field output_dir
        ! in_stage 2 || run_step convert "${RUN[output_dir]}/convert.log" . "${COMMAND[@]}"
    }
    ask() { # DEVICE BATCH_SIZE
        [[ $2 == 1 ]] || return 0
        begin_command client
        add_words --serving_client="${RUN[client_dir]}"
        add_field image
        run_step "client $1" "${RUN[output_dir]}/cpp_client_$1.log" . "${COMMAND[@]}"
    }
    agree() { skip_step "agree $1" "the client of PaddleDetection prints boxes in its own form"; }
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
