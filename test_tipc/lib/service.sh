#!/usr/bin/env bash
# Run a server beside the steps of a chain: start it, wait until it is ready, stop it with all its processes.
# Sourced after common_func.sh.

declare -A RUN VALUE STEP # see common_func.sh, config.sh and record.sh
declare -a DEVICES=() # cpu or gpu, in the order of the config
declare -A SERVICE=([pid]='' [log]='' [status]='') # the server: its process group, its log, how it ended

start_service() { # LOG FOLDER COMMAND...: in a process group of its own, writing to LOG; it outlives the steps
    local log=$1 folder=$2
    shift 2
    log_header "$folder" "$@" >"$log"
    SERVICE[log]=$log
    set -m
    (export TIPC_SERVICE="$SELF" && run_program "$folder" "$@") </dev/null >>"$log" 2>&1 &
    SERVICE[pid]=$!
    set +m
}

service_runs() {
    [[ -n ${SERVICE[pid]} ]] && kill -0 "${SERVICE[pid]}" 2>/dev/null
}

last_line_with() { # LOG PREFIX: print the rest of the log's last line that begins so; fail when there is none
    local line
    line=$(grep -a "^$2" "$1" | tail -n 1) && [[ -n $line ]] && printf '%s' "${line#"$2"}"
}

wait_for_service() { # SECONDS COMMAND...: repeat it until it succeeds; fail when the server ended or the time is over
    local start=$SECONDS limit=$1
    shift
    until "$@"; do
        service_runs || return
        ((SECONDS - start < limit)) || return
        sleep 0.05
    done
}

answers_http() { # HOST PORT PATH: whether a GET there is answered with 200
    local line connection
    { exec {connection}<>"/dev/tcp/$1/$2"; } 2>/dev/null || return
    printf 'GET %s HTTP/1.0\r\n\r\n' "$3" >&"$connection"
    IFS= read -r -t 10 line <&"$connection"
    exec {connection}>&-
    [[ ${line:-} == *' 200 '* ]]
}

stop_service() { # end every process that the server started; sets SERVICE[status]
    [[ -n ${SERVICE[pid]} ]] || return 0
    end_processes "$SELF" "${SERVICE[pid]}" TIPC_SERVICE
    wait "${SERVICE[pid]}" 2>/dev/null
    SERVICE[status]=$?
    SERVICE[pid]=''
}

from_serving_dir() { # PATH from the repository's root -> the same as the service and its clients see it
    local folder=${VALUE[serving_dir]} part up=''
    local -a parts
    if [[ $1 == /* ]]; then
        echo "$1"
        return
    fi
    IFS=/ read -r -a parts <<<"$folder"
    for part in "${parts[@]}"; do
        [[ $part != .. && $folder != /* ]] || { echo "$ROOT/$1" && return; }
        [[ -z $part || $part == . ]] || up+=../
    done
    echo "$up${1#./}"
}

# ---------------------------------------------------------------------------- the converted model, in RUN[server_dir]

new_service_model() { # EXPECT of convert
    if is_new "${RUN[server_dir]}"; then
        STEP[facts]+=" $(service_fact)"
        return
    fi
    STEP[reason]="it wrote nothing to ${RUN[server_dir]}"
    return 1
}

service_fact() { # print what a step that uses the converted model notes
    echo "service=$(hash_of "${RUN[server_dir]}")"
}

# ------------------------------------------------------------------------------------------------------- the devices

take_devices() { # [PATTERN of a GPU's number]: sets DEVICES and RUN[gpu] from the line of the devices
    local value
    DEVICES=() RUN[gpu]=0
    while IFS= read -r value; do
        value=${value//[\"\']/}
        case $value in
            '' | null | -1) DEVICES+=(cpu) ;;
            *)
                [[ $value =~ ${1:-^[0-9]+$} ]] ||
                    die "$CONFIG_FILE:${LINE[device]}: '${KEY[device]}': expected null or the number of a GPU, found '$value'"
                DEVICES+=(gpu)
                RUN[gpu]=$value
                ;;
        esac
    done < <(split_list "${VALUE[device]:-null}")
    # a config that names GPUs only can be certified on a machine without one, too
    [[ " ${DEVICES[*]} " == *' cpu '* ]] || DEVICES+=(cpu)
}
