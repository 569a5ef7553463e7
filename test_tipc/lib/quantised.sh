#!/usr/bin/env bash
# Post-training quantisation, and what the chain asks of every INT8 model: is it INT8, is it that of its network, and
# what does it lose and gain? Sourced after train_infer.sh.

declare -A RUN # see common_func.sh

certify_quantised() { # quantise after training, and infer with the result; fails where the command is not here
    local script status
    local field=quantise
    quantises || field=kl_quant
    RUN[tag]=quantised RUN[gpu]=-1 RUN[training_dir]=${RUN[output_dir]}/quantised RUN[export_field]=$field
    RUN[weights]=''
    begin_command "$field"
    script=${COMMAND[1]:-}
    if ! is_there "$script"; then
        skip_step quantise "there is no $script here"
        quantises
        return
    fi
    quantise
    status=$?
    if ((status == 0)); then
        infer
        agree_int8 || skip_step agree \
            "a quantised model does not give the network's numbers: the predictions were NOT compared"
        ARTEFACTS+=("$(exported_model)")
    elif ((status == 77)); then
        skip_step infer "there is no quantised model" && skip_step agree "there is no quantised model"
    else
        not_run infer agree "the quantisation failed"
    fi
    return 0
}

is_there() { # PATH of a script of the project
    [[ -e $1 ]]
}

quantise() {
    local field
    in_stage 4 || return 0
    # it starts from the weights, or from an exported model
    if [[ ${DIALECT[same]:-} == *'provided_weights export_weights'* ]]; then
        see_provided_weights "${VALUE[provided_weights]:-}"
        add_field export_weights "$REPLY"
        add_field save_inference_dir "${RUN[training_dir]}/inference"
    fi
    for field in "${FIELDS[@]}"; do [[ $field != quant_* ]] || add_field "$field"; done
    add_setting export
    EXPECT=new_model MAY_SKIP=$(field_declares "${RUN[export_field]}" skips) \
        run_step quantise "${RUN[training_dir]}_quantise.log" . "${COMMAND[@]}"
}

agree_int8() { # what the script that made the INT8 model declares for it; fails where there is nothing to compare with
    in_stage 6 || return 0
    begin_int8 || return
    MAY_SKIP=1 EXPECT=int8_as_expected FACTS=$(model_fact) run_step 'agree int8' "${RUN[training_dir]}_agree_int8.log" . \
        "${COMMAND[@]}" --inference_model_dir "$(exported_model)"
    return 0 # the step says how it ended
}

begin_int8() { # the command that made the INT8 model, with the script that is declared to compare it
    [[ ${RUN[export_field]} =~ ^(pact_export|kl_quant|quantise)$ ]] && is_set "${RUN[export_field]}" || return
    begin_command "${RUN[export_field]}"
    use_companion int8 || return
    [[ -z ${RUN[weights]} ]] || add_field export_weights "${RUN[weights]}"
}

int8_as_expected() { # EXPECT of `agree int8`
    check_log "${EXPECTED_INT8[@]}"
}
