#!/usr/bin/env bash
# Certify a model from training to inference: train, evaluate, predict, export, infer, and prove that all agree.
#
#   bash test_tipc/test_train_inference_python.sh CONFIG MODE [--stage N] [--stop_stage N] [--evidence]
#       [--project FOLDER] [--project_prepare] [--dry_run] [--verbose]
#   bash test_tipc/test_train_inference_python.sh \
#       test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt lite_train_lite_infer
#
# The project under test is the folder that holds test_tipc/, or --project FOLDER: any Paddle project, unchanged.
# --project_prepare runs that project's own test_tipc/prepare.sh, which may download.
# MODE: lite_train_lite_infer   train and infer a few images
#       lite_train_whole_infer  train a few, infer the whole validation set
#       whole_train_whole_infer train and infer the whole set
#       whole_infer             no training: the provided weights
# Stages: 0 prepare, 1 train, 2 evaluate, 3 predict, 4 export, 5 infer, 6 agree. --stage and --stop_stage choose from
# them; earlier stages must have left their files. --evidence renews test_log/<model> from this run.
# TIPC_PYTHON=/path/to/python uses that interpreter; TIPC_OUTPUT=FOLDER replaces test_tipc/output (and then evidence is
# kept with --evidence only).
# --dry_run prints what would be run, and runs and writes nothing: no environment is needed. A line is `STEP: (in FOLDER)
# COMMAND`, quoted for a shell, or `STEP: skipped (REASON)`; lines with # in front say which training follows. Exit code 0.
# What the config expects (see lib/expected.sh) is checked in the stages 2, 5 and 6.
# On a terminal each step has one live line, with the whole output in its log; --verbose shows all output there.
# Leaves logs, results_python.log, summary.json and junit.xml in test_tipc/output/<model>/<mode>/.
# Exit code: 0 every step passed, 1 a step failed or nothing could be run, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/train_config.sh
source "$TIPC/lib/train_config.sh"
# shellcheck source=test_tipc/lib/launch.sh
source "$TIPC/lib/launch.sh"
# shellcheck source=test_tipc/lib/precision.sh
source "$TIPC/lib/precision.sh"
# shellcheck source=test_tipc/lib/train_infer.sh
source "$TIPC/lib/train_infer.sh"
# shellcheck source=test_tipc/lib/quantised.sh
source "$TIPC/lib/quantised.sh"
# shellcheck source=test_tipc/lib/artefacts.sh
source "$TIPC/lib/artefacts.sh"
# shellcheck source=test_tipc/lib/agree.sh
source "$TIPC/lib/agree.sh"
# shellcheck source=test_tipc/lib/diagnosis.sh
source "$TIPC/lib/diagnosis.sh"
# shellcheck source=test_tipc/lib/expected.sh
source "$TIPC/lib/expected.sh"
# shellcheck source=test_tipc/lib/dry_run.sh
source "$TIPC/lib/dry_run.sh"

STAGES=('prepare|project_prepare' 'train|converge|weights' evaluate predict 'export|quantise' infer 'agree|expected')

