#!/usr/bin/env bash
# An environment for one Paddle and one Python, and the runs that certify it. Sourced by versions.sh, which makes the
# table of docs/versions.md, and by tests/run.sh.

CLASSIFIER=test_tipc/configs/mobilenet_v3_small/train_infer_python_x0_35.txt
DETECTOR=test_tipc/configs/CenterNet_MobileNetV3_small_x1_0/train_infer_python.txt
SERVING=test_tipc/configs/mobilenet_v3_small/serving_infer_python.txt
TRAINING=mobilenet_v3_small_x0_35/lite_train_lite_infer/norm_train_gpus_-1_autocast_null_nodes_1 # of the classifier
TRAINED_WITH=(-c ppcls_lite/configs/lite_data_64.yaml -o Arch.name=MobileNetV3_small_x0_35)

ENGINES=(paddle training_export onednn openvino onnxruntime) # those of a machine without a GPU
SERVING_INSTALLER=(test_tipc/install_serving.sh test_tipc/lib/renew_pb2.py)

find_interpreter() { # VERSION, such as 3.12: print the path of a Python that can make environments; fails without one
    local path
    for path in "$(command -v "python$1")" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/"python$1"; do
        [[ -x $path ]] && "$path" -c 'import ensurepip, venv' 2>/dev/null && echo "$path" && return
    done
    return 1
}

# ------------------------------------------------------------------------------------------------ the environment

# KIND is pinned, as our requirements are, or newest: what pip finds today, from these versions on.

make_environment() { # FOLDER PYTHON KIND [PADDLE]: FOLDER/venv with our packages, and this Paddle or the newest one
    local folder=$1 log=$1/install.log
    write_requirements "$folder" "$3" "${4:-}" || return
    ! has_stamp "$folder/venv/ready" "$2" "$folder/base.txt" || return 0
    rm -rf "$folder/venv" "$folder"/*.missing
    "$2" -m venv "$folder/venv" >"$log" 2>&1 && pip_install "$folder" -r "$folder/base.txt" &&
        stamp "$2" "$folder/base.txt" >"$folder/venv/ready"
}

add_engines() { # FOLDER PYTHON: what engines need that are not inside Paddle; FOLDER/engines.missing says why not
    local marker=$1/venv/ready-engines
    ! has_stamp "$marker" "$2" "$1/engines.txt" || return 0
    rm -f "$1/engines.missing"
    pip_install "$1" -r "$1/base.txt" -r "$1/engines.txt" || last_error "$1/install.log" >"$1/engines.missing"
    stamp "$2" "$1/engines.txt" >"$marker"
}

add_serving() { # FOLDER PYTHON KIND: Paddle Serving; FOLDER/serving.missing says why not
    local marker=$1/venv/ready-serving
    local -a pins=()
    ! has_stamp "$marker" "$2" "$1/serving.txt" "${SERVING_INSTALLER[@]}" || return 0
    rm -f "$1/serving.missing"
    # without them it adds what is missing, of any version that fits
    [[ $3 == newest ]] || pins=(-c "$1/base.txt" -c "$1/serving.txt")
    bash test_tipc/install_serving.sh "$1/venv/bin/python" "${pins[@]}" >>"$1/install.log" 2>&1 ||
        last_error "$1/install.log" >"$1/serving.missing"
    stamp "$2" "$1/serving.txt" "${SERVING_INSTALLER[@]}" >"$marker"
}

list_packages() { # FOLDER: what is installed, in FOLDER/packages.txt
    "$1/venv/bin/python" -m pip list --disable-pip-version-check --format freeze >"$1/packages.txt" 2>>"$1/install.log"
}

write_requirements() { # FOLDER KIND PADDLE: base.txt, engines.txt and serving.txt there
    local name change=(cat)
    [[ $2 == pinned ]] || change=(unpinned)
    grep -v -e '^#' -e '^$' requirements.txt | "${change[@]}" | with_paddle "$3" >"$1/base.txt" || return
    for name in engines serving; do
        grep -v -e '^#' -e '^$' "requirements-$name.txt" | "${change[@]}" >"$1/$name.txt" || return
    done
    # Paddle2ONNX 2 does not work with Paddle 2
    [[ $3 != 2.* ]] || sed -i 's/^paddle2onnx==.*/paddle2onnx==1.3.1/' "$1/engines.txt"
}

