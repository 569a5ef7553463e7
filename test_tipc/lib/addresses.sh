#!/usr/bin/env bash
# Values of a config that are addresses: where their files are kept in the project. prepare.sh brings them there.
# Sourced by common_func.sh.

declare -A RUN KEY VALUE # see common_func.sh and config.sh

is_address() { # VALUE
    [[ $1 == *://* ]]
}

see_place() { # ADDRESS: sets REPLY: its file in pretrain_models/, or the folder of its archive, from the root
    local name=${1%%[?#]*}
    name=${name##*/}
    case $name in
        *.tar | *.tgz) REPLY=./${name%.*} ;; # as the official scripts unpack it
        *.tar.gz | *.tar.bz2 | *.tar.xz) REPLY=./${name%.tar.*} ;;
        *) REPLY=pretrain_models/$name ;;
    esac
}

see_provided_weights() { # VALUE of a pretrained_model_url or train_model line: sets REPLY: the path of the weights, from the root
    case $1 in
        '' | null)
            die "$CONFIG_FILE: no pretrained_model_url or train_model line names the weights for whole_infer"
            ;;
        *://*) see_place "$1" ;;
        *) REPLY=${1#./} ;;
    esac
}

place_exported_model() { # of a config whose infer_model is an address, take the folder of its archive
    is_address "${VALUE[infer_model]:-}" || return 0
    see_place "${VALUE[infer_model]}"
    [[ ${RUN[infer_folder]} == . ]] || REPLY=../${REPLY#./}
    VALUE[infer_model]=$REPLY
}
