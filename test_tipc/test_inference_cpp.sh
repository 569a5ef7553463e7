#!/usr/bin/env bash
# Certify C++ inference with an exported model: build the program of deploy/cpp, predict with every combination of the
# config, and prove that it prepares, computes and prints what Python does.
#
#   bash test_tipc/test_inference_cpp.sh [CONFIG] [MODE] [--stage N] [--stop_stage N] [--evidence]
#       [--project FOLDER] [--dry_run] [--verbose]
#   bash test_tipc/test_inference_cpp.sh test_tipc/configs/MobileNetV3_small_x1_0/inference_cpp.txt cpp_infer
#
# CONFIG: that file by default, or an official config of C++ inference. MODE: cpp_infer, the only one.
# Stages: 0 prepare, 1 model, 2 build, 3 infer, 4 agree. --stage and --stop_stage choose from them; earlier stages must
# have left their files. --evidence renews test_log/<model>/cpp_infer from this run.
# PADDLE_LIB=/path/to/paddle_inference builds with Paddle Inference; OpenVINO of the Python environment computes without
# it. TIPC_CPP_BUILD=FOLDER builds there, and compiles only what is new; usually it is a folder of this run.
# TIPC_PYTHON=/path/to/python uses that interpreter; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is
# kept with --evidence only). --project FOLDER certifies the exported model of another project, with its inference.yml.
# --dry_run prints what would be run, and runs and writes nothing.
# On a terminal each step has one live line, with the whole output in its log; --verbose shows all output there.
# Leaves logs, results_cpp.log, summary.json and junit.xml in test_tipc/output/<model>/cpp_infer/.
# Exit code: 0 every step passed, 1 a step failed, 77 the model could not be run here, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/exported.sh
source "$TIPC/lib/exported.sh"
# shellcheck source=test_tipc/lib/cpp_config.sh
source "$TIPC/lib/cpp_config.sh"
# shellcheck source=test_tipc/lib/cpp_images.sh
source "$TIPC/lib/cpp_images.sh"
# shellcheck source=test_tipc/lib/dry_run.sh
source "$TIPC/lib/dry_run.sh"

SOURCES=deploy/cpp
COMPARE=tools/compare_cpp.py
LATENCY=deploy/cpp/latency.py
STAGES=(prepare model build infer agree)

