#!/usr/bin/env bash
# Set up what a chain needs: the Python environment, the data, the provided weights.
#
#   bash test_tipc/prepare.sh CONFIG MODE
#   bash test_tipc/prepare.sh test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt lite_train_lite_infer
#
# MODE is a mode of the base chain, or serving_infer.
# Builds .venv with the pinned packages of requirements.txt (and of requirements-serving.txt, to serve). What is complete
# is kept; what was interrupted is made again. TIPC_PYTHON=/path/to/python uses that interpreter's environment unchanged.
# Exit code: 0 everything is ready, 1 something could not be set up (one line says what).

# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"

VENV=$ROOT/.venv
PYTHONS=(python3.11 python3.12 python3.10 python3.13 python3.9 python3 python)
MODULES=(paddle cv2 numpy yaml PIL matplotlib tqdm) # required of the environment of TIPC_PYTHON
SERVING_MODULES=(grpc flask func_timeout six pytest paddle_serving_server paddle_serving_app paddle_serving_client)

main() {
    parse_options -- "$@"
    ((${#ARGUMENTS[@]} == 2)) || die "usage: bash test_tipc/prepare.sh CONFIG MODE (see --help)"
    RUN[mode]=${ARGUMENTS[1]}
    is_mode "${RUN[mode]}" || [[ ${RUN[mode]} == serving_infer ]] ||
        die "unknown mode '${RUN[mode]}'; expected one of: ${MODES[*]} serving_infer"
    find_config "${ARGUMENTS[0]}"
    read_config "${RUN[config]}"
    ! detects || MODULES+=(pycocotools)
    prepare_python
    [[ ${RUN[mode]} != serving_infer ]] || prepare_serving
    find_python
    [[ ${RUN[mode]} != whole_infer ]] || prepare_weights
    prepare_data
}

detects() { # whether the config is of a detector
    mentions configs/detection/
}

# -------------------------------------------------------------------------------------------------- environment

prepare_python() {
    if [[ -n ${TIPC_PYTHON:-} ]]; then
        find_python
        check_foreign_python
    elif ! venv_is_ready; then
        lock_venv
        venv_is_ready || build_venv
    fi
}

lock_venv() {
    [[ -z ${RUN[lock]:-} ]] || return 0
    take_lock "$VENV.lock" ".venv is being set up"
    guard "$VENV.lock"
}

check_foreign_python() {
    check_modules "${RUN[python]} -m pip install -r requirements.txt" "${MODULES[@]}"
}

check_modules() { # INSTALL_COMMAND MODULE...: exit with an error unless TIPC_PYTHON has them all
    local missing
    missing=$("${RUN[python]}" - "${@:2}" 2>/dev/null <<'PY'
import importlib.util
import sys

print("missing:", *(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))
PY
    ) && [[ $missing == missing:* ]] || die "TIPC_PYTHON=${RUN[python]}: not a Python interpreter that works"
    missing=$(trim "${missing#*:}")
    [[ -z $missing ]] || die "TIPC_PYTHON=${RUN[python]} has no $missing; install with: $1"
}

venv_is_ready() { # the marker is written last, and names what was installed
    [[ -f $VENV/ready && $(<"$VENV/ready") == "$(venv_stamp)" ]] && "$VENV/bin/python" -c '' 2>/dev/null
}

venv_stamp() {
    cksum <"$ROOT/requirements.txt"
}

build_venv() {
    local base log=$ROOT/.venv.log
    base=$(suitable_python) || exit 1
    echo "setting up .venv with $("$base" -V 2>&1): a few minutes the first time, log in .venv.log"
    rm -rf "$VENV"
    if ! run_in_group 1 2 install_packages "$base" >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        die "setting up .venv failed; all of pip's output is in .venv.log"
    fi
    { venv_stamp >"$VENV/ready.new" && mv "$VENV/ready.new" "$VENV/ready"; } || die "$VENV/ready: cannot be written"
}

install_packages() { # PYTHON
    "$1" -m venv "$VENV" &&
        "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input -r "$ROOT/requirements.txt"
}

prepare_serving() { # Paddle Serving, in .venv, or looked for in the environment of TIPC_PYTHON
    if [[ -n ${TIPC_PYTHON:-} ]]; then
        check_modules "bash test_tipc/install_serving.sh ${RUN[python]}" "${SERVING_MODULES[@]}"
    elif ! serving_is_ready; then
        lock_venv
        serving_is_ready || install_serving
    fi
}

serving_is_ready() {
    [[ -f $VENV/ready-serving && $(<"$VENV/ready-serving") == "$(serving_stamp)" ]]
}

serving_stamp() {
    cat "$ROOT/requirements-serving.txt" "$ROOT/test_tipc/install_serving.sh" "$ROOT/test_tipc/lib/renew_pb2.py" | cksum
}

install_serving() {
    local log=$ROOT/.venv.log
    local -a options=(-c "$ROOT/requirements.txt" -c "$ROOT/requirements-serving.txt")
    # packages of an interrupted installation may be incomplete
    [[ ! -e $VENV/serving-began ]] || options+=(--force-reinstall)
    echo "installing Paddle Serving into .venv: about a minute the first time, log in .venv.log"
    { rm -f "$VENV/ready-serving" && touch "$VENV/serving-began"; } || die "$VENV: cannot be written"
    if ! run_in_group 1 2 bash "$ROOT/test_tipc/install_serving.sh" "$VENV/bin/python" "${options[@]}" >>"$log" 2>&1; then
        tail -n 5 "$log" >&2
        die "installing Paddle Serving failed; all of pip's output is in .venv.log"
    fi
    { serving_stamp >"$VENV/ready-serving.new" && mv "$VENV/ready-serving.new" "$VENV/ready-serving" &&
        rm "$VENV/serving-began"; } || die "$VENV/ready-serving: cannot be written"
}

suitable_python() { # the first interpreter from 3.9 to 3.13 that can make environments
    local name found='' usable=''
    for name in "${PYTHONS[@]}"; do
        command -v "$name" >/dev/null || continue
        found=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        case $found in
            3.9 | 3.10 | 3.11 | 3.12 | 3.13) ;;
            *) continue ;;
        esac
        usable=$found
        "$name" -c 'import ensurepip, venv' 2>/dev/null || continue
        command -v "$name"
        return
    done
    [[ -z $usable ]] || die "Python $usable has no venv module; on Debian and Ubuntu: apt-get install python$usable-venv"
    die "no Python from 3.9 to 3.13 found (the last one seen is ${found:-none}); install one, or set TIPC_PYTHON"
}

# --------------------------------------------------------------------------------------------- data and weights

prepare_data() {
    local mode=${RUN[mode]}
    if [[ $mode == whole_* ]] && detects; then
        make_data make_det_data.py det_stamps
    elif [[ $mode == whole_* ]] || { [[ $mode == serving_infer ]] && mentions dataset/digits; }; then
        make_data make_digits.py digits
    fi
    # Official configs read ImageNet from dataset/ILSVRC2012. Where that folder is missing, lite_data replaces it.
    if [[ ! -e $ROOT/dataset/ILSVRC2012 && -d $ROOT/lite_data ]]; then
        local fresh=$ROOT/dataset/.ILSVRC2012.$$
        if ! { mkdir -p "$fresh" && link_lite_data "$fresh"; } 2>/dev/null; then
            rm -rf "$fresh"
            die "$ROOT/dataset: cannot be written"
        fi
        # -T: if another run was faster, keep its folder
        mv -T "$fresh" "$ROOT/dataset/ILSVRC2012" 2>/dev/null || rm -rf "$fresh"
    fi
}

make_data() { # SCRIPT NAME: the folder NAME below dataset/; a complete one is left alone
    "${RUN[python]}" "$ROOT/tools/data/$1" --output "$ROOT/dataset/$2" || exit 1
}

link_lite_data() { # FOLDER: lite_data under the names that official configs use
    local lite=$ROOT/lite_data path
    mkdir "$1/val" && ln -s ../../lite_data/train ../../lite_data/val_list.txt "$1/" || return
    mixed_list "$lite/train_list.txt" >"$1/train_list.txt" || return # official configs do not shuffle
    for path in "$lite"/val/*; do ln -s "../../../lite_data/val/${path##*/}" "$1/val/" || return; done
    path=$(find "$lite/val" -name '*.jpg' | LC_ALL=C sort | head -n 1)
    # the one image that official configs predict
    ln -s "../../../lite_data/${path#"$lite/"}" "$1/val/ILSVRC2012_val_00000001.JPEG"
}

mixed_list() { # FILE: its lines `<path> <label>`, the first of each class, then the second of each, and so on
    local line
    local -A seen=()
    while IFS= read -r line; do
        seen[${line##* }]=$((${seen[${line##* }]:-0} + 1))
        printf '%d %s\n' "${seen[${line##* }]}" "$line"
    done <"$1" | sort -n -s -k 1,1 | cut -d ' ' -f 2-
}

prepare_weights() { # the weights for whole_infer must be present: nothing is downloaded
    local weights
    weights=$(weights_for_whole_infer) || exit 1
    [[ -z $weights || -f $weights ]] || die "${RUN[config]}: the provided weights are not there; put them at $weights"
}

main "$@"
