#!/usr/bin/env bash
# What C++ inference needs beside the environment of a project: a compiler, CMake, OpenCV, yaml-cpp and an engine.
# Sourced by prepare.sh.

declare -A RUN # see common_func.sh

prepare_cpp() { # look for all of it; openvino is installed into .venv, where PADDLE_LIB names no Paddle Inference
    local -a missing=()
    command -v cmake >/dev/null || missing+=(cmake)
    command -v g++ >/dev/null || command -v c++ >/dev/null || missing+=(g++)
    has_header opencv4/opencv2/imgcodecs.hpp || missing+=(libopencv-dev)
    has_header yaml-cpp/yaml.h || missing+=(libyaml-cpp-dev)
    ((${#missing[@]} == 0)) ||
        cannot_here "C++ inference needs ${missing[*]}; on Debian and Ubuntu:" \
            "apt-get install --no-install-recommends ${missing[*]}"
    if [[ -n ${PADDLE_LIB:-} ]]; then
        [[ -f $PADDLE_LIB/paddle/include/paddle_inference_api.h ]] ||
            die "PADDLE_LIB=$PADDLE_LIB: expected paddle/include/paddle_inference_api.h in it"
    elif [[ -n ${TIPC_PYTHON:-} ]]; then
        check_modules "${RUN[python]} -m pip install openvino" openvino
    elif ! "$VENV/bin/python" -c 'import openvino' 2>/dev/null; then
        lock_project "OpenVINO is being installed"
        echo "installing OpenVINO into .venv, log in .venv.log"
        run_in_group 1 2 "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
            -r <(openvino_requirement) >>"$VENV.log" 2>&1 ||
            die "installing OpenVINO failed: $(tail -n 1 "$VENV.log") (all of pip's output is in .venv.log)"
    fi
}

has_header() { # PATH below a folder of headers; CMAKE_PREFIX_PATH names further ones
    local folder
    local -a folders=(/usr /usr/local)
    [[ -z ${CMAKE_PREFIX_PATH:-} ]] || IFS=: read -r -a folders <<<"/usr:/usr/local:$CMAKE_PREFIX_PATH"
    for folder in "${folders[@]}"; do
        compgen -G "$folder/include/$1" >/dev/null || compgen -G "$folder/include/*/$1" >/dev/null && return
    done
    return 1
}

openvino_requirement() { # the project's own line, or any version
    grep -h '^openvino' "$ROOT/requirements-engines.txt" 2>/dev/null || echo openvino
}
