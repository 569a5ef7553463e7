#!/usr/bin/env bash
# Put a command together from the lines of a config. Words become array elements, and array elements become arguments:
# nothing is ever evaluated.

declare -a WORDS=()   # what split_words found
declare -a COMMAND=() # begin_command begins it, add_option and add_field add to it
declare -A ROW_FLAG=() DIALECT=() # see dialects.sh
OPEN_OPTION=''

split_words() { # TEXT: sets WORDS, split at blanks, '…', "…" and \ as in a shell, expanding nothing; fails at an open quote
    local text=$1 word='' open='' piece
    WORDS=()
    while [[ -n $text ]]; do
        piece=${text%%[\"\'\\[:space:]]*} # up to the next character that means something
        text=${text:${#piece}}
        word+=$piece open+=$piece
        case $text in
            [\"\']*)
                piece=${text:1}
                piece=${piece%%"${text:0:1}"*}
                ((${#piece} + 1 < ${#text})) || return 1
                word+=$piece open=1
                text=${text:${#piece}+2}
                ;;
            \\*) word+=${text:1:1} open=1 text=${text:2} ;;
            ?*)
                [[ -z $open ]] || WORDS+=("$word")
                word='' open='' text=${text:1}
                ;;
        esac
    done
    [[ -z $open ]] || WORDS+=("$word")
}

begin_command() { # FIELD [MORE]: COMMAND becomes `python` and the words of the field's value
    split_words "${VALUE[$1]} ${2:-}"
    COMMAND=(python "${WORDS[@]}")
}

add_option() { # KEY VALUE: append the option unless key or value is null: "-o A.b" gives -o A.b=VALUE
    [[ -n $1 && $1 != null && -n $2 && $2 != null ]] || return 0
    split_words "$1"
    if [[ ${COMMAND[-1]} == "--${WORDS[-1]}" ]]; then # the command ends with an option that waits for this value
        COMMAND+=("$2")
        return
    fi
    WORDS[-1]+="=$2"
    add_words "${WORDS[@]}"
}

add_words() { # WORD...: options at the end; names without dashes behind the last -o, which takes all of them
    local at
    local -a bare=()
    while (($# > 0)) && [[ $1 != -* ]]; do
        bare+=("$1")
        shift
    done
    if ((${#bare[@]} > 0)); then
        find_open_option
        at=${OPEN_OPTION:-${#COMMAND[@]}}
        COMMAND=("${COMMAND[@]:0:at}" "${bare[@]}" "${COMMAND[@]:at}")
    fi
    COMMAND+=("$@")
}

find_open_option() { # sets OPEN_OPTION: where the words of the last `-o name=value …` of COMMAND end; empty without one
    local i
    OPEN_OPTION=''
    for ((i = ${#COMMAND[@]} - 1; i > 0; i--)); do
        [[ ${COMMAND[i]} =~ ^(-o|--opts?|--override)$ ]] || continue
        for ((i++; i < ${#COMMAND[@]}; i++)); do [[ ${COMMAND[i]} != -* ]] || break; done
        OPEN_OPTION=$i
        return
    done
}

add_spaced_option() { # KEY VALUE: as words of their own, for a value that is several
    [[ -n $1 && $1 != null && -n $2 && $2 != null ]] || return 0
    split_words "$1 $2"
    COMMAND+=("${WORDS[@]}")
}

add_field() { # FIELD [VALUE]: the option of that line, where the dialect has the line
    [[ -n ${KEY[$1]:-} ]] || return 0
    if [[ ${ROW_FLAG[$1]:-} == words ]]; then
        add_spaced_option "${KEY[$1]}" "${2-${VALUE[$1]}}"
    else
        add_option "${KEY[$1]}" "${2-${VALUE[$1]}}"
    fi
}

add_setting() { # NAME: the words that the dialect has under that name
    [[ -n ${DIALECT[$1]:-} ]] || return 0
    fill_in "${DIALECT[$1]}"
    split_words "$REPLY"
    local word
    for word in "${WORDS[@]}"; do add_words "$word"; done
}

add_fields() { # FIELD...
    local field
    for field in "$@"; do add_field "$field"; done
}

quoted() { # WORD...: as they would be typed
    local text
    printf -v text '%q ' "$@"
    printf '%s' "${text% }"
}
