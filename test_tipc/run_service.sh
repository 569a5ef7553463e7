#!/usr/bin/env bash
# Run a server beside the steps of a chain, ask whether it is ready, and leave none of its processes behind.
# Sourced after common_func.sh.

# shellcheck disable=SC2034,SC2153,SC2154 # shared with the scripts that source it

SERVICE_PID='' # process group of the running server
SERVICE_LOG=''

start_service() { # LOG FOLDER COMMAND...: in a process group of its own, writing to LOG; it outlives the steps
    local log=$1 folder=$2
    shift 2
    log_header "$folder" "$@" >"$log"
    SERVICE_LOG=$log
    set -m
    (export TIPC_SERVICE="$LOCK_OWNER" && run_program "$folder" "$@") </dev/null >>"$log" 2>&1 &
    SERVICE_PID=$!
    set +m
}

service_runs() {
    [[ -n $SERVICE_PID ]] && kill -0 "$SERVICE_PID" 2>/dev/null
}

service_said() { # TEXT: the last line of its log that begins with it, less the text; fails when there is none
    local line
    line=$(grep -a "^$1" "$SERVICE_LOG" | tail -n 1) && [[ -n $line ]] && printf '%s' "${line#"$1"}"
}

wait_for_service() { # SECONDS COMMAND...: ask with the command until it succeeds; fails when the server ended, or in time
    local start=$SECONDS limit=$1
    shift
    until "$@"; do
        service_runs || return
        ((SECONDS - start < limit)) || return
        sleep 0.05 # between two questions
    done
}

answers_http() { # HOST PORT PATH: whether a GET there is answered with 200
    local line
    { exec {CONNECTION}<>"/dev/tcp/$1/$2"; } 2>/dev/null || return
    printf 'GET %s HTTP/1.0\r\n\r\n' "$3" >&"$CONNECTION"
    IFS= read -r -t 10 line <&"$CONNECTION"
    exec {CONNECTION}>&-
    [[ ${line:-} == *' 200 '* ]]
}

stop_service() { # end every process that the server started
    [[ -n $SERVICE_PID ]] || return 0
    end_processes "$LOCK_OWNER" "$SERVICE_PID" TIPC_SERVICE
    wait "$SERVICE_PID" 2>/dev/null
    SERVICE_STATUS=$?
    SERVICE_PID=''
}
