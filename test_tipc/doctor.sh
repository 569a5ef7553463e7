#!/usr/bin/env bash
# Say what of this machine gets in the way of the chains, and what to do about it, before anything is installed.
#
#   bash test_tipc/doctor.sh [--network] [--json]
#
# One line a check: OK, NOTE (it works, and something should be known) or FAULT (it will not work); what was found, what
# it means, and behind `do:` the remedy, as a command where there is one. It looks at Python and its packages (those of
# .venv, or of TIPC_PYTHON), versions with known faults, processor, memory, disk, locale, ports, proxies and GPU; in about
# a second. Nothing is changed, and no server is asked without --network, which asks the package index.
# --json prints the same for a program.
# Exit code: 0 no fault, 1 a fault.

set -u
HERE=.
[[ ${BASH_SOURCE[0]} != */* ]] || HERE=${BASH_SOURCE[0]%/*} # without a program: there may be none

# Nothing of common_func.sh here: an old bash is one of the findings, and so is a machine without Python.
main() {
    local word python
    for word in "$@"; do
        case $word in
            -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" && exit 0 ;;
            --network | --json) ;;
            *) echo "error: unknown option '$word'; see --help" >&2 && exit 1 ;;
        esac
    done
    if ! python=$(any_python); then
        say_there_is_no_python "$*"
        exit 1
    fi
    exec "$python" "$HERE/lib/examine.py" --bash "$BASH_VERSION" "$@"
}

any_python() { # print the first interpreter that can run the checks
    local name
    for name in "${TIPC_PYTHON:-python3}" python3 "$HERE/../.venv/bin/python" python3.{13,12,11,10,9} python; do
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1 || continue
        echo "$name"
        return
    done
    return 1
}

say_there_is_no_python() { # OPTIONS
    local means='nothing can be run, and the other checks neither' remedy='apt-get install python3 python3-venv'
    case " $1 " in
        *' --json '*)
            printf '{"findings": [{"level": "FAULT", "check": "python", "found": "none", "means": "%s", "remedy": "%s"}],' \
                "$means" "$remedy"
            printf ' "OK": 0, "NOTE": 0, "FAULT": 1}\n'
            ;;
        *)
            printf 'FAULT  %-20s none: %s; do: %s\n' python "$means" "$remedy"
            echo '1 check: 0 OK, 0 NOTE, 1 FAULT (python)'
            ;;
    esac
}

main "$@"
