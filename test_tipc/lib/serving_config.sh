#!/usr/bin/env bash
# The meaning of each line of a serving config, in the dialects of PaddleClas and of PaddlePaddle/models; that of
# PaddleOCR is in serving_ops.sh. Sourced after common_func.sh.
#
# Each variant of the service is started, asked, compared and stopped on its own. VARIANT is the current one:
#   name device          its name in logs and in the record; cpu or gpu
#   skip                 why it cannot be run here, or empty
#   options              words for the web service, behind op.NAME.local_service_conf.
#   expected             what has to be in effect then, as serving_effect.py takes it; nothing where the config sets nothing
#   reference            the same settings for predict_cls.py, behind Global.; with `expected` only
#   batch_size           images per request, where the config says it

declare -A RUN DIALECT # see common_func.sh and dialects.sh

declare -a DEVICES     # see service.sh
declare -a VARIANTS=() # the names of all variants; in the dialects of this file, the devices
declare -a MODELS=('') # the models that the service has, by the prefix of their lines
declare -A VARIANT=()

read_serving_config() { # read and check RUN[config]; sets RUN[model], RUN[op], RUN[gpu] and VARIANTS
    local block
    read_config "${RUN[config]}"
    print_notes
    block=$(find_block serving_params) || exit 1
    RUN[op]=''
    if sets_operators "$block"; then
        read_op_config "$block"
    else
        read_device_config "$block"
    fi
}

read_device_config() { # BLOCK: a config whose lines are known by their places
    local block=$1
    local -a names=(model_name python)
    [[ $(key_at "$block" 2) != inference_model_url ]] || names+=(inference_model_url) # PaddleClas has it
    names+=(trans_model dirname model_filename params_filename serving_server serving_client serving_dir web_service)
    name_fields "$block" "${names[@]}" pipeline # at least so many lines
    local at=${#names[@]}
    if ! [[ $(key_at "$block" "$at") =~ ^pip(e)?line$ ]]; then
        names+=(device)
        at=$((at + 1))
    fi
    while [[ $(key_at "$block" "$at") == null ]]; do
        names+=("free$at")
        at=$((at + 1))
    done
    names+=(pipeline)
    ((at + 1 >= BLOCK_LINES[block])) || names+=(image)
    [[ $(key_at "$block" $((at + 2))) != gallery ]] || names+=(gallery)
    FIELDS=()
    name_fields "$block" "${names[@]}"
    check_serving_keys
    RUN[model]=${VALUE[model_name]}
    DIALECT=([name]=paddleclas)
    [[ ${KEY[device]:-} != *local_service_conf* ]] || DIALECT[name]=models
    read_devices
}

key_at() { # BLOCK LINE: the key of a line of the block, counted from 0; fails after the last
    (($2 < BLOCK_LINES[$1])) && trim "${LINE_TEXT[BLOCK_FIRST[$1] + $2]%%:*}"
}

check_serving_keys() {
    local field
    local -a needed=(model_name trans_model dirname model_filename params_filename serving_server serving_client
        serving_dir web_service pipeline)
    check_fixed_keys model_name trans_model serving_dir web_service
    [[ ${KEY[pipeline]} =~ ^pip(e)?line$ ]] ||
        die "$CONFIG_FILE:${LINE[pipeline]}: expected 'pipline:…', found '${KEY[pipeline]}:…'; is a line missing or added?"
    for field in "${needed[@]}"; do
        check_needed "$field"
        split_words "${VALUE[$field]}" ||
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has a quote that is not closed"
    done
    check_model_name
    [[ -d ${VALUE[serving_dir]} || -n ${RUN[dry_run]:-} ]] ||
        die "$CONFIG_FILE:${LINE[serving_dir]}: serving_dir: there is no folder ${VALUE[serving_dir]:0:200}"
    for field in serving_server serving_client; do
        [[ $(basename -- "${VALUE[$field]}") =~ ^[A-Za-z0-9_] ]] ||
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}': expected a folder's name, found '${VALUE[$field]:0:200}'"
    done
    [[ $(basename -- "${VALUE[serving_server]}") != "$(basename -- "${VALUE[serving_client]}")" ]] ||
        die "$CONFIG_FILE:${LINE[serving_client]}: serving_server and serving_client need folders of different names"
}

read_devices() { # sets VARIANTS, the number of the GPU, and the operator's name
    local config
    split_words "${KEY[device]:-}"
    if [[ ${WORDS[*]: -1} =~ ^op\.([A-Za-z0-9_.-]+)\.local_service_conf\.devices$ ]]; then
        RUN[op]=${BASH_REMATCH[1]}
    else
        config=$(service_config) && RUN[op]=$(first_operator "$config") && [[ -n ${RUN[op]} ]] ||
            die "${VALUE[serving_dir]}/config.yml: expected an operator under op:"
    fi
    take_devices
    VARIANTS=("${DEVICES[@]}")
    add_gallery_variants
}

choose_variant() { # NAME of VARIANTS: sets VARIANT
    local options="device_type=0 devices=" device=${1#gallery_}
    if [[ ${DIALECT[name]} == paddleocr ]]; then
        choose_op_variant "$1"
        return
    fi
    [[ $device == cpu ]] || options="device_type=1 devices=${RUN[gpu]}"
    VARIANT=([name]=$1 [device]=$device [skip]='' [options]=$options [expected]='' [reference]='' [batch_size]='')
    choose_gallery "$1"
    [[ $device == cpu ]] || ((RUN[gpus] > 0)) || VARIANT[skip]="no GPU that this Paddle can use"
}

service_config() { # the config file that the web service reads
    local i
    split_words "${VALUE[web_service]}"
    for i in "${!WORDS[@]}"; do
        case ${WORDS[i]} in
            --config=*) echo "${VALUE[serving_dir]}/${WORDS[i]#*=}" && return ;;
            -c | --config) echo "${VALUE[serving_dir]}/${WORDS[i + 1]:-}" && return ;;
        esac
    done
    echo "${VALUE[serving_dir]}/config.yml"
}

operators() { # FILE: print the keys directly under `op:`, a line each
    local line inside='' indent=''
    [[ -r $1 ]] || return
    while IFS= read -r line; do
        if [[ $line =~ ^op: ]]; then
            inside=1
        elif [[ $line =~ ^[A-Za-z_] ]]; then
            inside=''
        elif [[ -n $inside && $line =~ ^([[:space:]]+)[\"\']?([A-Za-z0-9_.-]+)[\"\']?: ]]; then
            indent=${indent:-${BASH_REMATCH[1]}}
            [[ ${BASH_REMATCH[1]} != "$indent" ]] || printf '%s\n' "${BASH_REMATCH[2]}"
        fi
    done <"$1"
}

first_operator() { # FILE
    operators "$1" | head -n 1
}
