#!/usr/bin/env bash
# Name the first stage at which the deployed model differs: diagnose.py, on the prediction and on one inference command,
# which are run again with all that can be observed. Sourced after agree.sh and train_infer.sh.

declare -A RUN STEP # see common_func.sh and record.sh
declare -a COMMAND  # see command.sh
: "${TIPC:?set by common_func.sh}"

declare -a DIAGNOSE_OPTIONS=() # of diagnose.py, from the command line
declare -a OBSERVED=()         # its options that name what was observed

diagnose_weights() { # of RUN[weights]: prints a line for each stage; the exit status of diagnose.py
    local folder=${RUN[training_dir]}_diagnosis
    rm -rf "$folder"
    mkdir -p "$folder" || die "$folder: cannot be made"
    OBSERVED=()
    observe_network "$folder" || return
    observe_inferences "$folder" || return
    ((${#OBSERVED[@]} > 0)) || die "${RUN[output_dir]}: no prediction, evaluation or inference that passed is on record"
    "${RUN[python]}" "$TIPC/lib/diagnose.py" "${OBSERVED[@]}" --model_dir "$(exported_model)" --weights "$(weights_file)" \
        --output "$folder" "${DIAGNOSE_OPTIONS[@]}" --again "$(diagnose_command)"
}

diagnose_command() { # print it, as a user would type it
    quoted bash "$(tool diagnose.sh)" "${RUN[config]}" "${RUN[mode]}" ${RUN[project]:+--project "$ROOT"}
}

observe_network() { # FOLDER: what the trained network computes: in the prediction, else in the evaluation
    if begin_prediction; then
        observe_deeply "$1/predict.log" . "${COMMAND[@]}" || return
        OBSERVED+=(--reference "$1/predict_observed" --predict_log "$1/predict.log")
        mapfile -t -O "${#OBSERVED[@]}" OBSERVED < <(observation_options --evaluated evaluate)
    elif begin_evaluation; then
        observe_deeply "$1/evaluate.log" . "${COMMAND[@]}" || return
        OBSERVED+=(--evaluated "$1/evaluate_observed")
    fi
}

observe_inferences() { # FOLDER: the first inference command again, and the recordings of the others
    local -a passed again logs
    local first
    mapfile -t passed < <(passed_logs infer)
    ((${#passed[@]} > 0)) || return 0
    first=${passed[0]}
    mapfile -d '' -t again < <(inference_command "$first" 3>&1 >/dev/null)
    if ((${#again[@]} > 0)); then
        passed[0]=$1/${first##*/}
        in_old_format inference "${RUN[infer_folder]}" \
            observe_deeply "${passed[0]}" "${RUN[infer_folder]}" "${again[@]}" || return
    fi
    logs=("${passed[@]}")
    OBSERVED+=(--inferred "${logs[@]/%.log/_observed}" --infer_log "${logs[@]}")
    ! gives_embeddings || OBSERVED+=(--embeddings)
}

inference_command() { # LOG: write the words of the command that left it to descriptor 3, each with a zero byte behind it
    skip_step() { :; } # what is not possible here is on record
    DEEP_LOG=$1
    for_each_device print_inference
}

print_inference() { # DEVICE SETTINGS (FIELD VALUE)...
    [[ $(new_inference_log "$1" "$2") == "$DEEP_LOG" ]] || return 0
    begin_inference "${RUN[training_dir]}_diagnosis/${DEEP_LOG##*/}" "${@:3}"
    printf '%s\0' "${COMMAND[@]}" >&3
}

observe_deeply() { # LOG FOLDER COMMAND...: run it with its operators and decoded images recorded; says why it failed
    local log=$1 out status
    local -A STEP=([observed]=${1%.log}_observed)
    mkdir -p "${STEP[observed]}" || die "${STEP[observed]}: cannot be made"
    exec {out}>"$log" || die "$log: cannot be written"
    TIPC_OBSERVE_DEEP=1 run_in_group "$out" "$out" run_program "${@:2}"
    status=$?
    exec {out}>&-
    ((status == 0)) && return
    echo "error: $(quoted "${@:3}") failed with exit code $status when it was run again; see $log" >&2
    return 1
}

forget_diagnosis() { # of an earlier comparison
    rm -f "${RUN[training_dir]}_diagnosis/diagnosis.log"
}

explain_disagreement() { # EXPLAIN of the steps that compare: the diagnosis, or what the step said where that finds nothing
    local said log=${RUN[training_dir]}_diagnosis/diagnosis.log
    said=$(last_error "${STEP[log]}")
    echo
    if [[ ! -f $log ]]; then
        echo "diagnosis:"
        diagnose_weights 2>&1 | tee "${RUN[output_dir]}/.diagnosis"
        mv "${RUN[output_dir]}/.diagnosis" "$log"
    else
        tail -n 1 "$log"
    fi
    tail -n 1 "$log" | grep -q '^error: .* is the first stage that differs: ' || echo "error${said:-: something disagrees, and the diagnosis could not name it}"
}
