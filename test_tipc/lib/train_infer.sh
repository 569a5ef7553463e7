#!/usr/bin/env bash
# What the steps of test_train_inference_python.sh need: the trainings, the combinations of options, and the paths.
# Sourced after train_config.sh.

declare -A RUN # see common_func.sh

# ---------------------------------------------------------------------------------------------------- the trainings

for_each_training() { # COMMAND: run it for each of gpu_list x autocast x trainer, or on the CPU where none is possible
    local gpu autocast trainer trained=0
    local -a gpus autocasts trainers
    mapfile -t gpus < <(split_list "${VALUE[gpu_list]}")
    mapfile -t autocasts < <(split_list "${VALUE[autocast]:-null}")
    mapfile -t trainers < <(split_list "${VALUE[trainer]}")
    for gpu in "${gpus[@]}"; do
        for autocast in "${autocasts[@]}"; do
            for trainer in "${trainers[@]}"; do
                choose_training "$gpu" "$autocast" "$trainer" && trained=1 && "$1"
            done
        done
    done
    ((!trained)) || return 0
    echo
    echo "note: no entry of gpu_list (${VALUE[gpu_list]}) can be trained on this machine: running on the CPU instead"
    for trainer in "${trainers[@]}"; do choose_training -1 null "$trainer" && "$1"; done
}

choose_training() { # GPU AUTOCAST TRAINER: set RUN for it; fail and record the reason when it is not possible here
    local reason="the config has no command for $3"
    RUN[gpu]=$1 RUN[autocast]=$2
    RUN[tag]=${3}_gpus_${1}_autocast_${2}_nodes_$(node_count "$1")
    RUN[tag]=${RUN[tag]//[^A-Za-z0-9_,.;-]/_}
    RUN[training_dir]=${RUN[output_dir]}/${RUN[tag]}
    if choose_trainer "$3" && ! reason=$(why_not_here); then
        [[ $'\n'${RUN[tags]:-} != *$'\n'"${RUN[tag]}"$'\n'* ]] ||
            die "$CONFIG_FILE: two trainings would have the same name, ${RUN[tag]}: gpu_list, autocast or trainer must differ"
        RUN[tags]=${RUN[tags]:-}${RUN[tag]}$'\n'
        return
    fi
    ! in_stage 1 || skip_step train "$reason"
    return 1
}

why_not_here() { # print why this machine cannot train on RUN[gpu] with RUN[autocast]; fail when it can
    local gpu=${RUN[gpu]} autocast=${RUN[autocast]}
    local -a entry_gpus
    IFS=, read -r -a entry_gpus <<<"${gpu#*;}"
    if [[ $gpu == -1 ]]; then
        [[ $autocast != null && $autocast != fp32 ]] && echo "mixed precision ($autocast) needs a GPU"
    elif ((RUN[gpus] == 0)); then
        echo "gpu_list has GPU $gpu, and there is no GPU that this Paddle can use"
    elif ((RUN[gpus] < ${#entry_gpus[@]})); then
        echo "gpu_list has GPU $gpu, and there are ${RUN[gpus]} GPUs"
    else
        false
    fi
}

node_count() { # GPU: 1, or the number of machines in an entry such as ip1,ip2;0,1
    local -a machines=(one)
    [[ $1 != *\;* ]] || IFS=, read -r -a machines <<<"${1%%;*}"
    echo "${#machines[@]}"
}

launch_on() { # GPU: choose the GPUs that COMMAND sees; put a launcher before it where they are several
    unset CUDA_VISIBLE_DEVICES
    case $1 in
        -1) ;;
        *\;*) add_launcher "--ips=${1%%;*}" "--gpus=${1#*;}" ;;
        *,*) add_launcher "--gpus=$1" ;;
        *) export CUDA_VISIBLE_DEVICES=$1 ;;
    esac
}

add_launcher() { # OPTION...
    COMMAND=(python -m paddle.distributed.launch "$@" "${COMMAND[@]:1}")
}

