#!/usr/bin/env bash
# What the steps of test_train_inference_python.sh need: the trainings, the combinations of options, and the paths.
# Sourced after launch.sh.

declare -A RUN # see common_func.sh

declare -a COMBINATIONS # see config.sh

# ---------------------------------------------------------------------------------------------------- the trainings

for_each_part() { # COMMAND: run it for each part of the config; most have one
    local part
    for part in "${PARTS[@]}"; do
        RUN[part]=$part
        ((${#PARTS[@]} == 1)) || take_part "$part"
        "$1"
    done
}

for_each_training() { # COMMAND: run it for each of gpu_list x autocast x trainer, or on the CPU where none is possible
    local gpu autocast trainer trained=0
    local -a gpus autocasts trainers
    split_bars "${VALUE[gpu_list]}" && gpus=("${ENTRIES[@]}")
    split_bars "${VALUE[autocast]:-null}" && autocasts=("${ENTRIES[@]}")
    split_bars "${VALUE[trainer]}" && trainers=("${ENTRIES[@]}")
    for gpu in "${gpus[@]}"; do
        for autocast in "${autocasts[@]}"; do
            for trainer in "${trainers[@]}"; do
                choose_training "$gpu" "$autocast" "$trainer" && trained=1 && "$1"
            done
        done
    done
    ((!trained)) || return 0
    for trainer in "${trainers[@]}"; do ! choose_trainer "$trainer" || trained=1; done
    ((trained)) || return 0 # there is nothing to run, on whatever machine
    echo
    echo "note: no entry of gpu_list (${VALUE[gpu_list]}) can be trained on this machine: running on the CPU instead"
    for trainer in "${trainers[@]}"; do
        autocast=null
        ! choose_trainer "$trainer" || ! is_mixed || autocast=fp32
        choose_training -1 "$autocast" "$trainer" && "$1"
    done
}

choose_training() { # GPU AUTOCAST TRAINER: set RUN for it; fail and record the reason when it is not possible here
    RUN[gpu]=$1 RUN[autocast]=$2
    count_nodes "$1"
    RUN[tag]=${RUN[part]:+${RUN[part]}_}${3}_gpus_${1}_autocast_${2}_nodes_$REPLY
    RUN[tag]=${RUN[tag]//[^A-Za-z0-9_,.;-]/_}
    RUN[training_dir]=${RUN[output_dir]}/${RUN[tag]}
    if ! choose_trainer "$3"; then
        REPLY="the config has no command for $3"
    elif ! is_mixed_on_cpu && ! is_not_possible_here; then
        [[ $'\n'${RUN[tags]:-} != *$'\n'"${RUN[tag]}"$'\n'* ]] ||
            die "$CONFIG_FILE: two trainings would have the same name, ${RUN[tag]}: gpu_list, autocast or trainer must differ"
        RUN[tags]=${RUN[tags]:-}${RUN[tag]}$'\n'
        return
    fi
    ! in_stage 1 || skip_step train "$REPLY"
    return 1
}

add_device() { # the device option for RUN[gpu]
    local value=${VALUE[device]:-null}
    value=${value%%|*}
    if on_cpu; then
        case $value in
            True) value=False ;;
            gpu*) value=cpu ;;
        esac
    fi
    find_open_option
    if [[ ${KEY[device]:-} == -* || -n $OPEN_OPTION ]]; then # in other places the line is not an option
        add_field device "$value"
    fi
    # the command itself may have the device, and no line
    on_cpu && [[ "${COMMAND[*]}" != *' --device=cpu'* ]] || return 0
    [[ ! "${COMMAND[*]}" =~ ' --device'[\ =]gpu ]] || COMMAND+=(--device=cpu)
}

training_log() { # print the path of log_train.txt, or of the training's output where it left none of its own
    local log=${RUN[training_log]:-}
    if [[ $log == "${RUN[training_dir]}"/* ]]; then echo "$log"; else echo "${RUN[training_dir]}.log"; fi
}

# ------------------------------------------------------------------------------- provided weights and the evaluation

certify_provided() { # for whole_infer: every export that infer_mode lists, or the one that the config has
    local name
    local -a names=('')
    if quantises || quantises_model; then
        certify_quantised && return
    fi
    [[ -z ${KEY[infer_mode]:-} ]] || { split_bars "${VALUE[infer_mode]}" && names=("${ENTRIES[@]}"); }
    for name in "${names[@]}"; do
        [[ $name != null ]] || continue
        if [[ $name == kl_quant ]]; then
            certify_quantised
        else
            take_provided_weights "$name"
            certify_weights
        fi
    done
}

take_provided_weights() { # [EXPORT]: for whole_infer; EXPORT is an entry of infer_mode
    local name
    RUN[tag]=provided RUN[gpu]=-1 RUN[training_dir]=${RUN[output_dir]}/provided
    choose_trainer norm_train
    if [[ -n ${1:-} ]]; then
        [[ $1 == norm ]] || RUN[tag]=provided_$1 RUN[training_dir]=${RUN[output_dir]}/provided_$1
        RUN[export_field]=${1}_export
        [[ $1 != kl_quant ]] || RUN[export_field]=kl_quant
    elif [[ ${VALUE[infer_export]:-True} == True ]]; then
        for name in norm pact fpgm distill; do
            RUN[export_field]=${name}_export
            ! is_set "${name}_export" || break
        done
    else
        # a command of its own; False or null means that infer_model is an exported one
        RUN[export_field]=infer_export
    fi
    RUN[weights]=''
    if is_set provided_weights; then
        see_provided_weights "${VALUE[provided_weights]}"
        RUN[weights]=$REPLY
    fi
    [[ -z ${DIALECT[weights_without_suffix]:-} ]] || RUN[weights]=${RUN[weights]%.pdparams}
}

exports_model() { # whether the config has a command for it
    is_set "${RUN[export_field]}" && [[ ${VALUE[${RUN[export_field]}]} != False ]]
}

begin_evaluation() { # [NAME]: the evaluation command, or that of the companion that its script declares under the name
    is_set eval || return 1
    begin_command eval
    add_field eval_weights "${RUN[weights]}"
    add_device
    add_field eval_free
    (($# == 0)) || use_companion "$1"
}

use_companion() { # NAME: put what COMMAND's script declares under the name in its place; fails where it declares nothing
    local i script companion
    script=$(script_of_command) && companion=$(declared "$1" "$script") || return
    for i in "${!COMMAND[@]}"; do
        [[ ${COMMAND[i]} != "$script" ]] || COMMAND[i]=$companion
    done
}

begin_prediction() { # the command that predicts with the training engine: the config's, or the companion of the eval script
    see_images
    see_from_root "$REPLY"
    if is_set predict; then
        local image=$REPLY
        begin_command predict
        place weights "${RUN[weights]}" || add_field export_weights "${RUN[weights]}"
        # a setting of the config, which all scripts of the project know; an option may be another one's
        [[ ${KEY[device]:-} == -* ]] || add_device
        place image "$image" || names_path "$image" || add_field image "$image"
    else
        begin_evaluation predict && COMMAND+=(-o "Infer.infer_imgs=$REPLY")
    fi
}

place() { # NAME VALUE: put the value where COMMAND has {NAME}; fails where it does not have it
    local i found=1
    for i in "${!COMMAND[@]}"; do
        [[ ${COMMAND[i]} != *"{$1}"* ]] || { COMMAND[i]=${COMMAND[i]//"{$1}"/$2} && found=0; }
    done
    return "$found"
}

names_path() { # PATH: whether a word of COMMAND is that path, or an option with it
    local word path=${1#./}
    for word in "${COMMAND[@]}"; do
        word=${word#*=}
        word=${word#./}
        [[ ${word%/} != "${path%/}" ]] || return 0
    done
    return 1
}

see_images() { # sets REPLY: what the inference command predicts, which may be another line after a training
    local field=${DIALECT[train_images]:-image}
    if ! trains || ! is_set "$field"; then field=image; fi
    REPLY=${VALUE[$field]:-}
}

# -------------------------------------------------------------------------------- combinations of inference options

for_each_device() { # COMMAND: run it as COMMAND DEVICE SETTINGS (FIELD VALUE)... for every combination of the lists
    local word device
    local -A seen=()
    local -a words
    split_bars "${VALUE[use_gpu]:-}" && words=("${ENTRIES[@]}")
    for word in "${words[@]}"; do
        device=cpu
        [[ ! $word =~ ^(True|gpu)$ ]] || device=gpu
        RUN[device]=$word # as the command wants it said
        [[ -n ${seen[$device]:-} ]] || "for_each_${device}_setting" "$1" # two words for one device are one entry
        seen[$device]=1
    done
    if [[ -z ${seen[cpu]:-} ]] && ((RUN[gpus] == 0)); then
        echo "note: '${KEY[use_gpu]}' names the GPU only, and there is none: running on the CPU instead"
        RUN[device]=cpu
        [[ $word == gpu ]] || RUN[device]=False
        for_each_cpu_setting "$1"
    fi
}

for_each_gpu_setting() { # COMMAND
    local trt precision batch line left_out=0
    combine use_tensorrt use_fp16 infer_batch_size
    for line in "${COMBINATIONS[@]}"; do
        IFS=$'\t' read -r trt precision batch <<<"$line"
        # lower precision is a setting of TensorRT
        is_full_precision "$precision" || [[ $trt == True || $precision == trt_* ]] || continue
        if ((RUN[gpus] == 0)); then
            left_out=$((left_out + 1))
            continue
        fi
        "$1" gpu "usetrt_${trt}_precision_${precision}_batchsize_${batch}" \
            use_tensorrt "$trt" use_fp16 "$precision" infer_batch_size "$batch"
    done
    ((left_out)) || return 0
    line='' # official files have one combination
    ((left_out == 1)) || line=": $left_out combinations of TensorRT, precision and batch size"
    skip_step "infer gpu" "no GPU that this Paddle can use$line"
}

for_each_cpu_setting() { # COMMAND
    local mkldnn threads precision batch line
    local -A told=()
    combine enable_mkldnn cpu_threads use_fp16 infer_batch_size
    for line in "${COMBINATIONS[@]}"; do
        IFS=$'\t' read -r mkldnn threads precision batch <<<"$line"
        if ! is_full_precision "$precision"; then
            [[ -n ${told[$precision]:-} ]] || skip_step "infer cpu precision_$precision" "lower precision needs a GPU"
            told[$precision]=1
            continue
        fi
        "$1" cpu "usemkldnn_${mkldnn}_threads_${threads}_precision_${precision}_batchsize_${batch}" \
            enable_mkldnn "$mkldnn" cpu_threads "$threads" use_fp16 "$precision" infer_batch_size "$batch"
    done
}

is_full_precision() { # PRECISION
    [[ $1 =~ ^(False|fp32|paddle|null)$ ]]
}

begin_inference() { # LOG (FIELD VALUE)...: the inference command of a combination
    begin_command inference
    add_field use_gpu "${RUN[device]}"
    add_values "${@:2}"
    add_model
    see_images
    add_field image "$REPLY"
    add_field results_dir "${1%.log}_results"
    add_fields benchmark infer_config infer_free infer_free2
}

add_values() { # (FIELD VALUE)...
    while (($# > 0)); do
        add_field "$1" "$2"
        shift 2
    done
}

new_inference_log() { # DEVICE SETTINGS: print the official name, or the training's own if another training's log has it
    local log=${RUN[output_dir]}/python_infer_${1}_gpus_${RUN[gpu]}_$2.log
    if is_log_of_another_tag "$log"; then
        log=${RUN[training_dir]}_infer_${1}_$2.log
    fi
    echo "$log"
}
