#!/usr/bin/env bash
# Train CenterNet with every backbone of the table on the whole set; called again, it goes on where it was.
#
#   bash tools/train_centernets.sh [--jobs N] [BACKBONE...]
#   nohup nice -n 19 bash tools/train_centernets.sh --jobs 2 >output/centernets.log 2>&1 &
#
# --jobs N trains N at a time (1 unless given; a training keeps one CPU core busy). BACKBONE: any network of the
# registry. TIPC_PYTHON=/path/to/python uses that interpreter instead of .venv's.
# Leaves checkpoints and log_train.txt in output/det/CenterNet_<Backbone>/, and `trained` there when all epochs are
# done. tools/det_table.py makes the table of them.
# Exit code: 0 all trained, 1 one failed or another call is still running, 130 or 143 interrupted.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

CONFIG=ppcls_lite/configs/detection/centernet_stamps.yaml
DATA=dataset/det_stamps # as the config names it
OUT=output/det
PYTHON=${TIPC_PYTHON:-.venv/bin/python}
BACKBONES=(MobileNetV3_small_x1_0 ShuffleNetV2_x1_0 MobileNetV3_large_x1_0 MobileNetV1_x1_0 ResNet50_vd)

main() {
    local name failed=0
    parse_arguments "$@"
    [[ -x $PYTHON ]] || die "$PYTHON: no such interpreter; run test_tipc/prepare.sh, or set TIPC_PYTHON"
    mkdir -p "$OUT" || die "$OUT: cannot be written"
    exec 9>"$OUT/.lock"
    flock -n 9 || die "$OUT: another call of this script is running"
    "$PYTHON" tools/make_det_data.py --output "$DATA" || exit 1
    trap 'stop 130' INT
    trap 'stop 143' TERM
    for name in "${BACKBONES[@]}"; do
        while (($(jobs -rp | wc -l) >= JOBS)); do wait -n || failed=1; done
        train "$name" &
    done
    while [[ -n $(jobs -p) ]]; do wait -n || failed=1; done
    exit "$failed"
}

parse_arguments() {
    local -a words=()
    JOBS=1
    while (($# > 0)); do
        case $1 in
            --jobs)
                [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--jobs: expected a number from 1 up, found '${2:-}'"
                JOBS=$2
                shift
                ;;
            -h | --help)
                sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
                exit 0
                ;;
            -*) die "unknown option '$1'; see --help" ;;
            *) words+=("$1") ;;
        esac
        shift
    done
    ((${#words[@]} == 0)) || BACKBONES=("${words[@]}")
}

die() { # MESSAGE
    printf 'error: %s\n' "$*" >&2
    exit 1
}

train() { # BACKBONE: from the beginning, from its last checkpoint, or not at all when it has been trained
    local folder=$OUT/CenterNet_$1 recipe
    local -a resume=()
    recipe=$(cat "$CONFIG" "$DATA/manifest.json" | cksum)
    if [[ -f $folder/recipe && $(<"$folder/recipe") != "$recipe" ]]; then
        printf 'error: %s: begun with another config or other pictures; remove it to begin anew\n' "$folder" >&2
        return 1
    fi
    if [[ -f $folder/trained ]]; then
        printf '%s: trained before\n' "$1"
        return
    fi
    [[ ! -f $folder/latest.pdparams ]] || resume=(-o "Global.checkpoints=$folder/latest")
    mkdir -p "$folder" && printf '%s\n' "$recipe" >"$folder/recipe" || return 1
    printf '%s: started %(%F %T)T\n' "$1" -1
    "$PYTHON" tools/train.py -c "$CONFIG" -o "Arch.Backbone.name=$1" -o "Global.output_dir=$folder" "${resume[@]}" \
        >>"$folder/screen.log" 2>&1 &
    trap 'kill "$!" 2>/dev/null; exit 143' INT TERM
    if wait "$!"; then
        : >"$folder/trained"
        printf '%s: trained %(%F %T)T\n' "$1" -1
    else
        printf 'error: %s: the training failed; see %s\n' "$1" "$folder/screen.log" >&2
        return 1
    fi
}

# shellcheck disable=SC2329 # a trap calls it
stop() { # STATUS
    trap '' INT TERM
    local -a running
    mapfile -t running < <(jobs -p)
    ((${#running[@]} == 0)) || kill "${running[@]}" 2>/dev/null
    wait
    exit "$1"
}

main "$@"
