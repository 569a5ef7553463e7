#!/usr/bin/env bash
# Find out which official suite a train_infer_python.txt is written for, and give its lines their names. The suites are
# tables in dialects/; dialects/README.md says how to read and write one. Sourced after common_func.sh.

declare -A RUN KEY VALUE LINE # see common_func.sh and config.sh

declare -a DIALECTS=()     # their names
declare -a ROW_FIELD=() ROW_KEY=() ROW_HOW=() # the rows of all tables: a field, its key and how it is written; or, of a
#                            title, '=', its pattern and '?'; or, of a separator, '#'
declare -A TABLE_BEGIN=() TABLE_END=() # by name: where its rows begin and end
declare -A SETTINGS=()     # by name: the lines `setting words`
declare -A DIALECT=()      # the settings of the dialect of the config, and its `name`
declare -A ROW_FLAG=()     # by field of the config: words
declare -A FIT=()          # how the last table fitted: keys, extra lines and the first of them; or where not: line, reason
declare -a FIT_FIELDS=() FIT_LINES=() # of the last table: its fields, and which elements of LINE_TEXT they are
declare -a PARTS=()        # see config_parts
declare -a LINES_FOUND=()  # see split_lines
FIT_BLOCK=-1 FIT_AT=0 FIT_END=0
MODEL='' OWN_VALUE='' REPLY='' # see fill_in

load_dialects() { # once
    local path name
    ((${#DIALECTS[@]} == 0)) || return 0
    for path in "${BASH_SOURCE[0]%/*}"/dialects/*.txt; do
        name=${path##*/}
        name=${name%.txt}
        TABLE_BEGIN[$name]=${#ROW_FIELD[@]} SETTINGS[$name]=''
        load_table "$path" "$name"
        TABLE_END[$name]=${#ROW_FIELD[@]}
        ((TABLE_END[$name] > TABLE_BEGIN[$name])) || die "$path: expected a table, found no line of one"
        DIALECTS+=("$name")
    done
}

load_table() { # PATH NAME
    local text field key how
    local -a lines
    mapfile -t lines <"$1" || die "$1: the table of this dialect cannot be read"
    for text in "${lines[@]}"; do
        field='' key='' how=''
        case $text in
            '' | '# '*) continue ;;
            @*) SETTINGS[$2]+=${text#@}$'\n' && continue ;;
            '##') field='#' ;;
            =*)
                field='='
                [[ $text =~ ^=+([^=]+)=+(\??)$ ]] || die "$1: expected ====title====, found '$text'"
                key=${BASH_REMATCH[1]} how=${BASH_REMATCH[2]}
                ;;
            *) read -r field key how <<<"$text" ;;
        esac
        ROW_FIELD+=("$field") ROW_KEY+=("$key") ROW_HOW+=("$how")
    done
}

