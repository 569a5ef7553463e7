#!/usr/bin/env bash
# The meaning of each line of a paddle2onnx config, in three dialects: PaddleClas's, that of PaddlePaddle/models (which
# PaddleSeg and PaddleVideo share), and PaddleDetection's, which exports the model first. Sourced after common_func.sh.
#
# Lines of PaddleClas's behind the last one of the official files are further options of the inference command.

declare -A RUN DIALECT KEY VALUE LINE # see common_func.sh, dialects.sh and config.sh
declare -a BLOCK_LINES FIELDS WORDS   # see config.sh and command.sh

CONVERSION=(model_dir model_filename params_filename save_file opset_version enable_onnx_checker)
CLAS_INFERENCE=(inference use_onnx inference_model_dir use_gpu inference_config)
DET_EXPORT=(export_dir weights norm quant fpgm distill export_free export_param kl_quant)
DET_INFERENCE=(inference infer_cfg onnx_file image infer_free)
EXPORTS=(norm quant fpgm distill kl_quant null)

declare -a INFER_OPTIONS=() # the fields of the options of the inference command, in the order of the file

read_onnx_config() { # read and check RUN[config]; sets RUN[model] and DIALECT
    local block
    read_config "${RUN[config]}"
    print_notes
    block=$(find_block paddle2onnx_params) || exit 1
    if ((BLOCK_LINES[block] == 3)); then
        DIALECT=([name]=paddledetection)
        name_detection_lines "$block"
    elif [[ $(line_key "$block" 9) == inference_model_url ]]; then
        DIALECT=([name]=paddleclas)
        name_inference_lines "$block" inference_model_url "${CLAS_INFERENCE[@]}"
    else
        DIALECT=([name]=models)
        name_inference_lines "$block" inference
    fi
    check_onnx_lines
    RUN[model]=${VALUE[model_name]}
}

line_key() { # BLOCK LINE: print the key of a line of the block, counted from 0; fails after the last
    (($2 < BLOCK_LINES[$1])) && printf '%s' "${LINE_KEY[BLOCK_FIRST[$1] + $2]}"
}

name_inference_lines() { # BLOCK NAME...: of a config of one block; all lines after the names are options
    local block=$1 at
    local -a names=(model_name python converter "${CONVERSION[@]}" "${@:2}")
    INFER_OPTIONS=()
    for ((at = ${#names[@]}; at < BLOCK_LINES[block]; at++)); do INFER_OPTIONS+=("option$at"); done
    name_fields "$block" "${names[@]}" "${INFER_OPTIONS[@]}"
    check_fixed_keys model_name python inference
}

name_detection_lines() { # BLOCK: the three parts of PaddleDetection's
    name_fields "$1" model_name python filename
    name_fields $(($1 + 1)) "${DET_EXPORT[@]}"
    name_fields $(($1 + 2)) infer_mode infer_quant converter "${CONVERSION[@]}" convert_free "${DET_INFERENCE[@]}"
    INFER_OPTIONS=(infer_cfg onnx_file image infer_free)
    check_fixed_keys model_name python infer_mode
    split_bars "${VALUE[infer_mode]}"
    RUN[export_field]=${ENTRIES[0]}
    [[ " ${EXPORTS[*]} " == *" ${RUN[export_field]} "* ]] ||
        die "$CONFIG_FILE:${LINE[infer_mode]}: 'infer_mode': expected one of: ${EXPORTS[*]}, found '${VALUE[infer_mode]:0:200}'"
    ((${#ENTRIES[@]} == 1)) ||
        echo "note: $CONFIG_FILE:${LINE[infer_mode]}: 'infer_mode' names several exports, and the first one is converted"
    # as the official script has it
    VALUE[model_dir]=${VALUE[export_dir]%/}/${VALUE[model_name]}
    VALUE[save_file]=${VALUE[model_dir]}/${VALUE[save_file]}
    VALUE[infer_cfg]=${VALUE[model_dir]}/infer_cfg.yml
}

check_onnx_lines() {
    local field
    check_needed model_name converter model_dir model_filename save_file opset_version
    check_model_name
    for field in converter inference; do
        split_words "${VALUE[$field]}" ||
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has a quote that is not closed"
    done
    [[ ${VALUE[converter]} =~ ^((-m )?paddle2onnx|null)$ ]] ||
        die "$CONFIG_FILE:${LINE[converter]}: '${KEY[converter]}': expected the command paddle2onnx," \
            "found '${VALUE[converter]:0:200}'"
    [[ ${VALUE[opset_version]} =~ ^[1-9][0-9]?$ ]] ||
        die "$CONFIG_FILE:${LINE[opset_version]}: '${KEY[opset_version]}': expected a number such as 11," \
            "found '${VALUE[opset_version]:0:200}'"
    for field in model_filename params_filename save_file; do
        [[ ${VALUE[$field]} != */ && $(basename -- "${VALUE[$field]}") =~ ^[A-Za-z0-9_] ]] ||
            die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}': expected a file's name, found '${VALUE[$field]:0:200}'"
    done
    [[ ${DIALECT[name]} != paddleclas || ${VALUE[use_onnx]} == @(True|true|null|) ]] ||
        die "$CONFIG_FILE:${LINE[use_onnx]}: '${KEY[use_onnx]}': expected True, found '${VALUE[use_onnx]:0:200}'"
}