main() {
    parse_chain_options '--project=.+=a folder' --project_prepare --dry_run -- "$@"
    ((${#ARGUMENTS[@]} == 2)) || die "usage: bash test_tipc/test_train_inference_python.sh CONFIG MODE (see --help)"
    RUN[mode]=${ARGUMENTS[1]}
    is_mode "${RUN[mode]}" || die "unknown mode '${RUN[mode]}'; expected one of: ${MODES[*]}"
    find_config "${ARGUMENTS[0]}"
    read_train_config
    take_expected
    [[ -z ${RUN[dry_run]} ]] || plan_only
    certify_config
}

certify_config() { # all stages of RUN[config]
    begin_chain results_python.log bash "$(tool prepare.sh)" "${RUN[config]}" "${RUN[mode]}" \
        ${RUN[project]:+--project "$ROOT"} # stage 0
    prepare_project
    note_inputs
    if [[ ${RUN[mode]} == whole_infer ]]; then
        certify_provided
    else
        for_each_part certify_trainings
    fi
    finish
}

certify_trainings() { # gpu_list x autocast x trainer
    for_each_training certify_training
}

certify_training() { # of RUN[trainer] with RUN[gpu] and RUN[autocast]
    if in_stage 1 && ! train; then
        not_run converge evaluate predict export infer agree "training failed"
        return
    elif is_further_machine; then
        skip_step evaluate "the first machine, $REPLY, has the weights, and goes on alone"
        return
    fi
    converge
    [[ -n ${KEY[inference]:-} ]] || return 0 # a config of trainings only
    if in_stage 1 || find_trained_weights; then certify_weights; fi
}

certify_weights() { # of RUN[weights]
    evaluate
    predict
    if ! export_model; then
        not_run infer agree "the export failed"
        return
    fi
    infer
    agree_observed
    agree
    agree_int8
    expected
    ARTEFACTS+=("$(weights_file)" "$(exported_model)")
}

train() {
    begin_command "${RUN[train_field]}" "${RUN[train_options]}"
    launch_on "${RUN[gpu]}" # visible GPUs; paddle.distributed.launch for several processes
    add_device
    add_field output_dir "${RUN[training_dir]}"
    add_fields train_config epochs pretrained batch_size train_free train_free2 data_path
    add_setting train
    [[ ${RUN[mode]} != lite_train_* ]] || add_setting lite_train
    add_precision
    EXPLAIN=explain_ranks EXPECT=weights_of_machine run_step train "${RUN[training_dir]}.log" . "${COMMAND[@]}"
}

converge() { # did the loss fall?
    in_stage 1 || return 0
    MAY_SKIP=1 run_step converge "${RUN[training_dir]}_converge.log" . \
        python "$(tool lib/convergence.py)" "$(training_log)"
}

evaluate() {
    local log=${RUN[training_dir]}_eval.log
    in_stage 2 || return 0
    if ! begin_evaluation; then
        skip_step evaluate "the config has no eval command"
    elif ! trains && see_replaced_data "${COMMAND[@]}"; then
        skip_step evaluate "$REPLY"
    else
        EXPECT=evaluated_as_expected OBSERVE=1 FACTS=$(weights_fact) run_step evaluate "$log" . "${COMMAND[@]}"
    fi
}

predict() { # with the training engine, the same images that the inference engine gets
    local log=${RUN[training_dir]}_predict.log
    in_stage 3 || return 0
    if begin_prediction; then
        OBSERVE=1 FACTS=$(weights_fact) run_step predict "$log" . "${COMMAND[@]}"
    else
        skip_step predict "the config has no predict command (a line predict:… below eval:… adds it)"
    fi
}

export_model() {
    in_stage 4 || return 0
    if ! exports_model; then
        skip_step export "the config has no export command"
        return
    fi
    begin_command "${RUN[export_field]}"
    add_field export_weights "${RUN[weights]}"
    add_field save_inference_dir "${RUN[training_dir]}/inference"
    add_field export_shape
    add_field export_config "${VALUE[train_config]:-}"
    add_setting export
    FACTS=$(weights_fact) EXPECT=new_model in_old_format "${RUN[export_field]}" . \
        run_step export "${RUN[training_dir]}_export.log" . "${COMMAND[@]}"
}

infer() { # with Paddle Inference, every combination of device and options that the config lists
    in_stage 5 || return 0
    if is_set inference; then for_each_device infer_once; else skip_step infer "the config has no inference command"; fi
}

infer_once() { # DEVICE SETTINGS (FIELD VALUE)...
    local log
    log=$(new_inference_log "$1" "$2")
    begin_inference "$log" "${@:3}"
    EXPECT=inferred_as_expected OBSERVE=1 FACTS=$(model_fact) \
        MAY_SKIP=$(field_declares inference skips "${RUN[infer_folder]}") in_old_format inference "${RUN[infer_folder]}" \
        run_step "infer $1 $2" "$log" "${RUN[infer_folder]}" "${COMMAND[@]}"
}

agree_observed() { # what went into the network and came out of it: in evaluate, in predict, and in every infer
    local -a predicted inferred options
    in_stage 6 || return 0
    forget_diagnosis
    mapfile -t predicted < <(passed_logs predict)
    mapfile -t inferred < <(passed_logs infer)
    if ((${#inferred[@]} == 0)); then
        skip_step 'agree observed' "no inference passed, so the predictions were NOT compared"
        return
    fi
    mapfile -t options < <(observation_options --evaluated evaluate && observation_options --predicted predict &&
        observation_options --inferred infer)
    ((${#predicted[@]} == 0)) || options+=(--predict_log "${predicted[0]}" --infer_log "${inferred[@]}")
    ! gives_embeddings || options+=(--embeddings)
    EXPLAIN=explain_disagreement MAY_SKIP=1 EXPECT=note_what_agreed FACTS="$(weights_fact) $(model_fact)" \
        run_step 'agree observed' "${RUN[training_dir]}_agree_observed.log" . \
        python "$(tool lib/agree.py)" "$(exported_model)" "${options[@]}" --weights "$(weights_file)" \
        --save "${RUN[training_dir]}_agree_observed.json"
}

agree() { # of scripts that declare how: evaluation, predictions, printed lines, and a whole list through both engines
    local -a printed evaluated=() options sizes
    in_stage 6 || return 0
    if ! can_compare_list; then
        return
    elif [[ -z $(passed_logs predict) ]] || { [[ -z $(passed_logs evaluate) ]] && ! was_skipped evaluate; }; then
        not_run agree "there is nothing to compare: no evaluation or prediction that passed is on record"
    else
        mapfile -t printed < <(passed_logs infer)
        was_skipped evaluate || evaluated=(--evaluated "$(passed_logs evaluate)")
        mapfile -t options < <(inference_options)
        mapfile -t sizes < <(batch_sizes)
        begin_evaluation compare
        # bit by bit is possible on one and the same processor only
        on_cpu || COMMAND+=(-o Global.device=cpu)
        EXPLAIN=explain_disagreement FACTS="$(weights_fact) $(model_fact)" run_step agree "${RUN[training_dir]}_agree.log" . "${COMMAND[@]}" \
            --inference_model_dir "$(exported_model)" --save "${RUN[training_dir]}_agree.json" \
            "${evaluated[@]}" --predicted "$(passed_logs predict)" --printed "${printed[@]}" \
            --batch_size "${sizes[@]}" --inference_folder "${RUN[infer_folder]}" --inference_command "${options[@]}"
    fi
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
