#!/usr/bin/env bash
# Two machines on one host: run a command in two network namespaces at the same time, each with an address of its own,
# joined by a cable (veth); as one runs it by hand on each of two machines.
#
#   sudo bash tests/two_machines.sh python -m paddle.distributed.launch --ips={ips} --host={host} --nproc_per_node=1 \
#       --log_dir=output/log{machine} tools/train.py -c ppcls_lite/configs/lite_data_64.yaml \
#       -o Global.device=cpu -o Global.output_dir=output/machine{machine}
#
# In the words of the command, {ips} becomes both addresses, {host} the machine's own, {machine} its number, 0 or 1.
# The two see each other and nothing else: not the host, not the Internet. The files are those of the host, so that
# the command gives each its own folders. Both are ended as soon as one fails.
# Exit code: 0 the command ended well on both, 77 namespaces are not permitted here (one line says so), otherwise the
# code of the one that failed first.

set -uo pipefail

readonly HOSTS=(10.211.55.1 10.211.55.2)
SPACES=("tipc_${$}_0" "tipc_${$}_1")
PIDS=()

main() {
    (($# > 0)) || { echo "usage: bash tests/two_machines.sh COMMAND... (see its head)" >&2 && exit 1; }
    trap remove_machines EXIT
    trap 'exit 130' INT TERM HUP
    make_machines
    local machine status=0
    for machine in 0 1; do start_on "$machine" "$@"; done
    for machine in 0 1; do
        wait -n || { status=$? && break; }
    done
    exit "$status"
}

make_machines() {
    local machine why
    command -v ip >/dev/null || skip "there is no command ip (package iproute2)"
    for machine in 0 1; do
        why=$(ip netns add "${SPACES[machine]}" 2>&1) || skip "network namespaces are not permitted (${why##*: })"
    done
    why=$(ip link add cable0 netns "${SPACES[0]}" type veth peer name cable1 netns "${SPACES[1]}" 2>&1) ||
        skip "a pair of network interfaces cannot be made (${why##*: })"
    for machine in 0 1; do
        ip -n "${SPACES[machine]}" link set lo up
        ip -n "${SPACES[machine]}" addr add "${HOSTS[machine]}/24" dev "cable$machine"
        ip -n "${SPACES[machine]}" link set "cable$machine" up
    done
}

skip() { # REASON
    printf 'skipped: %s\n' "$1"
    exit 77
}

start_on() { # MACHINE COMMAND...: in the background, in a process group of its own
    local machine=$1 ips word
    local -a words=()
    shift
    ips=$(IFS=, && echo "${HOSTS[*]}")
    for word in "$@"; do
        word=${word//'{ips}'/$ips}
        word=${word//'{host}'/${HOSTS[machine]}}
        words+=("${word//'{machine}'/$machine}")
    done
    setsid ip netns exec "${SPACES[machine]}" "${words[@]}" &
    PIDS+=("$!")
}

remove_machines() {
    local pid space
    trap '' INT TERM HUP
    for pid in "${PIDS[@]}"; do kill -TERM -- "-$pid" 2>/dev/null; done
    wait 2>/dev/null
    for space in "${SPACES[@]}"; do # launchers put their processes into groups of their own
        ip netns pids "$space" 2>/dev/null | xargs -r kill -KILL
        ip netns del "$space" 2>/dev/null
    done
}

main "$@"
