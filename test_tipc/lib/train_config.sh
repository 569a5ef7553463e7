#!/usr/bin/env bash
# Read a train_infer_python.txt, and check it before anything is run: its dialect gives the lines their names
# (dialects.sh), and here are the checks that all dialects share. Sourced after common_func.sh.

declare -A RUN # see common_func.sh

TRAINERS=(norm_train pact_train fpgm_train distill_train amp_train free_train free_train2) # fields of training commands

read_train_config() { # read and check RUN[config] for RUN[mode]; sets RUN[model], PARTS, and the fields of the first part
    read_config "${RUN[config]}"
    choose_dialect
    take_parts
    print_notes
}

take_parts() { # name and check the lines of all parts of the config for RUN[mode], the first one last
    local i
    RUN[infer_folder]=${DIALECT[infer_folder]:-.}
    config_parts
    for ((i = ${#PARTS[@]} - 1; i >= 0; i--)); do take_part "${PARTS[i]}"; done
    RUN[model]=${VALUE[model_name]}
}

take_part() { # TITLE, or '' where the config has one part: name and check its fields
    name_lines "$1"
    take_values_for_mode
    copy_same_lines
    place_exported_model
    take_predict_command
    add_trainers
    check_values
    take_entries_once # after `true` has become True
}

quantises() { # whether the config is one of a post-training quantisation: nothing is trained
    [[ -n ${KEY[quantise]:-} ]]
}

trains() { # whether this mode trains
    [[ ${RUN[mode]} != whole_infer ]]
}

# ------------------------------------------------------------------------------------ checks before anything is run

take_values_for_mode() { # of every value that is a `mode=value|mode=value` list, keep the part for the mode
    local field
    local training=" gpu_list autocast epochs batch_size trainer train_model_name train_config ${TRAINERS[*]} "
    for field in "${FIELDS[@]}"; do
        [[ ${VALUE[$field]} == *=* ]] || continue
        if take_mode "${VALUE[$field]}" "${RUN[mode]}"; then
            VALUE["$field"]=$REPLY
        elif ! trains && [[ $training == *" $field "* ]]; then
            VALUE["$field"]=null # nothing is trained
        else
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has no value for the mode ${RUN[mode]}"
        fi
    done
    if [[ ${RUN[mode]} == whole_train_* ]]; then
        for field in ${DIALECT[whole_train_without]:-}; do VALUE["$field"]=null; done
    fi
}

take_predict_command() { # the free line of eval_params may be `predict:command`
    [[ ${KEY[eval_free]:-} == predict ]] || return 0
    KEY["predict"]=predict VALUE["predict"]=${VALUE[eval_free]} LINE["predict"]=${LINE[eval_free]}
    KEY[eval_free]=null VALUE[eval_free]=null
    FIELDS+=(predict)
}

add_trainers() { # those that the suite's own script runs besides those of the list
    local name
    [[ -z ${DIALECT[trainers]:-} ]] || VALUE[trainer]+="|${DIALECT[trainers]// /|}"
    split_bars "${VALUE[trainer]:-}"
    for name in "${ENTRIES[@]}"; do
        [[ -n $name && $name != null ]] || continue
        if ! is_trainer "$name" && is_trainer "${name}_train"; then
            CONFIG_NOTES+=("$CONFIG_FILE:${LINE[trainer]}: 'trainer': '$name' is read as ${name}_train")
            VALUE[trainer]="|${VALUE[trainer]}|"
            VALUE[trainer]=${VALUE[trainer]/"|$name|"/"|${name}_train|"}
            VALUE[trainer]=${VALUE[trainer]#|}
            VALUE[trainer]=${VALUE[trainer]%|}
        fi
    done
}

is_trainer() { # NAME: whether a line has it as its key, or options of a static graph
    local field
    for field in "${TRAINERS[@]}" to_static_train static_options; do
        [[ ${KEY[$field]:-null} != "$1" || $1 == null ]] || return 0
    done
    return 1
}

take_entries_once() { # an entry that is in a list twice would run the same twice, and write over its own logs
    local field entry list
    for field in gpu_list autocast trainer use_gpu enable_mkldnn cpu_threads infer_batch_size use_tensorrt use_fp16; do
        [[ ${VALUE[$field]:-} == *'|'* ]] || continue
        list='|'
        split_bars "${VALUE[$field]}"
        for entry in "${ENTRIES[@]}"; do
            if [[ -n $entry && $list == *"|$entry|"* ]]; then
                CONFIG_NOTES+=("$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has '${entry:0:200}' more than once; it is taken once")
            else
                list+=$entry'|'
            fi
        done
        list=${list#|}
        VALUE["$field"]=${list%|}
    done
}

check_values() {
    local field
    check_needed model_name
    check_model_name
    check_quotes
    if quantises; then
        trains && die "$CONFIG_FILE:${LINE[quantise]}: a quantisation after training has only the mode whole_infer"
        check_needed quantise inference
    elif trains; then
        check_needed gpu_list trainer
        check_trainers
    else
        [[ -n ${KEY[inference]:-} ]] ||
            die "$CONFIG_FILE:${LINE[trainer]}: the config has trainings only: it has nothing for the mode ${RUN[mode]}"
        check_needed inference
        ! needs_weights || is_set provided_weights ||
            die "$CONFIG_FILE:${LINE[provided_weights]}: '${KEY[provided_weights]}' has no value;" \
                "it names the weights for whole_infer"
    fi
    ! trains || [[ "|${VALUE[gpu_list]//[[:space:]]/}|" != *'||'* ]] ||
        die "$CONFIG_FILE:${LINE[gpu_list]}: 'gpu_list': an entry beside '|' is empty in '${VALUE[gpu_list]:0:200}'"
    check_list gpu_list '([^;]+;)?(-1(,-1)*|[0-9]+(,[0-9]+)*)' 'such as -1, 0 or 0,1, or -1,-1 or ip1,ip2;0,1'
    [[ ${VALUE[autocast]:-} != False ]] || VALUE[autocast]=null
    check_list autocast '(fp32|amp|fp16)' 'fp32, amp or fp16'
    for field in epochs batch_size cpu_threads infer_batch_size; do
        check_list "$field" '0*[1-9][0-9]{0,8}' 'a whole number above 0'
    done
    for field in infer_quant use_gpu enable_mkldnn use_tensorrt use_fp16; do
        normalise_booleans "$field"
    done
    for field in infer_quant enable_mkldnn use_tensorrt; do check_list "$field" '(True|False)' 'True or False'; done
    check_list use_gpu '(True|False|gpu|cpu)' 'True or False'
    check_list use_fp16 '(True|False|fp32|fp16|int8|paddle|trt_(fp32|fp16|int8))' \
        'True or False, or fp32, fp16 or int8, or paddle or trt_fp16'
    check_infer_modes
}

check_trainers() { # each entry of the list is the key of one of the lines that follow it
    local trainer field known=''
    for field in "${TRAINERS[@]}" to_static_train static_options; do
        [[ ${KEY[$field]:-null} == null ]] || known+=" ${KEY[$field]}"
    done
    split_bars "${VALUE[trainer]}"
    for trainer in "${ENTRIES[@]}"; do
        [[ $trainer == null ]] || is_trainer "$trainer" && continue
        [[ -n $trainer && " ${DIALECT[trainers]:-} " == *" $trainer "* ]] ||
            die "$CONFIG_FILE:${LINE[trainer]}: 'trainer': no line '$trainer:…' follows; there are:$known"
    done
}

check_infer_modes() { # each entry of infer_mode is the name of an export
    local name
    [[ -n ${KEY[infer_mode]:-} ]] || return 0
    split_bars "${VALUE[infer_mode]}"
    for name in "${ENTRIES[@]}"; do
        [[ $name =~ ^(null|norm|pact|fpgm|distill|kl_quant)$ ]] ||
            die "$CONFIG_FILE:${LINE[infer_mode]}: 'infer_mode': expected norm, pact, fpgm, distill or kl_quant," \
                "found '${name:0:200}'"
    done
}

check_quotes() { # in keys, and in values that are commands
    local field
    for field in "${FIELDS[@]}"; do
        [[ ${KEY[$field]}${VALUE[$field]} == *[\"\'\\]* ]] || continue
        split_words "${KEY[$field]}" ||
            die "$CONFIG_FILE:${LINE[$field]}: the key has a quote that is not closed"
        [[ $field =~ ^(.*_train2?|eval|predict|.*_export2?|kl_quant|quantise|static_options|inference)$ ]] || continue
        split_words "${VALUE[$field]}" ||
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has a quote that is not closed"
    done
}

check_list() { # FIELD REGEX EXPECTED: every entry of the list is null or fits
    local value
    [[ -n ${VALUE[$1]:-} ]] || return 0
    split_bars "${VALUE[$1]}"
    for value in "${ENTRIES[@]}"; do
        [[ -z $value || $value == null || $value =~ ^$2$ ]] ||
            die "$CONFIG_FILE:${LINE[$1]}: '${KEY[$1]}': expected $3, found '${value:0:200}'"
    done
}

normalise_booleans() { # FIELD
    local value list=''
    [[ -n ${VALUE[$1]:-} ]] || return 0
    split_bars "${VALUE[$1]}"
    for value in "${ENTRIES[@]}"; do
        case $value in
            true) value=True ;;
            false) value=False ;;
            Fasle) # 518 of the official configs say so
                CONFIG_NOTES+=("$CONFIG_FILE:${LINE[$1]}: '${KEY[$1]}:Fasle' is read as False")
                value=False
                ;;
        esac
        list+="|$value"
    done
    VALUE[$1]=${list#|}
}

# ---------------------------------------------------------------------------------------- what the lines are used for

choose_trainer() { # TRAINER: sets which lines hold its commands; fails when the config gives none
    local field
    RUN[train_field]=norm_train RUN[export_field]=norm_export RUN[train_options]=''
    [[ $1 != null ]] || return
    for field in "${TRAINERS[@]}"; do
        [[ ${KEY[$field]:-} == "$1" ]] || continue
        RUN[train_field]=$field
        # a trainer of mixed precision has no export of its own
        [[ -z ${KEY[${field/_train/_export}]:-} ]] || RUN[export_field]=${field/_train/_export}
        is_set "$field"
        return
    done
    for field in to_static_train static_options; do # options added to norm_train, or to the part's only trainer
        [[ ${KEY[$field]:-} == "$1" ]] || continue
        is_set "$field" || continue
        RUN[train_options]=${VALUE[$field]}
        is_set norm_train
        return
    done
    return 1
}

from_root() { # PATH as the inference command sees it -> the same from the repository's root
    see_from_root "$1" && echo "$REPLY"
}

see_from_root() { # PATH: sets REPLY as from_root prints it
    if [[ ${RUN[infer_folder]} == . || $1 == /* ]]; then
        REPLY=$1
    elif [[ $1 == ../* ]]; then
        REPLY=${1#../}
    else
        REPLY=${RUN[infer_folder]}/$1
    fi
}
