#!/usr/bin/env bash
# Start programs, and end them all, however the script ends.
#
# Every process of a step has TIPC_STEP in its environment, also one in another process group, as launchers of several
# processes make them. The value is the identity of the script; a script that is itself a step adds its own after a
# slash. A server that runs beside the steps has TIPC_SERVICE instead, because it must not end with a step.

declare -A RUN # see common_func.sh

MARK=${TIPC_STEP:+$TIPC_STEP/}$SELF # the value of TIPC_STEP for the processes of this script
STEP_PID=''                        # process group of the running step

guard() { # LOCK: from now on, however this script ends, its processes end too, and the lock that it holds is freed
    RUN[lock]=$1
    trap 'on_signal 130' INT
    trap 'on_signal 143' TERM
    trap 'on_signal 129' HUP
    trap 'release' EXIT
    watch_over >/dev/null 2>&1 &
    RUN[watch]=$!
}

watch_over() { # the same for a kill that no trap can catch
    trap - EXIT INT TERM
    trap '' HUP # when the terminal is closed, too
    while process_identity "$$"; do sleep 0.5; done
    end_all_processes "$SELF"
    free_lock "${RUN[lock]}"
}

release() {
    stop_live
    end_everything
    kill "${RUN[watch]}" 2>/dev/null
    free_lock "${RUN[lock]}"
}

on_signal() { # STATUS
    trap '' INT TERM HUP
    stop_live
    printf '\ninterrupted: ending what was started\n' >&2
    end_everything
    record_interruption
    ! declare -F summarise >/dev/null || summarise
    exit "$1"
}

end_everything() { # that this script has started: jobs in the background, the step, the server
    local job
    for job in $(jobs -p); do
        [[ $job == "${RUN[watch]}" ]] || kill "$job" 2>/dev/null
    done
    stop_step
    ! declare -F stop_service >/dev/null || stop_service
    end_all_processes "$SELF"
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
    stop_step # what a finished step left running
    return "$status"
}

become_a_job() { # for a subshell in the background: the end of its step does not end the processes of other jobs
    SELF=$(process_identity "$BASHPID")
    MARK+=/$SELF
}

stop_step() { # end every process of the running step
    [[ -n $STEP_PID ]] || return 0
    end_processes "$SELF" "$STEP_PID"
    STEP_PID=''
}

end_processes() { # IDENTITY GROUP [VARIABLE]: the processes of that script's steps, and of the process group, if any
    local tries signal=TERM
    local -a left
    [[ $1 =~ ^[0-9.]+$ ]] || return 0 # not a lock of ours
    for tries in {1..60}; do
        ((tries < 50)) || signal=KILL # after five seconds
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
