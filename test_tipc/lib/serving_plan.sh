#!/usr/bin/env bash
# What --dry_run replaces of the serving chain, besides what dry_run.sh does: nothing is started, and no model is needed.
# Sourced after serving.sh and dry_run.sh.

declare -A RUN VALUE VARIANT # see common_func.sh, config.sh and serving_config.sh
declare -a COMMAND           # see command.sh

plan_service() { # after plan_only; COMPARE is the script of the step agree
    local model notes=''
    structure_in() { echo "${VALUE[model_filename]}"; }
    is_quantised() { :; } # the model may not be there
    service_fact() { :; }
    last_line_with() { return 1; } # the engine is said by the running service
    end_server() { :; }

    start_server() {
        server_command
        RUN[http]=http://127.0.0.1:HTTP_PORT/${RUN[op]}/prediction RUN[grpc]=127.0.0.1:RPC_PORT
        run_step "server ${VARIANT[name]}" "${RUN[output_dir]}/python_server_${VARIANT[name]}.log" \
            "${VALUE[serving_dir]}" "${COMMAND[@]}"
    }

    saved_answers() { # of the steps that are planned
        local name
        for name in "${ASKED[@]}"; do printf '%s\n' "$name=${RUN[served_output]}/answers_${VARIANT[name]}_$name.json"; done
    }

    run_client() { # STEP CLIENT BATCH_SIZE PROTOCOL
        run_step "$1" "$(client_log "$2" "$3")" "${VALUE[serving_dir]}" "${COMMAND[@]}"
        ASKED+=("${2#pipeline_}_$3")
    }

    for model in "${MODELS[@]}"; do
        [[ -z $model || $model == "${RUN[op]}_" ]] || notes+=" ${model%_}"
    done
    [[ -z $notes ]] || echo "note: the lines op.${RUN[op]}.… do not set$notes: it runs as the service's own config says"
    if ((${#MODELS[@]} > 1)); then
        agree() { skip_step "agree ${VARIANT[name]}" "a system of ${#MODELS[@]} models (${MODELS[*]%_}) is not compared"; }
    elif [[ ! -f $COMPARE ]]; then
        agree() { skip_step "agree ${VARIANT[name]}" "this project has no $COMPARE"; }
    fi
}
