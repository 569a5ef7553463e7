#!/usr/bin/env bash
# Train CenterNet with every backbone of the table on the whole set; called again, it goes on where it was.
#
#   bash tools/tables/train_centernets.sh [--jobs N] [BACKBONE...]
#   nohup nice -n 19 bash tools/tables/train_centernets.sh --jobs 2 >output/centernets.log 2>&1 &
#
# --jobs N trains N at a time (1 unless given; a training keeps one CPU core busy). BACKBONE: any network of the
# registry. TIPC_PYTHON=/path/to/python uses that interpreter instead of .venv's.
# Leaves checkpoints and log_train.txt in output/det/CenterNet_<Backbone>/, and `trained` there when all epochs are
# done. tools/tables/det_table.py makes the table of them.
# A second call waits until the first has ended.
# Exit code: 0 all trained, 1 one failed, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../test_tipc/common_func.sh"

CONFIG=ppcls_lite/configs/detection/centernet_stamps.yaml
DATA=dataset/det_stamps # as the config names it
OUT=output/det
BACKBONES=(MobileNetV3_small_x1_0 ShuffleNetV2_x1_0 MobileNetV3_large_x1_0 MobileNetV1_x1_0 ResNet50_vd)

main() {
    local name pid failed=0
    local -a pids=()
    parse_options '--jobs=[1-9][0-9]{0,2}=a number from 1 up' -- "$@"
    ((${#ARGUMENTS[@]} == 0)) || BACKBONES=("${ARGUMENTS[@]}")
    cd "$ROOT" || die "$ROOT: cannot be entered"
    find_python
    speed_up_mkl
    mkdir -p "$OUT" 2>/dev/null || die "$OUT: cannot be written"
    take_lock "$OUT.lock" "another call of this script is training"
    guard "$OUT.lock"
    run_in_group 1 2 "${RUN[python]}" tools/data/make_det_data.py --output "$DATA" || exit 1
    for name in "${BACKBONES[@]}"; do
        while (($(jobs -rp | wc -l) > ${RUN[jobs]:-1})); do sleep 0.2; done # one job is the guard's
        train "$name" &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
    exit "$failed"
}

train() { # BACKBONE: from the beginning, from its last checkpoint, or not at all when it has been trained
    local folder=$OUT/CenterNet_$1 recipe
    local -a resume=()
    become_a_job
    recipe=$(sed 's/ *#.*//' "$CONFIG" "$DATA/manifest.json" | cksum) # less comments
    if [[ -f $folder/recipe && $(<"$folder/recipe") != "$recipe" ]]; then
        die "$folder: begun with another config or other images; remove it to start again"
    fi
    if [[ -f $folder/trained ]]; then
        printf '%s: trained before\n' "$1"
        return
    fi
    [[ ! -f $folder/latest.pdparams ]] || resume=(-o "Global.checkpoints=$folder/latest")
    mkdir -p "$folder" && printf '%s\n' "$recipe" >"$folder/recipe" || return 1
    printf '%s: started %(%F %T)T\n' "$1" -1
    exec 3>>"$folder/screen.log"
    run_in_group 3 3 "${RUN[python]}" tools/train.py -c "$CONFIG" -o "Arch.Backbone.name=$1" \
        -o "Global.output_dir=$folder" "${resume[@]}" ||
        die "$1: the training failed with exit code $?; see $folder/screen.log"
    : >"$folder/trained"
    printf '%s: trained %(%F %T)T\n' "$1" -1
}

main "$@"
