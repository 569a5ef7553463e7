#!/usr/bin/env bash
# What is compared: every step is observed at the boundary of Paddle (observe/, agree.py), and scripts may declare that
# more can be compared (declared.sh). Sourced after train_infer.sh.

declare -A RUN # see common_func.sh

# Paddle 3 writes inference.json unless it is told otherwise, and the scripts that people have read inference.pdmodel:
# on .json they end with "Not find predictor_id 0 and pass_name memory_optimize_pass", or look for another file.
in_old_format() { # FIELD FOLDER COMMAND...: run the command so that the field's script uses .pdmodel, where Paddle has both
    local field=$1 folder=$2 paddle
    shift 2
    paddle=$(paddle_number)
    if [[ -n ${FLAGS_enable_pir_api:-} || $paddle =~ ^([0-2]\..*)?$ ]] ||
        field_declares "$field" formats "$folder" >/dev/null; then
        "$@"
    elif [[ $paddle =~ ^3\.[01]$ ]]; then
        FLAGS_enable_pir_api=0 "$@"
    else
        echo
        echo "note: Paddle $paddle writes inference.json only; a script that needs inference.pdmodel needs Paddle 3.1 or older"
        "$@"
    fi
}

paddle_number() { # print the first two numbers of Paddle's version
    [[ ${RUN[versions]} =~ paddlepaddle(-gpu)?\ ([0-9]+\.[0-9]+) ]] && echo "${BASH_REMATCH[2]}"
}

# ------------------------------------------------------------------------------------------------------- the comparison

observation_options() { # OPTION KIND: print that option of agree.py with the folders of the steps of the kind, a word per line
    local -a logs
    mapfile -t logs < <(passed_logs "$2")
    ((${#logs[@]} == 0)) || printf '%s\n' "$1" "${logs[@]/%.log/_observed}"
}

note_what_agreed() { # EXPECT of "agree observed": a verdict must say where the preprocessing was not compared
    grep -q '^preprocessing: .*: agrees' "${STEP[log]}" || STEP[facts]+=' preprocessing=none'
}

gives_embeddings() { # whether the inference script declares it: those of length 1 are seen without a word
    [[ $(field_declares inference outputs "${RUN[infer_folder]}") == embeddings ]]
}

can_compare_list() { # whether both scripts declare that a whole list can be compared, and an inference was run
    field_declares inference compare "${RUN[infer_folder]}" >/dev/null && begin_evaluation compare &&
        [[ -n $(passed_logs infer) ]]
}

inference_options() { # print the words of the inference command behind its script, a word per line
    begin_command inference
    add_field infer_free
    ((${#COMMAND[@]} < 3)) || printf '%s\n' "${COMMAND[@]:2}"
}

batch_sizes() { # print those of the inferences, a line each
    split_bars "${VALUE[infer_batch_size]:-}"
    [[ ${ENTRIES[*]} =~ [0-9] ]] || ENTRIES=(1)
    printf '%s\n' "${ENTRIES[@]}" | grep -x '[0-9]*'
}
