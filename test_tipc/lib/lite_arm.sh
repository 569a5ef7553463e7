#!/usr/bin/env bash
# Running the ARM model, where that can be done: on a device that adb sees, or emulated, with Paddle Lite's library for
# Linux on ARM. Nowhere else is it run, and the chain says so. Sourced after lite.sh. More names of RUN:
#   device         adb, qemu or here (this machine is one with ARM); empty where it cannot be run
#   no_device      why

declare -A RUN VALUE # see common_func.sh and config.sh

LITE_DEMO=deploy/lite # of the project, where it has one; the official test builds the program there, too
RUN_ON_DEVICE=$LITE_DEMO/run_on_device.sh

infer_arm() {
    if ! find_device; then
        skip_step 'infer arm' "the ARM model was NOT run here: ${RUN[no_device]}"
    elif ! has_demo || [[ ! -f $RUN_ON_DEVICE ]]; then
        RUN[device]=''
        skip_step 'infer arm' "the ARM model was NOT run here: there is no demo ($RUN_ON_DEVICE and its files)"
    else
        each_setting infer_on_device
    fi
}

find_device() { # sets RUN[device] and RUN[no_device]; fails where there is none
    local seen
    RUN[device]='' RUN[no_device]=''
    if seen=$(attached_device); then
        program_is_there || return
        RUN[device]=adb
        echo "note: adb sees the device $seen"
    elif [[ -n ${TIPC_LITE_LIB:-} ]]; then
        [[ -d $TIPC_LITE_LIB/cxx/include && -f $TIPC_LITE_LIB/cxx/lib/libpaddle_light_api_shared.so ]] ||
            die "TIPC_LITE_LIB=$TIPC_LITE_LIB: expected a folder with cxx/include and" \
                "cxx/lib/libpaddle_light_api_shared.so"
        if [[ $HOSTTYPE == aarch64 ]]; then
            RUN[device]=here
        elif command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-g++ >/dev/null; then
            RUN[device]=qemu
        else
            RUN[no_device]="no qemu-aarch64 or aarch64-linux-gnu-g++"
            RUN[no_device]+=" (Debian: apt-get install qemu-user g++-aarch64-linux-gnu)"
        fi
    else
        RUN[no_device]="adb sees no device, and TIPC_LITE_LIB names no library of Paddle Lite for Linux on ARM"
    fi
    [[ -n ${RUN[device]} ]]
}

attached_device() { # print the serial number of the device that adb talks to; fails where there is none
    command -v adb >/dev/null || return
    local serial
    serial=$(timeout 20 adb devices 2>/dev/null | awk -v wanted="${ANDROID_SERIAL:-}" \
        '$2 == "device" && (wanted == "" || $1 == wanted) { print $1; exit }')
    [[ -n $serial ]] && echo "$serial"
}

program_is_there() { # what a device needs, beside the model: built by hand, since it takes Android's compiler
    local file
    for file in "$LITE_DEMO/${RUN[program]}" "$LITE_DEMO/${VALUE[lite_arm_so_path]}"; do
        [[ ! -f $file ]] || continue
        RUN[no_device]="a device is attached, and $file is missing (see $LITE_DEMO/README.md)"
        return 1
    done
}

infer_on_device() { # THREADS BATCH_SIZE PRECISION
    local name
    name="infer arm ${RUN[device]} $(setting_of "$@")"
    local -a place=("${RUN[device]}" "$LITE_DEMO" "${TIPC_LITE_LIB:-}" "${RUN[output_dir]}/program_arm")
    if [[ $3 != FP32 ]]; then
        skip_step "$name" "a .nb of $3 is another model than the exported one, with which it cannot be compared to 1e-5"
        return
    fi
    [[ ${RUN[device]} != adb ]] || place=(adb "$LITE_DEMO/${RUN[program]}" "$LITE_DEMO/${VALUE[lite_arm_so_path]}" \
        "${VALUE[lite_arm_work_path]}")
    FACTS=$(model_fact) run_step "$name" "${RUN[output_dir]}/${name// /_}.log" . bash "$RUN_ON_DEVICE" \
        "${place[@]}" "${RUN[arm]}" "${RUN[demo_dir]}" "$1" "$2" "$(outputs_of arm "$@").bin"
}

agree_arm() {
    in_stage 3 || find_device
    [[ -z ${RUN[device]:-} ]] || each_setting agree_with_device
}

agree_with_device() { # THREADS BATCH_SIZE PRECISION
    local found name
    name="arm ${RUN[device]} $(setting_of "$@")"
    found=$(outputs_of arm "$@").bin
    if was_skipped "infer $name"; then
        return
    elif ! has_outputs "$found"; then
        not_run "agree $name" "there are no outputs"
        return
    fi
    FACTS=$(model_fact) lib_step "agree $name" python lite_agree.py outputs arm \
        --expected "${RUN[program_dir]}/expected.npz" --found "$found" --inputs "${RUN[program_dir]}/inputs.npz" \
        --save "${RUN[output_dir]}/agree_${name// /_}_predictions"
}
