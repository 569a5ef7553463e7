#!/usr/bin/env bash
# The precision of a training: what an entry of autocast adds to its command, and what a CPU cannot do.
# Sourced before train_infer.sh.

declare -A RUN # see common_func.sh
declare -A DIALECT # see dialects.sh

is_mixed() { # whether the chosen trainer is one of mixed precision, in a suite where full precision can be demanded
    [[ ${KEY[${RUN[train_field]}]:-} == amp_train && -n ${DIALECT[full_precision]:-} ]]
}

is_mixed_on_cpu() { # whether it would be in mixed precision on a CPU, where no Paddle computes in it; REPLY says so
    on_cpu && [[ ${RUN[autocast]} == null ]] && is_mixed &&
        REPLY="mixed precision (amp_train) needs a GPU"
}

add_precision() { # add the options for RUN[autocast] to COMMAND
    local section words stated=''
    add_setting "${RUN[autocast]}"
    [[ ${RUN[autocast]} =~ ^(null|fp32)$ && -n ${DIALECT[full_precision]:-} ]] || return 0
    # FP32, even where the project's own config demands another precision; fp32 comes before the command's options too
    section=${DIALECT[full_precision]%% *} words=${DIALECT[full_precision]#* }
    [[ "${COMMAND[*]}" != *" $section."* ]] || stated=1
    if [[ ${RUN[autocast]} == fp32 && -n $stated ]] || { [[ -z $stated ]] && has_section "$section"; }; then
        split_words "$words"
        add_words "${WORDS[@]}"
    fi
}

has_section() { # NAME: whether a YAML file that COMMAND names has this key on its outermost level
    local word
    for word in "${COMMAND[@]}"; do
        [[ $word =~ \.ya?ml$ ]] || continue
        word=${word#*=}
        [[ ! -f $word ]] || ! grep -q "^$1:" -- "$word" || return 0
    done
    return 1
}