choose_dialect() { # of the config that read_config has read: sets DIALECT; exits where none fits
    local name best='' far=-1 line=1 reason='' rank top=0
    load_dialects
    for name in "${DIALECTS[@]}"; do
        if fit_table "$name" ''; then
            rank=$((1000 * (100 - FIT[extra]) + FIT[keys]))
            [[ -n $best ]] && ((rank <= top)) || best=$name top=$rank
        elif ((${#FIT_FIELDS[@]} > far)); then
            far=${#FIT_FIELDS[@]} line=${FIT[line]} reason=${FIT[reason]}
        fi
    done
    ((far > 0)) || [[ -n $best ]] || reason+="; is ===${BLOCK_TITLE[0]}=== for another chain?"
    [[ -n $best ]] || die "$CONFIG_FILE:$line: $reason"
    read_settings "$best"
}

read_settings() { # NAME: sets DIALECT; `same` and `value` may be there more than once
    local text name words
    DIALECT=([name]=$1)
    split_lines "${SETTINGS[$1]}"
    for text in "${LINES_FOUND[@]}"; do
        name=${text%% *}
        words=${text#"$name"}
        DIALECT[$name]=${DIALECT[$name]+${DIALECT[$name]}$'\n'}${words# }
    done
}

split_lines() { # TEXT: sets LINES_FOUND: its lines that are not empty
    local IFS=$'\n'
    set -f
    # shellcheck disable=SC2206 # split at line ends
    LINES_FOUND=($1)
    set +f
}

# ---------------------------------------------------------------------------------------- a table and a config's lines

fit_table() { # NAME TITLE: whether the config has the table's sections, lines and keys; TITLE chooses one of several
    local row block key keys=0 left_out=''
    FIT=([keys]=0 [extra]=0 [line]=1 [reason]='') FIT_FIELDS=() FIT_LINES=() FIT_AT=0 FIT_END=0
    for ((row = TABLE_BEGIN[$1]; row < TABLE_END[$1]; row++)); do
        case ${ROW_FIELD[row]} in
            =)
                close_block
                left_out=''
                open_block "${ROW_KEY[row]}" "$2" && continue
                [[ -z ${ROW_HOW[row]} ]] || { left_out=1 FIT_AT=0 FIT_END=0 && continue; }
                FIT[line]=$LAST_LINE FIT[reason]="the section ===${ROW_KEY[row]/'*'/base}=== is missing"
                return 1
                ;;
            '#')
                close_block
                block=$((FIT_BLOCK + 1))
                if ((block >= ${#BLOCK_TITLE[@]})) || [[ -n ${BLOCK_TITLE[block]} ]]; then
                    FIT_BLOCK=-1 FIT_AT=$FIT_END # the row that follows says what is missing
                else
                    enter_block "$block"
                fi
                ;;
            *)
                [[ -z $left_out ]] || continue
                key=${ROW_KEY[row]}
                # shellcheck disable=SC2053 # key is a pattern
                if ((FIT_AT < FIT_END)) &&
                    [[ ${LINE_TEXT[FIT_AT]} == *:* && (-z $key || ${LINE_KEY[FIT_AT]} == $key) ]]; then
                    FIT_FIELDS+=("${ROW_FIELD[row]%'?'}") FIT_LINES+=("$FIT_AT") # the usual case
                    FIT_AT=$((FIT_AT + 1))
                else
                    fit_row "${ROW_FIELD[row]}" "$key" "${ROW_HOW[row]}" || return
                fi
                [[ -z $key ]] || keys=$((keys + 1))
                ;;
        esac
    done
    close_block
    FIT[keys]=$keys
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

close_block() { # count the lines that no row is for
    ((FIT_AT < FIT_END)) || return 0
    FIT[extra]=$((FIT[extra] + FIT_END - FIT_AT))
    FIT[first_extra]=${FIT[first_extra]:-${LINE_NUMBER[FIT_AT]}}
}

fit_row() { # FIELD KEY FLAG: the next line of the block is that row's
    local field=${1%'?'} key=$2 flag=$3 text optional=''
    [[ $1 != *'?' ]] || optional=1
    if ((FIT_BLOCK < 0)); then
        FIT[line]=${LINE_NUMBER[FIT_END - 1]:-1} FIT[reason]="expected ## and then the line '$field'"
        ((FIT_END < ${#LINE_NUMBER[@]})) || FIT[reason]="the file ends before the line '$field'"
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
    FIT_FIELDS+=("$field") FIT_LINES+=("$FIT_AT")
    FIT_AT=$((FIT_AT + 1))
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
    ((FIT[extra] == 0)) ||
        CONFIG_NOTES+=("$CONFIG_FILE:${FIT[first_extra]}: ${FIT[extra]} more lines than the dialect ${DIALECT[name]} has: not used")
    for i in "${!FIT_FIELDS[@]}"; do
        field=${FIT_FIELDS[i]} at=${FIT_LINES[i]}
        KEY[$field]=${LINE_KEY[at]} VALUE[$field]=${LINE_VALUE[at]} LINE[$field]=${LINE_NUMBER[at]}
        FIELDS+=("$field")
    done
    for ((i = TABLE_BEGIN[${DIALECT[name]}]; i < TABLE_END[${DIALECT[name]}]; i++)); do
        [[ ${ROW_HOW[i]} != words ]] || ROW_FLAG[${ROW_FIELD[i]}]=words
    done
    split_lines "${DIALECT[value]:-}"
    for text in "${LINES_FOUND[@]}"; do
        field=${text%% *}
        KEY[$field]=$field VALUE[$field]=${text#* } LINE[$field]=${LINE[model_name]}
        FIELDS+=("$field")
    done
}

copy_same_lines() { # fields that the dialect says are the line of another one
    local text field
    split_lines "${DIALECT[same]:-}"
    for text in "${LINES_FOUND[@]}"; do
        field=${text%% *} text=${text#* }
        [[ -n ${LINE[$text]:-} ]] || continue
        KEY[$field]=${KEY[$text]} VALUE[$field]=${VALUE[$text]} LINE[$field]=${LINE[$text]}
    done
}

config_parts() { # sets PARTS: the titles of the parts of the config that are configs of their own; '' where it is one
    local b
    PARTS=('')
    [[ -n ${DIALECT[parts]:-} ]] || return 0
    PARTS=()
    for b in "${!BLOCK_TITLE[@]}"; do
        # shellcheck disable=SC2053 # a pattern
        [[ ${BLOCK_TITLE[b]} != ${ROW_KEY[TABLE_BEGIN[${DIALECT[name]}]]} ]] || PARTS+=("${BLOCK_TITLE[b]}")
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

# ------------------------------------------------------------------------------------------------- provided weights

weights_for_whole_infer() { # print the path of the provided weights, from the root; nothing if none are needed
    local value
    value=$(value_for_whole_infer)
    [[ $value != none ]] || return 0
    see_provided_weights "$value" && echo "$REPLY"
}

value_for_whole_infer() { # print the value of the line that names the provided weights, or none where no command takes them
    local value
    # files of serving, too, may have such a line
    value=$(choose_dialect && name_lines && copy_same_lines && needed_weights) 2>/dev/null ||
        value=$(value_of pretrained_model_url train_model)
    for_mode "$value" whole_infer
}

archives_for_whole_infer() { # print the addresses of exported models that the lines of weights and of a model have
    local field value
    choose_dialect && name_lines && copy_same_lines || return
    for field in provided_weights infer_model; do
        value=$(for_mode "${VALUE[$field]:-}" whole_infer)
        is_address "$value" || continue
        see_place "$value"
        [[ $REPLY == pretrain_models/* ]] || printf '%s\n' "$value"
    done
}

needed_weights() { # print the value of the line that names the provided weights, or none where no command takes them
    if needs_weights; then printf '%s' "${VALUE[provided_weights]:-}"; else echo none; fi
}

needs_weights() { # whether a command of whole_infer takes the provided weights
    if [[ -n ${KEY[quantise]:-} ]]; then
        [[ -n ${KEY[export_weights]:-} ]] # the others quantise an exported model
    elif quantises_model; then
        false
    else
        is_set eval || [[ -z ${KEY[infer_export]:-} || ${VALUE[infer_export]} != @(null|False|) ]]
    fi
}

quantises_model() { # whether kl_quant is all that whole_infer is for, as in PaddleClas's files of the quantisation
    is_set kl_quant && [[ ${VALUE[kl_quant]} != False && -z ${KEY[infer_mode]:-} ]]
}
