#!/usr/bin/env bash
# What the steps of test_lite_arm_cpu_cpp.sh need. Sourced after exported.sh, prepare_lite.sh and lite_config.sh. Names
# of RUN, besides theirs:
#   program_dir    the copy of the exported program, the inputs, and what Paddle computes of them
#   demo_dir       the files of the demo: config.txt, the labels, and the images without compression
#   arm x86        the two .nb files

declare -A RUN KEY VALUE # see common_func.sh and config.sh
declare -a LITE_IMAGES   # see lite_config.sh

WRITE_DEMO=deploy/lite/write_demo.py CHECK_DEMO=deploy/lite/check_demo.py # of the project, where it has them

name_lite_files() {
    RUN[tag]=''
    RUN[program_dir]=${RUN[output_dir]}/program RUN[demo_dir]=${RUN[output_dir]}/demo
    RUN[arm]=${RUN[output_dir]}/${RUN[model]}.nb RUN[x86]=${RUN[output_dir]}/${RUN[model]}_x86.nb
}

lib_step() { # NAME INTERPRETER SCRIPT WORD...: run a script of lib/; the log is named after the step
    run_step "$1" "${RUN[output_dir]}/${1// /_}.log" . "$2" "$(tool "lib/$3")" "${@:4}"
}

# ------------------------------------------------------------------------------------------------------ the conversion

convert_demo() { # the files that the demo reads on the device, and the inputs as the project prepares them
    if [[ ! -f $WRITE_DEMO ]]; then
        skip_step 'convert demo' "the project has no $WRITE_DEMO, which writes the files of the demo"
    elif ! has_recipe; then
        skip_step 'convert demo' "there is no inference.yml in ${RUN[model_dir]}, which says how images are prepared"
    else
        MAY_SKIP=1 FACTS=$(model_fact) run_step 'convert demo' "${RUN[output_dir]}/convert_demo.log" . \
            python "$WRITE_DEMO" "${RUN[model_dir]}" --images "${LITE_IMAGES[@]}" \
            --nb "${RUN[model]}.nb" --output "${RUN[demo_dir]}"
    fi
}

has_recipe() { # whether the model says how its images are prepared
    [[ -f ${RUN[model_dir]}/inference.yml ]]
}

convert_program() { # a copy that opt can read, proven equal to the model
    local -a inputs=(--images "${LITE_IMAGES[@]}")
    ! has_inputs || inputs=(--inputs "${RUN[demo_dir]}/inputs.npz")
    FACTS=$(model_fact) lib_step 'convert program' python lite_program.py "${RUN[model_dir]}" "${inputs[@]}" \
        --output "${RUN[program_dir]}"
}

convert_for() { # TARGET
    EXPECT=new_nb TARGET=$1 FACTS=$(model_fact) lib_step "convert $1" "${RUN[lite_python]}" lite_opt.py \
        "${RUN[program_dir]}" --target "$1" --output "${RUN[$1]}"
}

new_nb() { # EXPECT of convert
    is_new "${RUN[$TARGET]}" && return
    STEP[reason]="it has not written ${RUN[$TARGET]}"
    return 1
}

# ----------------------------------------------------------------------------------------------------- the x86 twin

infer_x86() { # THREADS BATCH_SIZE PRECISION
    local name
    name="infer x86 $(setting_of "$@")"
    if [[ $3 != FP32 ]]; then
        skip_step "$name" "a .nb of $3 is another model than the exported one, with which it cannot be compared to 1e-5"
    elif (($1 > 1)); then
        skip_step "$name" "Paddle Lite's Python interface computes a .nb on x86 with 1 thread, whatever is set"
    else
        FACTS=$(model_fact) lib_step "$name" "${RUN[lite_python]}" lite_run.py "${RUN[x86]}" \
            --inputs "${RUN[program_dir]}/inputs.npz" --batch_size "$2" --save "$(outputs_of x86 "$@").npz"
    fi
}

setting_of() { # THREADS BATCH_SIZE PRECISION: print how the names of its steps end
    echo "precision_$3 batchsize_$2 threads_$1"
}

outputs_of() { # PROCESSOR THREADS BATCH_SIZE PRECISION: print the path of what was computed, without its ending
    echo "${RUN[output_dir]}/outputs_$1_$4_$3_$2"
}

agree_x86() { # THREADS BATCH_SIZE PRECISION
    local name found
    name="x86 $(setting_of "$@")"
    found=$(outputs_of x86 "$@").npz
    if was_skipped "infer $name"; then
        return
    elif ! has_outputs "$found"; then
        not_run "agree $name" "there are no outputs"
        return
    fi
    FACTS=$(model_fact) lib_step "agree $name" python lite_agree.py outputs x86 \
        --expected "${RUN[program_dir]}/expected.npz" --found "$found" --inputs "${RUN[program_dir]}/inputs.npz" \
        --save "${RUN[output_dir]}/agree_${name// /_}_predictions"
}

has_outputs() { # FILE
    [[ -f $1 ]]
}

agree_weights() { # nothing of the ARM model is run for this
    FACTS=$(model_fact) lib_step 'agree weights' python lite_agree.py weights --arm "${RUN[arm]}" --x86 "${RUN[x86]}" \
        --params "${RUN[program_dir]}/model.pdiparams"
}

# ---------------------------------------------------------------------------------------------------------- the demo

has_inputs() { # whether the project has prepared the images itself
    [[ -f ${RUN[demo_dir]}/inputs.npz ]]
}

has_demo() { # whether there are the files that the demo reads
    [[ -f ${RUN[demo_dir]}/config.txt ]]
}

agree_demo() { # the demo's own preparing of images, and its lines, on an emulated ARM processor
    if ! has_demo; then
        skip_step 'agree demo' "there are no files of the demo"
    elif [[ ! -f $CHECK_DEMO ]]; then
        skip_step 'agree demo' "the project has no $CHECK_DEMO"
    else
        MAY_SKIP=1 FACTS=$(model_fact) run_step 'agree demo' "${RUN[output_dir]}/agree_demo.log" . \
            python "$CHECK_DEMO" "${RUN[demo_dir]}" --expected "${RUN[program_dir]}/expected.npz"
    fi
}
