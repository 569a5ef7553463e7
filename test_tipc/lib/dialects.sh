#!/usr/bin/env bash
# Find out which official suite a train_infer_python.txt is written for, and give its lines their names. The suites are
# tables in dialects/; dialects/README.md says how to read and write one. Sourced after common_func.sh.

declare -A RUN # see common_func.sh

declare -a DIALECTS=()     # their names
declare -A TABLE=()        # by name: the rows of the table, a line each
declare -A SETTINGS=()     # by name: the lines `setting words`
declare -A DIALECT=()      # the settings of the dialect of the config, and its `name`
declare -A ROW_FLAG=()     # by field: bare or words
declare -A FIT=()          # how the last table fitted: rows, keys, extra; or where it did not: line and reason
declare -a FIT_FIELDS=() FIT_LINES=() # of the last table: its fields, and which elements of LINE_TEXT they are
declare -a PARTS=()        # see config_parts
TITLE='' FIT_BLOCK=-1 FIT_AT=0 FIT_END=0 MODEL='' REPLY=''

load_dialects() { # once
    local path name text
    ((${#DIALECTS[@]} == 0)) || return 0
    for path in "${BASH_SOURCE[0]%/*}"/dialects/*.txt; do
        name=${path##*/}
        name=${name%.txt}
        TABLE[$name]='' SETTINGS[$name]=''
        while IFS= read -r text || [[ -n $text ]]; do
            case $text in
                '' | '# '*) ;;
                @*) SETTINGS[$name]+=${text#@}$'\n' ;;
                *) TABLE[$name]+=$text$'\n' ;;
            esac
        done <"$path"
        [[ -n ${TABLE[$name]} ]] || die "$path: a dialect without a line"
        DIALECTS+=("$name")
    done
    ((${#DIALECTS[@]} > 0)) || die "${BASH_SOURCE[0]%/*}/dialects: there is no dialect"
}

choose_dialect() { # of the config that read_config has read: sets DIALECT; exits where none fits
    local name best='' far=-1 line=1 reason='' rank top=-1
    load_dialects
    for name in "${DIALECTS[@]}"; do
        if fit_table "$name" ''; then
            rank=$((1000 * (100 - FIT[extra]) + FIT[keys]))
            ((rank <= top)) || best=$name top=$rank
        elif ((FIT[rows] > far)); then
            far=${FIT[rows]} line=${FIT[line]} reason=${FIT[reason]}
        fi
    done
    [[ -n $best ]] || die "$CONFIG_FILE:$line: $reason"
    read_settings "$best"
}

read_settings() { # NAME: sets DIALECT
    local text
    DIALECT=([name]=$1)
    while read -r text; do
        [[ -z $text ]] || append_setting "${text%% *}" "${text#"${text%% *}"}"
    done <<<"${SETTINGS[$1]}"
}

append_setting() { # NAME WORDS: `same` and `value` may be there more than once
    local words=${2# }
    DIALECT[$1]=${DIALECT[$1]+${DIALECT[$1]}$'\n'}$words
}

# ---------------------------------------------------------------------------------------- a table and a config's lines

fit_table() { # NAME TITLE: whether the config has the table's sections, lines and keys; TITLE chooses one of several
    local text block optional=''
    FIT=([rows]=0 [keys]=0 [extra]=0 [line]=1 [reason]='') FIT_FIELDS=() FIT_LINES=() FIT_AT=0 FIT_END=0
    while IFS= read -r text; do
        case $text in
            '') ;;
            =*)
                close_block
                optional=''
                read_title "$text"
                if ! open_block "$TITLE" "$2"; then
                    [[ $text != *'?' ]] || { optional=1 FIT_AT=0 FIT_END=0 && continue; }
                    FIT[line]=$LAST_LINE FIT[reason]="the section ===${TITLE/'*'/base}=== is missing"
                    return 1
                fi
                ;;
            '##')
                close_block
                block=$((FIT_BLOCK + 1))
                if ((block >= ${#BLOCK_TITLE[@]})) || [[ -n ${BLOCK_TITLE[block]} ]]; then
                    FIT_BLOCK=-2 # the row that follows says what is missing
                else
                    enter_block "$block"
                fi
                ;;
            *) [[ -n $optional ]] || fit_row "$text" || return ;;
        esac
    done <<<"${TABLE[$1]}"
    close_block
}

read_title() { # ===pattern===[?]: sets TITLE
    TITLE=${1%'?'}
    while [[ $TITLE == =* ]]; do TITLE=${TITLE#=}; done
    while [[ $TITLE == *= ]]; do TITLE=${TITLE%=}; done
}

open_block() { # PATTERN TITLE: the first block whose title fits, or is TITLE
    local b
    for b in "${!BLOCK_TITLE[@]}"; do
        # shellcheck disable=SC2053 # a pattern
        [[ -n ${BLOCK_TITLE[b]} && ${BLOCK_TITLE[b]} == $1 ]] || continue
        [[ -z $2 || $1 != *'*'* || ${BLOCK_TITLE[b]} == "$2" ]] || continue
        enter_block "$b"
        return
    done
    return 1
}

enter_block() { # NUMBER
    FIT_BLOCK=$1 FIT_AT=${BLOCK_FIRST[$1]} FIT_END=$((BLOCK_FIRST[$1] + BLOCK_LINES[$1]))
}

close_block() { # lines that no row is for
    ((FIT_AT >= FIT_END)) || FIT[extra]=$((FIT[extra] + FIT_END - FIT_AT))
}

fit_row() { # "FIELD KEY FLAG": the next line of the block is that row's
    local field key flag text optional=''
    read -r field key flag <<<"$1"
    [[ $field != *'?' ]] || { field=${field%'?'} && optional=1; }
    if ((FIT_BLOCK == -2)); then
        FIT[line]=$LAST_LINE FIT[reason]="the file ends before the line '$field'"
        ((FIT_END == 0)) || FIT[line]=${LINE_NUMBER[FIT_END - 1]} FIT[reason]="expected ## and then the line '$field'"
        return 1
    elif ((FIT_AT >= FIT_END)); then
        [[ -z $optional ]] || return 0
        describe_missing_line "$field"
        return 1
    fi
    text=${LINE_TEXT[FIT_AT]}
    # shellcheck disable=SC2053 # key is a pattern
    if [[ -n $key && ${LINE_KEY[FIT_AT]} != $key ]]; then
        [[ -z $optional ]] || return 0
        FIT[line]=${LINE_NUMBER[FIT_AT]}
        FIT[reason]="expected '$key:…', found '${LINE_KEY[FIT_AT]:0:200}:…'; is a line missing or added?"
        [[ $text == *:* ]] || FIT[reason]="expected key:value, found '${text:0:200}'"
        return 1
    elif [[ $text != *:* && $flag != bare ]]; then
        FIT[line]=${LINE_NUMBER[FIT_AT]} FIT[reason]="expected key:value, found '${text:0:200}'"
        return 1
    fi
    FIT_FIELDS+=("$field") FIT_LINES+=("$FIT_AT") ROW_FLAG[$field]=$flag
    FIT[rows]=$((FIT[rows] + 1)) FIT_AT=$((FIT_AT + 1))
    [[ -z $key ]] || FIT[keys]=$((FIT[keys] + 1))
}

describe_missing_line() { # FIELD: the block ended before it
    local title=${BLOCK_TITLE[FIT_BLOCK]:-this part} count=${BLOCK_LINES[FIT_BLOCK]} number=1
    ((FIT_END == 0)) || number=${LINE_NUMBER[FIT_END - 1]}
    FIT[line]=$number FIT[reason]="$title has $count lines; expected '$1' next"
}

# ------------------------------------------------------------------------------------------------- the fields' values

name_lines() { # [TITLE]: KEY, VALUE and LINE of every field of the dialect; TITLE is that of one of several parts
    local i field at text
    FIELDS=() KEY=() VALUE=() LINE=() ROW_FLAG=()
    fit_table "${DIALECT[name]}" "${1:-}" || die "$CONFIG_FILE:${FIT[line]}: ${FIT[reason]}"
    for i in "${!FIT_FIELDS[@]}"; do
        field=${FIT_FIELDS[i]} at=${FIT_LINES[i]}
        KEY[$field]=${LINE_KEY[at]} VALUE[$field]=${LINE_VALUE[at]} LINE[$field]=${LINE_NUMBER[at]}
        FIELDS+=("$field")
    done
    while read -r field text; do
        [[ -n $field ]] || continue
        KEY[$field]=$field VALUE[$field]=$text LINE[$field]=${LINE[model_name]}
        FIELDS+=("$field")
    done <<<"${DIALECT[value]:-}"
    while read -r field text; do
        [[ -n $field && -n ${LINE[$text]:-} ]] || continue
        KEY[$field]=${KEY[$text]} VALUE[$field]=${VALUE[$text]} LINE[$field]=${LINE[$text]}
        FIELDS+=("$field")
    done <<<"${DIALECT[same]:-}"
}

config_parts() { # sets PARTS: the titles of the parts of the config that are configs of their own; '' where it is one
    local b
    PARTS=('')
    [[ -n ${DIALECT[parts]:-} ]] || return 0
    read_title "${TABLE[${DIALECT[name]}]%%$'\n'*}"
    PARTS=()
    for b in "${!BLOCK_TITLE[@]}"; do
        # shellcheck disable=SC2053 # a pattern
        [[ ${BLOCK_TITLE[b]} != $TITLE ]] || PARTS+=("${BLOCK_TITLE[b]}")
    done
}

fill_in() { # TEXT: sets REPLY: {field} replaced by its value, {model} by MODEL, {value} by OWN_VALUE
    local text=$1 name
    REPLY=''
    while [[ $text =~ ^([^{]*)\{([a-z_]+)\}(.*)$ ]]; do
        name=${BASH_REMATCH[2]} text=${BASH_REMATCH[3]}
        REPLY+=${BASH_REMATCH[1]}
        case $name in
            model) REPLY+=$MODEL ;;
            value) REPLY+=$OWN_VALUE ;;
            *) REPLY+=${VALUE[$name]:-} ;;
        esac
    done
    REPLY+=$text
}
