#!/usr/bin/env bash
# --dry_run: the chain as it is, but its steps are printed instead of run. What would act, or look at what earlier steps
# left, is replaced here; all that plans is the chain's own.

declare -A RUN # see common_func.sh

declare -a PLANNED=() # "tag<tab>name<tab>log" of the steps that would be run

plan_only() { # from now on nothing is run, written, or looked for
    begin_chain() { # RECORD COMMAND...
        RUN[output_dir]=${RUN[output_root]}/${RUN[model]}/${RUN[mode]}
        RUN[python]=python RUN[versions]='' RUN[commit]='' RUN[facts]='' RUN[tag]='' RUN[told]=''
        PLANNED=()
        RUN[gpus]=$(count_gpus)
        printf '# dialect %s, model %s, mode %s\n' "${DIALECT[name]}" "${RUN[model]}" "${RUN[mode]}"
        ! in_stage 0 || run_step prepare '' . "${@:2}"
        ((RUN[stop_stage] > 0)) || exit 0
    }

    run_step() { # NAME LOG FOLDER COMMAND...
        local visible=''
        tell_training
        [[ -z ${CUDA_VISIBLE_DEVICES:-} || $4 != python ]] || visible="CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES "
        printf '%s: (in %s) %s' "$1" "$3" "$visible"
        printf '%q ' "${@:4:$#-4}"
        printf '%q\n' "${!#}"
        PLANNED+=("${RUN[tag]}"$'\t'"$1"$'\t'"$2")
        [[ ${EXPECT:-} != weights_of_machine ]] || find_weights # the later steps name them
    }

    skip_step() { # NAME REASON
        tell_training
        printf '%s: skipped (%s)\n' "$1" "$2"
    }

    not_run() { # NAME... REASON
        local name
        for name in "${@:1:$#-1}"; do skip_step "$name" "${!#}"; done
    }

    passed_logs() { # KIND: the planned steps of that kind will pass
        local line
        for line in "${PLANNED[@]}"; do
            [[ $line != "${RUN[tag]}"$'\t'"$1"[$' \t']* ]] || printf '%s\n' "${line##*$'\t'}"
        done
    }

    is_log_of_another_tag() { # LOG
        local line
        for line in "${PLANNED[@]}"; do
            [[ ${line%%$'\t'*} == "${RUN[tag]}" || ${line##*$'\t'} != "$1" ]] || return 0
        done
        return 1
    }

    newest_weights() { # FOLDER/ NAME: where they would be, first of all
        RUN[weights]=$1$2
    }

    find_exported_model() { RUN[model_dir]=${1%/} RUN[structure]=$2; }
    find_trained_weights() { find_weights; }
    see_replaced_data() { return 1; }
    was_skipped() { return 1; }
    is_there() { :; }
    holds_model() { :; }
    note_inputs() { :; }
    weights_fact() { :; }
    model_fact() { :; }
    finish() { exit 0; }
}

tell_training() { # a heading before the first line of each training
    [[ -z ${RUN[tag]} || ${RUN[told]} == "${RUN[tag]}" ]] || printf '\n# %s\n' "${RUN[tag]}"
    RUN[told]=${RUN[tag]}
}