add_mixed_precision() { # AUTOCAST
    local level
    case $1 in
        fp16) level=O2 ;;
        amp) level=O1 ;;
        *) return 0 ;;
    esac
    COMMAND+=(-o AMP.use_amp=True -o AMP.scale_loss=128 -o AMP.use_dynamic_loss_scaling=False -o "AMP.level=$level")
}

add_device() { # the device option for RUN[gpu], which is -1 for the CPU
    local value=${VALUE[device]%%|*}
    [[ ${KEY[device]} == -* ]] || return 0 # the models dialect has a line here that is not an option
    if [[ ${RUN[gpu]} == -1 ]]; then
        case $value in
            True) value=False ;;
            gpu*) value=cpu ;;
        esac
    fi
    add_field device "$value"
}

training_log() { # print the path of log_train.txt, or of the training's output where it left none of its own
    if [[ ${RUN[training_log]:-} == "${RUN[training_dir]}"/* ]]; then echo "${RUN[training_log]}"; else echo "${RUN[training_dir]}.log"; fi
}

# ------------------------------------------------------------------------------------------- weights and the export

new_weights() { # EXPECT of train: it left weights, and they are its own
    local log=${RUN[training_dir]}/log_train.txt
    if ! find_weights; then
        STEP[reason]="it left no ${VALUE[train_model_name]%.pdparams}.pdparams in ${RUN[training_dir]}"
    elif ! is_new "$(weights_file)"; then
        STEP[reason]="$(weights_file) is older than this training, which has not written it"
    else
        # an old one would be taken for evidence of this training
        if is_new "$log"; then RUN[training_log]=$log; else rm -f "$log"; fi
        STEP[facts]+=" $(weights_fact)"
        return
    fi
    return 1
}

find_weights() { # set RUN[weights] to what train_model_name names, with or without .pdparams as it says
    local folder
    for folder in "${RUN[training_dir]}" "${RUN[training_dir]}/${RUN[model]}"; do
        RUN[weights]=$folder/${VALUE[train_model_name]}
        [[ ! -e $(weights_file) ]] || return 0
    done
    return 1
}

weights_file() { # print the path of RUN[weights] with its suffix
    if [[ -e ${RUN[weights]} && ! -f ${RUN[weights]}.pdparams ]]; then
        echo "${RUN[weights]}"
    else
        echo "${RUN[weights]}.pdparams"
    fi
}

find_trained_weights() { # those of an earlier call; fail, and record it, unless its training is known to have passed
    [[ -n $(passed_logs train) ]] && find_weights && return
    echo "error: ${RUN[training_dir]}: no training that passed is on record there; start with --stage 1"
    not_run evaluate predict export infer agree "no training that passed is on record"
    return 1
}

weights_fact() { # print what a step that reads the weights notes
    echo "weights=$(hash_of "$(weights_file)")"
}

model_fact() { # print what a step that reads the exported model notes
    echo "model=$(hash_of "$(exported_model)")"
}

new_model() { # EXPECT of export: it left a model, and it is its own
    local model path fresh=''
    model=$(exported_model)
    while IFS= read -r -d '' path; do
        if ! is_new "$path"; then
            STEP[reason]="it has not written $path, which is older"
            return 1
        fi
        [[ $path == *params* ]] || fresh=1
    done < <(find -L "$model" -type f \( -name '*.pdmodel' -o -name '*.json' -o -name '__model__' -o -name '*.pdiparams' \
        -o -name '__params__' \) -print0 2>/dev/null)
    if [[ -z $fresh ]]; then
        STEP[reason]="it wrote no model (*.pdmodel, *.json or __model__) to $model"
        return 1
    fi
    STEP[facts]+=" $(model_fact)"
}

take_provided_weights() { # for whole_infer
    local weights
    RUN[tag]=provided RUN[gpu]=-1 RUN[training_dir]=${RUN[output_dir]}/provided
    choose_trainer norm_train
    if is_set kl_quant && [[ ${VALUE[kl_quant]} != False ]]; then
        skip_step quantise "post-training quantisation is not a part of this repository"
    fi
    # the models dialect has a command of its own here; False or null means that infer_model is an exported one
    [[ ${VALUE[infer_export]} == True ]] || RUN[export_field]=infer_export
    weights=$(provided_weights "${VALUE[provided_weights]}") || exit 1
    [[ ${RUN[infer_folder]} == . ]] || weights=${weights%.pdparams} # PaddleClas's commands add it themselves
    RUN[weights]=$weights
}

begin_evaluation() { # [NAME]: the evaluation command, or that of the companion that its script declares under the name
    local i script companion
    is_set eval || return 1
    begin_command eval
    add_field pretrained "${RUN[weights]}"
    add_device
    add_field eval_free
    (($# > 0)) || return 0
    script=$(script_of_command) && companion=$(declared "$1" "$script") || return
    for i in "${!COMMAND[@]}"; do
        [[ ${COMMAND[i]} != "$script" ]] || COMMAND[i]=$companion
    done
}

begin_prediction() { # the command that predicts with the training engine: the config's, or the companion of the eval script
    local image
    image=$(from_root "${VALUE[image]}")
    if is_set predict; then
        begin_command predict
        add_field export_weights "${RUN[weights]}"
        add_field image "$image"
    else
        begin_evaluation predict && COMMAND+=(-o "Infer.infer_imgs=$image")
    fi
}

exported_model() { # print its folder: ours, or the one in the config, which a foreign export command may use
    if [[ -d ${RUN[training_dir]}/inference ]]; then
        echo "${RUN[training_dir]}/inference"
    else
        from_root "${VALUE[infer_model]:-${VALUE[save_inference_dir]}}"
    fi
}

# -------------------------------------------------------------------------------- combinations of inference options

for_each_device() { # COMMAND: run it as COMMAND DEVICE SETTINGS (FIELD VALUE)... for every combination of the lists
    local use_gpu device
    local -A seen=()
    while IFS= read -r use_gpu; do
        device=cpu
        [[ ! $use_gpu =~ ^(True|gpu)$ ]] || device=gpu
        [[ -n ${seen[$device]:-} ]] || "for_each_${device}_setting" "$1" # two words for one device are one entry
        seen[$device]=1
    done < <(split_list "${VALUE[use_gpu]}")
}

for_each_gpu_setting() { # COMMAND
    local trt precision batch
    if ((RUN[gpus] == 0)); then
        skip_step "infer gpu" "no GPU that this Paddle can use"
        return
    fi
    while IFS=$'\t' read -r trt precision batch; do
        # lower precision is a setting of TensorRT
        [[ $precision =~ ^(False|fp32|null)$ || $trt == True ]] || continue
        "$1" gpu "usetrt_${trt}_precision_${precision}_batchsize_${batch}" \
            use_tensorrt "$trt" use_fp16 "$precision" infer_batch_size "$batch"
    done < <(combinations use_tensorrt use_fp16 infer_batch_size)
}

for_each_cpu_setting() { # COMMAND
    local mkldnn threads precision batch
    while IFS=$'\t' read -r mkldnn threads precision batch; do
        if ! [[ $precision =~ ^(False|fp32|null)$ ]]; then
            skip_step "infer cpu precision_$precision" "lower precision needs a GPU"
            continue
        fi
        "$1" cpu "usemkldnn_${mkldnn}_threads_${threads}_precision_${precision}_batchsize_${batch}" \
            enable_mkldnn "$mkldnn" cpu_threads "$threads" use_fp16 "$precision" infer_batch_size "$batch"
    done < <(combinations enable_mkldnn cpu_threads use_fp16 infer_batch_size)
}

combinations() { # FIELD...: print one tab-separated line per combination of their |-lists, each once: empty is null
    local field value line found='' grown
    for field in "$@"; do
        grown=''
        while IFS= read -r line; do
            while IFS= read -r value; do
                grown+="${line:+$line$'\t'}${value:-null}"$'\n'
            done < <(split_list "${VALUE[$field]:-null}")
        done <<<"$found"
        found=${grown%$'\n'}
    done
    awk '!printed[$0]++' <<<"$found"
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
