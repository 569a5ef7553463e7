#!/usr/bin/env bash
# Read a config of test_tipc/configs: the only parser of these files.

# A config is blocks of `key:value` lines; a title (====name====) or a separator (##) ends a block. After read_config,
# BLOCK_TITLE[b] is block b's title (empty after ##); BLOCK_FIRST[b] and BLOCK_LINES[b] say which elements of LINE_TEXT
# and LINE_NUMBER, and of LINE_KEY and LINE_VALUE, are its lines. A line without a colon is a key; whoever gives the lines
# their names says whether that is right. Nothing here starts a process but the check of the file's bytes: plans of
# hundreds of configs are made in one go, and tests make them.
CONFIG_FILE='' LAST_LINE=1
UNTITLED=runtime_device: # so the official configs of Paddle Lite begin, which have no title; it is lite_params here
declare -a BLOCK_TITLE BLOCK_FIRST BLOCK_LINES LINE_TEXT LINE_NUMBER LINE_KEY LINE_VALUE
declare -a CONFIG_NOTES=() # warnings about a file that can still be used
declare -A KEY VALUE LINE # by field name, filled by name_fields
declare -a FIELDS=()      # the names in the order of the file
declare -a ENTRIES=()     # what split_bars found
REPLY=''

read_config() { # FILE
    CONFIG_FILE=$1
    check_text_file "$CONFIG_FILE"
    BLOCK_TITLE=() BLOCK_FIRST=() BLOCK_LINES=() LINE_TEXT=() LINE_NUMBER=() LINE_KEY=() LINE_VALUE=() CONFIG_NOTES=()
    FIELDS=() LAST_LINE=1
    local text number=0 block=-1
    local -a texts
    mapfile -t texts <"$CONFIG_FILE"
    for text in "${texts[@]}"; do
        number=$((number + 1))
        ((number > 1)) || text=${text#$'\xef\xbb\xbf'} # a byte-order mark, which some editors write
        strip "$text"
        text=$REPLY
        [[ -n $text ]] || continue
        LAST_LINE=$number
        if [[ $text == =* && $text =~ ^=+[[:space:]]*([A-Za-z0-9_]+)[[:space:]]*=+$ ]]; then
            [[ " ${BLOCK_TITLE[*]} " != *" ${BASH_REMATCH[1]} "* ]] ||
                CONFIG_NOTES+=("$CONFIG_FILE:$number: a second section ===${BASH_REMATCH[1]}===, which is not read")
            block=$((block + 1))
            BLOCK_TITLE[block]=${BASH_REMATCH[1]} BLOCK_FIRST[block]=${#LINE_TEXT[@]} BLOCK_LINES[block]=0
        elif [[ $text == \#* && $text =~ ^#+$ ]]; then
            # a separator directly before a title opens nothing
            if ((block >= 0 && BLOCK_LINES[block] > 0)); then
                block=$((block + 1))
                BLOCK_TITLE[block]='' BLOCK_FIRST[block]=${#LINE_TEXT[@]} BLOCK_LINES[block]=0
            fi
        else
            if ((block < 0)); then
                [[ $text == "$UNTITLED"* ]] ||
                    die "$CONFIG_FILE:$number: expected a title such as ===train_params===, found '${text:0:99}'"
                block=0 BLOCK_TITLE[0]=lite_params BLOCK_FIRST[0]=0 BLOCK_LINES[0]=0
            fi
            [[ $text != \#* ]] || die "$CONFIG_FILE:$number: expected key:value, found '${text:0:200}'"
            add_line "$text" "$number"
            BLOCK_LINES[block]=$((BLOCK_LINES[block] + 1))
        fi
    done
    ((block >= 0)) || die "$CONFIG_FILE:1: the file is empty; expected sections such as ===train_params==="
}

add_line() { # TEXT NUMBER
    local value=''
    [[ $1 != *:* ]] || value=${1#*:}
    LINE_TEXT+=("$1") LINE_NUMBER+=("$2")
    strip "${1%%:*}" && LINE_KEY+=("$REPLY")
    strip "$value" && LINE_VALUE+=("$REPLY")
}

check_text_file() { # FILE: exit with an error unless it is a readable UTF-8 text with Unix line ends
    [[ ! -d $1 ]] || die "$1: expected a config file, found a folder"
    [[ -e $1 ]] || die "$1: no such config file"
    [[ -r $1 ]] || die "$1: the config file cannot be read"
    [[ -s $1 ]] || die "$1:1: the file is empty; expected sections such as ===train_params==="
    local number
    is_plain_text "$1" && return
    if ! number=$(first_bad_line "$1"); then
        die "$1:$number: not UTF-8 text; save the file as UTF-8"
    fi
    if number=$(LC_ALL=C grep -n -m 1 $'\r$' "$1"); then
        die "$1:${number%%:*}: the line ends in CR LF (Windows); convert with: sed -i 's/\\r\$//' $1"
    fi
}

is_plain_text() { # FILE: whether all is ASCII, without zero bytes and carriage returns; as most files are
    local LC_ALL=C text
    ! IFS= read -r -d '' text <"$1" && [[ $text != *[$'\x80'-$'\xff'$'\r']* ]]
}

first_bad_line() { # FILE: succeeds for UTF-8 text, else prints the number of the first line that is not
    iconv -f UTF-8 -t UTF-8 "$1" >/dev/null 2>&1 && ! LC_ALL=C grep -q -m 1 -a -P '\x00' "$1" && return 0
    local text number=0
    while IFS= read -r text || [[ -n $text ]]; do
        number=$((number + 1))
        printf '%s' "$text" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1 || break
    done < <(LC_ALL=C tr '\000' '\377' <"$1")
    echo "$number"
    return 1
}

strip() { # TEXT: sets REPLY: the text without blanks at either end
    REPLY=$1
    [[ $1 == [[:space:]]* || $1 == *[[:space:]] ]] || return 0
    REPLY=${1#"${1%%[![:space:]]*}"}
    REPLY=${REPLY%"${REPLY##*[![:space:]]}"}
}

trim() { # TEXT: print it without blanks at either end
    strip "$1"
    printf '%s' "$REPLY"
}

find_block() { # TITLE: print the number of the block under that title, or exit with an error
    local b
    for b in "${!BLOCK_TITLE[@]}"; do
        [[ ${BLOCK_TITLE[b]} == "$1" ]] && echo "$b" && return
    done
    die "$CONFIG_FILE:$(last_line): the section ===$1=== is missing"
}

last_line() { # the line to name when something is missing at the end of the file
    line_number $((${#LINE_NUMBER[@]} - 1))
}

line_number() { # INDEX: the line number in the file of that element of LINE_TEXT
    if (($1 >= 0)); then echo "${LINE_NUMBER[$1]}"; else echo 1; fi
}

name_fields() { # BLOCK NAME...: give the lines of a block their names, in order; more lines than names are free
    local block=$1 at name
    shift
    ((block < ${#BLOCK_TITLE[@]})) || die "$CONFIG_FILE:$(last_line): the file ends before the line '$1'"
    at=${BLOCK_FIRST[block]}
    local count=${BLOCK_LINES[block]}
    if ((count < $#)); then
        local missing=$((count + 1))
        die "$CONFIG_FILE:$(line_number $((at + count - 1))): ${BLOCK_TITLE[block]:-this part} ends after $count lines;" \
            "expected '${!missing}' next ($# lines in all)"
    fi
    for name in "$@"; do
        [[ ${LINE_TEXT[at]} == *:* ]] ||
            die "$CONFIG_FILE:${LINE_NUMBER[at]}: expected key:value, found '${LINE_TEXT[at]:0:200}'"
        KEY[$name]=${LINE_KEY[at]} VALUE[$name]=${LINE_VALUE[at]} LINE[$name]=${LINE_NUMBER[at]}
        FIELDS+=("$name")
        at=$((at + 1))
    done
}

is_set() { # FIELD: whether its value is anything but null or empty
    [[ -n ${VALUE[$1]:-} && ${VALUE[$1]} != null ]]
}

for_mode() { # VALUE MODE: print the value, or the mode's part of a `mode=value|mode=value` list; fail if none is
    take_mode "$1" "$2" && printf '%s' "$REPLY"
}

take_mode() { # VALUE MODE: sets REPLY as for_mode prints it
    local part near=''
    REPLY=$1
    [[ $1 == *=* && $1 =~ ^(lite_train|whole_train|whole_infer|whole)[a-z_]*= ]] || return 0
    split_bars "$1"
    for part in "${ENTRIES[@]}"; do
        case ${part%%=*} in
            "$2") REPLY=${part#*=} && return ;;
            # the short form speaks for every mode that begins so
            lite_train | whole_train | whole) [[ $2 == "${part%%=*}"_* ]] && near=${near:-${part#*=}} ;;
            # and each lite_train mode for the other one
            lite_train_lite_infer | lite_train_whole_infer) [[ $2 == lite_train_* ]] && near=${near:-${part#*=}} ;;
        esac
    done
    REPLY=$near
    [[ -n $near ]]
}

split_bars() { # TEXT: sets ENTRIES: the parts of a |-separated list, stripped; an empty list has one empty part
    local text=$1'|' part
    if [[ $1 != *'|'* ]]; then
        strip "$1"
        ENTRIES=("$REPLY")
        return
    fi
    ENTRIES=()
    while [[ -n $text ]]; do
        part=${text%%|*}
        text=${text:${#part}+1}
        strip "$part"
        ENTRIES+=("$REPLY")
    done
}

combine() { # FIELD...: sets COMBINATIONS: a tab-separated line for each combination of their lists; empty is null
    local field value line
    local -a grown
    local -A listed=()
    COMBINATIONS=('')
    for field in "$@"; do
        grown=()
        split_bars "${VALUE[$field]:-null}"
        for line in "${COMBINATIONS[@]}"; do
            for value in "${ENTRIES[@]}"; do grown+=("${line:+$line$'\t'}${value:-null}"); done
        done
        COMBINATIONS=("${grown[@]}")
    done
    grown=()
    for line in "${COMBINATIONS[@]}"; do
        [[ -n ${listed[$line]:-} ]] || grown+=("$line")
        listed[$line]=1
    done
    COMBINATIONS=("${grown[@]}")
}

split_list() { # TEXT: print the parts of a |-separated list, one per line
    split_bars "$1"
    printf '%s\n' "${ENTRIES[@]}"
}

value_of() { # KEY...: print the value of the first line with one of these keys, in any section; fail when there is none
    local i key
    for i in "${!LINE_KEY[@]}"; do
        for key in "$@"; do
            [[ ${LINE_KEY[i]} == "$key" ]] && printf '%s' "${LINE_VALUE[i]}" && return
        done
    done
    return 1
}

mentions() { # TEXT: whether any value contains it
    local value
    for value in "${LINE_VALUE[@]}"; do
        [[ $value == *"$1"* ]] && return
    done
    return 1
}

# ------------------------------------------------------------------------------- checks of lines that have their names

check_fixed_keys() { # FIELD...: their key is the same in every config, unless a line is missing or added
    local field
    for field in "$@"; do
        [[ ${KEY[$field]} == "$field" ]] ||
            die "$CONFIG_FILE:${LINE[$field]}: expected '$field:…', found '${KEY[$field]}:…'; is a line missing or added?"
    done
}

check_needed() { # FIELD...: lines that must have a value
    local field
    for field in "$@"; do
        is_set "$field" || die "$CONFIG_FILE:${LINE[$field]}: '${KEY[$field]}' has no value"
    done
}

print_notes() {
    ((${#CONFIG_NOTES[@]} == 0)) || printf 'note: %s\n' "${CONFIG_NOTES[@]}"
    CONFIG_NOTES=()
}

check_model_name() {
    [[ ${VALUE[model_name]} =~ ^[A-Za-z0-9][A-Za-z0-9._+-]*$ ]] ||
        die "$CONFIG_FILE:${LINE[model_name]}: model_name becomes a folder's name: letters, digits, . _ + -," \
            "found '${VALUE[model_name]:0:200}'"
}
