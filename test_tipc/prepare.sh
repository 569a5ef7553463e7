#!/usr/bin/env bash
# Set up what a chain needs: the Python environment, the data, the provided weights.
#
#   bash test_tipc/prepare.sh CONFIG MODE [--project FOLDER]
#   bash test_tipc/prepare.sh test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt lite_train_lite_infer
#
# MODE is a mode of the base chain, or serving_infer. The project is the folder that holds test_tipc/, or --project's.
# Environment: .venv with the packages of the project's requirements.txt (and of requirements-serving.txt, to serve), or
# with those of lib/lane.txt where it has none. What could not be installed as the list has it is said in a line
# `note: ` each. TIPC_PYTHON=/path/to/python uses that interpreter's environment unchanged.
# Data: the folder lite_data from lite_data.tar (or the one in test_images/ or test_tipc/), where only the archive is
# there; then the project's own test_tipc/prepare_data.sh CONFIG MODE, where there is one, with TIPC_PYTHON set.
# What is complete is kept; what was interrupted is made again.
# Exit code: 0 everything is ready, 1 something could not be set up (one line says what).

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/packages.sh
source "$TIPC/lib/packages.sh"

ARCHIVES=(lite_data.tar test_images/lite_data.tar test_tipc/lite_data.tar)

main() {
    parse_options '--project=.+=a folder' -- "$@"
    ((${#ARGUMENTS[@]} == 2)) || die "usage: bash test_tipc/prepare.sh CONFIG MODE (see --help)"
    RUN[mode]=${ARGUMENTS[1]}
    is_mode "${RUN[mode]}" || [[ ${RUN[mode]} == serving_infer ]] ||
        die "unknown mode '${RUN[mode]}'; expected one of: ${MODES[*]} serving_infer"
    choose_project
    VENV=$ROOT/.venv
    find_config "${ARGUMENTS[0]}"
    read_config "${RUN[config]}"
    prepare_python
    [[ ${RUN[mode]} != serving_infer ]] || prepare_serving
    find_python
    [[ ${RUN[mode]} != whole_infer ]] || prepare_weights
    prepare_data
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

prepare_weights() { # the weights for whole_infer must be present: nothing is downloaded
    local weights
    weights=$(weights_for_whole_infer) || exit 1
    [[ -z $weights || -f $weights ]] || die "${RUN[config]}: the provided weights are not there; put them at $weights"
}

main "$@"
