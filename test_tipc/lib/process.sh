#!/usr/bin/env bash
# Start programs, and leave none of them behind, however the script ends.
#
# All that a step starts carries TIPC_STEP in its environment, wherever it moves to: launchers of several processes
# give each its own group. Its value is the identity of the script; that of a script in a step goes behind a slash.
# A server that runs beside the steps carries TIPC_SERVICE instead, since a step's end must not be its end.

declare -A RUN # see common_func.sh

MARK=${TIPC_STEP:+$TIPC_STEP/}$SELF # what the processes of this script carry
STEP_PID=''                        # process group of the running step

guard() { # LOCK: however this script ends from now on, what it started ends too, and the lock that it holds is freed
    RUN[lock]=$1
    trap 'on_signal 130' INT
    trap 'on_signal 143' TERM
    trap 'on_signal 129' HUP
    trap 'release' EXIT
    watch_over >/dev/null 2>&1 &
    RUN[watch]=$!
}

watch_over() { # does so where this script is killed in a way that no trap can see
    trap - EXIT INT TERM HUP
    while process_identity "$$"; do sleep 0.5; done
    end_all_processes "$SELF"
    free_lock "${RUN[lock]}"
}

release() {
    STEP_PID=''
    end_all_processes "$SELF"
    kill "${RUN[watch]}" 2>/dev/null
    free_lock "${RUN[lock]}"
}

on_signal() { # STATUS
    trap '' INT TERM HUP
    printf '\ninterrupted: ending what was started\n' >&2
    stop_step
    end_all_processes "$SELF"
    record_interruption
    ! declare -F summarise >/dev/null || summarise
    exit "$1"
}

run_in_group() { # OUT ERR COMMAND...: run it in a process group of its own, writing to these two file descriptors
    local out=$1 err=$2 status
    shift 2
    set -m
    (export TIPC_STEP="$MARK" && "$@") </dev/null 1>&"$out" 2>&"$err" &
    STEP_PID=$!
    set +m
    wait "$STEP_PID" 2>/dev/null
    status=$?
    stop_step # what a finished step leaves running belongs to nobody
    return "$status"
}

become_a_job() { # for a subshell in the background: the end of its step is not the end of what its brothers started
    SELF=$(process_identity "$BASHPID")
    MARK+=/$SELF
}

stop_step() { # end every process of the running step
    [[ -n $STEP_PID ]] || return 0
    end_processes "$SELF" "$STEP_PID"
    STEP_PID=''
}

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
