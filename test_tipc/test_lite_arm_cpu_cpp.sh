#!/usr/bin/env bash
# Certify a model for devices with an ARM processor: optimise it with Paddle Lite for ARM and, the same program, for
# x86; run the x86 twin here, and prove that it computes what Paddle computes; run the ARM model where a device is
# attached.
#
#   bash test_tipc/test_lite_arm_cpu_cpp.sh [CONFIG] [MODE] [--stage N] [--stop_stage N] [--evidence] [--project FOLDER]
#       [--dry_run] [--verbose]
#   bash test_tipc/test_lite_arm_cpu_cpp.sh test_tipc/configs/MobileNetV3_small_x1_0/lite_arm_cpu_cpp.txt
#
# CONFIG: that file by default; the official files, which have no title, are read as they are. MODE: lite_arm_cpu_cpp,
# the only one.
# Stages: 0 prepare, 1 model, 2 convert, 3 infer, 4 agree. --stage and --stop_stage choose from them; earlier stages
# must have left their files. --evidence renews test_log/<model>/lite_arm_cpu_cpp from this run.
# --project FOLDER certifies the exported model of another project, which its config names.
# TIPC_PYTHON=/path/to/python uses that interpreter for Paddle, TIPC_LITE_PYTHON=/path/to/python one that has Paddle
# Lite; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is kept with --evidence only).
# TIPC_LITE_LIB=FOLDER is Paddle Lite's library for ARM: of Android, with which the demo is built for a device that adb
# sees; or of Linux on ARM (inference_lite_lib.armlinux.armv8), with which it is built and run here by qemu-aarch64.
# --dry_run prints what would be run, and runs and writes nothing.
# On a terminal each step has one live line, with the whole output in its log; --verbose shows all output there.
# Leaves the two .nb files, logs, results_lite.log, summary.json and junit.xml in
# test_tipc/output/<model>/lite_arm_cpu_cpp/.
# Exit code: 0 every step passed (the last line says whether the ARM model was run), 1 a step failed or nothing could be
# run, 77 the model could not be run here at all (the last line says why), 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/exported.sh
source "$TIPC/lib/exported.sh"
# shellcheck source=test_tipc/lib/prepare_lite.sh
source "$TIPC/lib/prepare_lite.sh"
# shellcheck source=test_tipc/lib/lite_config.sh
source "$TIPC/lib/lite_config.sh"
# shellcheck source=test_tipc/lib/lite.sh
source "$TIPC/lib/lite.sh"
# shellcheck source=test_tipc/lib/lite_arm.sh
source "$TIPC/lib/lite_arm.sh"
# shellcheck source=test_tipc/lib/dry_run.sh
source "$TIPC/lib/dry_run.sh"
# shellcheck source=test_tipc/lib/lite_plan.sh
source "$TIPC/lib/lite_plan.sh"

STAGES=(prepare model convert infer agree)

main() {
    parse_chain_options '--project=.+=a folder' --dry_run -- "$@"
    ((${#ARGUMENTS[@]} <= 2)) || die "usage: bash test_tipc/test_lite_arm_cpu_cpp.sh [CONFIG] [MODE] (see --help)"
    RUN[mode]=${ARGUMENTS[1]:-lite_arm_cpu_cpp}
    [[ ${RUN[mode]} == lite_arm_cpu_cpp ]] || die "unknown mode '${RUN[mode]}'; expected lite_arm_cpu_cpp"
    find_config "${ARGUMENTS[0]:-$ROOT/test_tipc/configs/MobileNetV3_small_x1_0/lite_arm_cpu_cpp.txt}"
    read_lite_config
    [[ -z ${RUN[dry_run]} ]] || { plan_only && plan_lite; }

    begin_chain results_lite.log bash "$(tool prepare.sh)" "${RUN[config]}" "${RUN[mode]}" \
        ${RUN[project]:+--project "$ROOT"} # stage 0
    if find_lite; then describe_lite; fi
    note_inputs
    name_lite_files
    if ! find_exported_model "${VALUE[inference_model_dir]}" inference.pdmodel; then
        not_run convert infer agree "there is no exported model"
    elif ! can_convert; then
        skip_step convert "${RUN[no_lite]}"
    elif ! convert; then
        not_run infer agree "the conversion failed"
    else
        infer
        agree
        ARTEFACTS=("${RUN[model_dir]}" "${RUN[arm]}" "${RUN[x86]}")
    fi
    finish
}

can_convert() { # whether the model and this machine are such that opt can be run; sets RUN[no_lite] where not
    [[ ${RUN[structure]} != *.json ]] ||
        RUN[no_lite]="Paddle Lite reads .pdmodel, and the model is ${RUN[structure]}: export it with Paddle up to 3.1"
    [[ -z ${RUN[no_lite]} ]]
}

convert() { # stage 2: one program, for both processors
    in_stage 2 || return 0
    convert_demo
    convert_program && convert_for arm && convert_for x86
}

infer() { # stage 3
    in_stage 3 || return 0
    each_setting infer_x86
    infer_arm
}

agree() { # stage 4
    in_stage 4 || return 0
    each_setting agree_x86
    agree_weights
    agree_demo
    agree_arm
}

each_setting() { # FUNCTION: call it with each combination of threads, batch size and precision
    local line threads batch_size precision
    combine num_threads_list batch_size_list precision_list
    for line in "${COMBINATIONS[@]}"; do
        IFS=$'\t' read -r threads batch_size precision <<<"$line"
        "$1" "$threads" "$batch_size" "$precision"
    done
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
