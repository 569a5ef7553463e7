#!/usr/bin/env bash
# The chains in other environments than .venv: the lanes of tests/run.sh, which sources this file.

# shellcheck source=tools/tables/pair.sh
source tools/tables/pair.sh

COMPAT=$PWD/.venv-compat
NEWEST=$PWD/.venv-newest
GPU=$PWD/.venv-gpu

compatibility_lane() { # the oldest: Python 3.9, Paddle 2.6.2
    local base stamp output status=0
    base=$(find_interpreter 3.9) || { echo "skipped: no Python 3.9 found" && return; }
    stamp=$(cat tests/requirements-compat.txt requirements-serving.txt "${SERVING_INSTALLER[@]}" | cksum)
    if [[ ! -f $COMPAT/ready || $(<"$COMPAT/ready") != "$stamp" ]]; then
        echo "installing tests/requirements-compat.txt into .venv-compat"
        rm -rf "$COMPAT"
        "$base" -m venv "$COMPAT" || return
        "$COMPAT/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
            -r tests/requirements-compat.txt || return
        bash test_tipc/install_serving.sh "$COMPAT/bin/python" -qq -c tests/requirements-compat.txt \
            -c requirements-serving.txt || return
        echo "$stamp" >"$COMPAT/ready"
    fi
    output=$(mktemp -d) || return
    show_part classifier "$COMPAT/bin/python" "$output" || status=1
    show_part serving "$COMPAT/bin/python" "$output" || status=1
    rm -rf "$output"
    return "$status"
}

newest_lane() { # the newest release of every package that we need, on the newest Python here; no pins
    local base version part reason
    local -a outcomes=()
    for version in 3.13 3.12 3.11 3.10 3.9; do base=$(find_interpreter "$version") && break; done
    [[ -n $base ]] || { echo "skipped: no Python from 3.9 to 3.13 found" && return; }
    renew_newest "$base" || return 0
    echo "Python $("$base" -V | cut -d ' ' -f 2) with the newest of $(date -r "$NEWEST/venv/ready" +%F):"
    paste -sd ' ' "$NEWEST/packages.txt" | fold -s -w 118
    rm -rf "$NEWEST/runs" "$NEWEST"/{classifier,detector,serving}.log
    for part in classifier detector serving; do
        if [[ -s $NEWEST/$part.missing ]]; then
            echo "$part: skipped: it cannot be installed: $(<"$NEWEST/$part.missing")"
        elif reason=$(why_not_run "$part" "$NEWEST"); then
            outcomes+=("$part=not run: $reason")
        else
            show_part "$part" "$NEWEST/venv/bin/python" "$NEWEST"
            outcomes+=("$part=$?")
        fi
    done
    # a failure that is not ours, and that is on the list, is skipped; every other one fails
    PYTHONPATH=. .venv/bin/python tests/known_failures.py "$NEWEST" "${outcomes[@]}"
}

renew_newest() { # PYTHON: make the environment again when the requirements have changed, or each day; keep the old one
    # where that is not possible; fails, and says so, when there is none
    local old=$NEWEST/venv.old reason
    mkdir -p "$NEWEST" || return
    [[ -f $NEWEST/venv/ready || ! -d $old ]] || restore_newest # it was interrupted
    if [[ -n $(find "$NEWEST/venv/ready" -mmin -1440 2>/dev/null) ]] && install_newest "$1"; then return; fi
    echo "installing the newest packages into .venv-newest"
    [[ ! -f $NEWEST/venv/ready ]] || { rm -rf "$old" && mv "$NEWEST/venv" "$old"; } || return
    if install_newest "$1"; then
        rm -rf "$old"
        return
    fi
    reason=$(last_error "$NEWEST/install.log")
    if [[ -f $old/ready ]]; then
        restore_newest
        echo "note: not renewed ($reason); these are the packages of $(date -r "$NEWEST/venv/ready" +%F)"
    else
        echo "skipped: the newest packages cannot be installed: $reason"
        return 1
    fi
}

install_newest() { # PYTHON
    make_environment "$NEWEST" "$1" newest && add_serving "$NEWEST" "$1" newest && list_packages "$NEWEST"
}

restore_newest() {
    rm -rf "$NEWEST/venv" && mv "$NEWEST/venv.old" "$NEWEST/venv"
}

