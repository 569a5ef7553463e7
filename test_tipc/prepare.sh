#!/usr/bin/env bash
# Set up what a chain needs: the Python environment, the data, the provided weights.
#
#   bash test_tipc/prepare.sh CONFIG MODE [--project FOLDER]
#   bash test_tipc/prepare.sh test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt lite_train_lite_infer
#
# MODE is a mode of the base chain, or that of another chain, such as serving_infer. The project is the folder that
# holds test_tipc/, or --project's.
# Environment: .venv with the packages of the project's requirements.txt (and of requirements-serving.txt, to serve), or
# with those of lib/lane.txt where it has none. What could not be installed as the list has it is said in a line
# `note: ` each. TIPC_PYTHON=/path/to/python uses that interpreter's environment unchanged.
# Data: the folder lite_data from lite_data.tar (or the one in test_images/ or test_tipc/), where only the archive is
# there; then the project's own test_tipc/prepare_data.sh CONFIG MODE, where there is one, with TIPC_PYTHON set.
# Weights, for whole_infer: where the config has an address, the file is fetched into pretrain_models/ (an archive of an
# exported model is unpacked), continued after a cut, and checked; TIPC_MIRROR=ADDRESS replaces the servers of all
# addresses. A file that you have put there yourself is taken.
# What is complete is kept; what was interrupted is made again.
# Exit code: 0 everything is ready, 1 something could not be set up, 77 a chain needs what this machine does not have (one
# line says what).

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/packages.sh
source "$TIPC/lib/packages.sh"
# shellcheck source=test_tipc/lib/prepare_serving_cpp.sh
source "$TIPC/lib/prepare_serving_cpp.sh"
# shellcheck source=test_tipc/lib/prepare_onnx.sh
source "$TIPC/lib/prepare_onnx.sh"
# shellcheck source=test_tipc/lib/prepare_lite.sh
source "$TIPC/lib/prepare_lite.sh"
# shellcheck source=test_tipc/lib/cpp_config.sh
source "$TIPC/lib/cpp_config.sh"
# shellcheck source=test_tipc/lib/prepare_cpp.sh
source "$TIPC/lib/prepare_cpp.sh"

ARCHIVES=(lite_data.tar test_images/lite_data.tar test_tipc/lite_data.tar)

main() {
    parse_options '--project=.+=a folder' -- "$@"
    ((${#ARGUMENTS[@]} == 2)) || die "usage: bash test_tipc/prepare.sh CONFIG MODE (see --help)"
    RUN[mode]=${ARGUMENTS[1]}
    is_mode "${RUN[mode]}" || is_deployment "${RUN[mode]}" ||
        die "unknown mode '${RUN[mode]}'; expected one of: ${MODES[*]} ${DEPLOYMENTS[*]}"
    choose_project
    VENV=$ROOT/.venv
    find_config "${ARGUMENTS[0]}"
    if [[ ${RUN[mode]} == cpp_infer ]]; then read_cpp_lines "${RUN[config]}"; else read_config "${RUN[config]}"; fi
    prepare_python
    case ${RUN[mode]} in
        serving_infer | serving_infer_cpp) prepare_serving ;;
        paddle2onnx_infer) prepare_onnx ;;
        *) ! makes_int8 || prepare_int8 ;;
    esac
    find_python
    case ${RUN[mode]} in
        whole_infer) prepare_weights ;;
        serving_infer) prepare_exported_model --dirname ;;
        serving_infer_cpp) prepare_exported_model --dirname && prepare_cpp_server ;;
        paddle2onnx_infer) prepare_exported_model --model_dir ;;
        lite_arm_cpu_cpp) prepare_lite ;;
        cpp_infer) prepare_cpp ;;
    esac
    prepare_data
}

makes_int8() { # whether a command of the config makes an INT8 model by way of ONNX
    [[ $(config_declares engines) == *onnx* ]] && return
    [[ $(value_of pact_train || echo null) != null && -n $(config_declares int8) ]]
}

prepare_int8() { # in .venv; in another environment, and where there are no wheels, the steps that need it are skipped
    [[ -n ${TIPC_PYTHON:-} ]] || (prepare_onnx) || (($? == 77)) || exit 1
}

prepare_python() {
    local -a modules
    if [[ -n ${TIPC_PYTHON:-} ]]; then
        find_python
        mapfile -t modules < <(config_declares modules | tr , '\n')
        ((${#modules[@]} > 0)) || modules=(paddle numpy)
        check_modules "${RUN[python]} -m pip install -r $(list_of_packages)" "${modules[@]}"
    elif venv_is_ready; then
        print_venv_notes
    else
        lock_project ".venv is being set up"
        if venv_is_ready; then print_venv_notes; else build_venv; fi
    fi
}

lock_project() { # WHY: one run at a time changes the project; the lock is held to the end of this one
    [[ -z ${RUN[lock]:-} ]] || return 0
    take_lock "$VENV.lock" "$1"
    guard "$VENV.lock"
}

prepare_data() {
    local archive script=test_tipc/prepare_data.sh
    for archive in "${ARCHIVES[@]}"; do
        [[ -f $archive && ! -e lite_data && ! -L lite_data ]] || continue
        lock_project "lite_data is being unpacked"
        run_in_group 1 2 "${RUN[python]}" "$TIPC/lib/unpack.py" "$archive" lite_data || exit 1
    done
    [[ ! -f $script ]] || run_data_script "$script"
}

run_data_script() { # SCRIPT
    local status
    lock_project "the data are being prepared"
    export TIPC_PYTHON=${RUN[python]}
    run_in_group 1 2 bash "$1" "${RUN[config]}" "${RUN[mode]}"
    status=$?
    ((status == 0)) && return
    [[ $(declared says "$1") == errors ]] || die "$1 ${RUN[config]} ${RUN[mode]}: failed with exit code $status"
    exit 1
}

prepare_weights() { # what whole_infer starts from: weights, and exported models; where the config has an address, fetch it
    local weights value
    local -a archives
    weights=$(weights_for_whole_infer) || exit 1
    value=$(value_for_whole_infer)
    if is_address "$value"; then
        fetch "$value" "$weights" || exit 1
    elif [[ -n $weights && ! -e $weights && ! -e $weights.pdparams ]]; then
        die "${RUN[config]}: the provided weights are not there; put them at $weights"
    fi
    mapfile -t archives < <(archives_for_whole_infer 2>/dev/null)
    for value in "${archives[@]}"; do
        see_place "$value"
        fetch "$value" "$REPLY" || exit 1
    done
}

prepare_exported_model() { # KEY of its folder: the exported model of a config of deployment, if it has the address
    local address folder
    address=$(value_of inference_model_url) && is_address "$address" && folder=$(value_of "$1") || return 0
    [[ -n $folder && ! -e $folder ]] || return 0
    fetch "$address" "$folder" || echo "note: ${folder} could not be fetched; what the base chain exports is taken instead"
}

fetch() { # ADDRESS PLACE: bring its file there, or the folder of its archive; what is there is kept
    local -a unpacked=()
    [[ $2 == pretrain_models/* ]] || unpacked=(--unpack "${2%/}")
    lock_project "what ${RUN[config]} names is being fetched"
    run_in_group 1 2 "${RUN[python]}" "$TIPC/lib/fetch.py" "$1" pretrain_models "${unpacked[@]}"
}

main "$@"
