#!/usr/bin/env bash
# Read configs as their chain reads them, and print what its lines mean; nothing is run. For run_lint.py.
#
#   bash test_tipc/lib/lint/read.sh CHAIN <LIST
#   printf '%s\037%s\037plan\037whole_infer\n' "$PWD/config.txt" "$PWD" |
#       bash test_tipc/lib/lint/read.sh train_inference_python
#
# CHAIN is the name of a script test_tipc/test_<name>.sh. A line of LIST has, with \037 between: the absolute path of a
# config; that of its project; where the commands are wanted, `plan` and further modes that have commands of their own;
# and the modes in which its values are to be checked. Printed for each, with tabs between:
#   F PATH                begins a config
#   K DIALECT             its dialect
#   L NUMBER FIELD        a line, and the name of what it is for
#   N TEXT                a note of the reader
#   E TEXT                why the chain refuses it
#   M MODE TEXT           why it refuses it in that mode; empty text where it does not
#   P FOLDER COMMAND      a command of the chain, quoted for a shell, and the folder in which it is run
# Exit code: 0 all were read, 1 CHAIN is not known.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154 # variables are those of the chain, in a shell of its own for each config

set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CHAIN=$1

[[ $CHAIN =~ ^[a-z0-9_]+$ && -f $HERE/test_$CHAIN.sh ]] || {
    echo "error: unknown chain '$CHAIN'" >&2
    exit 1
}
# shellcheck source=/dev/null
source "$HERE/test_$CHAIN.sh"

declare -A MODE_OF=([serving]=serving_infer [paddle2onnx]=paddle2onnx_infer [lite_arm_cpu_cpp]=lite_arm_cpu_cpp
    [inference_cpp]=cpp_infer [serving_infer_cpp]=serving_infer_cpp)
declare -A READER=([serving]=read_serving_config [paddle2onnx]=read_onnx_config [lite_arm_cpu_cpp]=read_lite_config
    [inference_cpp]=read_cpp_config [serving_infer_cpp]=read_cpp_config)

read_all() {
    local path project plan modes
    ! declare -F load_dialects >/dev/null || load_dialects
    while IFS=$'\037' read -r path project plan modes; do # a blank would make one of several
        printf 'F\t%s\n' "$path"
        ROOT=$project
        if [[ $CHAIN == train_inference_python ]]; then
            read_training "$path" "$plan" "$modes"
        else
            read_deployment "$path" "$plan"
        fi
    done
}

read_training() { # PATH PLAN MODES
    local mode part planned=''
    (
        refuse
        cd "$ROOT" || exit
        [[ -n $2 ]] || RUN[stop_stage]=0 # without the project, no file that the config expects is there
        read_config "$1"
        choose_dialect
        printf 'K\t%s\n' "${DIALECT[name]}"
        print_reader_notes
        config_parts
        for part in "${PARTS[@]}"; do
            name_lines "$part"
            print_fields
        done
        CONFIG_NOTES=() # name_lines says of every part what was said above
        exec 3>&1
        for mode in $3; do
            RUN[mode]=$mode RUN[config]=$1
            (
                found=''
                die() { found=1 && printf "M\t%s\t%s\n" "$mode" "$*" >&3; } # and go on: all that is wrong is wanted
                take_parts >/dev/null
                take_expected
                print_reader_notes
                [[ -n $found ]] || printf 'M\t%s\t\n' "$mode"
            )
        done
    ) 2>/dev/null
    [[ -n $2 ]] || return 0
    for mode in lite_train_lite_infer whole_infer; do
        planned=$(print_plan "$1" "$mode")
        [[ -z $planned ]] || break
    done
    printf '%s\n' "$planned"
    for mode in ${2#plan}; do print_plan "$1" "$mode"; done
}

read_deployment() { # PATH PLAN
    (
        refuse
        print_notes() { print_reader_notes; }
        RUN[mode]=${MODE_OF[$CHAIN]} RUN[config]=$1 RUN[dry_run]=1
        [[ -n $2 ]] || first_operator() { echo op; } # without the project, its service is not there to be looked at
        cd "$ROOT" || exit
        "${READER[$CHAIN]}"
        printf 'K\t%s\n' "${DIALECT[name]}"
        print_fields
    ) 2>/dev/null
    [[ -z $2 ]] || print_plan "$1" "${MODE_OF[$CHAIN]}"
}

refuse() { # from now on the first error ends the reading of a config
    die() { printf 'E\t%s\n' "$*" && exit 1; }
}

print_fields() {
    local field
    for field in "${FIELDS[@]}"; do
        [[ -z ${LINE[$field]:-} ]] || printf 'L\t%s\t%s\n' "${LINE[$field]}" "$field"
    done
}

print_reader_notes() {
    ((${#CONFIG_NOTES[@]} == 0)) || printf 'N\t%s\n' "${CONFIG_NOTES[@]}"
    CONFIG_NOTES=()
}

print_plan() { # PATH MODE: as --dry_run prints it, but for what the chain compares by itself
    local line own='prepare|agree|converge|expected'
    local -A printed=()
    [[ $CHAIN != serving_infer_cpp ]] || own+='|client' # which gets the chain's own options
    while IFS= read -r line; do
        [[ ! $line =~ ^($own) && $line =~ ^[a-z][^:]*:\ \(in\ ([^\)]*)\)\ (.*)$ ]] || continue
        line=${BASH_REMATCH[1]}$'\t'${BASH_REMATCH[2]}
        [[ -n ${printed[$line]:-} ]] || printf 'P\t%s\n' "$line"
        printed[$line]=1
    done < <(
        count_gpus() { echo 8; } # what a GPU would run is planned, too
        # a wrong value, of which M told, does not end the plan
        die() { [[ $CHAIN == train_inference_python && -n ${LINE[model_name]:-} ]] || exit 1; }
        main "$1" "$2" --dry_run --project "$ROOT" 2>/dev/null
    )
}

read_all
