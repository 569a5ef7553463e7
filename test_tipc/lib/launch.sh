#!/usr/bin/env bash
# Where a training runs, as an entry of gpu_list says it: -1 the CPU, 0 one GPU, 0,1 several; -1,-1 as many processes on
# the CPU (gloo); ip1,ip2;0,1 and ip1,ip2;-1,-1 the same on each of several machines, which run the same chain at the
# same time. The first machine of the list has the weights, and goes on alone. Sourced after train_config.sh.
#
# Several processes are started by paddle.distributed.launch, with their logs in a folder beside the training's log.

declare -A RUN # see common_func.sh
declare -a COMMAND # see command.sh

on_cpu() { # whether RUN[gpu] means the CPU
    [[ ${RUN[gpu]#*;} == -1* ]]
}

machines_of() { # GPU: sets MACHINES: the addresses in an entry such as ip1,ip2;0,1; none in others
    MACHINES=()
    [[ $1 != *\;* ]] || IFS=, read -r -a MACHINES <<<"${1%%;*}"
}

count_nodes() { # GPU: sets REPLY: 1, or the number of machines in an entry such as ip1,ip2;0,1
    machines_of "$1"
    REPLY=$((${#MACHINES[@]} > 1 ? ${#MACHINES[@]} : 1))
}

own_address() { # GPU: sets REPLY to which of its machines this one is; fails where it is none
    local name names
    names=" $({ hostname -I; hostname; hostname -f; ip -o addr show; } 2>/dev/null | tr '/\n' '  ') "
    machines_of "$1"
    for name in "${MACHINES[@]}"; do
        REPLY=$name
        [[ $names != *" $name "* ]] || return 0
    done
    return 1
}

is_further_machine() { # whether this machine is one of RUN[gpu]'s, and not the first; sets REPLY to the first
    machines_of "${RUN[gpu]}"
    ((${#MACHINES[@]} > 1)) && own_address "${RUN[gpu]}" && [[ $REPLY != "${MACHINES[0]}" ]] && REPLY=${MACHINES[0]}
}

is_not_possible_here() { # whether this machine cannot train on RUN[gpu] with RUN[autocast]; REPLY says why
    local gpu=${RUN[gpu]} autocast=${RUN[autocast]}
    local -a entry_gpus
    IFS=, read -r -a entry_gpus <<<"${gpu#*;}"
    if [[ $autocast != null && -z ${DIALECT[$autocast]+known} ]]; then
        REPLY="the suite has no options for mixed precision ($autocast)"
    elif on_cpu && [[ $autocast != null && $autocast != fp32 ]]; then
        REPLY="mixed precision ($autocast) needs a GPU"
    elif on_cpu && [[ $gpu == *\;* ]] && ((RUN[gpus] > 0)); then
        REPLY="gpu_list has $gpu, and the launcher would take this machine's GPUs"
    elif ! on_cpu && ((RUN[gpus] == 0)); then
        REPLY="gpu_list has GPU $gpu, and there is no GPU that this Paddle can use"
    elif ! on_cpu && ((RUN[gpus] < ${#entry_gpus[@]})); then
        REPLY="gpu_list has GPU $gpu, and there are ${RUN[gpus]} GPUs"
    elif [[ $gpu == *\;* ]] && ! own_address "$gpu"; then
        REPLY="gpu_list has the machines ${gpu%%;*}, and this is none of them"
    else
        return 1
    fi
}

launch_on() { # GPU: choose the GPUs that COMMAND sees; put a launcher before it where there are several processes
    local -a options=()
    unset CUDA_VISIBLE_DEVICES
    RUN[ranks]=${RUN[training_dir]}_ranks
    if [[ $1 == *\;* ]]; then
        options=("--ips=${1%%;*}")
        # a machine's own name may have another address, such as 127.0.1.1
        ! own_address "$1" || [[ $REPLY != *.* ]] || options+=("--host=$REPLY")
    fi
    case $1 in
        -1) return ;;
        *\;-1*) options+=("--nproc_per_node=$(count_entries "${1#*;}")") ;; # gloo where Paddle sees no GPU
        -1*) options+=("--nproc_per_node=$(count_entries "$1")" --backend=gloo) ;;
        *\;* | *,*) options+=("--gpus=${1#*;}") ;;
        *)
            export CUDA_VISIBLE_DEVICES=$1
            return
            ;;
    esac
    add_launcher "${options[@]}" "--log_dir=${RUN[ranks]}"
}

count_entries() { # A,B,C: print how many
    local commas=${1//[^,]/}
    echo $((${#commas} + 1))
}

add_launcher() { # OPTION...: options of the interpreter itself stay in front
    local -a own=()
    while [[ ${COMMAND[1]:-} == -* ]]; do
        own+=("${COMMAND[1]}")
        COMMAND=(python "${COMMAND[@]:2}")
    done
    COMMAND=(python "${own[@]}" -m paddle.distributed.launch "$@" "${COMMAND[@]:1}")
}

# ------------------------------------------------------------------------------------------------ what a process said

explain_ranks() { # EXPLAIN of train: the launcher shows the output of one process, and may hide why another one failed
    local log text ended="" told=""
    for log in "${RUN[ranks]:-}"/workerlog.*; do
        [[ -f $log ]] || return 0 # no launcher
        text=$(own_error "$log")
        if [[ -n $text ]]; then
            told="error: process ${log##*.}: $text"$'\n'$told # the first one is said last, and is the reason
        elif ! grep -qaE '^error: |Traceback|FatalError|terminate called' "$log"; then
            ended+="${ended:+, }${log##*.}"
        fi
    done
    [[ -n $told || -z $ended ]] ||
        told="error: process $ended was killed, or ended without a word (its log: ${RUN[ranks]}/workerlog.${ended%%,*})"$'\n'
    printf "%s" "$told"
}

own_error() { # LOG of a process: print the last error that it had itself; not that it lost another process
    ! grep -qa 'gloo::IoException' "$1" || return 0 # gloo ends the process for that
    grep -aE '^(error|([A-Za-z_]+\.)*[A-Za-z_]*(Error|Exception)): ' "$1" |
        grep -avE -e 'gloo/transport|connection to another process|Connection (reset|closed)' \
            -e 'Termination signal|Broken pipe|TCP (receive|send) error' |
        tail -n 1 | sed 's/^error: //' | cut -b -300
}
