#!/usr/bin/env bash
# The command line of every script.

declare -A RUN          # see common_func.sh
declare -a ARGUMENTS=() # the words that are not options

parse_options() { # [--FLAG | --NAME=REGEX=EXPECTED]... -- WORD...: sets ARGUMENTS, and RUN by the options' names
    local -A known=()
    local name value
    for name in stage stop_stage evidence again jobs; do RUN["$name"]=''; done
    while [[ $1 != -- ]]; do
        name=${1#--}
        known[${name%%=*}]=${name#"${name%%=*}"}
        shift
    done
    shift
    ARGUMENTS=()
    while (($# > 0)); do
        name=${1#--}
        if [[ $1 == -h || $1 == --help ]]; then
            print_help
            exit 0
        elif [[ $1 != -* ]]; then
            ARGUMENTS+=("$1")
        elif [[ -z $name || $1 != --* || -z ${known[$name]+known} ]]; then
            die "unknown option '$1'; see --help"
        elif [[ -z ${known[$name]} ]]; then
            RUN["$name"]=1
        else
            value=${known[$name]#=}
            [[ ${2:-} =~ ^${value%%=*}$ ]] || die "$1: expected ${value#*=}, found '${2:-}'"
            RUN["$name"]=$2
            shift
        fi
        shift
    done
}

print_help() { # the comment at the head of the script
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}
