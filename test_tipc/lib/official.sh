#!/usr/bin/env bash
# The functions that the official test_*.sh scripts find in common_func.sh, under their names, and their log line. An
# official script that is put into test_tipc/ works with them: nothing here depends on its shell options or its IFS, sets
# a variable of it, or evaluates anything. They differ from the official ones where those lose something: a value keeps
# all that follows the first colon (https://… stays whole), blanks at the ends go, and the mode's epochs are found.

func_parser_key() { # LINE: print the key of `key:value`
    trim "${1%%:*}"
    echo
}

func_parser_value() { # LINE: print the value, up to the end of the line; nothing where there is no colon
    local value=''
    [[ $1 != *:* ]] || value=${1#*:}
    trim "$value"
    echo
}

func_parser_params() { # LINE [MODE]: print the value for the mode (the script's MODE unless given); nothing if there is none
    local REPLY='' value=''
    local -a ENTRIES=()
    [[ $1 != *:* ]] || value=${1#*:}
    strip "$value"
    ! take_mode "$REPLY" "${2:-${MODE:-}}" || printf '%s' "$REPLY"
    echo
}

func_parser_value_lite() { # LINE SEPARATOR: print the second of the parts that any character of SEPARATOR divides
    local -a parts
    IFS=$2 read -r -a parts <<<"$1"
    printf '%s\n' "${parts[1]:-}"
}

func_set_params() { # KEY VALUE: print KEY=VALUE; a blank where either of them is null, or the value is empty
    if [[ -z $1 || $1 == null || -z ${2:-} || $2 == ' ' || $2 == null ]]; then
        echo ' '
    else
        printf '%s=%s\n' "$1" "$2"
    fi
}

func_set_amp_params() { # KEY PRECISION: print PaddleClas's options for it
    local level
    case ${2:-} in
        fp16) level=O2 ;;
        amp) level=O1 ;;
        *) echo '-o AMP.use_amp=False' && return ;;
    esac
    echo "-o AMP.use_amp=True -o AMP.scale_loss=128 -o AMP.use_dynamic_loss_scaling=True -o AMP.level=$level"
}

status_check() { # STATUS COMMAND RESULTS_FILE [MODEL [LOG]]: print how the command ended, and keep the line in that file
    local line
    # `status_check $last_status …` where last_status was never set: then what is first is the command
    if [[ ! $1 =~ ^[0-9]+$ ]]; then
        echo "error: status_check: expected an exit code, found '${1:0:99}'; counted as a failure" >&2
        set -- 1 "$@"
    fi
    line=$(official_line "$1" "${4:+$4 - }$2${5:+ - $5}")
    printf '%s\n' "$line" | tee -a -- "$3"
}

official_line() { # STATUS TEXT: print the line that official checkers look for
    local word=failed
    (($1 != 0)) || word=successfully
    printf '\033[33m Run %s with command - %s ! \033[0m\n' "$word" "$2"
}
