#!/usr/bin/env bash
# What a config expects of its results: the optional section ===expected_params===, behind the others. Official files
# have none, and then nothing is expected. Sourced after train_infer.sh.
#
#   top1:whole_infer=0.99444+-0.003|lite_train=>=0.2   a figure of the evaluation's log, by any name that it prints
#   cpu_rss(MB):<=1000                                 memory, of each inference on that device (or gpu_rss(MB)); from
#                                                      the summary that benchmark:True prints
#   speedup(usemkldnn_True/usemkldnn_False):>=1        how many times as fast the first setting is, all else being equal
#   top1_drop:whole_infer=<=0.01                       of an INT8 model against its network: what the step `agree int8`
#                                                      prints: top1_drop, top1_agreement, top1_int8, bytes_ratio
#   predictions:whole_infer=test_tipc/results/python_small_fp32.txt     reference predictions (compare_results.py)
#
# A value is one rule for all modes, or mode=rule between bars; nothing is expected in a mode without a rule. A rule is
# NUMBER+-TOLERANCE (or with ±), >=NUMBER or <=NUMBER.

declare -A RUN VALUE KEY # see common_func.sh and config.sh

# the rules for RUN[mode]: words of expected.py, three for each (--figure NAME RULE PLACE, without the option's name)
declare -a EXPECTED_FIGURES=() EXPECTED_MEMORY=() EXPECTED_SPEED=() EXPECTED_INT8=()
EXPECTED_PREDICTIONS='' # the file of the reference predictions

NUMBER='[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?'
RULE="^(${NUMBER}(±|\+-)([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[<>]=${NUMBER})\$"
SETTING_PAIR='^speedup\(([a-z]+)_([A-Za-z0-9]+)/([a-z]+)_([A-Za-z0-9]+)\)$'

take_expected() { # read and check the section, for all modes; sets the four above for RUN[mode]
    local b block='' i key
    local -A seen=()
    EXPECTED_FIGURES=() EXPECTED_MEMORY=() EXPECTED_SPEED=() EXPECTED_INT8=() EXPECTED_PREDICTIONS=''
    for b in "${!BLOCK_TITLE[@]}"; do
        [[ ${BLOCK_TITLE[b]} == expected_params ]] || continue
        [[ -z $block ]] || die "$CONFIG_FILE:${LINE_NUMBER[BLOCK_FIRST[b]]}: a second section ===expected_params==="
        block=$b
    done
    [[ -n $block ]] || return 0
    b=$((block + 1))
    [[ ${BLOCK_TITLE[b]-none} != '' ]] || ((BLOCK_LINES[b] == 0)) ||
        die "$CONFIG_FILE:${LINE_NUMBER[BLOCK_FIRST[b]]}: ===expected_params=== has no parts, and this line is" \
            "behind ##"
    for ((i = BLOCK_FIRST[block]; i < BLOCK_FIRST[block] + BLOCK_LINES[block]; i++)); do
        key="key ${LINE_KEY[i]}" # an empty one cannot be a subscript
        [[ -z ${seen["$key"]:-} ]] ||
            die "$CONFIG_FILE:${LINE_NUMBER[i]}: '${LINE_KEY[i]:0:200}' is expected in line ${seen["$key"]} already"
        seen["$key"]=${LINE_NUMBER[i]}
        take_expectation "$i"
    done
}

take_expectation() { # INDEX of a line of the section
    local key=${LINE_KEY[$1]} value=${LINE_VALUE[$1]} place=$CONFIG_FILE:${LINE_NUMBER[$1]} part rule
    [[ ${LINE_TEXT[$1]} == *:* && -n $key && -n $value ]] ||
        die "$place: expected NAME:RULE, such as top1:0.9+-0.01, found '${LINE_TEXT[$1]:0:200}'"
    check_expected_key "$key" "$place"
    rule=$value
    if names_modes "$value"; then
        split_bars "$value"
        for part in "${ENTRIES[@]}"; do
            names_modes "$part" || die "$place: '$key': expected MODE=RULE between bars, found '${part:0:200}'"
            is_mode_prefix "${part%%=*}" ||
                die "$place: '$key': unknown mode '${part%%=*}'; expected one of:" \
                    "${MODES[*]} lite_train whole_train whole"
            check_rule "$key" "${part#*=}" "$place"
        done
        take_mode "$value" "${RUN[mode]}" || return 0 # nothing is expected in this mode
        rule=$REPLY
    else
        check_rule "$key" "$value" "$place"
    fi
    keep_expectation "$key" "$rule" "$place"
}

names_modes() { # VALUE: whether it begins with the name of a mode, or with what seems to be one
    [[ $1 =~ ^[a-z_]+= ]]
}

is_mode_prefix() { # NAME
    [[ $1 =~ ^(lite_train|whole_train|whole)$ ]] || is_mode "$1"
}

