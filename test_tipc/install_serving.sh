#!/usr/bin/env bash
# Install Paddle Serving 0.9.0 (requirements-serving.txt) into the environment of an interpreter.
#
#   bash test_tipc/install_serving.sh PYTHON [PIP_OPTION...]
#   bash test_tipc/install_serving.sh "$(command -v python)"
#
# test_tipc/prepare.sh CONFIG serving_infer does this for .venv. Run it yourself for an environment of your own, which
# nothing else here ever changes: packages that it lacks are added, and no package that is there changes. With the
# option -c FILE the versions are those of FILE instead, also of what is there. Any protobuf from 3.20 on will do.
# SERVING_SERVER=paddle-serving-server-gpu==0.9.0.post112 installs that server instead.
# Exit code: 0 installed, 1 not installed (the last lines say why).

set -uo pipefail
# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"

REQUIREMENTS=$ROOT/requirements-serving.txt
declare -a PIP=() # the command, with the options that every call has

main() {
    [[ ${1:-} != -h && ${1:-} != --help ]] || { print_help && exit; }
    (($# >= 1)) || die "usage: bash test_tipc/install_serving.sh PYTHON [PIP_OPTION...] (see --help)"
    TIPC_PYTHON=$1
    find_python
    shift
    PIP=("${RUN[python]}" -m pip install --disable-pip-version-check --no-input "$@")
    if [[ " $* " == *' -c '* ]]; then install_packages; else install_packages -c <(what_is_there); fi ||
        die "the packages that Paddle Serving needs could not be installed"
    install_wheels
    # its wheels have code for the protobuf of their time
    "${RUN[python]}" "$TIPC/lib/renew_pb2.py" paddle_serving_server paddle_serving_app paddle_serving_client ||
        die "Paddle Serving's messages could not be made to fit the protobuf of ${RUN[python]}"
}

install_packages() { # PIP_OPTION...: what Paddle Serving imports, of whatever version fits
    local -a names
    mapfile -t names < <(sed -n '/^paddle-serving/d;s/^\([A-Za-z0-9_-]*\)==.*/\1/p' "$REQUIREMENTS")
    "${PIP[@]}" "$@" "${names[@]}"
}

what_is_there() { # print the environment's packages as constraints for pip, which cannot read odd versions there
    "${RUN[python]}" -m pip list --disable-pip-version-check --format freeze |
        grep -E '^[A-Za-z0-9._-]+==([0-9]+!)?[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?(\+[a-z0-9.]+)?$'
}

install_wheels() { # Paddle Serving itself, without the packages that its wheels ask for
    local folder
    "${PIP[@]}" --no-deps "${SERVING_SERVER:-$(pinned server)}" "$(pinned app)" ||
        die "Paddle Serving could not be installed"
    # The client's wheel says cp39, and its Python code runs on every newer one: only its compiled part, which nothing
    # here uses, needs 3.9.
    folder=$("${RUN[python]}" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') ||
        die "${RUN[python]}: its site-packages folder cannot be found"
    "${PIP[@]}" --no-deps --target "$folder" --upgrade --python-version 3.9 --implementation cp --abi none \
        --platform any --only-binary :all: "$(pinned client)" || die "the client of Paddle Serving could not be installed"
}

pinned() { # PART: the line of requirements-serving.txt for server, app or client
    grep "^paddle-serving-$1=" "$REQUIREMENTS"
}

main "$@"
