#!/usr/bin/env bash
# The weights that a training leaves, and the model that an export leaves: where they are, and whether they are new.
# Sourced after train_infer.sh.

declare -A RUN # see common_func.sh

# ------------------------------------------------------------------------------------------------------------- weights

weights_of_machine() { # EXPECT of train: of several machines, the first one has the weights
    is_further_machine || new_weights
}

new_weights() { # EXPECT of train: it left weights, and they are its own
    local log=${RUN[training_dir]}/log_train.txt history=${RUN[training_dir]}/history.jsonl name
    if ! find_weights; then
        name=${VALUE[train_model_name]:-null}
        [[ $name != null ]] || name=${DIALECT[weights_name]:-*.pdparams}
        STEP[reason]="it left no ${name%.pdparams}.pdparams in ${RUN[training_dir]}"
    elif ! is_new "$(weights_file)"; then
        STEP[reason]="$(weights_file) is older than this training, which has not written it"
    else
        # an old one would be taken for evidence of this training
        if is_new "$log"; then RUN[training_log]=$log; else rm -f "$log"; fi
        is_new "$history" || rm -f "$history"
        STEP[facts]+=" $(weights_fact)"
        return
    fi
    return 1
}

find_weights() { # set RUN[weights] to what train_model_name names, with or without .pdparams as it says
    local folder name pattern=${VALUE[train_model_name]:-null} expected=''
    local -a folders=("${RUN[training_dir]}" "${RUN[training_dir]}/${RUN[model]}")
    [[ $pattern != null ]] || pattern=${DIALECT[weights_name]:-*.pdparams}
    if [[ -n ${DIALECT[weights_in]:-} ]]; then # FOLDER [if PATH]
        read -r folder name expected <<<"${DIALECT[weights_in]}"
        fill_in "$folder"
        [[ -n $expected && ! -e $expected ]] || folders=("${RUN[training_dir]}/$REPLY" "${folders[@]}")
    fi
    pattern+=${DIALECT[weights_file]:+/${DIALECT[weights_file]}}
    for name in "$pattern" ${DIALECT[weights_else]:+"${DIALECT[weights_else]}"}; do
        for folder in "${folders[@]}"; do
            ! newest_weights "$folder/" "$name" || return 0
        done
        # a project may have further folders of its own
        ! newest_weights "${RUN[training_dir]}/*/" "$name" || return 0
    done
    return 1
}

newest_weights() { # FOLDER/ NAME: set RUN[weights] to the newest that fits the name or pattern; or fail
    local path newest='' found=''
    local -a paths
    expand_weights "$1" "$2"
    for path in "${paths[@]}"; do
        RUN[weights]=$path
        see_weights_file
        [[ -e $REPLY ]] || continue
        [[ -n $newest && ! $REPLY -nt $newest ]] || { newest=$REPLY && found=$path; }
    done
    [[ -n $newest ]] && RUN[weights]=$found
}

expand_weights() { # FOLDER/ NAME: sets `paths`: the words themselves where they are no patterns
    local folder=$1 name=$2 base
    if [[ $folder != *'*/' && $name != *[*?[]* ]]; then
        paths=("$folder$name")
        return
    fi
    base=${folder%'*/'}
    [[ $folder == *'*/' ]] && folder='*/' || folder=''
    local IFS='' # neither blanks nor patterns of the folder's own name count
    shopt -s nullglob
    # shellcheck disable=SC2206 # a pattern
    paths=("$base"$folder$name)
    # shellcheck disable=SC2206
    [[ $name == *.pdparams ]] || paths+=("$base"$folder$name.pdparams)
    shopt -u nullglob
    paths=("${paths[@]%.pdparams}")
    [[ $name != *.pdparams ]] || paths=("${paths[@]/%/.pdparams}")
}

see_weights_file() { # sets REPLY: the path of RUN[weights] with its suffix
    REPLY=${RUN[weights]}
    [[ (-e $REPLY || $REPLY == *.pdparams) && ! -f $REPLY.pdparams ]] || REPLY+=.pdparams
}

weights_file() { # print the path of RUN[weights] with its suffix
    see_weights_file
    echo "$REPLY"
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

# -------------------------------------------------------------------------------------------------- the exported model

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
        -o -name '__params__' -o -name '*.onnx' \) -print0 2>/dev/null)
    if [[ -z $fresh ]]; then
        STEP[reason]="it wrote no model (*.pdmodel, *.json, __model__ or *.onnx) to $model"
        return 1
    fi
    STEP[facts]+=" $(model_fact)"
}

exported_model() { # print its folder
    find_model
    echo "$MODEL"
}

find_model() { # sets MODEL: the folder of the exported model: that of our export, or else the one that the config has
    local folder=${RUN[training_dir]}/inference
    if [[ ${RUN[tag]} == quantised && -n ${DIALECT[quantised]:-} ]]; then
        fill_in "${DIALECT[quantised]}"
        MODEL=${REPLY//\/\//\/}
    elif exports_model; then
        fill_in "$folder${DIALECT[export_in]:+/${DIALECT[export_in]}}"
        MODEL=$REPLY
        holds_model "$MODEL" || search_model "$folder"
    else
        configured_model
    fi
}

holds_model() { # FOLDER
    local path
    for path in "$1"/*.pdmodel "$1"/*.json "$1"/__model__; do [[ ! -f $path ]] || return 0; done
    return 1
}

search_model() { # FOLDER of the export: sets MODEL to the folder in it that holds a model, or else to the config's
    local path
    MODEL=$1
    for path in "$1" "$1"/*/ "$1"/*/*/; do
        holds_model "${path%/}" && MODEL=${path%/} && return
    done
    [[ -d $1 ]] || configured_model
}

configured_model() { # sets MODEL to the folder that the config names
    see_from_root "${VALUE[infer_model]:-${VALUE[save_inference_dir]:-null}}"
    MODEL=$REPLY
}

add_model() { # the options of the inference command that name the model
    local field folder
    find_model
    folder=${MODEL#./}
    if exports_model && is_set inference_dir; then folder=${RUN[training_dir]}/inference/${VALUE[inference_dir]}; fi
    [[ ${RUN[infer_folder]} == . || $folder == /* ]] || folder=../$folder
    for field in model_dir params_file; do
        [[ -n ${KEY[$field]:-} ]] || continue
        MODEL=$folder OWN_VALUE=${VALUE[$field]}
        fill_in "${DIALECT[model_path]:-{model\}}"
        add_field "$field" "$REPLY"
    done
    OWN_VALUE='' MODEL=''
}
