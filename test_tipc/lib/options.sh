#!/usr/bin/env bash
# The command line of every script.

declare -A RUN          # see common_func.sh
declare -a ARGUMENTS=() # the words that are not options

parse_options() { # [--FLAG | --NAME=REGEX=EXPECTED]... -- WORD...: sets ARGUMENTS, and RUN[NAME] for each option
    local -A pattern=()
    local name
    while [[ $1 != -- ]]; do
        name=${1%%=*}
        pattern[$name]=${1#"$name"}
        RUN["${name#--}"]=''
        shift
    done
    shift
    ARGUMENTS=()
    while (($# > 0)); do
        name=$1
        case $name in
            -h | --help) print_help && exit ;;
            -*)
                [[ -n ${pattern[$name]+known} ]] || die "unknown option '$name'; see --help"
                if [[ -z ${pattern[$name]} ]]; then
                    RUN["${name#--}"]=1
                else
                    take_value "$name" "${pattern[$name]#=}" "${2:-}"
                    shift
                fi
                ;;
            *) ARGUMENTS+=("$name") ;;
        esac
        shift
    done
}

take_value() { # OPTION REGEX=EXPECTED VALUE
    [[ $3 =~ ^${2%%=*}$ ]] || die "$1: expected ${2#*=}, found '$3'"
    RUN["${1#--}"]=$3
}

print_help() { # the comment at the head of the script
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}
