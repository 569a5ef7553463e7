#!/usr/bin/env bash
# Shared by the scripts of test_tipc/: read a config, run a step, record it, finish.
#
# Sourced, never run. Nothing here evaluates text from a config: words become array elements, and array elements
# become arguments. Needs bash 4.4.

# shellcheck disable=SC2034,SC2153 # its variables are read by the scripts that source it
set -uo pipefail

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    echo "error: bash 4.4 or newer is needed, this is $BASH_VERSION" >&2
    exit 1
fi

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
MODES=(lite_train_lite_infer lite_train_whole_infer whole_infer whole_train_whole_infer)

die() { # MESSAGE: one line on standard error, and the end
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# ---------------------------------------------------------------------------------------------- read a config

# A config is blocks of `key:value` lines; a title (====name====) or a separator (##) ends a block. After read_config,
# BLOCK_TITLE[b] is block b's title (empty behind ##), BLOCK_FIRST[b] and BLOCK_LINES[b] say where its lines stand
# in LINE_TEXT / LINE_NUMBER.
declare -a BLOCK_TITLE BLOCK_FIRST BLOCK_LINES LINE_TEXT LINE_NUMBER
declare -A KEY VALUE LINE # by field name, filled by name_fields

read_config() { # FILE
    CONFIG_FILE=$1
    check_text_file "$CONFIG_FILE"
    BLOCK_TITLE=() BLOCK_FIRST=() BLOCK_LINES=() LINE_TEXT=() LINE_NUMBER=()
    local text number=0 block=-1
    while IFS= read -r text || [[ -n $text ]]; do
        number=$((number + 1))
        text=$(trim "$text")
        if [[ $text =~ ^=+([A-Za-z0-9_]+)=+$ ]]; then
            block=$((block + 1))
            BLOCK_TITLE[block]=${BASH_REMATCH[1]} BLOCK_FIRST[block]=${#LINE_TEXT[@]} BLOCK_LINES[block]=0
        elif [[ $text =~ ^##+$ ]]; then
            # a separator directly before a title opens nothing
            if ((block >= 0 && BLOCK_LINES[block] > 0)); then
                block=$((block + 1))
                BLOCK_TITLE[block]='' BLOCK_FIRST[block]=${#LINE_TEXT[@]} BLOCK_LINES[block]=0
            fi
        elif [[ -n $text ]]; then
            ((block >= 0)) || die "$CONFIG_FILE:$number: expected a title such as ===train_params===, found '$text'"
            [[ $text == *:* ]] || die "$CONFIG_FILE:$number: expected key:value, found '$text'"
            LINE_TEXT+=("$text") LINE_NUMBER+=("$number")
            BLOCK_LINES[block]=$((BLOCK_LINES[block] + 1))
        fi
    done <"$CONFIG_FILE"
    ((block >= 0)) || die "$CONFIG_FILE:1: the file is empty; expected sections such as ===train_params==="
}

check_text_file() { # FILE: a readable UTF-8 text with Unix line ends, or the end
    [[ ! -d $1 ]] || die "$1: expected a config file, found a folder"
    [[ -e $1 ]] || die "$1: no such config file"
    [[ -r $1 ]] || die "$1: the config file cannot be read"
    [[ -s $1 ]] || die "$1:1: the file is empty; expected sections such as ===train_params==="
    local number
    if ! number=$(first_bad_line "$1"); then
        die "$1:$number: not UTF-8 text; save the file as UTF-8"
    fi
    if number=$(grep -n -m 1 $'\r' "$1"); then
        die "$1:${number%%:*}: the line ends in CR LF (Windows); convert with: sed -i 's/\\r\$//' $1"
    fi
}

first_bad_line() { # FILE: succeeds for UTF-8 text, else prints the number of the first line that is not
    iconv -f UTF-8 -t UTF-8 "$1" >/dev/null 2>&1 && ! LC_ALL=C grep -q -m 1 -a -P '\x00' "$1" && return 0
    local text number=0
    while IFS= read -r text; do
        number=$((number + 1))
        printf '%s' "$text" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1 || break
    done < <(LC_ALL=C tr '\000' '\377' <"$1")
    echo "$number"
    return 1
}

trim() { # TEXT: without blanks at either end
    local text=$1
    text=${text#"${text%%[![:space:]]*}"}
    printf '%s' "${text%"${text##*[![:space:]]}"}"
}

find_block() { # TITLE: the number of the block under that title, or the end
    local b
    for b in "${!BLOCK_TITLE[@]}"; do
        [[ ${BLOCK_TITLE[b]} == "$1" ]] && echo "$b" && return
    done
    die "$CONFIG_FILE:$(last_line): the section ===$1=== is missing"
}

last_line() { # where a reader would look for what is not there
    echo "${LINE_NUMBER[-1]:-1}"
}

name_fields() { # BLOCK NAME...: give the lines of a block their names, in order; more lines than names are free
    local block=$1 at name
    shift
    ((block < ${#BLOCK_TITLE[@]})) || die "$CONFIG_FILE:$(last_line): the file ends before the line '$1'"
    at=${BLOCK_FIRST[block]}
    local count=${BLOCK_LINES[block]}
    if ((count < $#)); then
        local missing=$((count + 1))
        die "$CONFIG_FILE:${LINE_NUMBER[at + count - 1]:-1}: ${BLOCK_TITLE[block]:-this part} ends after $count lines;" \
            "expected '${!missing}' next ($# lines in all)"
    fi
    for name in "$@"; do
        KEY[$name]=$(trim "${LINE_TEXT[at]%%:*}")
        VALUE[$name]=$(trim "${LINE_TEXT[at]#*:}")
        LINE[$name]=${LINE_NUMBER[at]}
        at=$((at + 1))
    done
}

is_set() { # FIELD: whether its value is anything but null or empty
    [[ -n ${VALUE[$1]:-} && ${VALUE[$1]} != null ]]
}

for_mode() { # FIELD MODE: the value, or the part of a `mode=value|mode=value` list that is for the mode
    local value=${VALUE[$1]} part mode prefix=''
    [[ $value =~ ^(lite_train|whole_train|whole_infer|whole)[a-z_]*= ]] || {
        printf '%s' "$value"
        return
    }
    while IFS= read -r part; do
        mode=${part%%=*}
        # "lite_train" speaks for both lite_train_… modes, and lite_train_lite_infer for the other one of them
        [[ $mode == "$2" ]] && printf '%s' "${part#*=}" && return
        [[ -z $prefix && ($2 == "$mode"_* || ($2 == lite_train_* && $mode == lite_train_*)) ]] && prefix=${part#*=}
    done < <(split_list "$value")
    [[ -n $prefix ]] || die "$CONFIG_FILE:${LINE[$1]}: '${KEY[$1]}' has no value for the mode $2"
    printf '%s' "$prefix"
}

split_list() { # TEXT: the parts of a |-separated list, one a line; a list of none gives one empty part
    printf '%s\n' "${1//|/$'\n'}"
}

split_words() { # TEXT: sets WORDS, split as a shell does with '…', "…" and \ ; nothing is expanded
    local text=$1 quote='' word='' open=0 i c
    WORDS=()
    for ((i = 0; i < ${#text}; i++)); do
        c=${text:i:1}
        if [[ -n $quote ]]; then
            if [[ $c == "$quote" ]]; then quote=''; else word+=$c; fi
        elif [[ $c == [\"\'] ]]; then
            quote=$c open=1
        elif [[ $c == \\ ]]; then
            i=$((i + 1)) open=1
            word+=${text:i:1}
        elif [[ $c == [[:space:]] ]]; then
            ((open)) && WORDS+=("$word")
            word='' open=0
        else
            word+=$c open=1
        fi
    done
    ((open)) && WORDS+=("$word")
    [[ -z $quote ]]
}

# A command is put together in the array COMMAND: begin_command, then add_option as often as needed.

begin_command() { # FIELD [MORE]: COMMAND becomes `python` and the words of the field's value for MODE
    local text
    text=$(for_mode "$1" "$MODE") || exit 1
    split_words "$text ${2:-}" || die "$CONFIG_FILE:${LINE[$1]}: '${KEY[$1]}' has a quote that is not closed"
    COMMAND=(python "${WORDS[@]}")
}

add_option() { # KEY VALUE: append the option unless key or value is null: "-o A.b" gives -o A.b=VALUE
    [[ -n $1 && $1 != null && -n $2 && $2 != null ]] || return 0
    split_words "$1" || true
    WORDS[-1]+="=$2"
    COMMAND+=("${WORDS[@]}")
}

add_field() { # FIELD [VALUE]: the option of that line, where the dialect has the line
    [[ -z ${KEY[$1]:-} ]] || add_option "${KEY[$1]}" "${2-${VALUE[$1]}}"
}

# ------------------------------------------------------------------------------------- run a step and record it

STEP_PID='' # process group of the running step

open_output() { # FOLDER: take the folder for this run, waiting for another run that has it
    OUT=$1
    mkdir -p "$OUT" || die "$OUT: the output folder cannot be made"
    take_lock "$OUT.lock" "another run is using $OUT"
    trap 'on_signal 130' INT
    trap 'on_signal 143' TERM HUP
    trap 'release' EXIT
    watch_over >/dev/null 2>&1 &
    WATCH_PID=$!
}

take_lock() { # PATH WHY: hold the lock, a link whose target is the holder's process number; waits for a live holder
    local owner told=''
    until ln -s -T "$$" "$1" 2>/dev/null; do
        [[ -w $(dirname "$1") ]] || die "$(dirname "$1"): cannot be written to"
        owner=$(readlink "$1") || continue
        if [[ ! -d /proc/$owner ]]; then # it was killed
            mv -T "$1" "$1.$$" 2>/dev/null && rm -f "$1.$$"
            continue
        fi
        [[ -n $told ]] || echo "waiting: $2 (process $owner)"
        told=1
        sleep 0.5
    done
}

free_lock() { # PATH
    [[ $(readlink "$1") != "$$" ]] || rm -f "$1"
}

start_record() { # RESULTS_FILE: forget the last run in this folder and begin a new list of steps
    STATUS_LOG=$1
    find "$OUT" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    continue_record "$STATUS_LOG"
}

continue_record() { # RESULTS_FILE: add to the list of steps that is there
    STATUS_LOG=$1
    : >>"$STATUS_LOG"
    : >>"$OUT/steps.tsv"
}

watch_over() { # ends the running step when this script is killed in a way that no trap can see
    trap - EXIT INT TERM HUP
    while kill -0 "$$" 2>/dev/null; do sleep 1; done
    local group
    group=$(cat "$OUT/.step" 2>/dev/null) && kill -TERM -- "-$group" 2>/dev/null
    free_lock "$OUT.lock"
}

release() {
    stop_step
    kill "$WATCH_PID" 2>/dev/null
    free_lock "$OUT.lock"
}

stop_step() { # end every process of the running step
    [[ -n $STEP_PID ]] || return 0
    kill -TERM -- "-$STEP_PID" 2>/dev/null
    local tries
    for tries in {1..50}; do
        kill -0 -- "-$STEP_PID" 2>/dev/null || break
        ((tries < 50)) && sleep 0.1
    done
    kill -KILL -- "-$STEP_PID" 2>/dev/null
    STEP_PID=''
}

on_signal() { # STATUS
    trap '' INT TERM HUP
    echo
    echo "interrupted: ending what was started" >&2
    stop_step
    if [[ -n ${STEP_NAME:-} ]]; then
        record "$STEP_NAME" failed "$(elapsed "$STEP_START")" "$STEP_LOG" "interrupted"
    fi
    declare -F finish >/dev/null && finish >&2
    exit "$1"
}

run_step() { # NAME LOG FOLDER COMMAND...: run it, keep its output, record its own exit status; returns that status
    local name=$1 log=$2 folder=$3 status out tee_pid
    shift 3
    STEP_NAME=$name STEP_LOG=$log STEP_START=$(now)
    printf '\n==== %s ====\n' "$name"
    log_header "$folder" "$@" | tee "$log"
    exec {out}> >(exec tee -a "$log")
    tee_pid=$!
    set -m # a process group of its own, so that all of it can be ended
    (cd "$ROOT/$folder" && run_program "$@") </dev/null >&"$out" 2>&1 {out}>&- &
    STEP_PID=$!
    set +m
    exec {out}>&-
    echo "$STEP_PID" >"$OUT/.step"
    wait "$STEP_PID"
    status=$?
    # what a finished step leaves running belongs to nobody
    kill -TERM -- "-$STEP_PID" 2>/dev/null
    STEP_PID=''
    rm -f "$OUT/.step"
    wait "$tee_pid" 2>/dev/null
    printf '# ended: exit code %d, %s seconds\n' "$status" "$(elapsed "$STEP_START")" >>"$log"
    report_status "$status" "$log" "$@"
    if ((status == 0)); then
        record "$name" passed "$(elapsed "$STEP_START")" "$log" ""
    else
        record "$name" failed "$(elapsed "$STEP_START")" "$log" "exit code $status"
        printf 'The last lines of %s:\n' "$log"
        tail -n 12 "$log" | sed 's/^/    /'
    fi
    STEP_NAME=''
    return "$status"
}

run_program() { # PROGRAM ARGUMENT...: `python` is the interpreter that prepare.sh chose
    if [[ $1 == python ]]; then exec "$PYTHON" "${@:2}"; else exec "$@"; fi
}

log_header() { # FOLDER COMMAND...
    local folder=$1
    shift
    printf '# command: %s\n# folder: %s\n# versions: %s\n# commit: %s\n# started: %s\n' \
        "$(quoted "$@")" "$folder" "$VERSIONS" "$COMMIT" "$(date '+%Y-%m-%d %H:%M:%S')"
}

report_status() { # STATUS LOG COMMAND...: the line that existing checkers look for
    local word=failed log=$2
    (($1 == 0)) && word=successfully
    shift 2
    printf '\033[33m Run %s with command - %s - %s - %s ! \033[0m\n' \
        "$word" "$MODEL" "$(quoted "$@")" "$log" | tee -a "$STATUS_LOG"
}

record() { # NAME RESULT SECONDS LOG REASON: one line of steps.tsv, which the summary is made from
    local IFS=$'\t'
    printf '%s\n' "${TAG:-}"$'\t'"$*" >>"$OUT/steps.tsv"
}

skip_step() { # NAME REASON
    printf '\n==== %s: skipped (%s) ====\n' "$1" "$2"
    record "$1" skipped 0 '' "$2"
}

not_run() { # NAME... REASON: steps that wait for one that failed
    local name
    for name in "${@:1:$#-1}"; do record "$name" 'not run' 0 '' "${!#}"; done
}

quoted() { # WORD...: as they would be typed
    local text
    printf -v text '%q ' "$@"
    printf '%s' "${text% }"
}

now() { # seconds with a fraction, without starting a process where bash can tell
    printf '%s' "${EPOCHREALTIME:-$(date +%s.%N)}"
}

elapsed() { # START: seconds since then, one decimal
    local start=${1/[.,]/} end
    end=$(now)
    end=${end/[.,]/}
    local tenths=$(((10#${end:0:16} - 10#${start:0:16}) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# ------------------------------------------------------------------------------------------- where we are running

find_python() { # sets PYTHON: the interpreter of TIPC_PYTHON, or of the managed environment
    PYTHON=${TIPC_PYTHON:-$ROOT/.venv/bin/python}
    [[ $PYTHON == */* ]] || PYTHON=$(command -v "$PYTHON") || die "TIPC_PYTHON=$TIPC_PYTHON: no such program"
    [[ -x $PYTHON ]] || die "$PYTHON: no such interpreter"
}

describe_environment() { # sets VERSIONS, COMMIT and GPUS (how many can be used)
    VERSIONS=$("$PYTHON" "$ROOT/tools/versions.py") || die "$PYTHON: its environment cannot be used (see above)"
    COMMIT=$(git -C "$ROOT" rev-parse --short=12 HEAD 2>/dev/null) || COMMIT='none (no git repository)'
    if [[ $COMMIT != none* ]]; then
        # what a run itself writes (test_log) is no change of the code
        if [[ -z $(git -C "$ROOT" status --porcelain -- ':!test_log' 2>/dev/null) ]]; then
            COMMIT+=' (clean tree)'
        else
            COMMIT+=' (with uncommitted changes)'
        fi
    fi
    GPUS=0
    if [[ $VERSIONS == *paddlepaddle-gpu* ]] && command -v nvidia-smi >/dev/null; then
        GPUS=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
    fi
}

is_mode() { # NAME
    local mode
    for mode in "${MODES[@]}"; do [[ $mode == "$1" ]] && return; done
    return 1
}

provided_weights() { # CONFIG: where the weights of its whole_infer lie, from the repository's root
    local value
    value=$(sed -n 's/^\(pretrained_model_url\|train_model\) *: *//p' "$1" | head -n 1)
    case $value in
        '' | null) die "$1: no pretrained_model_url or train_model line names the weights for whole_infer" ;;
        *://*) echo "pretrain_models/${value##*/}" ;;
        *) echo "${value#./}" ;;
    esac
}
