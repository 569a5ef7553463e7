#!/usr/bin/env bash
# Paddle2ONNX and the packages that run its files. Sourced by prepare.sh.

declare -A RUN # see common_func.sh

ONNX_LIST=requirements-engines.txt
ONNX_MODULES=(paddle2onnx onnx onnxruntime)

prepare_onnx() { # in .venv, or looked for in the environment of TIPC_PYTHON
    local version
    find_python
    version=$("${RUN[python]}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [[ $version =~ ^3\.(9|10|11|12)$ ]] ||
        cannot_here "Paddle2ONNX has wheels for Python 3.9 to 3.12, and this is Python $version; set TIPC_PYTHON to an" \
            "interpreter of one of these"
    if [[ -n ${TIPC_PYTHON:-} ]]; then
        check_modules "${RUN[python]} -m pip install -r $(onnx_list)" "${ONNX_MODULES[@]}"
    elif ! onnx_is_ready; then
        lock_project "Paddle2ONNX is being installed"
        onnx_is_ready || install_onnx
    fi
}

onnx_list() { # print the path of the list of packages: the project's, or that of this folder's repository
    if [[ -f $ROOT/$ONNX_LIST ]]; then echo "$ONNX_LIST"; else tool lib/lane_onnx.txt; fi
}

onnx_is_ready() {
    [[ -f $VENV/ready-onnx && $(<"$VENV/ready-onnx") == "$(onnx_stamp)" ]]
}

onnx_stamp() {
    (cd "$ROOT" && cat "$(onnx_list)" | cksum)
}

install_onnx() {
    local list log=$VENV.log
    list=$(onnx_list)
    echo "installing $list into .venv: about a minute the first time, log in .venv.log"
    rm -f "$VENV/ready-onnx"
    if ! run_in_group 1 2 "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input \
        -c "$(list_of_packages)" -r "$list" >>"$log" 2>&1; then
        tail -n 5 "$log" >&2
        die "installing $list failed; all of pip's output is in .venv.log"
    fi
    { onnx_stamp >"$VENV/ready-onnx.new" && mv "$VENV/ready-onnx.new" "$VENV/ready-onnx"; } ||
        die "$VENV/ready-onnx: cannot be written"
}
