#!/usr/bin/env bash
# The serving dialect of PaddleOCR and insightface: a config that sets operators of the service, and tries every
# combination of the values. Sourced after serving_config.sh.
#
# A line `op.NAME.local_service_conf.SETTING:A|B` is known by its key, wherever it is; so are all lines of this dialect.
# SETTING is devices, use_mkldnn and thread_num (of the CPU), use_trt and precision (of a GPU), or model_config, which the
# chain fills in. A system of two models has lines --det_dirname, --rec_dirname and so on.

declare -A RUN KEY VALUE LINE DIALECT # see common_func.sh, config.sh and dialects.sh
declare -a VARIANTS MODELS            # see serving_config.sh
declare -A VARIANT

OP_KEY='^op\.([A-Za-z0-9_-]+)\.local_service_conf\.([A-Za-z0-9_]+)$'
MODEL_KEY='^--(([a-z][a-z0-9]*)_)?(dirname|serving_server|serving_client)$'
SETTINGS_OF_OPS=(devices use_mkldnn thread_num use_trt precision)

sets_operators() { # BLOCK: whether it has a line of an operator besides that of the devices, which other dialects have too
    local at
    for ((at = BLOCK_FIRST[$1]; at < BLOCK_FIRST[$1] + BLOCK_LINES[$1]; at++)); do
        [[ ${LINE_KEY[at]} != op.* || ${LINE_KEY[at]} == op.*.local_service_conf.devices ]] || return 0
    done
    return 1
}

read_op_config() { # BLOCK: sets KEY, VALUE and LINE by field, RUN[op], MODELS and VARIANTS
    local at field
    FIELDS=() KEY=() VALUE=() LINE=()
    DIALECT=([name]=paddleocr)
    for ((at = BLOCK_FIRST[$1]; at < BLOCK_FIRST[$1] + BLOCK_LINES[$1]; at++)); do
        [[ ${LINE_TEXT[at]} == *:* ]] ||
            die "$CONFIG_FILE:${LINE_NUMBER[at]}: expected key:value, found '${LINE_TEXT[at]:0:200}'"
        field_of_line "$at"
        field=$REPLY
        [[ -z ${LINE[$field]:-} ]] ||
            die "$CONFIG_FILE:${LINE_NUMBER[at]}: '${LINE_KEY[at]}' is there twice; the first is line ${LINE[$field]}"
        KEY[$field]=${LINE_KEY[at]} VALUE[$field]=${LINE_VALUE[at]} LINE[$field]=${LINE_NUMBER[at]}
        FIELDS+=("$field")
    done
    take_models
    need_op_lines
    [[ -n ${RUN[dry_run]:-} ]] || check_it_can_be_compared
    check_serving_keys
    RUN[model]=${VALUE[model_name]}
    check_operators
    read_variants
}

