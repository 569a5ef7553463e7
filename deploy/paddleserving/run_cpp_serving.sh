#!/usr/bin/env bash
# Start Paddle Serving's C++ server (brpc) on a model that convert.py has converted.
#
#   bash deploy/paddleserving/run_cpp_serving.sh FOLDER [PORT] [OPTION of paddle_serving_server.serve]...
#   bash deploy/paddleserving/run_cpp_serving.sh deploy/paddleserving/digits_serving 9292 --thread 4
#
# The server's program is that of SERVING_BIN=/path/to/serving, or else the one that Paddle Serving fetches from its own
# servers (serving-cpu-avx-mkl-0.9.0) the first time. TIPC_PYTHON=/path/to/python is an interpreter that has
# paddle_serving_server; python3 by default. Ask it with deploy/paddleserving/test_cpp_serving_client.py; Ctrl-C ends it.
# Exit code: that of the server.

set -uo pipefail
if (($# == 0)) || [[ $1 == -* ]]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    [[ ${1:-} == -h || ${1:-} == --help ]]
    exit
fi
if [[ ! -f $1/serving_server_conf.prototxt ]]; then
    echo "error: $1: expected a folder for a server, made by deploy/paddleserving/convert.py (--serving_server)" >&2
    exit 1
fi
exec "${TIPC_PYTHON:-python3}" -m paddle_serving_server.serve --model "$1" --port "${2:-9292}" "${@:3}"