check_expected_key() { # NAME PLACE
    if [[ $1 == speedup* ]]; then
        [[ $1 =~ $SETTING_PAIR && ${BASH_REMATCH[1]} == "${BASH_REMATCH[3]}" &&
            ${BASH_REMATCH[2]} != "${BASH_REMATCH[4]}" ]] ||
            die "$2: expected two settings as logs are named, speedup(usemkldnn_True/usemkldnn_False)," \
                "found '${1:0:200}'"
    elif [[ $1 == *time* && $1 == *'('*s')' ]]; then
        die "$2: '$1' is a time of one machine; expected a ratio, such as speedup(usemkldnn_True/usemkldnn_False)"
    elif [[ $1 == *'(MB)' && $1 != [cg]pu_rss'(MB)' ]]; then
        die "$2: expected cpu_rss(MB) or gpu_rss(MB), found '${1:0:200}'"
    elif [[ ! $1 =~ ^[A-Za-z][A-Za-z0-9_./@-]*(\(MB\))?$ ]]; then
        die "$2: expected the name of a figure, such as top1, found '${1:0:200}'"
    fi
}

check_rule() { # NAME RULE PLACE
    if [[ $1 == predictions ]]; then
        [[ $2 != /* && $2 != *..* ]] || die "$3: 'predictions': expected a file of the project, found '${2:0:200}'"
    else
        [[ $2 =~ $RULE ]] || die "$3: '$1': expected NUMBER+-TOLERANCE, >=NUMBER or <=NUMBER, found '${2:0:200}'"
    fi
}

keep_expectation() { # NAME RULE PLACE: for this mode, where the config can have it
    case $1 in
        predictions)
            [[ -f $2 ]] || ((${RUN[stop_stage]:-6} < 6)) || # it is made from the predictions of a run that ends earlier
                die "$3: 'predictions': no such file: ${2:0:200}; to make it, run with --stop_stage 3 and then" \
                    "compare_results.py --update"
            EXPECTED_PREDICTIONS=$2
            ;;
        speedup* | *'(MB)')
            [[ ${VALUE[benchmark]:-null} == @(True|true|1) ]] ||
                die "$3: '$1' is read from the summary of times and memory; expected benchmark:True," \
                    "found '${VALUE[benchmark]:-no such line}'"
            if [[ $1 == speedup* ]]; then EXPECTED_SPEED+=("$@"); else EXPECTED_MEMORY+=("$@"); fi
            ;;
        top1_drop | top1_agreement | top1_int8 | bytes_ratio)
            is_set kl_quant || is_set pact_export || quantises ||
                die "$3: '$1' is a figure of an INT8 model, and the config makes none (kl_quant, quant_export)"
            EXPECTED_INT8+=("$@")
            ;;
        *)
            { is_set eval && ! quantises; } ||
                die "$3: '$1' is a figure of the evaluation, and the config has no eval command"
            EXPECTED_FIGURES+=("$@")
            ;;
    esac
}

# -------------------------------------------------------------------------------------------------------- the checks

evaluated_as_expected() { # EXPECT of evaluate
    check_log "${EXPECTED_FIGURES[@]}"
}

inferred_as_expected() { # EXPECT of infer: the memory of its device; on a GPU, that of the process is CUDA's libraries
    local i
    local -a own=()
    for ((i = 0; i < ${#EXPECTED_MEMORY[@]}; i += 3)); do
        [[ ${STEP[name]} != "infer ${EXPECTED_MEMORY[i]:0:3} "* ]] || own+=("${EXPECTED_MEMORY[@]:i:3}")
    done
    check_log "${own[@]}"
}

check_log() { # (NAME RULE PLACE)...: whether the figures of the step's log are as expected; says so in the log
    local said
    local -a options=()
    (($# > 0)) || return 0
    while (($# > 0)); do
        options+=(--figure "${@:1:3}")
        shift 3
    done
    if said=$("${RUN[python]}" "$TIPC/lib/expected.py" "${STEP[log]}" "${options[@]}" 2>&1); then
        printf '%s\n' "$said" | tee -a "${STEP[log]}"
    else
        STEP[reason]=${said##*error: }
        return 1
    fi
}

expected() { # of all inferences: reference predictions, and ratios of speed
    local i
    local -a logs options=()
    in_stage 6 || return 0
    [[ -n $EXPECTED_PREDICTIONS ]] || ((${#EXPECTED_SPEED[@]} > 0)) || return 0
    mapfile -t logs < <(passed_logs infer)
    if ((${#logs[@]} == 0)); then
        skip_step expected "no inference passed, so there is nothing to compare with what is expected"
        return
    fi
    if [[ -n $EXPECTED_PREDICTIONS ]]; then
        run_step 'expected predictions' "${RUN[training_dir]}_expected_predictions.log" . \
            python "$(tool compare_results.py)" "--gt_file=$EXPECTED_PREDICTIONS" --log_file "${logs[@]}"
    fi
    ((${#EXPECTED_SPEED[@]} > 0)) || return 0
    for ((i = 0; i < ${#EXPECTED_SPEED[@]}; i += 3)); do options+=(--speedup "${EXPECTED_SPEED[@]:i:3}"); done
    MAY_SKIP=1 run_step 'expected speed' "${RUN[training_dir]}_expected_speed.log" . \
        python "$(tool lib/expected.py)" "${logs[@]}" "${options[@]}"
}
