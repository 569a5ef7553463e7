#!/usr/bin/env bash
# Run a step of a chain, record how it ended, and leave no process behind. Sourced by common_func.sh.

# shellcheck disable=SC2034,SC2153 # shared with the scripts that source it

STEP_PID='' # process group of the running step
STEP_NAME='' STEP_LOG=''

open_output() { # FOLDER: take the folder for this run, waiting for another run that has it
    local why
    OUT=$1
    why=$(LC_ALL=C mkdir -p "$OUT" 2>&1) || die "$OUT: the output folder cannot be made (${why##*: })"
    take_lock "$OUT.lock" "another run is using $OUT"
    guard "$OUT.lock"
}

# -------------------------------------------------------------------------------------------------------- locks

process_identity() { # PID: the number and its start time, since numbers are given out again; fails once it has ended
    local stat
    local -a fields
    { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
    read -r -a fields <<<"${stat##*) }"
    [[ ${fields[0]} != Z ]] && printf '%s.%s' "$1" "${fields[19]}"
}

take_lock() { # PATH WHY: hold the lock, a link whose target is the holder's identity; waits for a living holder
    local owner told='' failures=0
    LOCK_OWNER=$(process_identity "$$")
    until ln -s -T "$LOCK_OWNER" "$1" 2>/dev/null; do
        if ! owner=$(readlink "$1"); then # freed this moment, or it cannot be made at all
            failures=$((failures + 1))
            ((failures < 20)) || die "$1: cannot be made (is there something else of that name?)"
            sleep 0.05
        elif [[ $(process_identity "${owner%%.*}") != "$owner" ]]; then # the holder was killed
            end_all_processes "$owner"
            break_lock "$1" "$owner"
        else
            [[ -n $told ]] || echo "waiting: $2 (process ${owner%%.*})"
            told=1
            sleep 0.5
        fi
    done
}

break_lock() { # PATH OWNER: remove the lock of a dead holder, one run at a time: another one's new lock stays
    local breaker
    if ln -s -T "$LOCK_OWNER" "$1.break" 2>/dev/null; then
        [[ $(readlink "$1") != "$2" ]] || rm -f "$1"
        rm -f "$1.break"
    elif breaker=$(readlink "$1.break") && [[ $(process_identity "${breaker%%.*}") != "$breaker" ]]; then
        rm -f "$1.break"
    fi
}

free_lock() { # PATH
    [[ $(readlink "$1") != "$LOCK_OWNER" ]] || rm -f "$1"
}

# ---------------------------------------------------------------------------------- no process is left behind

# All that a step starts carries TIPC_STEP in its environment, wherever it moves to: launchers of several processes
# give each its own group. Its value is the identity of the script; that of a script in a step goes behind a slash.

guard() { # LOCK: however this script ends from now on, what it started ends too, and the lock that it holds is freed
    GUARDED_LOCK=$1
    trap 'on_signal 130' INT
    trap 'on_signal 143' TERM
    trap 'on_signal 129' HUP
    trap 'release' EXIT
    watch_over >/dev/null 2>&1 &
    WATCH_PID=$!
}

watch_over() { # does so where this script is killed in a way that no trap can see
    trap - EXIT INT TERM HUP
    while process_identity "$$"; do sleep 0.5; done
    end_all_processes "$LOCK_OWNER"
    free_lock "$GUARDED_LOCK"
}

release() {
    stop_step
    ! declare -F stop_service >/dev/null || stop_service
    kill "$WATCH_PID" 2>/dev/null
    free_lock "$GUARDED_LOCK"
}

run_in_group() { # OUT ERR COMMAND...: run it in a process group of its own, writing to these two file descriptors
    local out=$1 err=$2 status
    shift 2
    set -m
    (export TIPC_STEP="${TIPC_STEP:+$TIPC_STEP/}$LOCK_OWNER" && "$@") </dev/null 1>&"$out" 2>&"$err" &
    STEP_PID=$!
    set +m
    wait "$STEP_PID" 2>/dev/null
    status=$?
    stop_step # what a finished step leaves running belongs to nobody
    return "$status"
}

stop_step() { # end every process of the running step
    [[ -n $STEP_PID ]] || return 0
    end_processes "$LOCK_OWNER" "$STEP_PID"
    STEP_PID=''
}

# A server that runs beside the steps carries TIPC_SERVICE instead, since a step's end must not be its end.

end_processes() { # IDENTITY GROUP [MARK]: those that a step of that script started, and those of the process group, if any
    local tries signal=TERM
    local -a left
    [[ $1 =~ ^[0-9.]+$ ]] || return 0 # a lock that is none of ours
    for tries in {1..60}; do
        ((tries < 50)) || signal=KILL # it had five seconds
        mapfile -t left < <(grep -lzsxE "${3:-TIPC_STEP}=(.*/)?$1(/.*)?" /proc/[0-9]*/environ | cut -d / -f 3)
        ((tries > 1 && tries < 50)) || kill "-$signal" -- ${2:+"-$2"} "${left[@]}" 2>/dev/null
        ((${#left[@]} > 0)) || break
        sleep 0.1
    done
    [[ -z $2 ]] || kill -KILL -- "-$2" 2>/dev/null
}

end_all_processes() { # IDENTITY: those of that script's steps and of its servers
    end_processes "$1" ''
    end_processes "$1" '' TIPC_SERVICE
}

on_signal() { # STATUS
    trap '' INT TERM HUP
    printf '\ninterrupted: ending what was started\n' >&2
    stop_step
    ! declare -F stop_service >/dev/null || stop_service
    if [[ -n ${STATUS_LOG:-} ]]; then
        (record "${STEP_NAME:-run}" failed "$(elapsed "${STEP_START:-$(now)}")" "${STEP_LOG:-}" interrupted)
    fi
    ! declare -F summarise >/dev/null || summarise
    exit "$1"
}

# ---------------------------------------------------------------------------------------- run a step, and record it

start_record() { # RESULTS_FILE: forget the last run in this folder and begin a new list of steps
    find "$OUT/" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    continue_record "$1" none
}

continue_record() { # RESULTS_FILE NAMES: add to the list of steps that is there, less those with one of NAMES (a|b|c)
    local list=$OUT/steps.tsv
    STATUS_LOG=$1
    touch "$STATUS_LOG" "$list" || die "$OUT: cannot be written to"
    grep -vE $'^[^\t]*\t('"$2"$'|run)[ \t]' "$list" >"$list.new"
    mv "$list.new" "$list"
}

run_step() { # NAME LOG FOLDER COMMAND...: run it, keep its output, record its own exit status; returns that status
    local name=$1 log=$2 folder=$3 status
    shift 3
    STEP_NAME=$name STEP_LOG=$log STEP_START=$(now)
    printf '\n==== %s ====\n' "$name"
    log_header "$folder" "$@" | tee "$log"
    run_logged "$log" run_program "$folder" "$@"
    status=$?
    printf '\n# ended: exit code %d, %s seconds\n' "$status" "$(elapsed "$STEP_START")" >>"$log"
    report_status "$status" "$log" "$@"
    if ((status == 0)); then
        record "$name" passed "$(elapsed "$STEP_START")" "$log" ""
    else
        record "$name" failed "$(elapsed "$STEP_START")" "$log" "exit code $status"
        printf 'The last lines of %s:\n' "$log"
        tail -n 12 "$log" | cut -b -400 | sed 's/^/    /'
    fi
    STEP_NAME='' STEP_LOG=''
    return "$status"
}

run_logged() { # LOG COMMAND...: its output goes to the screen and to the end of the log; its exit status
    local log=$1 out tee_pid status tries
    shift
    exec {out}> >(exec tee -i -a "$log") # -i: what a step says while it is interrupted is kept
    tee_pid=$!
    run_in_group "$out" "$out" "$@"
    status=$?
    exec {out}>&-
    # a process that hid from run_in_group may hold the pipe for ever
    for tries in {1..300}; do
        kill -0 "$tee_pid" 2>/dev/null || break
        sleep 0.01
    done
    ((tries < 300)) || kill "$tee_pid"
    return "$status"
}

run_program() { # FOLDER PROGRAM ARGUMENT...: `python` is the interpreter that prepare.sh chose
    cd "$ROOT/$1" || return
    shift
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
    if grep -qF -- " - $log ! " "$STATUS_LOG"; then # the same step in an earlier run
        grep -vF -- " - $log ! " "$STATUS_LOG" >"$STATUS_LOG.new"
        mv "$STATUS_LOG.new" "$STATUS_LOG"
    fi
    printf '\033[33m Run %s with command - %s - %s - %s ! \033[0m\n' \
        "$word" "$MODEL" "$(quoted "$@")" "$log" | tee -a "$STATUS_LOG"
}

record() { # NAME RESULT SECONDS LOG REASON: one line of steps.tsv, which the summary is made from
    local IFS=$'\t'
    # a failure that is not written down would end as a success
    printf '%s\n' "${TAG:-}"$'\t'"$*" >>"$OUT/steps.tsv" || die "$OUT/steps.tsv: cannot be written; is the disk full?"
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
