#!/usr/bin/env bash
# Install Paddle Serving 0.9.0 (requirements-serving.txt) into the environment of an interpreter.
#
#   bash test_tipc/install_serving.sh PYTHON [PIP_OPTION...]
#   bash test_tipc/install_serving.sh "$(command -v python)"
#
# test_tipc/prepare.sh CONFIG serving_infer does this for .venv. Run it yourself for an environment of your own, which
# nothing else here ever changes. SERVING_SERVER=paddle-serving-server-gpu==0.9.0.post112 installs that server instead.
# Exit code: 0 installed, 1 not installed (the last lines say why).

# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"

REQUIREMENTS=$ROOT/requirements-serving.txt

main() {
    [[ ${1:-} != -h && ${1:-} != --help ]] || { print_help && exit; }
    (($# >= 1)) || die "usage: bash test_tipc/install_serving.sh PYTHON [PIP_OPTION...] (see --help)"
    TIPC_PYTHON=$1
    find_python
    shift
    local folder
    local -a packages pip=("${RUN[python]}" -m pip install --disable-pip-version-check --no-input "$@")
    mapfile -t packages < <(grep -v -e '^#' -e '^$' -e '^paddle-serving' "$REQUIREMENTS")
    "${pip[@]}" "${packages[@]}" || die "the packages that Paddle Serving needs could not be installed"
    "${pip[@]}" --no-deps "${SERVING_SERVER:-$(pinned server)}" "$(pinned app)" ||
        die "Paddle Serving could not be installed"
    # The client's wheel says cp39, and its Python code runs on every newer one: only its compiled part, which nothing
    # here uses, needs 3.9.
    folder=$("${RUN[python]}" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') ||
        die "${RUN[python]}: its site-packages folder cannot be found"
    "${pip[@]}" --no-deps --target "$folder" --upgrade --python-version 3.9 --implementation cp --abi none \
        --platform any --only-binary :all: "$(pinned client)" || die "the client of Paddle Serving could not be installed"
}

pinned() { # PART: the line of requirements-serving.txt for server, app or client
    grep "^paddle-serving-$1=" "$REQUIREMENTS"
}

main "$@"