main() {
    local variant
    parse_chain_options '--project=.+=a folder' --dry_run -- "$@"
    ((${#ARGUMENTS[@]} <= 2)) || die "usage: bash test_tipc/test_inference_cpp.sh [CONFIG] [MODE] (see --help)"
    RUN[mode]=${ARGUMENTS[1]:-cpp_infer}
    [[ ${RUN[mode]} == cpp_infer ]] || die "unknown mode '${RUN[mode]}'; expected cpp_infer"
    find_config "${ARGUMENTS[0]:-$ROOT/test_tipc/configs/MobileNetV3_small_x1_0/inference_cpp.txt}"
    read_cpp_config
    [[ -z ${RUN[dry_run]} ]] || plan_cpp

    begin_chain results_cpp.log bash "$(tool prepare.sh)" "${RUN[config]}" "${RUN[mode]}" \
        ${RUN[project]:+--project "$ROOT"} # stage 0
    note_inputs
    RUN[tag]='' # all steps belong to one model
    if [[ -n $(why_no_cpp) ]]; then
        skip_step infer "$(why_no_cpp)"
    elif ! find_exported_model "${VALUE[model_dir]}" "${VALUE[structure]}"; then
        not_run build infer agree "there is no exported model"
    elif ! build; then
        not_run infer agree "the program was not built"
    elif ! find_cpp_images; then
        record infer failed 0 "${RUN[facts]}" '' "there is no image to predict"
        not_run agree "there is no image to predict"
    else
        for variant in "${VARIANTS[@]}"; do infer "$variant"; done
        measure_latency
        agree
        ARTEFACTS=("${RUN[model_dir]}")
    fi
    finish
}

why_no_cpp() { # print why the network of the config is none for the program
    case ${VALUE[kind]} in
        shitu) echo "the program of deploy/cpp runs one network, and this is a system of a detector, features and an index" ;;
        video) echo "the program of deploy/cpp predicts images, and this network takes videos" ;;
    esac
}

own_file() { # PATH in the project, or beside this tool, where the project has none
    if [[ -e $ROOT/$1 || ! -e ${TIPC%/*}/$1 ]]; then echo "$1"; else echo "${TIPC%/*}/$1"; fi
}

build() { # sets RUN[program]
    local build=${TIPC_CPP_BUILD:-${RUN[output_dir]}/build} sources
    sources=$(own_file "$SOURCES")
    RUN[program]=$build/ppcls_infer
    in_stage 2 || { is_program && return; }
    if [[ -z ${RUN[dry_run]} && ! -f $sources/CMakeLists.txt ]]; then
        record build failed 0 "${RUN[facts]}" '' "$sources is missing: copy it beside test_tipc, or use --project"
        return 1
    fi
    run_step 'build configure' "${RUN[output_dir]}/build_configure.log" . \
        cmake -S "$sources" -B "$build" -DWARNINGS_AS_ERRORS=ON "$(engine_option)" || return
    EXPECT=is_program run_step 'build compile' "${RUN[output_dir]}/build_compile.log" . \
        cmake --build "$build" --parallel "$(nproc)"
}

engine_option() { # print where CMake finds the engine
    if [[ -n ${PADDLE_LIB:-} ]]; then
        echo "-DPADDLE_LIB=$PADDLE_LIB"
    elif [[ -n ${RUN[dry_run]} ]]; then
        echo '-DOpenVINO_DIR=…/site-packages/openvino/cmake'
    else
        echo "-DOpenVINO_DIR=$("${RUN[python]}" -c 'import openvino; print(openvino.__path__[0])')/cmake"
    fi
}

is_program() { # EXPECT of build compile
    [[ -x ${RUN[program]} ]] && return
    if [[ -n ${STEP[name]:-} ]]; then
        STEP[reason]="it left no ${RUN[program]}"
    else
        echo "error: there is no ${RUN[program]}; start with --stage 2"
    fi
    return 1
}

infer() { # VARIANT: what it saved is in a folder of the log's name
    local word
    choose_cpp_variant "$1"
    in_stage 3 || return 0
    RUN[saved]=${RUN[output_dir]}/${VARIANT[log]}
    COMMAND=("${RUN[program]}" -c "$(prediction_config)" -o "Global.inference_model_dir=${RUN[model_dir]}"
        -o "Global.infer_imgs=${RUN[images]}")
    for word in ${VARIANT[options]}; do COMMAND+=(-o "Global.$word"); done
    COMMAND+=(-o "Global.save_inputs=${RUN[saved]}/inputs.npy" -o "Global.save_outputs=${RUN[saved]}")
    FACTS=$(model_fact) MAY_SKIP=1 EXPECT=new_outputs run_step "infer ${VARIANT[name]}" "${RUN[saved]}.log" . "${COMMAND[@]}"
}

prediction_config() { # print the path of the one that the command of the config names, or else our own for the task
    local i task=cls
    [[ ${VALUE[kind]} != det ]] || task=det
    split_words "${VALUE[command]:-}"
    for ((i = 1; i < ${#WORDS[@]}; i++)); do
        [[ ${WORDS[i - 1]} != -c || ! -f ${WORDS[i]} ]] || { echo "${WORDS[i]}" && return; }
    done
    own_file "deploy/configs/inference_$task.yaml"
}

new_outputs() { # EXPECT of infer
    is_new "${RUN[saved]}/output_0.npy" && return
    STEP[reason]="it saved no outputs in ${RUN[saved]}"
    return 1
}

measure_latency() { # the same engine from C++ and from Python, in turns; a report, which nothing depends on
    in_stage 3 || return 0
    [[ -n $(passed_logs infer) ]] || return 0
    FACTS=$(model_fact) MAY_FAIL=1 run_step 'infer latency' "${RUN[output_dir]}/infer_latency.log" . \
        python "$(own_file "$LATENCY")" --program "${RUN[program]}" --inference_model_dir "${RUN[model_dir]}" \
        --images "${RUN[images]}"
}

agree() { # all that the program saved, in one step: the reference is computed once
    local variant log
    local -a runs=()
    in_stage 4 || return 0
    for variant in "${VARIANTS[@]}"; do
        choose_cpp_variant "$variant"
        log=${RUN[output_dir]}/${VARIANT[log]}.log
        ! passed_logs "infer ${VARIANT[name]}" | grep -qxF "$log" || runs+=("${VARIANT[name]// /_}=${log%.log}")
    done
    if ((${#runs[@]} == 0)); then
        not_run agree "nothing was predicted"
        return
    fi
    FACTS=$(model_fact) run_step agree "${RUN[output_dir]}/agree.log" . python "$(own_file "$COMPARE")" \
        --inference_model_dir "${RUN[model_dir]}" --images "${RUN[images]}" --save "${RUN[output_dir]}/agree.json" \
        "${runs[@]}"
}

plan_cpp() { # for --dry_run
    plan_only
    is_program() { :; }
    find_cpp_images() { RUN[images]=${VALUE[images]:-test_images}; }
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
