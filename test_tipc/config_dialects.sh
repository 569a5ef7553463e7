#!/usr/bin/env bash
# What each line of a train_infer_python.txt means, in the two dialects that people have files in: PaddleClas's and
# that of PaddlePaddle/models. Sourced by test_train_inference_python.sh after common_func.sh.

# shellcheck disable=SC2034,SC2154 # shared with the script that sources it

name_config() { # name the lines of the config after their meaning, whichever dialect it is in
    local block train_lines
    block=$(find_block train_params) || exit 1
    train_lines=${BLOCK_LINES[block]}
    if ((train_lines >= 12)); then
        name_paddleclas_dialect "$block"
    elif ((train_lines == 10)); then
        name_models_dialect "$block"
    else
        local last=$((BLOCK_FIRST[block] + train_lines - 1))
        die "$CONFIG_FILE:${LINE_NUMBER[last]:-1}: train_params has $train_lines lines;" \
            "expected 12 (PaddleClas) or 10 (models)"
    fi
    MODEL=${VALUE[model_name]}
    [[ $MODEL =~ ^[A-Za-z0-9][A-Za-z0-9._+-]*$ ]] ||
        die "$CONFIG_FILE:${LINE[model_name]}: model_name becomes a folder's name: letters, digits, . _ + -, found '$MODEL'"
    check_values
}

name_paddleclas_dialect() { # TRAIN_BLOCK
    local block
    name_fields "$1" model_name python gpu_list device autocast epochs output_dir batch_size pretrained \
        train_model_name train_infer_img_dir train_free
    name_fields $(($1 + 1)) trainer norm_train pact_train fpgm_train distill_train to_static_train free_train
    block=$(find_block eval_params) || exit 1
    name_fields "$block" eval eval_free
    block=$(find_block infer_params) || exit 1
    name_fields "$block" save_inference_dir export_weights norm_export pact_export fpgm_export distill_export kl_quant \
        free_export provided_weights infer_model infer_export infer_quant inference use_gpu enable_mkldnn cpu_threads \
        infer_batch_size use_tensorrt use_fp16 model_dir image save_log_path benchmark infer_free
    INFER_FOLDER=deploy
}

name_models_dialect() { # TRAIN_BLOCK
    local block
    name_fields "$1" model_name python gpu_list device epochs output_dir batch_size pretrained train_model_name \
        data_path
    name_fields $(($1 + 1)) trainer norm_train
    block=$(find_block eval_params) || exit 1
    name_fields "$block" eval
    block=$(find_block infer_params) || exit 1
    name_fields "$block" save_inference_dir export_weights norm_export
    name_fields $((block + 1)) provided_weights infer_export
    name_fields $((block + 2)) inference use_gpu infer_batch_size model_dir image benchmark
    INFER_FOLDER=.
}

check_values() { # what can be told to be wrong before anything is run
    local field value
    for field in model_name gpu_list trainer inference; do
        is_set "$field" || die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has no value"
    done
    for field in infer_quant use_gpu enable_mkldnn use_tensorrt use_fp16; do
        [[ -n ${VALUE[$field]:-} ]] || continue
        while IFS= read -r value; do
            case $value in
                True | False | true | false | null | gpu | cpu | '') ;;
                # 518 of the official configs say so
                Fasle) echo "note: $CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}:Fasle' is read as False" ;;
                *) die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}': expected True or False, found '$value'" ;;
            esac
        done < <(split_list "${VALUE[$field]}")
    done
    local -a per_mode=(eval norm_export inference image)
    [[ $MODE == whole_infer ]] || per_mode+=(norm_train epochs batch_size)
    for field in "${per_mode[@]}"; do
        value=$(for_mode "$field" "$MODE") || exit 1
    done
}
