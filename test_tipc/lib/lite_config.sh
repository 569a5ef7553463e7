#!/usr/bin/env bash
# The meaning of each line of a lite_arm_cpu_cpp.txt, which has the form of PaddleClas and of PaddlePaddle/models: eight
# lines without a title. Two more lines may follow, which the official files do not have. Sourced after common_func.sh.

declare -A RUN KEY VALUE LINE DIALECT # see common_func.sh, config.sh and dialects.sh

LITE_LINES=(runtime_device lite_arm_work_path lite_arm_so_path clas_model_file inference_cmd num_threads_list
    batch_size_list precision_list)
LITE_MORE=(inference_model_dir infer_imgs) # the folder of the exported model; images and folders of images

declare -a WORDS=() ENTRIES=() # see command.sh and config.sh
declare -a LITE_IMAGES=()      # the images that are computed

read_lite_config() { # read and check RUN[config]; sets RUN[model], LITE_IMAGES and the values of all lines
    local field
    read_config "${RUN[config]}"
    print_notes
    [[ ${BLOCK_TITLE[0]} == lite_params ]] ||
        die "$CONFIG_FILE:1: expected '$UNTITLED…', found ===${BLOCK_TITLE[0]}===; is this for another chain?"
    name_fields 0 "${LITE_LINES[@]}"
    name_more_lines
    for field in "${LITE_LINES[@]}"; do
        [[ ${KEY[$field]#--} == "$field" ]] ||
            die "$CONFIG_FILE:${LINE[$field]}: expected '$field:…', found '${KEY[$field]}:…'; is a line missing or" \
                "added?"
    done
    check_needed "${LITE_LINES[@]}"
    check_lite_values
    DIALECT=([name]=lite)
    name_lite_model
}

name_more_lines() { # the lines behind the official ones, by their keys
    local at key
    for ((at = ${#LITE_LINES[@]}; at < ${#LINE_TEXT[@]}; at++)); do
        key=${LINE_KEY[at]}
        is_one_of "$key" "${LITE_MORE[@]}" ||
            die "$CONFIG_FILE:${LINE_NUMBER[at]}: expected ${LITE_MORE[*]}, found '${LINE_TEXT[at]:0:99}'"
        KEY[$key]=$key VALUE[$key]=${LINE_VALUE[at]} LINE[$key]=${LINE_NUMBER[at]}
    done
}

check_lite_values() {
    local field
    [[ ${VALUE[runtime_device]} == arm_cpu ]] ||
        die "$CONFIG_FILE:${LINE[runtime_device]}: runtime_device: expected arm_cpu, found" \
            "'${VALUE[runtime_device]:0:99}'"
    [[ ${VALUE[lite_arm_work_path]} =~ ^/[A-Za-z0-9._/+-]+$ ]] ||
        die "$CONFIG_FILE:${LINE[lite_arm_work_path]}: lite_arm_work_path: expected a folder of the device such as" \
            "/data/local/tmp/arm_cpu/, found '${VALUE[lite_arm_work_path]:0:99}'"
    split_words "${VALUE[inference_cmd]}" && ((${#WORDS[@]} == 3)) && [[ ${WORDS[*]} =~ ^[A-Za-z0-9._\ +-]+$ ]] ||
        die "$CONFIG_FILE:${LINE[inference_cmd]}: inference_cmd: expected PROGRAM CONFIG IMAGE, found" \
            "'${VALUE[inference_cmd]:0:99}'"
    RUN[program]=${WORDS[0]} RUN[sample]=${WORDS[2]}
    for field in num_threads_list batch_size_list; do
        [[ ${VALUE[$field]} =~ ^[1-9][0-9]{0,3}(\|[1-9][0-9]{0,3})*$ ]] ||
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}': expected numbers with | between, found" \
                "'${VALUE[$field]:0:99}'"
    done
    [[ ${VALUE[precision_list]} =~ ^(FP32|FP16|INT8)(\|(FP32|FP16|INT8))*$ ]] ||
        die "$CONFIG_FILE:${LINE[precision_list]}: '${KEY[precision_list]}': expected FP32, FP16 or INT8 with |" \
            "between, found '${VALUE[precision_list]:0:99}'"
}

name_lite_model() { # sets RUN[model], the folder of the exported model, and LITE_IMAGES
    VALUE[model_name]=${VALUE[clas_model_file]%.nb} LINE[model_name]=${LINE[clas_model_file]}
    check_model_name
    RUN[model]=${VALUE[model_name]}
    VALUE[inference_model_dir]=${VALUE[inference_model_dir]:-./deploy/models/${RUN[model]}_infer/}
    split_bars "${VALUE[infer_imgs]:-test_images}"
    LITE_IMAGES=("${ENTRIES[@]}")
}
