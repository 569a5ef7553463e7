#!/usr/bin/env bash
# Run a step and record it: steps.tsv in RUN[output_dir], which all reports are made from, gets one line when a step
# begins and one when it ends. Nothing is ever taken out of it while a run goes on: what began and has no end has failed.
#
# A step may have requirements and facts, given as variables before the call:
#   FACTS="model=0123" run_step …    what the step saw; see verdict.py
#   EXPECT=FUNCTION run_step …       after exit code 0 the function must succeed too; it may add to STEP[facts], and where
#                                    it fails, STEP[reason] says why
#   MAY_SKIP=1 run_step …            exit code 77 means skipped, with the last line that the step printed as the reason
#   MAY_FAIL=1 run_step …            any failure means skipped, with its exit code as the reason
#   EXPLAIN=FUNCTION run_step …      after a failure, what the function prints is added to the log; its last line, if it
#                                    begins with `error: `, is the reason
#   OBSERVE=1 run_step …             what goes through Paddle is recorded in a folder beside the log; see observe/

declare -A RUN # see common_func.sh

unset FACTS EXPECT MAY_SKIP MAY_FAIL EXPLAIN OBSERVE # a script that is a step itself has its caller's
declare -A STEP=() # the running step: name, log, start and facts, so that an interruption can be recorded

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

continue_record() { # RESULTS_FILE KINDS: keep the record, but no step of these kinds (a|b|c), and not how the run ended
    local list=${RUN[output_dir]}/steps.tsv
    RUN[results]=$1
    (cd "${RUN[output_dir]}" && rm -f summary.json summary.txt junit.xml bundle.json report.html report.md)
    { : >>"$list" && : >>"$1"; } 2>/dev/null || die "${RUN[output_dir]}: cannot be written to"
    replace_file "$list" without_kinds "$2|run|evidence" "$list" # evidence is tried again
    replace_file "$1" lines_on_record "$list" "$1"
}

without_kinds() { # A|B|C LIST: print the steps whose first word is none of these
    awk -F '\t' -v kinds="^($1)( |\$)" '$2 !~ kinds' "$2"
}

lines_on_record() { # LIST RESULTS_FILE: print those of the official lines whose log is that of a step in the list
    awk -F '\t' 'FILENAME == ARGV[1] { logs[$6]; next }
        { for (path in logs) if (path != "" && index($0, " - " path " ! ")) { print; next } }' "$1" "$2"
}

replace_file() { # FILE COMMAND...: by what the command prints, once all of it has been written
    if ! { "${@:2}" >"$1.new" && mv "$1.new" "$1"; } 2>/dev/null; then
        rm -f "$1.new"
        die "$1: cannot be written, and is as it was; is the disk full?"
    fi
}

run_step() { # NAME LOG FOLDER COMMAND...: run it, record how it ended, and return its exit status
    local log=$2 folder=$3 status
    begin_step "$1" "$log"
    shift 3
    announce
    log_header "$folder" "$@" | tee "$log" >&"$SCREEN"
    [[ -z ${OBSERVE:-} ]] || make_observation "${log%.log}_observed"
    start_live "$log"
    run_logged "$log" run_program "$folder" "$@"
    status=$?
    stop_live
    if ((status == 77)) && [[ -n ${MAY_SKIP:-} ]]; then
        end_log "$log" "$status"
        end_step skipped "$(last_words "$log")"
        return 77
    elif ((status)) && [[ -n ${MAY_FAIL:-} ]]; then
        end_log "$log" "$status"
        end_step skipped "it failed with exit code $status, and the run goes on: $(last_words "$log")"
        return "$status"
    fi
    if ((status)); then
        [[ -z ${EXPLAIN:-} ]] || "$EXPLAIN" | tee -a "$log" >&"$SCREEN"
        STEP[reason]="exit code $status$(last_error "$log")"
    elif [[ -n ${EXPECT:-} ]] && ! "$EXPECT" >&"$SCREEN"; then
        status=1
        printf 'error: %s\n' "${STEP[reason]}" | tee -a "$log" >&"$SCREEN"
    fi
    if ! end_log "$log" "$status" || [[ -n ${STEP[log_lost]:-} ]]; then
        status=1
        STEP[reason]+=${STEP[reason]:+, and }"its log could not be written"
    fi
    report_status "$status" "$log" "$@"
    if ((status == 0)); then
        end_step passed ''
    else
        end_step failed "${STEP[reason]}"
        print_end "$log"
    fi
    return "$status"
}