field_of_line() { # INDEX of LINE_KEY: sets REPLY to the name of its field; exits for a key that is not known
    local key=${LINE_KEY[$1]}
    REPLY=$key
    case $key in
        model_name | python | trans_model | serving_dir | web_service | inference_model_url) ;;
        --model_filename | --params_filename | --batch_size) REPLY=${key#--} ;;
        pipline | pipeline) REPLY=pipeline ;;
        op.*) field_of_operator "$1" ;;
        --im*) REPLY=image ;; # the client's own option: image_dir, img_path, …
        *)
            [[ ! $key =~ $MODEL_KEY ]] || { REPLY=${key#--} && return; }
            die "$CONFIG_FILE:${LINE_NUMBER[$1]}: unknown key '$key'; expected one of: model_name python trans_model" \
                "--dirname --model_filename --params_filename --serving_server --serving_client serving_dir web_service" \
                "op.NAME.local_service_conf.SETTING pipline --image_dir --batch_size"
            ;;
    esac
}

field_of_operator() { # INDEX of LINE_KEY: sets REPLY to SETTING, or model_config.NAME; and RUN[op] to the operator that is set
    local key=${LINE_KEY[$1]} number=${LINE_NUMBER[$1]} name setting
    [[ $key =~ $OP_KEY ]] ||
        die "$CONFIG_FILE:$number: expected 'op.NAME.local_service_conf.SETTING:…', found '${key:0:200}:…'"
    name=${BASH_REMATCH[1]} setting=${BASH_REMATCH[2]} REPLY=${BASH_REMATCH[2]}
    if [[ $setting == model_config ]]; then
        REPLY=model_config.$name
        return
    fi
    [[ " ${SETTINGS_OF_OPS[*]} " == *" $setting "* ]] ||
        die "$CONFIG_FILE:$number: unknown setting '$setting'; expected one of: ${SETTINGS_OF_OPS[*]} model_config"
    RUN[op]=${RUN[op]:-$name}
    [[ ${RUN[op]} == "$name" ]] ||
        die "$CONFIG_FILE:$number: the lines before set the operator '${RUN[op]}', and this one '$name'; expected one operator"
}

take_models() { # sets MODELS; the fields of an only model get the names that they have in the other dialects
    local field model part
    MODELS=()
    for field in "${FIELDS[@]}"; do
        [[ $field == *dirname && ${VALUE[$field]} != @(null|) ]] || continue
        MODELS+=("${field%dirname}")
    done
    ((${#MODELS[@]} > 0)) || die "$CONFIG_FILE:$(last_line): the line '--dirname:FOLDER' is missing"
    for model in "${MODELS[@]}"; do
        for part in dirname serving_server serving_client; do
            [[ -n ${LINE[$model$part]:-} ]] || die "$CONFIG_FILE:$(last_line): the line '--$model$part:FOLDER' is missing"
        done
    done
    model=${MODELS[0]}
    for part in dirname serving_server serving_client; do
        KEY[$part]=--$part VALUE[$part]=${VALUE[$model$part]} LINE[$part]=${LINE[$model$part]}
    done
}

need_op_lines() { # the lines without which there is nothing to run
    local field
    for field in model_name trans_model model_filename params_filename serving_dir web_service pipeline; do
        [[ -n ${LINE[$field]:-} ]] || die "$CONFIG_FILE:$(last_line): the line '$field:…' is missing"
    done
    for field in "${SETTINGS_OF_OPS[@]}"; do
        [[ -n ${LINE[$field]:-} ]] ||
            die "$CONFIG_FILE:$(last_line): the line 'op.${RUN[op]:-NAME}.local_service_conf.$field:…' is missing"
    done
}

check_operators() { # every operator that the config names is one of the service
    local config field
    local -a known
    config=$(service_config)
    if [[ ! -r $config ]]; then
        [[ -n ${RUN[dry_run]:-} ]] || die "$config: the service's config cannot be read"
        return
    fi
    mapfile -t known < <(operators "$config")
    for field in "${FIELDS[@]}"; do
        [[ ${KEY[$field]} =~ $OP_KEY && " ${known[*]} " != *" ${BASH_REMATCH[1]} "* ]] || continue
        die "$CONFIG_FILE:${LINE[$field]}: the service has no operator '${BASH_REMATCH[1]}'; $config has: ${known[*]:-none}"
    done
}

# ------------------------------------------------------------------------------------------------- the combinations

read_variants() { # sets VARIANTS: a name for each combination, as the official logs have it
    local device
    [[ -n ${LINE[batch_size]:-} ]] || VALUE[batch_size]=1
    check_list use_mkldnn 'True|False' 'True or False'
    check_list thread_num '[1-9][0-9]{0,3}' 'a number of threads'
    check_list use_trt 'True|False' 'True or False'
    check_list precision 'fp32|fp16|int8' 'fp32, fp16 or int8'
    check_list batch_size '[1-9][0-9]{0,3}' 'a number of images'
    read_op_devices
    VARIANTS=()
    for device in "${DEVICES[@]}"; do
        if [[ $device == cpu ]]; then
            add_variants cpu_usemkldnn threads use_mkldnn thread_num
        else
            add_variants gpu_usetrt precision use_trt precision
        fi
    done
}

check_list() { # FIELD REGEX EXPECTED: its values, each of which is there once; quotes are taken off
    local value seen=' '
    split_bars "${VALUE[$1]//[\"\']/}"
    for value in "${ENTRIES[@]}"; do
        [[ $value =~ ^($2)$ ]] || die "$CONFIG_FILE:${LINE[$1]}: '${KEY[$1]}': expected $3, found '${value:0:200}'"
        [[ $seen != *" $value "* ]] || die "$CONFIG_FILE:${LINE[$1]}: '${KEY[$1]}': '$value' is there twice"
        seen+="$value "
    done
    VALUE[$1]=$(IFS='|' && echo "${ENTRIES[*]}")
}

add_variants() { # PREFIX WORD FIELD FIELD: one for each combination of the fields' values and the batch sizes
    local line first second size
    combine "$3" "$4" batch_size
    for line in "${COMBINATIONS[@]}"; do
        IFS=$'\t' read -r first second size <<<"$line"
        VARIANTS+=("$1_${first}_$2_${second}_batchsize_$size")
    done
}

read_op_devices() { # sets DEVICES and the number of the GPU; `gpu` is the first one
    VALUE[device]=${VALUE[devices]} KEY[device]=${KEY[devices]} LINE[device]=${LINE[devices]}
    split_bars "${VALUE[device]}"
    local i
    for i in "${!ENTRIES[@]}"; do [[ ${ENTRIES[i]} != gpu ]] || ENTRIES[i]=0; done
    VALUE[device]=$(IFS='|' && echo "${ENTRIES[*]}")
    take_devices
}

choose_op_variant() { # NAME of VARIANTS: sets VARIANT, as serving_config.sh says
    local -a part
    IFS=_ read -r -a part <<<"$1"
    VARIANT=([name]=$1 [device]=${part[0]} [batch_size]=${part[6]} [skip]='')
    if [[ ${part[0]} == cpu ]]; then
        local engine=paddle onednn=off
        [[ ${part[2]} != True ]] || engine=onednn onednn=on
        VARIANT[options]="devices= device_type=0 use_mkldnn=${part[2]} thread_num=${part[4]}"
        VARIANT[expected]="oneDNN=$onednn threads=${part[4]}"
        VARIANT[reference]="engine=$engine cpu_num_threads=${part[4]}"
        return
    fi
    local engine=gpu type=1 library=GPU
    [[ ${part[2]} != True ]] || engine=tensorrt type=2 library=TensorRT
    VARIANT[options]="devices=${RUN[gpu]} device_type=$type use_trt=${part[2]} precision=${part[4]}"
    VARIANT[expected]="$library=on precision=${part[4]}"
    VARIANT[reference]="engine=$engine use_gpu=True gpu_id=${RUN[gpu]} batch_size=${part[6]}"
    [[ ${part[4]} == fp32 ]] || VARIANT[reference]+=" use_${part[4]}=True"
    [[ ${part[4]} == fp32 || ${part[2]} == True ]] || VARIANT[skip]="precision ${part[4]} is TensorRT's, and use_trt is False"
    [[ -n ${VARIANT[skip]} ]] || ((RUN[gpus] > 0)) || VARIANT[skip]="no GPU that this Paddle can use"
    [[ -n ${VARIANT[skip]} || ${part[4]} != int8 ]] || is_quantised || VARIANT[skip]="int8 needs a quantised model"
}

is_quantised() { # whether the structure of the model has operators of quantisation
    local structure
    structure=$(structure_in "${RUN[model_dir]}") && grep -q -a -i quantize "${RUN[model_dir]}/$structure"
}

leave_out_cpp() { # python:python3.7|cpp names a second server, which answers with another client
    split_bars "${VALUE[python]:-}"
    [[ " ${ENTRIES[*]} " == *' cpp '* ]] && in_stage 3 || return 0
    skip_step "server cpp" "python:…|cpp is the C++ (brpc) server, which this chain does not run"
}

check_it_can_be_compared() { # exits with the reason where only the plan can be had
    local model=${MODELS[0]}
    ((${#MODELS[@]} == 1)) ||
        die "$CONFIG_FILE:${LINE[${MODELS[1]}dirname]}: a system of ${#MODELS[@]} models (${MODELS[*]%_}), whose answers" \
            "this chain cannot compare; --dry_run prints the plan"
    [[ -z $model || $model == "${RUN[op]}_" ]] ||
        die "$CONFIG_FILE:${LINE[devices]}: the lines op.${RUN[op]}.… would have no effect: the model is that of" \
            "op.${model%_} (--${model}dirname); --dry_run prints the plan"
}
