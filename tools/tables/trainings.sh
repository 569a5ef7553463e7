#!/usr/bin/env bash
# What train_centernets.sh and train_arcface.sh have in common: trainings of one config that differ in their backbone.
# It is sourced by them, and they set
#
#   CONFIG DATA OUT      of the trainings, of their images (as the config names them), of their checkpoints
#   MAKER PREFIX         the script that makes DATA; the trainings are PREFIX_<Backbone>
#   BACKBONES            those that are trained when the command line names none

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../test_tipc/common_func.sh"

train_all() { # WORDS: the command line
    local name pid failed=0
    local -a pids=()
    : "${CONFIG:?}" "${DATA:?}" "${OUT:?}" "${MAKER:?}" "${PREFIX:?}" "${BACKBONES:?}"
    parse_options '--jobs=[1-9][0-9]{0,2}=a number from 1 up' '--epochs=[1-9][0-9]{0,3}=a number from 1 up' -- "$@"
    ((${#ARGUMENTS[@]} == 0)) || BACKBONES=("${ARGUMENTS[@]}")
    cd "$ROOT" || die "$ROOT: cannot be entered"
    find_python
    speed_up_mkl
    mkdir -p "$OUT" 2>/dev/null || die "$OUT: cannot be written"
    take_lock "$OUT.lock" "another call of this script is training"
    guard "$OUT.lock"
    run_in_group 1 2 "${RUN[python]}" "$MAKER" --output "$DATA" || exit 1
    for name in "${BACKBONES[@]}"; do
        while (($(jobs -rp | wc -l) > ${RUN[jobs]:-1})); do sleep 0.2; done # one job is the guard's
        train_one "$name" &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
    exit "$failed"
}

train_one() { # BACKBONE: from the beginning, from its last checkpoint, or not at all when it has been trained
    local folder=$OUT/${PREFIX}_$1 recipe
    local -a more=()
    become_a_job
    [[ -z ${RUN[epochs]:-} ]] || more=(-o "Global.epochs=${RUN[epochs]}")
    recipe=$({ sed 's/ *#.*//' "$CONFIG" "$DATA/manifest.json" && printf '%s' "${more[*]}"; } | cksum) # less comments
    if [[ -f $folder/recipe && $(<"$folder/recipe") != "$recipe" ]]; then
        die "$folder: begun with another config, other images or other epochs; remove it to start again"
    fi
    if [[ -f $folder/trained ]]; then
        printf '%s: trained before\n' "$1"
        return
    fi
    [[ ! -f $folder/latest.pdparams ]] || more+=(-o "Global.checkpoints=$folder/latest")
    mkdir -p "$folder" && printf '%s\n' "$recipe" >"$folder/recipe" || return 1
    printf '%s: started %(%F %T)T\n' "$1" -1
    exec 3>>"$folder/screen.log"
    run_in_group 3 3 "${RUN[python]}" tools/train.py -c "$CONFIG" -o "Arch.Backbone.name=$1" \
        -o "Global.output_dir=$folder" "${more[@]}" ||
        die "$1: the training failed with exit code $?; see $folder/screen.log"
    : >"$folder/trained"
    printf '%s: trained %(%F %T)T\n' "$1" -1
}
