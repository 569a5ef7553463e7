#!/usr/bin/env bash
# Certify all models, or those named, one after the other, and write one table of models and steps.
#
#   bash test_tipc/run_all.sh MODE [NAME...] [--again] [--evidence]
#   bash test_tipc/run_all.sh lite_train_lite_infer MobileNetV3_small_x1_0 PPHGNetV2_B0
#
# NAME is a folder of test_tipc/configs, or the path of any train_infer_python.txt; by default all folders are taken.
# MODE, TIPC_PYTHON and TIPC_OUTPUT as for test_train_inference_python.sh. A failure does not stop the other models.
# A model that passed before with the same code, config, data, versions and GPUs is not run again, unless --again.
# --evidence renews test_log/<model> from the models that are run.
# Leaves matrix.txt, matrix.json and matrix.md in test_tipc/output/, and each model's screen in .run_all/<model>.log.
# Exit code: 0 all passed, 1 one did not, 130 or 143 interrupted.

# shellcheck source=test_tipc/common_func.sh
source "$(dirname "${BASH_SOURCE[0]}")/common_func.sh"

DRIVER=test_tipc/test_train_inference_python.sh
# what a certificate stands on, beside the config and the files that it names
CODE=('ppcls_lite/*.py' deploy/python deploy/configs lite_data lite_data_det test_images requirements.txt
    tools/make_digits.py tools/make_det_data.py tools/infer.py tools/compare_engines.py tools/check_convergence.py tools/tipc_report.py tools/versions.py
    test_tipc/common_func.sh test_tipc/config_dialects.sh test_tipc/prepare.sh test_tipc/read_config.sh
    test_tipc/run_step.sh "$DRIVER")

main() {
    local i
    parse_arguments "$@"
    find_configs
    choose_output
    [[ -z ${TIPC_OUTPUT:-} ]] || export TIPC_OUTPUT=$OUTPUT # for the chains, which are started in the root
    cd "$ROOT" || die "$ROOT: cannot be entered"
    name_models
    open_output "$OUTPUT/.run_all"
    start_record "$OUT/results.log"
    prepare_environment
    for i in "${!CONFIGS[@]}"; do
        MODEL=${MODELS[i]}
        certify "${CONFIGS[i]}"
    done
    summarise
    exit
}

parse_arguments() {
    local -a words=()
    AGAIN='' DRIVER_OPTIONS=()
    while (($# > 0)); do
        case $1 in
            --again) AGAIN=1 ;;
            --evidence) DRIVER_OPTIONS+=(--evidence) ;;
            -h | --help)
                sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
                exit 0
                ;;
            -*) die "unknown option '$1'; see --help" ;;
            *) words+=("$1") ;;
        esac
        shift
    done
    ((${#words[@]} > 0)) || die "usage: bash test_tipc/run_all.sh MODE [NAME...] [--again] (see --help)"
    MODE=${words[0]}
    is_mode "$MODE" || die "unknown mode '$MODE'; expected one of: ${MODES[*]}"
    NAMES=("${words[@]:1}")
}

find_configs() { # sets CONFIGS, one for each of NAMES
    local name path
    CONFIGS=()
    if ((${#NAMES[@]} == 0)); then
        for path in "$ROOT"/test_tipc/configs/*/train_infer_python.txt; do
            [[ -e $path ]] || die "test_tipc/configs has no folder with a train_infer_python.txt"
            CONFIGS+=("${path#"$ROOT/"}")
        done
        return
    fi
    for name in "${NAMES[@]}"; do
        path=test_tipc/configs/$name/train_infer_python.txt
        if [[ -e $ROOT/$path ]]; then
            CONFIGS+=("$path")
        elif [[ -f $name ]]; then
            path=$(realpath "$name") && CONFIGS+=("${path#"$ROOT/"}")
        else
            die "unknown model '$name'; known: $(known_models)"
        fi
    done
}

known_models() {
    (cd "$ROOT/test_tipc/configs" && printf '%s\n' */train_infer_python.txt | sed 's#/[^/]*$##' | paste -sd ' ')
}

name_models() { # sets MODELS, which name the folders of the runs; the driver tells what is wrong with a config
    local config model
    local -A taken=()
    MODELS=()
    for config in "${CONFIGS[@]}"; do
        model=$(sed -n 's/^ *model_name *: *//p' "$config" 2>/dev/null | head -n 1)
        model=$(trim "$model")
        [[ $model =~ ^[A-Za-z0-9][A-Za-z0-9._+-]*$ ]] || model=$(basename "$(dirname "$config")")
        [[ -z ${taken[$model]:-} ]] || die "$config: its model_name '$model' is that of ${taken[$model]} too"
        taken[$model]=$config
        MODELS+=("$model")
    done
}

prepare_environment() { # Python and data, by the first config that prepare.sh can take; weights are the driver's matter
    local config
    for config in "${CONFIGS[@]}"; do
        (check_text_file "$config") 2>/dev/null && break
    done
    bash test_tipc/prepare.sh "$config" lite_train_lite_infer || exit 1
    find_python
    describe_environment
}

certify() { # CONFIG: run the driver for MODEL unless it passed before on the same ground
    local run=$OUTPUT/$MODEL/$MODE stamp
    stamp=$(certificate "$1")
    if [[ -z $AGAIN && -f $run/summary.json && -f $run/certified && $(<"$run/certified") == "$stamp" ]]; then
        echo "==== $MODEL: certified before, nothing has changed ===="
        record "$MODEL" passed 0 "$run/summary.json" 'certified before'
        return
    fi
    rm -f "$run/certified" "$run/summary.json" # a driver that stops at once would leave those of the last run
    run_step "$MODEL" "$OUT/$MODEL.log" . bash "$DRIVER" "$1" "$MODE" "${DRIVER_OPTIONS[@]}" || return 0
    echo "$stamp" >"$run/certified"
}

certificate() { # CONFIG: a hash of all that the result of its chain depends on
    {
        printf '%s\n' "$MODE" "$VERSIONS" "$GPUS"
        cat "$1"
        { code_files && named_files "$1"; } | LC_ALL=C sort -zu | xargs -0 sha256sum
    } 2>&1 | sha256sum
}

code_files() { # zero-terminated
    if git -C "$ROOT" rev-parse HEAD >/dev/null 2>&1; then
        git ls-files -z --cached --others --exclude-standard -- "${CODE[@]}"
    else
        local path
        for path in "${CODE[@]}"; do
            [[ $path != *'/*.py' ]] || path=${path%/*}
            find "$path" -type f ! -name '*.pyc' -print0
        done
    fi
}

named_files() { # CONFIG: the files that its words name, such as scripts and YAML; zero-terminated
    local word path
    tr -s '|=: \t' '\n' <"$1" | LC_ALL=C sort -u | while IFS= read -r word; do
        for path in "$word" "deploy/$word" "${word/#ppcls\//ppcls_lite/}" "$(provided_path "$word")"; do
            [[ ! -f $path ]] || printf '%s\0' "$path"
        done
    done
}

provided_path() { # WORD of a config: where prepare.sh wants the weights of an address
    [[ $1 != //* ]] || echo "pretrain_models/${1##*/}"
}

summarise() { # write and show the table, also after an interruption; fails unless all passed
    [[ -n ${VERSIONS:-} ]] || return
    "$PYTHON" tools/tipc_matrix.py "$OUTPUT" --mode "$MODE" --commit "$COMMIT" --versions "$VERSIONS" "${MODELS[@]}"
}

main "$@"
