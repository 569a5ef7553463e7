#!/usr/bin/env bash
# Put a command together from the lines of a config. Words become array elements, and array elements become arguments:
# nothing is ever evaluated.

declare -a WORDS=()   # what split_words found
declare -a COMMAND=() # begin_command begins it, add_option and add_field add to it

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
    WORDS[-1]+="=$2"
    COMMAND+=("${WORDS[@]}")
}

add_field() { # FIELD [VALUE]: the option of that line, where the dialect has the line
    [[ -z ${KEY[$1]:-} ]] || add_option "${KEY[$1]}" "${2-${VALUE[$1]}}"
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
