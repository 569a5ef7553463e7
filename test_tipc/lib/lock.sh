#!/usr/bin/env bash
# Locks that end with their holder: a lock is a symbolic link whose target names the process that holds it.

process_identity() { # PID: the number and its start time, since numbers are given out again; fails once it has ended
    local stat
    local -a fields
    { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
    read -r -a fields <<<"${stat##*) }"
    [[ ${fields[0]} != Z ]] && printf '%s.%s' "$1" "${fields[19]}"
}

SELF=$(process_identity "$$") # this script, also in its subshells

take_lock() { # PATH WHY: hold the lock; waits for a living holder
    local owner told='' failures=0
    until ln -s -T "$SELF" "$1" 2>/dev/null; do
        if ! owner=$(readlink "$1"); then # it was freed just now, or it cannot be made at all
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

break_lock() { # PATH OWNER: remove the lock of a dead holder, one run at a time, so that nobody's new lock is removed
    local breaker
    if ln -s -T "$SELF" "$1.break" 2>/dev/null; then
        [[ $(readlink "$1") != "$2" ]] || rm -f "$1"
        rm -f "$1.break"
    elif breaker=$(readlink "$1.break") && [[ $(process_identity "${breaker%%.*}") != "$breaker" ]]; then
        rm -f "$1.break"
    fi
}

free_lock() { # PATH
    [[ $(readlink "$1") != "$SELF" ]] || rm -f "$1"
}
