#!/usr/bin/env bash
# Certify a model from training to inference: train, evaluate, predict, export, infer, and prove that all agree.
#
#   bash test_tipc/test_train_inference_python.sh CONFIG MODE [--stage N] [--stop_stage N] [--evidence]
#   bash test_tipc/test_train_inference_python.sh \
#       test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt lite_train_lite_infer
#
# MODE: lite_train_lite_infer   train and infer a few images
#       lite_train_whole_infer  train a few, infer the whole validation set
#       whole_train_whole_infer train and infer the whole set
#       whole_infer             no training: the provided weights
# Stages: 0 prepare, 1 train, 2 evaluate, 3 predict, 4 export, 5 infer, 6 agree. --stage and --stop_stage choose from
# them; earlier stages must have left their files. --evidence renews test_log/<model> from this run.
# TIPC_PYTHON=/path/to/python uses that interpreter; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is
# kept with --evidence only).
# Leaves logs, results_python.log, summary.json and junit.xml in test_tipc/output/<model>/<mode>/.
# Exit code: 0 every step passed, 1 a step failed or nothing could be run, 130 or 143 interrupted.

# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/config_dialects.sh
source "$ROOT/test_tipc/config_dialects.sh"

TRAIN=1 EVALUATE=2 PREDICT=3 EXPORT=4 INFER=5 AGREE=6
STEP_NAMES=(prepare 'train|converge|weights' evaluate predict export infer agree) # by stage

main() {
    parse_arguments "$@"
    read_config "$CONFIG"
    name_config
    begin_chain results_python.log
    if [[ $MODE == whole_infer ]]; then
        certify_provided_weights
    else
        certify_trainings
    fi
    if compgen -G "$OUT/*/log_train.txt" >/dev/null; then finish "$MODE"; else finish ''; fi # evidence is of a training
}

