#!/usr/bin/env bash
# The meaning of each line of a train_infer_python.txt, in the dialects of PaddleClas (with the older form that
# insightface uses) and of PaddlePaddle/models. Sourced after common_func.sh.

declare -A RUN # see common_func.sh

read_train_config() { # read and check RUN[config] for RUN[mode], with its lines named by their meaning; sets RUN[model]
    local block train_lines
    read_config "${RUN[config]}"
    print_notes
    block=$(find_block train_params) || exit 1
    train_lines=${BLOCK_LINES[block]}
    if ((train_lines >= 12)); then
        name_paddleclas_dialect "$block"
    elif ((train_lines == 10)); then
        name_models_dialect "$block"
    else
        die "$CONFIG_FILE:$(line_number $((BLOCK_FIRST[block] + train_lines - 1))): train_params has $train_lines lines;" \
            "expected 12 (PaddleClas) or 10 (models)"
    fi
    check_fixed_keys model_name gpu_list train_model_name trainer eval norm_export infer_export inference
    take_values_for_mode
    check_values
    take_entries_once # after `true` has become True
    print_notes
    RUN[model]=${VALUE[model_name]}
}

name_paddleclas_dialect() { # TRAIN_BLOCK
    local block
    name_fields "$1" model_name python gpu_list device autocast epochs output_dir batch_size pretrained \
        train_model_name train_infer_img_dir train_free
    name_fields $(($1 + 1)) trainer norm_train pact_train fpgm_train distill_train to_static_train free_train
    block=$(find_block eval_params) || exit 1
    name_fields "$block" eval eval_free
    block=$(find_block infer_params) || exit 1
    local -a export_lines=(save_inference_dir export_weights norm_export pact_export fpgm_export distill_export kl_quant
        free_export)
    local -a infer_lines=(infer_export infer_quant inference use_gpu enable_mkldnn cpu_threads infer_batch_size
        use_tensorrt use_fp16 model_dir image save_log_path benchmark infer_free)
    if ((BLOCK_LINES[block] == ${#export_lines[@]})); then # the older form: a separator, and no URL
        name_fields "$block" "${export_lines[@]}"
        name_fields $((block + 1)) provided_weights "${infer_lines[@]}"
        RUN[infer_folder]=.
    else
        name_fields "$block" "${export_lines[@]}" provided_weights infer_model "${infer_lines[@]}"
        RUN[infer_folder]=deploy
    fi
}

name_models_dialect() { # TRAIN_BLOCK
    local block
    name_fields "$1" model_name python gpu_list device epochs output_dir batch_size pretrained train_model_name \
        data_path
    name_fields $(($1 + 1)) trainer norm_train
    block=$(find_block eval_params) || exit 1
    name_fields "$block" eval
    block=$(find_block infer_params) || exit 1
    name_fields "$block" save_inference_dir export_weights norm_export
    name_fields $((block + 1)) provided_weights infer_export
    name_fields $((block + 2)) inference use_gpu infer_batch_size model_dir image benchmark
    RUN[infer_folder]=.
}

# ------------------------------------------------------------------------------------ checks before anything is run

take_values_for_mode() { # of every value that is a `mode=value|mode=value` list, keep the part for the mode
    local field value
    local training=' gpu_list autocast epochs batch_size trainer norm_train pact_train fpgm_train distill_train '
    for field in "${FIELDS[@]}"; do
        if value=$(for_mode "${VALUE[$field]}" "${RUN[mode]}"); then
            VALUE["$field"]=$value
        elif [[ ${RUN[mode]} == whole_infer && $training == *" $field "* ]]; then
            VALUE["$field"]=null # nothing is trained
        else
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has no value for the mode ${RUN[mode]}"
        fi
    done
}

take_entries_once() { # an entry that is in a list twice would run the same twice, and write over its own logs
    local field entry list
    for field in gpu_list autocast trainer use_gpu enable_mkldnn cpu_threads infer_batch_size use_tensorrt use_fp16; do
        [[ ${VALUE[$field]:-} == *'|'* ]] || continue
        list='|'
        while IFS= read -r entry; do
            if [[ -n $entry && $list == *"|$entry|"* ]]; then
                CONFIG_NOTES+=("$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has '${entry:0:200}' more than once; it is taken once")
            else
                list+=$entry'|'
            fi
        done < <(split_list "${VALUE[$field]}")
        list=${list#|}
        VALUE["$field"]=${list%|}
    done
}

check_values() {
    local field
    local -a needed=(model_name inference)
    [[ ${RUN[mode]} == whole_infer ]] || needed+=(gpu_list trainer)
    check_needed "${needed[@]}"
    check_model_name
    check_quotes
    check_trainers
    [[ ! "|${VALUE[gpu_list]//[[:space:]]/}|" == *'||'* || ${RUN[mode]} == whole_infer ]] ||
        die "$CONFIG_FILE:${LINE[gpu_list]}: 'gpu_list': an entry beside '|' is empty in '${VALUE[gpu_list]:0:200}'"
    check_list gpu_list '(-1|([^;]+;)?[0-9]+(,[0-9]+)*)' 'such as -1, 0 or 0,1 or ip1,ip2;0,1'
    check_list autocast '(fp32|amp|fp16)' 'fp32, amp or fp16'
    for field in epochs batch_size cpu_threads infer_batch_size; do
        check_list "$field" '0*[1-9][0-9]{0,8}' 'a whole number above 0'
    done
    for field in infer_quant use_gpu enable_mkldnn use_tensorrt use_fp16; do
        normalise_booleans "$field"
    done
    for field in infer_quant enable_mkldnn use_tensorrt; do check_list "$field" '(True|False)' 'True or False'; done
    check_list use_gpu '(True|False|gpu|cpu)' 'True or False'
    check_list use_fp16 '(True|False|fp32|fp16|int8)' 'True or False, or fp32, fp16 or int8'
}

check_trainers() { # each entry of the list is the key of one of the lines that follow it
    local trainer field known
    [[ ${RUN[mode]} != whole_infer ]] || return 0
    while IFS= read -r trainer; do
        known=' '
        for field in norm_train pact_train fpgm_train distill_train to_static_train free_train; do
            [[ ${KEY[$field]:-null} == null ]] || known+="${KEY[$field]} "
        done
        [[ $trainer == null || $known == *" $trainer "* ]] ||
            die "$CONFIG_FILE:${LINE[trainer]}: 'trainer': no line '$trainer:…' follows; there are:${known% }"
    done < <(split_list "${VALUE[trainer]}")
}

check_quotes() { # in keys, and in values that are commands
    local field
    for field in "${FIELDS[@]}"; do
        split_words "${KEY[$field]}" || die "$CONFIG_FILE:${LINE[$field]}: the key has a quote that is not closed"
        [[ $field =~ ^(.*_train|to_static_train|eval|.*_export|inference)$ ]] || continue
        split_words "${VALUE[$field]}" ||
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has a quote that is not closed"
    done
}

check_list() { # FIELD REGEX EXPECTED: every entry of the list is null or fits
    local value
    [[ -n ${VALUE[$1]:-} ]] || return 0
    while IFS= read -r value; do
        [[ -z $value || $value == null || $value =~ ^$2$ ]] ||
            die "$CONFIG_FILE:${LINE[$1]}: '${KEY[$1]}': expected $3, found '${value:0:200}'"
    done < <(split_list "${VALUE[$1]}")
}

normalise_booleans() { # FIELD
    local value list=''
    [[ -n ${VALUE[$1]:-} ]] || return 0
    while IFS= read -r value; do
        case $value in
            true) value=True ;;
            false) value=False ;;
            Fasle) # 518 of the official configs say so
                CONFIG_NOTES+=("$CONFIG_FILE:${LINE[$1]}: '${KEY[$1]}:Fasle' is read as False")
                value=False
                ;;
        esac
        list+="|$value"
    done < <(split_list "${VALUE[$1]}")
    VALUE[$1]=${list#|}
}

# ---------------------------------------------------------------------------------------- what the lines are used for

choose_trainer() { # TRAINER: sets which lines hold its commands; fails when the config gives none
    local name
    RUN[train_field]=norm_train RUN[export_field]=norm_export RUN[train_options]=''
    for name in pact fpgm distill free; do
        [[ ${KEY[${name}_train]:-} == "$1" && $1 != null ]] || continue
        RUN[train_field]=${name}_train RUN[export_field]=${name}_export
    done
    if [[ ${KEY[to_static_train]:-} == "$1" ]]; then
        is_set to_static_train || return 1
        RUN[train_options]=${VALUE[to_static_train]} # options added to norm_train
    elif [[ ${RUN[train_field]} == norm_train && ${KEY[norm_train]} != "$1" ]]; then
        return 1
    fi
    is_set "${RUN[train_field]}"
}

from_root() { # PATH as the inference command sees it -> the same from the repository's root
    if [[ ${RUN[infer_folder]} == . || $1 == /* ]]; then
        echo "$1"
    elif [[ $1 == ../* ]]; then
        echo "${1#../}"
    else
        echo "${RUN[infer_folder]}/$1"
    fi
}

from_infer_folder() { # PATH from the repository's root -> the same as the inference command sees it
    if [[ ${RUN[infer_folder]} == . || $1 == /* ]]; then echo "$1"; else echo "../$1"; fi
}
