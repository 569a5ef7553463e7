#!/usr/bin/env bash
# Make the data that this repository's own configs use; prepare.sh calls it. In your project, put your own script here, or
# none: with a config whose scripts do not declare `data=test_tipc/prepare_data.sh`, this one does nothing.
#
#   bash test_tipc/prepare_data.sh CONFIG MODE
#
# whole_* makes dataset/digits, dataset/det_stamps for detectors, or for recognition what its config names: rec_stamps or
# rec_digits below dataset/ (lite_data_rec is in the repository). tools/insightface gets dataset/rec_insightface; official
# configs get lite_data under the name dataset/ILSVRC2012, with a file test_tipc_replaced.txt in it that says so. What is
# complete is kept. A deployment of a detector whose weights are provided gets dataset/det_stamps, which names its classes.
# Exit code: 0 ready, 1 not (one line says why).

# test_tipc: says=errors

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"
# shellcheck source=test_tipc/lib/packages.sh
source "$TIPC/lib/packages.sh"
# shellcheck source=test_tipc/lib/exported.sh
source "$TIPC/lib/exported.sh"

IMAGENET=$ROOT/dataset/ILSVRC2012

main() {
    parse_options -- "$@"
    ((${#ARGUMENTS[@]} == 2)) || die "usage: bash test_tipc/prepare_data.sh CONFIG MODE (see --help)"
    RUN[mode]=${ARGUMENTS[1]}
    find_config "${ARGUMENTS[0]}"
    [[ ${RUN[mode]} != cpp_infer ]] || exit 0 # its configs name no script, and some have no title
    read_config "${RUN[config]}"
    find_python
    is_for_this_script || exit 0
    if mentions configs/detection/; then
        check_modules "${RUN[python]} -m pip install -r requirements.txt" pycocotools
    fi
    if { [[ ${RUN[mode]} == whole_* ]] && mentions configs/detection/; } || exports_provided_detector; then
        make_data make_det_data.py det_stamps
    elif [[ ${RUN[mode]} == whole_* ]] && mentions configs/recognition/; then
        ! mentions configs/recognition/arcface_stamps || make_data make_rec_data.py rec_stamps
        ! mentions configs/recognition/arcface_digits || make_data make_rec_digits.py rec_digits
    elif [[ ${RUN[mode]} == whole_* ]] || { is_deployment "${RUN[mode]}" && mentions dataset/digits; }; then
        make_data make_digits.py digits
    fi
    if mentions dataset/rec_insightface; then make_data make_insightface_set.py rec_insightface; fi
    [[ -e $IMAGENET || ! -d $ROOT/lite_data ]] || replace_imagenet
    if [[ ! $IMAGENET/train -ef $ROOT/lite_data/train ]]; then
        rm -f "$IMAGENET/$REPLACED" # the real images have come
    elif [[ ! -e $IMAGENET/$REPLACED ]]; then
        say_replaced "$IMAGENET" || die "$IMAGENET: cannot be written"
    fi
}

is_for_this_script() { # whether a script of the config says that its data are made here
    [[ $'\n'$(config_declares data)$'\n' == *$'\n'test_tipc/prepare_data.sh$'\n'* ]]
}

exports_provided_detector() { # whether the config of a deployment begins with provided weights that the base chain exports
    local base=${RUN[config]%/*}/train_infer_python.txt
    is_deployment "${RUN[mode]}" && grep -q -s configs/detection/ "$base" && [[ -n $(weights_of "$base") ]]
}

make_data() { # SCRIPT NAME: the folder NAME below dataset/; a complete one is left alone
    "${RUN[python]}" "$ROOT/tools/data/$1" --output "$ROOT/dataset/$2" || exit 1
}

replace_imagenet() { # official configs read ImageNet from dataset/ILSVRC2012; where that is missing, lite_data replaces it
    local fresh=${IMAGENET%/*}/.ILSVRC2012.$$
    if ! { mkdir -p "$fresh" && link_lite_data "$fresh"; } 2>/dev/null; then
        rm -rf "$fresh"
        die "$ROOT/dataset: cannot be written"
    fi
    # -T: if another run was faster, keep its folder
    mv -T "$fresh" "$IMAGENET" 2>/dev/null || rm -rf "$fresh"
}

say_replaced() { # FOLDER: of provided weights, the chain then evaluates nothing
    echo "the images in dataset/ILSVRC2012 are those of lite_data: an accuracy on ImageNet cannot be measured" \
        2>/dev/null >"$1/$REPLACED"
}

link_lite_data() { # FOLDER: lite_data under the names that official configs use
    local lite=$ROOT/lite_data path
    mkdir "$1/val" && ln -s ../../lite_data/train ../../lite_data/val_list.txt "$1/" && say_replaced "$1" || return
    mixed_list "$lite/train_list.txt" >"$1/train_list.txt" || return # official configs do not shuffle
    for path in "$lite"/val/*; do ln -s "../../../lite_data/val/${path##*/}" "$1/val/" || return; done
    path=$(find "$lite/val" -name '*.jpg' | LC_ALL=C sort | head -n 1)
    # the one image that official configs predict
    ln -s "../../../lite_data/${path#"$lite/"}" "$1/val/ILSVRC2012_val_00000001.JPEG"
}

mixed_list() { # FILE: its lines `<path> <label>`, the first of each class, then the second of each, and so on
    local line
    local -A seen=()
    while IFS= read -r line; do
        seen[${line##* }]=$((${seen[${line##* }]:-0} + 1))
        printf '%d %s\n' "${seen[${line##* }]}" "$line"
    done <"$1" | sort -n -s -k 1,1 | cut -d ' ' -f 2-
}

main "$@"