make_observation() { # FOLDER: for what the step puts through Paddle
    STEP[observed]=$1
    { rm -rf "$1" && mkdir -p "$1"; } || die "$1: cannot be made"
}

begin_step() { # NAME LOG: note that it began, and the FACTS that it sees
    choose_screen
    STEP=([name]=$1 [log]=$2 [start]=$(now) [facts]="${RUN[facts]:-}${FACTS:+ $FACTS}" [reason]='')
    { : >"${RUN[output_dir]}/.began"; } 2>/dev/null || die "${RUN[output_dir]}: cannot be written; is the disk full?"
    record "$1" began 0 "${STEP[facts]} started=$(iso_time)" "$2" ''
}

end_step() { # RESULT REASON
    local seconds
    seconds=$(elapsed "${STEP[start]}")
    record "${STEP[name]}" "$1" "$seconds" "${STEP[facts]}" "${STEP[log]}" "$2"
    say_ended "$1" "${STEP[name]}" "$seconds" "${STEP[log]}" "$2"
    STEP=()
}

announce() { # the title of the running step, where all output is shown
    printf '\n==== %s ====\n' "${STEP[name]}" >&"$SCREEN"
}

is_new() { # PATH: whether the file, or one in the folder, was written since the step began; of a link, the file counts
    local began=${RUN[output_dir]}/.began
    # what is newer than now was written before the clock was set back
    { : >"$began.now"; } 2>/dev/null || die "${RUN[output_dir]}: cannot be written; is the disk full?"
    [[ -n $(find -L "$1" -type f -newer "$began" ! -newer "$began.now" -print -quit 2>/dev/null) ]]
}

record_interruption() {
    [[ -n ${RUN[results]:-} ]] || return 0
    (record "${STEP[name]:-run}" failed "$(elapsed "${STEP[start]:-$(now)}")" "${STEP[facts]:-}" "${STEP[log]:-}" interrupted)
}

end_log() { # LOG STATUS: close it; fails where it cannot be written
    { printf '\n# ended: exit code %d, %s seconds\n' "$2" "$(elapsed "${STEP[start]}")" >>"$1"; } 2>/dev/null
}

last_words() { # LOG: the last line that a step printed
    grep -av -e '^# ' -e '^[[:space:]]*$' "$1" | tail -n 1 | sed 's/^error: //' | cut -b -400
}

last_error() { # LOG: print the last line, after a colon, if it is the one line that says what is wrong
    local line
    line=$(tail -n 1 "$1" | cut -b -300)
    [[ $line != 'error: '* ]] || printf '%s' "${line/#error/}"
}

run_logged() { # LOG COMMAND...: its output goes to the screen and to the end of the log; its exit status
    local log=$1 out tee_pid status tries tee_status
    shift
    exec {out}> >(exec tee -i -a "$log" >&"$SCREEN") # -i: keep what a step prints while it is interrupted
    tee_pid=$!
    run_in_group "$out" "$out" "$@"
    status=$?
    exec {out}>&-
    # a process that hid from run_in_group may keep the pipe open for ever
    for tries in {1..300}; do
        kill -0 "$tee_pid" 2>/dev/null || break
        sleep 0.01
    done
    if ((tries >= 300)); then
        kill "$tee_pid"
    else
        wait "$tee_pid"
        tee_status=$?
        ((tee_status == 0 || tee_status == 127)) || STEP[log_lost]=1 # 127: this bash does not remember it
    fi
    return "$status"
}

run_program() { # FOLDER PROGRAM ARGUMENT...: `python` is the interpreter that prepare.sh chose
    if [[ -n ${STEP[observed]:-} ]]; then
        TIPC_OBSERVE=$(realpath "${STEP[observed]}")
        export TIPC_OBSERVE PYTHONPATH=$TIPC/lib/observe${PYTHONPATH:+:$PYTHONPATH}
    fi
    cd "$ROOT/$1" || return
    shift
    if [[ $1 == python ]]; then exec "${RUN[python]}" "${@:2}"; else exec "$@"; fi
}

