#!/usr/bin/env bash
# Run a step and record how it ended: one line per step of steps.tsv in RUN[output_dir], which all reports are made from.

declare -A RUN # see common_func.sh

declare -A STEP=() # the running step: name, log and start, so that an interruption can be recorded

open_output() { # FOLDER: use the folder for this run; wait while another run uses it
    local why
    why=$(LC_ALL=C mkdir -p "$1" 2>&1) || die "$1: the output folder cannot be made (${why##*: })"
    RUN[output_dir]=$1
    take_lock "$1.lock" "another run is using $1"
    guard "$1.lock"
}

start_record() { # RESULTS_FILE: remove the last run's files and begin a new list of steps
    find "${RUN[output_dir]}/" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    continue_record "$1" none
}

continue_record() { # RESULTS_FILE NAMES: keep the list of steps, without the steps of these NAMES (a|b|c)
    local list=${RUN[output_dir]}/steps.tsv
    RUN[results]=$1
    touch "$1" "$list" || die "${RUN[output_dir]}: cannot be written to"
    grep -vE $'^[^\t]*\t('"$2"$'|run)[ \t]' "$list" >"$list.new"
    mv "$list.new" "$list"
}

run_step() { # NAME LOG FOLDER COMMAND...: run it, keep its output, record its own exit status and return it
    local log=$2 folder=$3 status
    begin_step "$1" "$log"
    shift 3
    printf '\n==== %s ====\n' "${STEP[name]}"
    log_header "$folder" "$@" | tee "$log"
    run_logged "$log" run_program "$folder" "$@"
    status=$?
    printf '\n# ended: exit code %d, %s seconds\n' "$status" "$(elapsed "${STEP[start]}")" >>"$log"
    report_status "$status" "$log" "$@"
    if ((status == 0)); then
        end_step passed ''
    else
        end_step failed "exit code $status"
        print_end "$log"
    fi
    return "$status"
}

begin_step() { # NAME LOG
    STEP=([name]=$1 [log]=$2 [start]=$(now))
}

end_step() { # RESULT REASON
    record "${STEP[name]}" "$1" "$(elapsed "${STEP[start]}")" "${STEP[log]}" "$2"
    STEP=()
}

record_interruption() {
    [[ -n ${RUN[results]:-} ]] || return 0
    (record "${STEP[name]:-run}" failed "$(elapsed "${STEP[start]:-$(now)}")" "${STEP[log]:-}" interrupted)
}

run_logged() { # LOG COMMAND...: its output goes to the screen and to the end of the log; its exit status
    local log=$1 out tee_pid status tries
    shift
    exec {out}> >(exec tee -i -a "$log") # -i: keep what a step prints while it is interrupted
    tee_pid=$!
    run_in_group "$out" "$out" "$@"
    status=$?
    exec {out}>&-
    # a process that hid from run_in_group may keep the pipe open for ever
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
    if [[ $1 == python ]]; then exec "${RUN[python]}" "${@:2}"; else exec "$@"; fi
}

log_header() { # FOLDER COMMAND...
    printf '# command: %s\n# folder: %s\n# versions: %s\n# commit: %s\n# processor: %s\n# started: %s\n' \
        "$(quoted "${@:2}")" "$1" "${RUN[versions]}" "${RUN[commit]}" "$(processor)" "$(date '+%Y-%m-%d %H:%M:%S')"
}

report_status() { # STATUS LOG COMMAND...: the line that official checkers look for
    local word=failed log=$2 results=${RUN[results]}
    (($1 == 0)) && word=successfully
    shift 2
    if grep -qF -- " - $log ! " "$results"; then # the same step in an earlier run
        grep -vF -- " - $log ! " "$results" >"$results.new"
        mv "$results.new" "$results"
    fi
    printf '\033[33m Run %s with command - %s - %s - %s ! \033[0m\n' \
        "$word" "${RUN[model]}" "$(quoted "$@")" "$log" | tee -a "$results"
}

print_end() { # LOG: the last lines of a failed step
    printf 'The last lines of %s:\n' "$1"
    tail -n 12 "$1" | cut -b -400 | sed 's/^/    /'
}

record() { # NAME RESULT SECONDS LOG REASON: one line of steps.tsv
    local IFS=$'\t'
    # a failure that was not recorded would count as a success
    printf '%s\n' "${RUN[tag]:-}"$'\t'"$*" >>"${RUN[output_dir]}/steps.tsv" ||
        die "${RUN[output_dir]}/steps.tsv: cannot be written; is the disk full?"
}

is_log_of_another_tag() { # LOG: whether steps.tsv has it for another training than the current one
    TAG=${RUN[tag]} LOG=$1 awk -F '\t' '$5 == ENVIRON["LOG"] && $1 != ENVIRON["TAG"] { found = 1 } END { exit !found }' \
        "${RUN[output_dir]}/steps.tsv"
}

skip_step() { # NAME REASON
    printf '\n==== %s: skipped (%s) ====\n' "$1" "$2"
    record "$1" skipped 0 '' "$2"
}

not_run() { # NAME... REASON: steps that need one that failed
    local name
    for name in "${@:1:$#-1}"; do record "$name" 'not run' 0 '' "${!#}"; done
}

now() { # seconds with a fraction; no process is started where bash knows the time
    printf '%s' "${EPOCHREALTIME:-$(date +%s.%N)}"
}

elapsed() { # START: seconds since then, one decimal
    local start=${1/[.,]/} end
    end=$(now)
    end=${end/[.,]/}
    local tenths=$(((10#${end:0:16} - 10#${start:0:16}) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}
