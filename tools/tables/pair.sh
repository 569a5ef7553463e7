#!/usr/bin/env bash
# An environment for one Paddle and one Python, and the runs that certify it. Sourced by versions.sh, which makes the
# table of docs/versions.md, and by tests/run.sh.

CLASSIFIER=test_tipc/configs/mobilenet_v3_small/train_infer_python_x0_35.txt
DETECTOR=test_tipc/configs/CenterNet_MobileNetV3_small_x1_0/train_infer_python.txt
SERVING=test_tipc/configs/mobilenet_v3_small/serving_infer_python.txt
TRAINING=mobilenet_v3_small_x0_35/lite_train_lite_infer/norm_train_gpus_-1_autocast_null_nodes_1 # of the classifier
TRAINED_WITH=(-c ppcls_lite/configs/lite_data_64.yaml -o Arch.name=MobileNetV3_small_x0_35)

SERVING_INSTALLER=(test_tipc/install_serving.sh test_tipc/lib/renew_pb2.py)

find_interpreter() { # VERSION, such as 3.12: print the path of a Python that can make environments; fails without one
    local path
    for path in "$(command -v "python$1")" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/"python$1"; do
        [[ -x $path ]] && "$path" -c 'import ensurepip, venv' 2>/dev/null && echo "$path" && return
    done
    return 1
}

# ------------------------------------------------------------------------------------------------ the environment

make_environment() { # FOLDER PYTHON KIND [PADDLE]: FOLDER/venv with Paddle, our packages, the engines' and Serving's
    # KIND: pinned, as our requirements are; or newest, what pip finds today from these versions on. PADDLE: a version;
    # the newest where none is given. What the engines or Paddle Serving cannot have is noted in FOLDER/*.missing, and
    # their runs then say so. Fails where our own packages cannot be installed; FOLDER/install.log says why.
    local folder=$1 log=$1/install.log missing
    write_requirements "$folder" "$3" "${4:-}" || return
    if ! has_stamp "$folder/venv/ready" "$2" "$folder"/{base,engines}.txt; then
        rm -rf "$folder/venv" "$folder"/*.missing
        "$2" -m venv "$folder/venv" >"$log" 2>&1 || return
        pip_install "$folder" -r "$folder/base.txt" || return
        missing=$(cannot_install "$folder" -r "$folder/base.txt" -r "$folder/engines.txt") ||
            echo "$missing" >"$folder/engines.missing"
        stamp "$2" "$folder"/{base,engines}.txt >"$folder/venv/ready" || return
    fi
    if ! has_stamp "$folder/venv/ready-serving" "$2" "$folder/serving.txt" "${SERVING_INSTALLER[@]}"; then
        rm -f "$folder/serving.missing"
        missing=$(cannot_install_serving "$folder" "$3") || echo "$missing" >"$folder/serving.missing"
        stamp "$2" "$folder/serving.txt" "${SERVING_INSTALLER[@]}" >"$folder/venv/ready-serving" || return
    fi
    "$folder/venv/bin/python" -m pip list --disable-pip-version-check --format freeze >"$folder/packages.txt" 2>>"$log"
}

write_requirements() { # FOLDER KIND PADDLE: base.txt, engines.txt and serving.txt there
    local name change=(cat)
    [[ $2 == pinned ]] || change=(unpinned)
    grep -v -e '^#' -e '^$' requirements.txt | "${change[@]}" | with_paddle "$3" >"$1/base.txt" || return
    for name in engines serving; do
        grep -v -e '^#' -e '^$' "requirements-$name.txt" | "${change[@]}" >"$1/$name.txt" || return
    done
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

cannot_install() { # FOLDER PIP_OPTION...: install; where that fails, print why
    pip_install "$@" || { last_error "$1/install.log" && return 1; }
}

cannot_install_serving() { # FOLDER KIND: install; where that fails, print why
    local -a pins=()
    # without them it adds what is missing, of any version that fits
    [[ $2 == newest ]] || pins=(-c "$1/base.txt" -c "$1/serving.txt")
    bash test_tipc/install_serving.sh "$1/venv/bin/python" "${pins[@]}" >>"$1/install.log" 2>&1 ||
        { last_error "$1/install.log" && return 1; }
}

last_error() { # LOG OF PIP: print its last error, without the versions that there are instead
    local line
    line=$(grep -a '^ERROR: ' "$1" | tail -n 1)
    [[ -n $line ]] || line=$(tail -n 1 "$1")
    printf '%s\n' "${line#ERROR: }" | cut -c 1-300
}

# ------------------------------------------------------------------------------------------------------- the runs

run_part() { # PART FOLDER: run it in FOLDER/venv; its screen in FOLDER/PART.log, all else in FOLDER/runs
    local python=$2/venv/bin/python
    local model=$2/runs/$TRAINING/inference
    case $1 in
        classifier) run_chain "$2" test_train_inference_python.sh "$CLASSIFIER" lite_train_lite_infer ;;
        detector) run_chain "$2" test_train_inference_python.sh "$DETECTOR" lite_train_lite_infer ;;
        serving)
            serving_config "$model" >"$2/runs/serving.txt" || return
            run_chain "$2" test_serving.sh "$2/runs/serving.txt" serving_infer
            ;;
        engines)
            "$python" tools/compare_engines.py "${TRAINED_WITH[@]}" -o Global.device=cpu --engines all \
                -o "Global.pretrained_model=$2/runs/$TRAINING/latest.pdparams" --inference_model_dir "$model" \
                --save "$2/runs/engines.json"
            ;;
    esac >"$2/$1.log" 2>&1
}

run_chain() { # FOLDER SCRIPT CONFIG MODE
    TIPC_PYTHON=$1/venv/bin/python TIPC_OUTPUT=$1/runs bash "test_tipc/$2" "$3" "$4"
}

serving_config() { # MODEL: the config that serves the model that was just exported, in the format that it has
    local format=pdmodel
    [[ -f $1/inference.pdmodel || ! -f $1/inference.json ]] || format=json
    sed "s|^--dirname:.*|--dirname:$1|; s|^--model_filename:.*|--model_filename:inference.$format|" "$SERVING"
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