log_header() { # FOLDER COMMAND...
    printf '# command: %s\n# folder: %s\n# versions: %s\n# commit: %s\n# tool: %s\n# processor: %s\n# started: %s\n' \
        "$(quoted "${@:2}")" "$1" "${RUN[versions]}" "${RUN[commit]}" "${RUN[tool]}" "$(processor)" \
        "$(date '+%Y-%m-%d %H:%M:%S')"
    [[ -z ${FLAGS_enable_pir_api:-} ]] || echo "# environment: FLAGS_enable_pir_api=$FLAGS_enable_pir_api"
}

report_status() { # STATUS LOG COMMAND...: the line that official checkers look for
    local line
    line=$(official_line "$1" "${RUN[model]} - $(quoted "${@:3}") - $2")
    printf '%s\n' "$line" >&"$SCREEN"
    printf '%s\n' "$line" >>"${RUN[results]}" || die "${RUN[results]}: cannot be written; is the disk full?"
}

print_end() { # LOG: the last lines of a failed step
    printf 'The last lines of %s:\n' "$1"
    tail -n 12 "$1" | cut -b -400 | sed 's/^/    /'
}

record() { # NAME RESULT SECONDS FACTS LOG REASON: one line of steps.tsv
    local IFS=$'\t'
    local -a cells=("${@//[[:cntrl:]]/ }") # a name or a reason with a tab would not be read back
    # a failure that was not recorded would count as a success
    printf '%s\n' "${RUN[tag]:-}"$'\t'"${cells[*]}" >>"${RUN[output_dir]}/steps.tsv" ||
        die "${RUN[output_dir]}/steps.tsv: cannot be written; is the disk full?"
}

is_log_of_another_tag() { # LOG: whether steps.tsv has it for another training than the current one
    TAG=${RUN[tag]} LOG=$1 awk -F '\t' '$6 == ENVIRON["LOG"] && $1 != ENVIRON["TAG"] { found = 1 } END { exit !found }' \
        "${RUN[output_dir]}/steps.tsv"
}

passed_logs() { # KIND: print the logs of the steps of that kind that passed for the current training, in their order
    TAG=${RUN[tag]} KIND=$1 awk -F '\t' '$1 == ENVIRON["TAG"] && index($2 " ", ENVIRON["KIND"] " ") == 1 {
            if (!($2 in log_)) names[++count] = $2
            log_[$2] = $3 == "passed" ? $6 : ""
        } END { for (i = 1; i <= count; i++) if (log_[names[i]] != "") print log_[names[i]] }' \
        "${RUN[output_dir]}/steps.tsv"
}

was_skipped() { # NAME: whether the step was skipped for the current training
    TAG=${RUN[tag]} NAME=$1 awk -F '\t' '$1 == ENVIRON["TAG"] && $2 == ENVIRON["NAME"] { result = $3 }
        END { exit result != "skipped" }' "${RUN[output_dir]}/steps.tsv"
}

skip_step() { # NAME REASON
    choose_screen
    printf '\n==== %s: skipped (%s) ====\n' "$1" "$2" >&"$SCREEN"
    say_ended skipped "$1" 0.0 '' "$2"
    record "$1" skipped 0 '' '' "$2"
}

not_run() { # NAME... REASON: steps that need one that failed
    local name
    for name in "${@:1:$#-1}"; do record "$name" 'not run' 0 '' '' "${!#}"; done
}

iso_time() { # print it with the offset to UTC, as in 2026-11-26T07:46:35+00:00
    local time
    printf -v time '%(%Y-%m-%dT%H:%M:%S%z)T' -1
    printf '%s:%s' "${time:0:22}" "${time:22}"
}

now() { # seconds with a fraction; no process is started where bash knows the time
    printf '%s' "${EPOCHREALTIME:-$(date +%s.%N)}"
}

elapsed() { # START: seconds since then, one decimal
    local start=${1/[.,]/} end
    end=$(now)
    end=${end/[.,]/}
    local tenths=$(((10#${end:0:16} - 10#${start:0:16}) / 100000))
    ((tenths >= 0)) || tenths=0 # the clock was set back
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}
