#!/usr/bin/env bash
# Print what the configs of the chains say, for tools/tables/tipc_facts.py; the chain's own reader gives lines their names.
#
#   bash tools/tables/tipc_configs.sh test_tipc/configs/*/train_infer_python.txt test_tipc/configs/*/serving_infer_python.txt
#
# One line a value: CONFIG <tab> FIELD <tab> VALUE. FIELD is the chain's name of a line of a train_infer_python.txt (lists
# for a mode are those of lite_train_lite_infer), and the line's own key in every other config.
# Exit code: 0, or 1 when a config cannot be read (one line says why).

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../test_tipc/common_func.sh"
# shellcheck source=test_tipc/lib/train_config.sh
source "$TIPC/lib/train_config.sh"

SHOWN=(model_name gpu_list autocast trainer kl_quant use_gpu enable_mkldnn cpu_threads infer_batch_size use_tensorrt use_fp16)

main() {
    local config
    for config in "$@"; do
        # a shell of its own: what one config sets is not seen by the next one
        (print_config "$config") || exit 1
    done
}

print_config() { # CONFIG
    local i field
    RUN[config]=$1
    RUN[mode]=lite_train_lite_infer
    read_config "$1"
    if [[ ${BLOCK_TITLE[0]} == *train_params ]]; then
        read_train_config >/dev/null # its notes are not for a table
        for field in "${SHOWN[@]}"; do
            [[ -z ${KEY[$field]:-} ]] || printf '%s\t%s\t%s\n' "$1" "$field" "${VALUE[$field]:-null}"
        done
    else
        for i in "${!LINE_KEY[@]}"; do printf '%s\t%s\t%s\n' "$1" "${LINE_KEY[i]}" "${LINE_VALUE[i]}"; done
    fi
}

main "$@"