unpinned() { # pins as lower bounds, or pip could go back to what is years old
    sed 's/==/>=/'
}

with_paddle() { # VERSION
    if [[ -n $1 ]]; then sed "s/^paddlepaddle[=>].*/paddlepaddle==$1/"; else cat; fi
}

stamp() { # PYTHON FILE...: what an environment was made of
    "$1" -V && cat "${@:2}" | cksum
}

has_stamp() { # MARKER PYTHON FILE...
    [[ -f $1 && $(<"$1") == "$(stamp "${@:2}")" ]]
}

pip_install() { # FOLDER PIP_OPTION...
    "$1/venv/bin/python" -m pip install --disable-pip-version-check --no-input --only-binary :all: "${@:2}" \
        >>"$1/install.log" 2>&1
}

last_error() { # LOG OF PIP: print its last error, without the versions that there are instead
    local end line
    end=$(tail -n 40 "$1")
    if grep -aqE 'Failed to establish a new connection|name resolution|Name or service not known' <<<"$end"; then
        echo "the package index cannot be reached"
        return
    fi
    line=$(grep -a '^ERROR: ' <<<"$end" | tail -n 1)
    [[ -n $line ]] || line=$(grep -av '^[[:space:]]*$' <<<"$end" | tail -n 1)
    line=${line#ERROR: }
    line=${line/#No matching distribution found for/no wheel for this Python of}
    printf '%s\n' "${line#error: }" | cut -c 1-300
}

# ------------------------------------------------------------------------------------------------------- the runs

run_part() { # PART PYTHON FOLDER: its screen in FOLDER/PART.log, all else in FOLDER/runs
    mkdir -p "$3/runs" || return
    case $1 in
        classifier) run_chain "$2" "$3" test_train_inference_python.sh "$CLASSIFIER" lite_train_lite_infer ;;
        detector) run_chain "$2" "$3" test_train_inference_python.sh "$DETECTOR" lite_train_lite_infer ;;
        serving) # of the model that was just exported
            sed "s|^--dirname:.*|--dirname:$3/runs/$TRAINING/inference|" "$SERVING" >"$3/runs/serving.txt" &&
                run_chain "$2" "$3" test_serving.sh "$3/runs/serving.txt" serving_infer
            ;;
        engines) compare_engines "$2" "$3" ;;
    esac >"$3/$1.log" 2>&1
}

compare_engines() { # PYTHON FOLDER: all at once; where that fails, one at a time, so that one does not hide the others
    local engine
    compare_with all "$@" && return
    for engine in "${ENGINES[@]}"; do
        printf '\n# alone: %s\n' "$engine"
        compare_with "$engine" "$@"
    done
    return 1
}

compare_with() { # ENGINE PYTHON FOLDER: the classifier's trained network with its exported model
    "$2" tools/compare_engines.py "${TRAINED_WITH[@]}" -o Global.device=cpu --engines "$1" \
        -o "Global.pretrained_model=$3/runs/$TRAINING/latest.pdparams" \
        --inference_model_dir "$3/runs/$TRAINING/inference" --save "$3/runs/engines_$1.json"
}

run_chain() { # PYTHON FOLDER SCRIPT CONFIG MODE
    TIPC_PYTHON=$1 TIPC_OUTPUT=$2/runs bash "test_tipc/$3" "$4" "$5"
}

why_not_run() { # PART FOLDER: print why it cannot be run; fails when it can
    if [[ -s $2/$1.missing && $1 == serving ]]; then
        cat "$2/$1.missing"
    elif [[ $1 == @(serving|engines) && -z $(exported_format "$2") ]]; then
        echo "the classifier's chain has exported no model"
    else
        return 1
    fi
}

exported_format() { # FOLDER: print pdmodel or json, whichever the classifier's chain has written; nothing where none
    local format
    for format in pdmodel json; do
        [[ -f $1/runs/$TRAINING/inference/inference.$format ]] && echo "$format" && return
    done
    return 0
}
