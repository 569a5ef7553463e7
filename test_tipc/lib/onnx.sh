#!/usr/bin/env bash
# What the steps of test_paddle2onnx.sh need: where the ONNX file goes, the commands, and what they must leave.
# Sourced after onnx_config.sh and exported.sh. More names of RUN:
#   onnx_dir onnx    the folder of the ONNX file, with links to the exported model, and the file
#   infer_folder     where the inference command is run
#   script           its script, as seen from there

declare -A RUN VALUE KEY DIALECT # see common_func.sh, config.sh and dialects.sh
declare -a COMMAND WORDS INFER_OPTIONS

place_onnx() { # sets RUN[onnx_dir] and RUN[onnx]: nothing is added to the model's own folder, which other chains read
    RUN[onnx_dir]=${RUN[output_dir]}/model
    RUN[onnx]=${RUN[onnx_dir]}/$(basename -- "${VALUE[save_file]}")
    link_model
}

link_model() { # the model's files beside its ONNX file: settings and names of classes belong to it
    local path
    mkdir -p "${RUN[onnx_dir]}" || die "${RUN[onnx_dir]}: cannot be made"
    for path in "${RUN[model_dir]}"/*; do
        [[ ! -f $path || $path == *.onnx ]] || ln -sfn "$(realpath "$path")" "${RUN[onnx_dir]}/"
    done
}

find_inference() { # sets RUN[infer_folder] and RUN[script]
    RUN[infer_folder]=. RUN[script]=''
    is_set inference || return 0
    [[ ${DIALECT[name]} != paddleclas ]] || RUN[infer_folder]=deploy
    begin_command inference
    RUN[script]=${COMMAND[1]}
}

script_is_here() { # whether the project has the script of the inference; a plan does not ask
    [[ -f ${RUN[infer_folder]}/${RUN[script]} ]]
}

onnx_fact() { # print what a step that uses the ONNX file notes
    echo "onnx=$(hash_of "${RUN[onnx]}")"
}

exported_fact() { # print what a step that reads the exported model notes: other files may be put beside it
    local name=${VALUE[params_filename]:-null}
    [[ $name != null ]] || name=''
    echo "model=$(cat "${RUN[model_dir]}/${RUN[structure]}" ${name:+"${RUN[model_dir]}/$name"} 2>/dev/null | short_hash)"
}

converter_command() { # sets COMMAND: what runs the config's paddle2onnx, and proves what it wrote
    COMMAND=(python "$(tool lib/convert_onnx.py)" "${KEY[model_dir]}=${RUN[model_dir]}"
        "${KEY[model_filename]}=${RUN[structure]}")
    add_field params_filename
    add_option "${KEY[save_file]}" "${RUN[onnx]}"
    add_field opset_version
    add_fields enable_onnx_checker convert_free
}

new_onnx() { # EXPECT of convert
    if is_new "${RUN[onnx]}"; then
        STEP[facts]+=" $(onnx_fact)"
        return
    fi
    STEP[reason]="it wrote no ${RUN[onnx]}"
    return 1
}

# ------------------------------------------------------------------------------------------------------- the inference

inference_command() { # USE_ONNX: sets COMMAND: the config's inference, with the ONNX file; False: the same with Paddle
    local field
    begin_command inference
    if [[ ${DIALECT[name]} == paddleclas ]]; then
        add_switches "$1"
        [[ -z ${VALUE[inference_config]:-} ]] || COMMAND+=("${KEY[inference_config]}" "${VALUE[inference_config]}")
        for field in "${INFER_OPTIONS[@]}"; do COMMAND+=(-o "${KEY[$field]#-o }=${VALUE[$field]}"); done
        return
    fi
    for field in "${INFER_OPTIONS[@]}"; do
        if [[ ${KEY[$field]} == *onnx* ]]; then # official files name one here that nothing writes
            add_option "${KEY[$field]}" "${RUN[onnx]}"
        elif [[ ${KEY[$field]} == --im* ]]; then
            add_option "${KEY[$field]}" "$(images_here "${VALUE[$field]}")"
        else
            add_field "$field"
        fi
    done
}

images_here() { # PATH: print it, or test_images where there is no such path, and there are these
    if [[ -e $1 || ! -d test_images ]]; then echo "$1"; else echo ./test_images; fi
}

add_switches() { # USE_ONNX: the lines Global.…, as the official script passes them
    COMMAND+=(-o "${KEY[inference_model_dir]}=$(from_infer_folder "${RUN[onnx_dir]}")" -o "${KEY[use_onnx]}=$1")
    ! is_set use_gpu || COMMAND+=(-o "${KEY[use_gpu]}=${VALUE[use_gpu]}")
}

from_infer_folder() { # PATH from the root -> the same as the inference sees it
    if [[ $1 == /* || ${RUN[infer_folder]} == . ]]; then echo "$1"; else echo "../${1#./}"; fi
}

recordings() { # print the folders of what was recorded of the Paddle inference of this model, a line each
    local log
    log=$(passed_logs 'infer paddle')
    if [[ -n $log ]]; then echo "${log%.log}_observed"; else base_recordings; fi
}

base_recordings() { # of an inference of the base chain, for this run or an earlier one
    local pattern
    for pattern in "${RUN[output_dir]}/base/*/*" "${RUN[output_root]}/${RUN[model]}/*_infer"; do
        compgen -G "$pattern/*infer_cpu*_observed" | head -n 1
    done | head -n 1
}

agree_command() { # ENGINE: sets COMMAND
    local -a recorded
    mapfile -t recorded < <(recordings)
    COMMAND=(python "$(tool lib/agree_onnx.py)" "${RUN[onnx]}" --structure "${RUN[model_dir]}/${RUN[structure]}"
        --engine "$1" --save "${RUN[output_dir]}/agree_$1.json")
    ((${#recorded[@]} == 0)) || COMMAND+=(--recorded "${recorded[@]}")
}
