#!/usr/bin/env bash
# What the Dockerfiles run to set up an image; it works outside of a container, too.
#
#   bash deploy/docker/install.sh system [LIST]   the packages of apt_packages.txt, and of another list, by apt-get: as
#                                                 root, Debian or Ubuntu
#   bash deploy/docker/install.sh python cpu      .venv, with all that the chains need on a CPU
#   bash deploy/docker/install.sh python gpu      .venv-docker, with requirements-gpu.txt and Paddle Serving
#
# What is there already is kept.
# Exit code: 0 everything is there, 1 something could not be installed (the last line says what).

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

CONFIGS=test_tipc/configs/MobileNetV3_small_x1_0
GPU=.venv-docker

main() {
    case "$*" in
        system | 'system '*) install_system "${@:2}" ;;
        'python cpu') install_cpu ;;
        'python gpu') install_gpu ;;
        *)
            sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
            exit 1
            ;;
    esac
}

die() { # MESSAGE
    printf 'error: %s\n' "$*" >&2
    exit 1
}

install_system() { # [LIST]
    local -a wanted missing=()
    local package
    command -v apt-get >/dev/null || die "there is no apt-get: install what deploy/docker/apt_packages.txt names yourself"
    mapfile -t wanted < <(grep -hv '^#' deploy/docker/apt_packages.txt "$@")
    for package in "${wanted[@]}"; do is_installed "$package" || missing+=("$package"); done
    if ((${#missing[@]} == 0)); then
        echo "all ${#wanted[@]} packages are there"
        return
    fi
    ((EUID == 0)) || die "as root: apt-get install --no-install-recommends ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update || echo "note: apt-get update failed; what the lists of packages have is installed"
    apt-get install -y --no-install-recommends "${missing[@]}" || die "apt-get could not install ${missing[*]}"
}

is_installed() { # PACKAGE
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

install_cpu() { # the steps `prepare` of all chains
    local config mode
    for config in train_infer_python.txt:whole_infer serving_infer_python.txt:serving_infer \
        paddle2onnx_infer_python.txt:paddle2onnx_infer inference_cpp.txt:cpp_infer lite_arm_cpu_cpp.txt:lite_arm_cpu_cpp; do
        mode=${config#*:}
        bash test_tipc/prepare.sh "$CONFIGS/${config%:*}" "$mode"
        case $? in
            0) ;;
            77) echo "note: the chain of the mode $mode will be skipped on this machine" ;;
            *) die "the environment for $mode could not be set up" ;;
        esac
    done
}

install_gpu() { # as docs/gpu.md says
    local -a list
    mapfile -t list < <(grep -v -e '^#' -e '^$' -e serving requirements-gpu.txt)
    [[ -x $GPU/bin/python ]] || python3 -m venv "$GPU" || die "$GPU: cannot be made"
    "$GPU/bin/python" -m pip install --disable-pip-version-check --no-input "${list[@]}" || die "requirements-gpu.txt cannot be installed"
    SERVING_SERVER=$(grep '^paddle-serving' requirements-gpu.txt) bash test_tipc/install_serving.sh "$GPU/bin/python" ||
        die "Paddle Serving cannot be installed"
}

main "$@"
