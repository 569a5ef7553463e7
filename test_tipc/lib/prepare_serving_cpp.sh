#!/usr/bin/env bash
# The program of Paddle Serving's C++ server, for the mode serving_infer_cpp. Sourced by prepare.sh after packages.sh,
# and by test_serving_infer_cpp.sh.

declare -A RUN # see common_func.sh

SERVER_FOLDER=.serving-cpp/serving-cpu-avx-mkl-0.9.0 # where the program is put
SERVER_ADDRESS=https://paddle-serving.bj.bcebos.com/test-dev/bin/serving-cpu-avx-mkl-0.9.0.tar.gz

prepare_cpp_server() { # into a folder of its own; what cannot be fetched is said, and the chain is skipped then
    local folder=$SERVER_FOLDER
    [[ -z ${SERVING_BIN:-} && ! -x $folder/serving ]] || return 0
    lock_project "Paddle Serving's C++ server is being fetched"
    { mkdir -p "${folder%/*}" && echo '*' >"${folder%/*}/.gitignore"; } || die "${folder%/*}: cannot be written"
    run_in_group 1 2 "${RUN[python]}" "$TIPC/lib/fetch.py" "$SERVER_ADDRESS" "${folder%/*}" --unpack "$folder" ||
        echo "note: the C++ server of Paddle Serving could not be fetched (see above), so its steps are skipped"
}