gpu_package_lane() { # Paddle's GPU build, on a machine that need not have a GPU: what can be known without one
    local base version output status=0
    for version in 3.10 3.11 3.12 3.9; do base=$(find_interpreter "$version") && break; done
    [[ -n $base ]] || { echo "skipped: no Python from 3.9 to 3.12 found" && return; }
    if ! renew_gpu_package "$base"; then
        echo "requirements-gpu.txt cannot be installed: $(last_error "$GPU/install.log")" >&2
        return 1
    fi
    printf '\n---- requirements-gpu.txt resolves ----\n'
    for version in 3.9 3.10 3.11 3.12; do resolve_for "$version" || status=1; done
    printf '\n---- what the options set on the Config ----\n'
    LD_LIBRARY_PATH=$GPU/links "$GPU/venv/bin/python" -m pytest -p no:cacheprovider -rs \
        tests/infer/test_inference_config.py || status=1
    output=$(mktemp -d) || return
    show_part classifier "$GPU/venv/bin/python" "$output" || status=1
    show_part serving "$GPU/venv/bin/python" "$output" || status=1
    rm -rf "$output"
    return "$status"
}

renew_gpu_package() { # PYTHON: .venv-gpu, unless it is there and of these lists
    local -a made_of=("$1" requirements-{gpu,cuda,serving}.txt tests/requirements.txt "${SERVING_INSTALLER[@]}")
    ! has_stamp "$GPU/ready" "${made_of[@]}" || return 0
    echo "installing requirements-gpu.txt into .venv-gpu: 1.3 GB to download"
    rm -rf "$GPU"
    mkdir -p "$GPU" || return
    install_gpu_package "$1" >"$GPU/install.log" 2>&1 && stamp "${made_of[@]}" >"$GPU/ready"
}

install_gpu_package() { # PYTHON: as the head of requirements-gpu.txt says; and of TensorRT the libraries, for summary()
    local python=$GPU/venv/bin/python
    local -a pip=("$python" -m pip install --disable-pip-version-check --no-input) list
    mapfile -t list < <(gpu_requirements '')
    "$1" -m venv "$GPU/venv" && "${pip[@]}" "${list[@]}" "$(grep '^pytest==' tests/requirements.txt)" &&
        SERVING_SERVER=$(grep '^paddle-serving' requirements-gpu.txt) bash test_tipc/install_serving.sh "$python" &&
        "${pip[@]}" --no-deps --target "$GPU/libraries" --python-version 3.10 --only-binary :all: \
            "$(grep '^tensorrt==' requirements-cuda.txt)" || return
    # the rest of CUDA, which is not here, would make this fail
    "$python" tools/cuda_libraries.py --site_packages "$GPU/libraries" --links "$GPU/links" || true
}

gpu_requirements() { # [WITHOUT]: the packages of requirements-gpu.txt, without serving's and those that match
    grep -v -e '#' -e '^$' -e serving ${1:+-e "$1"} requirements-gpu.txt
}

resolve_for() { # PYTHON_VERSION: whether there are wheels for it that fit one another; Paddle's own is only looked up
    local paddle known log=$GPU/resolve-$1.log
    local -a list pip=("$GPU/venv/bin/python" -m pip)
    local -a wheels=(--python-version "$1" --only-binary :all: --no-input --disable-pip-version-check)
    local -a dry=(install --dry-run --ignore-installed --target "$GPU/none")
    mapfile -t list < <(gpu_requirements paddlepaddle)
    paddle=$(sed -n 's/^paddlepaddle-gpu==//p' requirements-gpu.txt)
    if ! known=$("${pip[@]}" index versions paddlepaddle-gpu "${wheels[@]}" 2>"$log") ||
        ! "${pip[@]}" "${dry[@]}" "${wheels[@]}" "${list[@]}" >>"$log" 2>&1; then
        echo "Python $1: $(last_error "$log")"
        return 1
    elif [[ " $(sed -n 's/^Available versions: //p' <<<"$known")," != *" $paddle,"* ]]; then
        echo "Python $1: no wheel of paddlepaddle-gpu $paddle"
        return 1
    fi
    echo "Python $1: all packages have wheels"
}

show_part() { # PART PYTHON FOLDER: run it and print its last lines, more of them when it failed
    local status lines=12
    run_part "$1" "$2" "$3"
    status=$?
    ((status == 0)) || lines=60
    printf '\n---- %s ----\n' "$1"
    tail -n "$lines" "$3/$1.log"
    return "$status"
}
