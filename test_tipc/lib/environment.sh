#!/usr/bin/env bash
# The environment of a run: interpreter, packages, commits, GPUs and processor.

declare -A RUN # see common_func.sh

declare -a EVIDENCE=(':!test_log') # what runs write is not a change of the code

# as seen from the working folder; each step runs in a folder of its own
[[ ${TIPC_PYTHON:-} != */* || $TIPC_PYTHON == /* ]] || TIPC_PYTHON=$PWD/$TIPC_PYTHON

find_python() { # sets RUN[python]: the interpreter of TIPC_PYTHON, or of the managed environment
    local python=${TIPC_PYTHON:-$ROOT/.venv/bin/python}
    [[ $python == */* ]] || python=$(command -v "$python") || die "TIPC_PYTHON=$TIPC_PYTHON: no such program"
    [[ -f $python && -x $python ]] || die "$python: no such interpreter"
    RUN[python]=$python
}

find_any_python() { # sets RUN[python]: the same, or the system's where neither is there; no package is needed
    if [[ -n ${TIPC_PYTHON:-} || -x $ROOT/.venv/bin/python ]]; then
        find_python
    else
        RUN[python]=$(command -v python3) || die "no python3 found; install one, or set TIPC_PYTHON"
    fi
}

describe_environment() { # sets RUN[versions], RUN[commit], RUN[tool] and RUN[gpus] (how many can be used); speeds MKL up
    local note
    note=$("${RUN[python]}" "$TIPC/lib/versions.py") ||
        die "${RUN[python]}: its environment cannot be used (see above)"
    RUN[versions]=${note%%$'\n'*}
    # versions that are not certified are used like others, and reported
    [[ $note == "${RUN[versions]}" ]] || printf '%s\n' "${note#*$'\n'}"
    RUN[commit]=$(commit_of "$ROOT")
    RUN[tool]=$(describe_tool)
    RUN[gpus]=0
    [[ ${RUN[versions]} != *paddlepaddle-gpu* ]] || RUN[gpus]=$(count_gpus)
    speed_up_mkl
}

count_gpus() { # print how many the machine has
    if command -v nvidia-smi >/dev/null; then nvidia-smi -L 2>/dev/null | grep -c '^GPU'; else echo 0; fi
}

commit_of() { # FOLDER: the commit of the repository that it belongs to, and whether the files there are as committed
    local commit
    if ! is_in_repository "$1" || ! commit=$(git -C "$1" rev-parse --short=12 HEAD 2>/dev/null); then
        echo 'none (no git repository)'
    elif [[ -z $(changes_of "$1") ]]; then
        echo "$commit (clean tree)"
    else
        echo "$commit (with uncommitted changes)"
    fi
}

changes_of() { # FOLDER: print what differs from its commit, but for what runs write
    local -a ignored=("${EVIDENCE[@]}" "${NOT_CODE[@]/#/:!}")
    local -a tool=()
    # a test_tipc that was copied into a project, over its own scripts, is not a change of the project: it has its own hash
    [[ -n $(git -C "$1" ls-files -- test_tipc/lib | head -n 1) ]] ||
        tool=(':!test_tipc/*.sh' ':!test_tipc/*.py' ':!test_tipc/lib')
    (cd "$1" && git status --porcelain --untracked-files=no -- . "${EVIDENCE[@]}" "${tool[@]}" &&
        untracked_code "${ignored[@]}" "${tool[@]}") | tr '\0' '\n'
}

describe_tool() { # print the version of this folder: its repository's commit, or a hash of its files where it was copied
    if [[ $TIPC == "$ROOT/test_tipc" ]]; then
        echo "test_tipc of the project, files $(hash_of_tool)"
    else
        commit_of "${TIPC%/*}"
    fi
}

tool() { # NAME: print the path of a file of this folder, as commands in the project name it
    if [[ $TIPC == "$ROOT/test_tipc" ]]; then echo "test_tipc/$1"; else echo "$TIPC/$1"; fi
}

# On AMD processors MKL uses its slowest kernels unless it is told to use AVX2; with it, a training step of ResNet50_vd
# takes about 0.3 of the time. ppcls_lite/utils/machine.py does the same for scripts that are started by hand.
speed_up_mkl() { # [CPUINFO]
    if [[ -z ${MKL_DEBUG_CPU_TYPE+set} ]] && amd_with_avx2 "${1:-/proc/cpuinfo}"; then
        export MKL_DEBUG_CPU_TYPE=5
        RUN[mkl]=', set by the chain'
    fi
}

amd_with_avx2() { # CPUINFO: of all processors the first; they are alike
    local line vendor=''
    [[ -r $1 ]] || return
    while IFS= read -r line && [[ -n $line ]]; do
        case "$line " in
            vendor_id*AuthenticAMD*) vendor=amd ;;
            flags*' avx2 '*) [[ $vendor == amd ]] && return ;;
        esac
    done <"$1"
    return 1
}

processor() { # [CPUINFO]: its name, and what MKL is told about it
    local name
    name=$(sed -n 's/^model name[[:space:]]*: //p;T;q' "${1:-/proc/cpuinfo}" 2>/dev/null)
    printf '%s%s' "${name:-unknown}" "${MKL_DEBUG_CPU_TYPE+, MKL_DEBUG_CPU_TYPE=$MKL_DEBUG_CPU_TYPE${RUN[mkl]:-}}"
}
