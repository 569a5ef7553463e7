#!/usr/bin/env bash
# What a container of this repository does.
#
#   bash deploy/docker/run.sh certify MODEL [MODE] [OPTION]...   all chains of the model (test_tipc/run_all.sh)
#   bash deploy/docker/run.sh serve FOLDER [KEY=VALUE]...        the exported model in FOLDER, on the ports 18080 and 9993
#   bash deploy/docker/run.sh COMMAND...                         any other command, such as bash
#
# MODEL is a folder of test_tipc/configs; MODE is lite_train_lite_infer by default. KEY=VALUE replaces a value of
# deploy/paddleserving/config.yml, such as http_port=8080. TIPC_PYTHON=/path/to/python is the interpreter, .venv's by
# default.
# Exit code: that of the chains, of the service, or of the command.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

main() {
    case ${1:-} in
        '' | -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" ;;
        certify) certify "${@:2}" ;;
        serve) serve "${@:2}" ;;
        *) exec "$@" ;;
    esac
}

die() { # MESSAGE
    printf 'error: %s\n' "$*" >&2
    exit 1
}

certify() { # MODEL [MODE] [OPTION]...
    local model=${1:-} mode=lite_train_lite_infer
    [[ -n $model ]] || die "certify: expected the name of a model, such as MobileNetV3_small_x1_0"
    shift
    [[ $# -eq 0 || $1 == -* ]] || { mode=$1 && shift; }
    exec bash test_tipc/run_all.sh "$mode" "$model" --chains all "$@"
}

serve() { # FOLDER [KEY=VALUE]...
    local folder=${1:-} python=${TIPC_PYTHON:-$PWD/.venv/bin/python} converted
    [[ -d $folder ]] || die "serve: expected the folder of an exported model, found '$folder'"
    folder=$(realpath "$folder")
    converted=$(mktemp -d) || die "no temporary folder can be made"
    "$python" deploy/paddleserving/convert.py --dirname "$folder" --serving_server "$converted/serving" \
        --serving_client "$converted/client" --fetch_alias_names prediction || exit
    cd deploy/paddleserving || exit
    # 0.0.0.0: a container is asked from outside
    exec "$python" classification_web_service.py -o host=0.0.0.0 \
        op.imagenet.local_service_conf.model_config="$converted/serving" "${@:2}"
}

main "$@"