parse_arguments() {
    parse_options "$@"
    ((${#ARGUMENTS[@]} == 2)) || die "usage: bash test_tipc/test_train_inference_python.sh CONFIG MODE (see --help)"
    MODE=${ARGUMENTS[1]}
    is_mode "$MODE" || die "unknown mode '$MODE'; expected one of: ${MODES[*]}"
    choose_output
    find_config "${ARGUMENTS[0]}"
}

# ---------------------------------------------------------------------------------------------------- the chains

certify_trainings() { # every entry of gpu_list x autocast x trainer; on the CPU where nothing else would be trained
    local gpu autocast trainer trained=0
    local -a gpus autocasts trainers
    mapfile -t gpus < <(split_list "${VALUE[gpu_list]}")
    mapfile -t autocasts < <(split_list "${VALUE[autocast]:-null}")
    mapfile -t trainers < <(split_list "${VALUE[trainer]}")
    for gpu in "${gpus[@]}"; do
        for autocast in "${autocasts[@]}"; do
            for trainer in "${trainers[@]}"; do
                certify_training "$gpu" "$autocast" "$trainer" && trained=1
            done
        done
    done
    if ((!trained)); then
        echo
        echo "note: no entry of gpu_list (${VALUE[gpu_list]}) can be trained on this machine: running on the CPU instead"
        for trainer in "${trainers[@]}"; do certify_training -1 null "$trainer"; done
    fi
}

certify_training() { # GPU AUTOCAST TRAINER: one training and all that follows; fails when it cannot be tried here
    local lacking
    GPU=$1 AUTOCAST=$2
    TAG=${3}_gpus_${GPU}_autocast_${AUTOCAST}_nodes_$(node_count "$GPU")
    TAG=${TAG//[^A-Za-z0-9_,.;-]/_}
    RUN=$OUT/$TAG
    if ! choose_trainer "$3" || lacking=$(why_not_here); then
        ! in_stage $TRAIN || skip_step train "${lacking:-the config has no command for $3}"
        return 1
    fi
    if in_stage $TRAIN; then
        if ! train; then
            not_run evaluate predict export infer agree "training failed"
            return 0
        fi
        check_convergence
    fi
    find_trained_weights && certify_weights
    return 0
}

certify_provided_weights() {
    TAG=provided GPU=-1 RUN=$OUT/provided
    choose_trainer norm_train
    if is_set kl_quant && [[ ${VALUE[kl_quant]} != False ]]; then
        skip_step quantise "post-training quantisation is no part of this repository"
    fi
    # the models dialect has a command of its own here; False or null means that infer_model is an exported one
    [[ ${VALUE[infer_export]} == True ]] || EXPORT_FIELD=infer_export
    WEIGHTS=$(provided_weights "$CONFIG") || exit 1
    [[ $INFER_FOLDER == . ]] || WEIGHTS=${WEIGHTS%.pdparams} # PaddleClas's commands add it themselves
    certify_weights
}

certify_weights() { # evaluate, predict, export, infer and compare the weights at WEIGHTS
    MODEL_DIR=$RUN/inference
    in_stage $EVALUATE && evaluate
    in_stage $PREDICT && predict
    if in_stage $EXPORT && ! export_model; then
        not_run infer agree "the export failed"
        return
    fi
    # a foreign export command may write to the folder that the config names
    [[ -d $MODEL_DIR ]] || MODEL_DIR=$(from_root "${VALUE[infer_model]:-${VALUE[save_inference_dir]}}")
    in_stage $INFER && infer
    in_stage $AGREE && agree
}

# --------------------------------------------------------------------------------------------------- single steps

why_not_here() { # the reason why this machine cannot train on GPU with AUTOCAST; fails when it can
    local -a wanted
    IFS=, read -r -a wanted <<<"${GPU#*;}"
    if [[ $GPU == -1 ]]; then
        [[ $AUTOCAST != null && $AUTOCAST != fp32 ]] && echo "mixed precision ($AUTOCAST) needs a GPU"
    elif ((GPUS == 0)); then
        echo "gpu_list has $GPU, and there is no GPU that this Paddle can use"
    elif ((GPUS < ${#wanted[@]})); then
        echo "gpu_list has $GPU, and there are $GPUS GPUs"
    else
        false
    fi
}

node_count() { # GPU: 1, or the number of machines in an entry such as ip1,ip2;0,1
    local -a machines=(one)
    [[ $1 != *\;* ]] || IFS=, read -r -a machines <<<"${1%%;*}"
    echo "${#machines[@]}"
}

train() {
    begin_command "$TRAIN_FIELD" "$TRAIN_EXTRA"
    unset CUDA_VISIBLE_DEVICES
    case $GPU in
        -1) ;;
        *\;*) add_launcher "--ips=${GPU%%;*}" "--gpus=${GPU#*;}" ;;
        *,*) add_launcher "--gpus=$GPU" ;;
        *) export CUDA_VISIBLE_DEVICES=$GPU ;;
    esac
    add_device
    add_field output_dir "$RUN"
    add_field epochs
    add_field pretrained
    add_field batch_size
    add_field train_free
    add_field data_path
    case $AUTOCAST in
        fp16) add_mixed_precision O2 ;;
        amp) add_mixed_precision O1 ;;
    esac
    run_step train "$RUN.log" . "${COMMAND[@]}"
}

add_launcher() { # OPTION...
    COMMAND=(python -m paddle.distributed.launch "$@" "${COMMAND[@]:1}")
}

add_mixed_precision() { # LEVEL
    COMMAND+=(-o AMP.use_amp=True -o AMP.scale_loss=128 -o AMP.use_dynamic_loss_scaling=False -o "AMP.level=$1")
}

add_device() { # the device option for GPU, which is -1 for the CPU
    local value=${VALUE[device]%%|*}
    [[ ${KEY[device]} == -* ]] || return 0 # the models dialect has a line here that is no option
    if [[ $GPU == -1 ]]; then
        case $value in
            True) value=False ;;
            gpu*) value=cpu ;;
        esac
    fi
    add_field device "$value"
}

check_convergence() {
    local log=$RUN/log_train.txt
    [[ -f $log ]] || log=$RUN.log
    run_step converge "${RUN}_converge.log" . python tools/check_convergence.py "$log"
}

find_trained_weights() { # sets WEIGHTS to what the training left under train_model_name, .pdparams or not as it says
    local name=${VALUE[train_model_name]} folder
    for folder in "$RUN" "$RUN/$MODEL"; do
        WEIGHTS=$folder/$name
        [[ -f $WEIGHTS || -f $WEIGHTS.pdparams ]] && return
    done
    echo "error: the training left no ${name%.pdparams}.pdparams in $RUN"
    record weights failed 0 "$RUN.log" "no ${name%.pdparams}.pdparams was left"
    not_run evaluate predict export infer agree "there are no weights"
    return 1
}

