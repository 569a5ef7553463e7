#!/usr/bin/env bash
# The exported model that a chain of deployment begins with. Sourced after common_func.sh. More names of RUN:
#   model_dir structure    the folder of the model, and the name of its structure's file there
#   wanted                 the name that the config has for that file

declare -A RUN # see common_func.sh

find_exported_model() { # FOLDER STRUCTURE of the config: sets RUN[model_dir] and RUN[structure]: that model; else what the
    # base chain has exported; else a new export by it. Fails, and has recorded why, where there is none
    local base=test_tipc/configs/${RUN[model]}/train_infer_python.txt
    RUN[model_dir]=${1%/} RUN[wanted]=$2
    RUN[structure]=$(structure_in "${RUN[model_dir]}") && return
    echo "note: there is no ${RUN[wanted]} in ${RUN[model_dir]}; taking what the base chain exports"
    find_trained_model "$base" && return
    if in_stage 1; then export_by_base_chain "$base"; else find_base_model; fi
}

export_by_base_chain() { # CONFIG: of the provided weights, or of a short training where there are none
    local mode=lite_train_lite_infer
    local -a stages=(--stage 1 --stop_stage 4)
    if [[ ! -f $1 ]]; then
        echo "error: no $1 says how to make the model"
        record model failed 0 "${RUN[facts]}" '' "no $1"
        return 1
    fi
    [[ -z $(weights_of "$1") ]] || mode=whole_infer stages=(--stage 4 --stop_stage 4)
    EXPECT=new_base_model run_step model "${RUN[output_dir]}/model.log" . \
        env TIPC_OUTPUT="${RUN[output_dir]}/base" TIPC_PYTHON="${RUN[python]}" \
        bash "$(tool test_train_inference_python.sh)" "$1" "$mode" "${stages[@]}" ${RUN[project]:+--project "$ROOT"}
}

weights_of() { # CONFIG of the base chain: print the path of its provided weights, if they are there
    local path
    [[ -f $1 ]] && path=$( (read_config "$1" && weights_for_whole_infer) 2>/dev/null) && [[ -n $path ]] || return 0
    [[ -e $path ]] || path+=.pdparams
    [[ ! -e $path ]] || echo "$path"
}

find_trained_model() { # CONFIG: a model that the base chain has trained before, where no weights are provided
    local run=${RUN[output_root]}/${RUN[model]}/lite_train_lite_infer
    [[ -z $(weights_of "$1") ]] && "${RUN[python]}" "$TIPC/lib/certificate.py" "$run" >/dev/null &&
        take_model "$run/*/inference"
}

take_model() { # PATTERN: sets RUN[model_dir] and RUN[structure] to the first such folder with a model; fails without one
    local folder
    while IFS= read -r folder; do
        RUN[structure]=$(structure_in "$folder") && RUN[model_dir]=$folder && return
    done < <(compgen -G "$1")
    return 1
}

structure_in() { # FOLDER: print the name of the model's structure there, the config's or Paddle 3's; fail without one
    local name=${RUN[wanted]}
    if [[ ! -f $1/$name ]]; then
        [[ $name == *.pdmodel ]] || return
        name=${name%.pdmodel}.json # all that Paddle 3.2 and later write
    fi
    [[ -f $1/$name ]] && echo "$name"
}

find_base_model() { # the one that the base chain has exported for this run
    take_model "${RUN[output_dir]}/base/*/*/*/inference" && return
    echo "error: the base chain left no ${RUN[wanted]} in ${RUN[output_dir]}/base; start with --stage 1"
    record model failed 0 "${RUN[facts]}" '' "there is no ${RUN[wanted]}"
    return 1
}

new_base_model() { # EXPECT of model
    take_model "${RUN[output_dir]}/base/*/*/*/inference" && is_new "${RUN[model_dir]}/${RUN[structure]}" && return
    STEP[reason]="the base chain left no new ${RUN[wanted]} in ${RUN[output_dir]}/base"
    return 1
}

model_fact() { # print what a step that reads the exported model notes
    echo "model=$(hash_of "${RUN[model_dir]}")"
}
