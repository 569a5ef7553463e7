#!/usr/bin/env bash
# What all chains share: options, output folder, preparation, summary and evidence.

declare -A RUN       # see common_func.sh
declare -a ARTEFACTS=() # the weights and models that the run makes or certifies
declare -a STAGES=() # set by the chain: the names of the steps of each stage, with | between them; stage 0 is prepare

parse_chain_options() { # OPTION... -- "$@" of a chain: its own options (see parse_options), and those that all chains have
    local last=$((${#STAGES[@]} - 1))
    local stage="[0-$last]=a stage from 0 to $last"
    parse_options "--stage=$stage" "--stop_stage=$stage" --evidence --verbose "$@"
    choose_project
    RUN[stage]=${RUN[stage]:-0} RUN[stop_stage]=${RUN[stop_stage]:-$last}
    ((RUN[stage] <= RUN[stop_stage])) || die "--stop_stage ${RUN[stop_stage]} comes before --stage ${RUN[stage]}"
    choose_output
}

is_mode() { # NAME: of the base chain
    is_one_of "$1" "${MODES[@]}"
}

is_deployment() { # NAME: the mode of a chain that begins with an exported model
    is_one_of "$1" "${DEPLOYMENTS[@]}"
}

is_one_of() { # NAME WORD...
    local word
    # a bare return in a trap gives the status of what was interrupted
    for word in "${@:2}"; do [[ $word == "$1" ]] && return 0; done
    return 1
}

choose_project() { # sets ROOT to the folder of --project
    [[ -n ${RUN[project]:-} ]] || return 0
    ROOT=$(cd "${RUN[project]}" 2>/dev/null && pwd) || die "--project: expected a folder, found '${RUN[project]}'"
}

choose_output() { # sets RUN[output_root]: TIPC_OUTPUT as seen from the working folder, or the usual one
    RUN[output_root]=${TIPC_OUTPUT:-test_tipc/output}
    [[ ${RUN[output_root]} != *[[:cntrl:]]* ]] || die "TIPC_OUTPUT: a folder's name must not have control characters"
    [[ -z ${TIPC_OUTPUT:-} || ${RUN[output_root]} == /* ]] || RUN[output_root]=$PWD/${RUN[output_root]}
}

find_config() { # PATH, from the working folder or else from the project: sets RUN[config]; enters the project
    local at=$1
    [[ -e $at || ! -e $ROOT/$at ]] || at=$ROOT/$at
    [[ $at == /* || ! -e $at ]] || at=$PWD/$at
    RUN[config]=${at#"$ROOT/"}
    cd "$ROOT" || die "$ROOT: cannot be entered"
    check_text_file "${RUN[config]}"
}

in_stage() { # NUMBER
    (($1 >= RUN[stage] && $1 <= RUN[stop_stage]))
}

begin_chain() { # RECORD COMMAND...: open the output folder and its record, and prepare; exit if that was all
    open_output "${RUN[output_root]}/${RUN[model]}/${RUN[mode]}"
    if ((RUN[stage] == 0)); then
        start_record "${RUN[output_dir]}/$1"
    else
        continue_record "${RUN[output_dir]}/$1" "$(IFS='|' && echo "${STAGES[*]:RUN[stage]}")"
    fi
    ! in_stage 0 || prepare "${@:2}" || exit
    ((RUN[stop_stage] > 0)) || exit 0
    find_python
    describe_environment
}

note_inputs() { # list what the run depends on; sets RUN[inputs] and RUN[facts]
    local list=${RUN[output_dir]}/inputs.sha256
    local -a changed
    replace_file "$list.now" list_inputs "${RUN[config]}"
    if [[ -s $list ]] && ! cmp -s "$list" "$list.now"; then
        mapfile -t changed < <(changes "$list" "$list.now")
        echo "note: this is not what the earlier stages saw, so the run cannot pass as one; changed: ${changed[*]:0:5}"
    fi
    mv "$list.now" "$list" || die "$list: cannot be written; is the disk full?"
    replace_file "${RUN[output_dir]}/.config.tsv" resolved_config "${RUN[config]}"
    replace_file "${RUN[output_dir]}/.named_paths" paths_of_config "${RUN[output_dir]}/.config.tsv"
    RUN[inputs]=$(short_hash <"$list")
    RUN[facts]="inputs=${RUN[inputs]} commit=${RUN[commit]%% *}"
}

check_inputs() { # a run whose code or data changed meanwhile is of no one state; recorded as a failed step
    local list=${RUN[output_dir]}/inputs.sha256 changed
    replace_file "$list.now" list_inputs "${RUN[config]}"
    changed=$(changes "$list" "$list.now" | head -n 1)
    rm -f "$list.now"
    [[ -z $changed ]] || record inputs failed 0 "${RUN[facts]}" '' "changed while the run went on: $changed"
}

changes() { # LIST LIST: print the files that differ
    diff "$1" "$2" | sed -n 's/^[<>] \([0-9a-f]\{64\}  \|# \)//p' | LC_ALL=C sort -u
}

prepare() { # COMMAND...: as a recorded step
    local status
    echo "==== prepare ===="
    begin_step prepare ''
    run_in_group 1 2 "$@"
    status=$?
    case $status in
        0) end_step passed '' ;;
        77) end_step skipped "the line above says what this machine does not have" ;;
        *) end_step failed "exit code $status" && status=1 ;;
    esac
    return "$status"
}

summarise() { # write and print the summary; fail unless the run passed
    local status=0
    [[ -n ${RUN[versions]:-} ]] || return
    write_summary || status=$?
    draw_report
    cat "${RUN[output_dir]}/summary.txt" || status=1
    return "$status"
}

chain_name() { # print it: `serving` of test_serving.sh
    local name=${0##*/}
    name=${name#test_}
    echo "${name%.sh}"
}

write_summary() { # report.py judges, and writes the bundle
    "${RUN[python]}" "$TIPC/lib/report.py" "${RUN[output_dir]}" --model "${RUN[model]}" --mode "${RUN[mode]}" \
        --chain "$(chain_name)" --config "${RUN[config]:-}" --versions "${RUN[versions]}" --commit "${RUN[commit]}" \
        --tool "${RUN[tool]}" --inputs "${RUN[inputs]:-}" \
        --artefacts "${ARTEFACTS[@]}" >"${RUN[output_dir]}/summary.txt"
}

finish() { # keep evidence of a run that passed, print the summary, and exit: 77 where the model could not be run here
    local status=0
    RUN[tag]=''
    check_inputs
    write_summary || status=$?
    # a run with its own TIPC_OUTPUT is an experiment, unless evidence is requested
    if ((status == 0)) && [[ -n ${RUN[evidence]} || -z ${TIPC_OUTPUT:-} ]] && is_certified && ! keep_evidence; then
        write_summary
        status=1
    fi
    draw_report
    cat "${RUN[output_dir]}/summary.txt" || status=1
    exit "$status"
}

draw_report() { # report.html and report.md beside the bundle; a page that cannot be drawn is no fault of the run
    "${RUN[python]}" "$TIPC/lib/page/report.py" "${RUN[output_dir]}" --try
}

is_certified() { # whether the run passed as a whole
    "${RUN[python]}" "$TIPC/lib/certificate.py" "${RUN[output_dir]}" >/dev/null
}

keep_evidence() { # what could not be kept is a failure of the run
    local said
    if said=$("${RUN[python]}" "$TIPC/lib/evidence.py" "${RUN[output_dir]}" --model "${RUN[model]}" \
        --mode "${RUN[mode]}" ${RUN[evidence]:+--renew} 2>&1); then
        [[ -z $said ]] || printf '%s\n' "$said"
        [[ -n $said ]] && grep -qv ' is kept as it is; ' <<<"$said" || return 0 # nothing is new
        "${RUN[python]}" "$TIPC/lib/page/index.py" test_log --try
    else
        record evidence failed 0 "${RUN[facts]}" '' "$said"
        return 1
    fi
}

prepare_project() { # with --project_prepare, the project's own official test_tipc/prepare.sh; what it cannot do is said
    local script=test_tipc/prepare.sh
    if [[ -z ${RUN[project_prepare]:-} ]] || ! in_stage 0; then
        return
    elif [[ ! -f $script || $script -ef $TIPC/prepare.sh ]]; then
        skip_step project_prepare "the project has no test_tipc/prepare.sh of its own"
    else
        PATH=${RUN[python]%/*}:$PATH MAY_FAIL=1 run_step project_prepare "${RUN[output_dir]}/project_prepare.log" . \
            bash "$script" "${RUN[config]}" "${RUN[mode]}"
    fi
}