begin_evaluation() { # [SCRIPT]: the evaluation command, or the same with another script of tools/; fails if foreign
    local i
    is_set eval || return 1
    begin_command eval
    add_field pretrained "$WEIGHTS"
    add_device
    (($# > 0)) || return 0
    for i in "${!COMMAND[@]}"; do
        [[ ${COMMAND[i]} == tools/eval.py ]] && COMMAND[i]=tools/$1 && return
    done
    return 1
}

evaluate() {
    if begin_evaluation; then
        add_field eval_free
        run_step evaluate "${RUN}_eval.log" . "${COMMAND[@]}"
    else
        skip_step evaluate "the config has no eval command"
    fi
}

predict() { # with the training engine, the same images that the inference engine gets
    if begin_evaluation infer.py; then
        run_step predict "${RUN}_predict.log" . "${COMMAND[@]}" -o "Infer.infer_imgs=$(from_root "${VALUE[image]}")"
    else
        skip_step predict "the eval command is not tools/eval.py, so none is known for predicting"
    fi
}

export_model() {
    if ! is_set "$EXPORT_FIELD" || [[ ${VALUE[$EXPORT_FIELD]} == False ]]; then
        skip_step export "the config has no export command"
        return
    fi
    begin_command "$EXPORT_FIELD"
    add_field export_weights "$WEIGHTS"
    add_field save_inference_dir "$MODEL_DIR"
    run_step export "${RUN}_export.log" . "${COMMAND[@]}"
}

declare -A INFER_LOGS # of this run

infer() { # with Paddle Inference, every combination that the config lists
    local use_gpu
    while IFS= read -r use_gpu; do
        case $use_gpu in
            True | true | gpu) infer_on_gpu ;;
            *) infer_on_cpu ;;
        esac
    done < <(split_list "${VALUE[use_gpu]}")
}

infer_on_gpu() {
    local trt fp16 batch
    if ((GPUS == 0)); then
        skip_step "infer gpu" "no GPU that this Paddle can use"
        return
    fi
    combine use_tensorrt use_fp16 infer_batch_size
    while IFS=$'\t' read -r trt fp16 batch; do
        [[ $fp16 =~ ^(False|fp32|null)$ || $trt == True ]] || continue # lower precision is a setting of TensorRT
        infer_once gpu "usetrt_${trt}_precision_${fp16}_batchsize_${batch}" \
            use_tensorrt "$trt" use_fp16 "$fp16" infer_batch_size "$batch"
    done <<<"$COMBINATIONS"
}

infer_on_cpu() {
    local mkldnn threads fp16 batch
    combine enable_mkldnn cpu_threads use_fp16 infer_batch_size
    while IFS=$'\t' read -r mkldnn threads fp16 batch; do
        if ! [[ $fp16 =~ ^(False|fp32|null)$ ]]; then
            skip_step "infer cpu precision_$fp16" "lower precision needs a GPU"
            continue
        fi
        infer_once cpu "usemkldnn_${mkldnn}_threads_${threads}_precision_${fp16}_batchsize_${batch}" \
            enable_mkldnn "$mkldnn" cpu_threads "$threads" use_fp16 "$fp16" infer_batch_size "$batch"
    done <<<"$COMBINATIONS"
}

combine() { # FIELD...: sets COMBINATIONS to one tab-separated line for each combination of their |-lists
    local field value line grown
    COMBINATIONS=''
    for field in "$@"; do
        grown=''
        while IFS= read -r line; do
            while IFS= read -r value; do
                grown+="${line:+$line$'\t'}${value:-null}"$'\n'
            done < <(split_list "${VALUE[$field]:-null}")
        done <<<"$COMBINATIONS"
        COMBINATIONS=${grown%$'\n'}
    done
}

infer_once() { # DEVICE SETTINGS (FIELD VALUE)...
    local device=$1 settings=$2 log
    shift 2
    log=$OUT/python_infer_${device}_gpus_${GPU}_$settings.log
    [[ -z ${INFER_LOGS[$log]:-} ]] || log=${RUN}_infer_${device}_$settings.log # the chain of another trainer was here
    INFER_LOGS[$log]=1
    begin_command inference
    add_field use_gpu "$([[ $device == gpu ]] && echo True || echo False)"
    while (($# > 0)); do
        add_field "$1" "$2"
        shift 2
    done
    add_field model_dir "$(from_infer_folder "$MODEL_DIR")"
    add_field image
    add_field benchmark
    add_field infer_free
    run_step "infer $device $settings" "$log" "$INFER_FOLDER" "${COMMAND[@]}"
}

agree() { # the whole validation list through both engines
    local i
    local -a inference_config=()
    begin_command inference
    for i in "${!COMMAND[@]}"; do
        [[ ${COMMAND[i]} == -c ]] && inference_config=(--inference_config "$(from_root "${COMMAND[i + 1]}")")
    done
    if begin_evaluation compare_engines.py; then
        run_step agree "${RUN}_agree.log" . "${COMMAND[@]}" --inference_model_dir "$MODEL_DIR" \
            "${inference_config[@]}" --save "${RUN}_agree.json"
    else
        skip_step agree "the eval command is not tools/eval.py, so the predictions were NOT compared"
    fi
}

main "$@"
