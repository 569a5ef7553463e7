#!/usr/bin/env bash
# Everything that the result of a run depends on, as a list of files with their hashes. Sourced by common_func.sh.

declare -A RUN # see common_func.sh

# The parts of test_tipc/ that read or show what a run left, or that come before it
ASIDE=(check_submission.sh lint_config.sh doctor.sh new_model.sh ci lib/audit lib/page lib/lint lib/doctor lib/new_model
    lib/check_submission.py lib/run_lint.py lib/examine.py lib/new_config.py)
# Files that no result depends on: documents, evidence, tests, and what runs leave; and files that count only if the
# model's own config names them. All other files count, so that a new or moved file cannot be forgotten here.
NOT_CODE=(docs test_log tests test_tipc/docs test_tipc/configs test_tipc/results test_tipc/output ppcls_lite/configs
    pretrain_models tools/tables test_tipc/lib/certified_versions.tsv deploy/models dataset output inference log
    tools/suite tools/to_paddleclas.py tools/templates tools/new_model.py tools/model_files.py tools/model_names.py
    tools/list_parts.py "${ASIDE[@]/#/test_tipc/}")
# What counts of the files that git does not know: not what programs and people write while a run goes on
PROGRAM_FILES='*.@(py|so|sh|c|cc|cpp|cu|h)'
SETTING_FILES='*.@(yaml|yml|toml|cfg|ini)'
REPLACED=test_tipc_replaced.txt # in a folder of data: its line says in place of which data they are
MANY_FILES=2000 # a folder of data with more files counts by their names, sizes and times

list_inputs() { # CONFIG: print mode, versions and GPUs as comments, then the files as sha256sum prints them
    printf '# %s\n' "mode: ${RUN[mode]}" "versions: ${RUN[versions]}" "gpus: ${RUN[gpus]}" "test_tipc: $(hash_of_tool)"
    named_paths "$1" | LC_ALL=C sort -zu | {
        local path
        # shellcheck disable=SC2030 # add_code_of and add_folder, called below, add to it
        local -a files=("$1")
        while IFS= read -r -d '' path; do
            if [[ -d $path ]]; then add_folder "$path"; else files+=("$path"); fi
        done
        while IFS= read -r -d '' path; do
            if [[ -d $path ]]; then add_code_of "${path%/}"; else files+=("$path"); fi
        done < <(code_files)
        printf '%s\0' "${files[@]}" | LC_ALL=C sort -zu | xargs -0 sha256sum -- 2>&1
    }
    printf '# end\n' # only a list that was written to its end counts
}

short_hash() { # of standard input
    sha256sum | cut -c -12
}

hash_of() { # PATH...: the hash of the first that is there: of a file, or of all files in a folder; none where none is
    local path
    for path in "$@"; do
        if [[ -d $path ]]; then
            (cd "$path" && find -L . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | short_hash
        elif [[ -f $path ]]; then
            short_hash <"$path"
        else
            continue
        fi
        return
    done
    echo none
}

is_in_repository() { # FOLDER: whether it is a git repository, or one has files there; an unrelated one may be around it
    [[ -n $(git -C "$1" ls-files -- . 2>/dev/null | head -n 1) ]] ||
        [[ $(git -C "$1" rev-parse --show-toplevel 2>/dev/null) == "$(cd "$1" && pwd -P)" ]]
}

hash_of_tool() { # of the scripts of test_tipc/ that a run needs, wherever they are
    local path
    local -a aside=()
    for path in "${ASIDE[@]}"; do aside+=(-o -path "$path" -o -path "./$path"); done
    (cd "$TIPC" && find ./*.sh ./*.py lib \( -name __pycache__ -o -name certified_versions.tsv "${aside[@]}" \) -prune \
        -o -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum) | short_hash
}

code_files() { # print all other files but NOT_CODE, Markdown and logs, and links to folders; zero-terminated
    local path
    local -a not_code=("${NOT_CODE[@]}")
    ! is_mode "${RUN[mode]}" || not_code+=(deploy/paddleserving deploy/serving_cpp deploy/paddle2onnx deploy/lite deploy/cpp)
    # folders of runs are known by their names: TIPC_OUTPUT may be any folder here, and code may be beside them
    for path in "${MODES[@]}" "${DEPLOYMENTS[@]}" .run_all; do not_code+=("*/$path" "*/$path.lock*"); done
    if is_in_repository .; then
        git ls-files -z --cached -- . ':!*.md' ':!*.log' "${not_code[@]/#/:!}"
        untracked_code "${not_code[@]/#/:!}"
    else
        local -a skipped=(-name '.?*' -o -name __pycache__)
        for path in "${not_code[@]}"; do skipped+=(-o -path "./$path"); done
        find . \( "${skipped[@]}" \) -prune -o \( -type l -o -type f \) -printf '%P\0' |
            keep_code "$PROGRAM_FILES" "$SETTING_FILES"
    fi
}

untracked_code() { # PATHSPEC...: print the programs and settings here that git does not know; zero-terminated
    local path
    # not --exclude-standard: what only this user's git ignores is code
    local -a others=(git ls-files -z --others --exclude-per-directory=.gitignore)
    local -a kept=(-- . ':(exclude,glob)**/.*' ':(exclude,glob)**/.*/**' "$@")
    "${others[@]}" "${kept[@]}" | keep_code "$PROGRAM_FILES"
    # settings in a folder of which git knows nothing are what an export wrote beside its model
    "${others[@]}" --directory --no-empty-directory "${kept[@]}" | grep -zv '/$' | keep_code "$SETTING_FILES"
}

keep_code() { # PATTERN...: of zero-terminated paths, print those that fit one, and folders: links, and inner repositories
    local path pattern
    while IFS= read -r -d '' path; do
        for pattern in "$@"; do
            # shellcheck disable=SC2053 # it is a pattern
            [[ $path != $pattern && ! -d $path ]] || { printf '%s\0' "$path" && break; }
        done
    done
}

# -------------------------------------------------------------------------------- files and folders that a config names

named_paths() { # CONFIG: print what its words name, and the words of the YAML files among them; zero-terminated
    config_words "$1" | paths_of_words
}

paths_of_words() { # print what the words on standard input name, and the words of the YAML files among them; as above
    local path
    local -a words yaml=()
    mapfile -t words < <(LC_ALL=C sort -u)
    while IFS= read -r -d '' path; do
        printf '%s\0' "$path"
        [[ $path != *.y*ml ]] || yaml+=("$path")
    done < <(paths_of "${words[@]}")
    ((${#yaml[@]} > 0)) || return 0
    mapfile -t words < <(yaml_words "${yaml[@]}" | LC_ALL=C sort -u)
    paths_of "${words[@]}"
}

see_replaced_data() { # WORD... of a command: sets REPLY to what the file in a folder of theirs, or of their YAML files, says
    local path
    local -a paths yaml=() words
    mapfile -d '' -t paths < <(paths_of "$@")
    for path in "${paths[@]}"; do [[ $path != *.y*ml ]] || yaml+=("$path"); done
    if ((${#yaml[@]} > 0)); then
        mapfile -t words < <(yaml_words "${yaml[@]}" | LC_ALL=C sort -u)
        mapfile -d '' -t -O "${#paths[@]}" paths < <(paths_of "${words[@]}")
    fi
    for path in "${paths[@]}"; do
        [[ -f $path/$REPLACED ]] && IFS= read -r REPLY <"$path/$REPLACED" && return
    done
    return 1
}

config_words() { # CONFIG: the words of its values, and their parts between bars, equals signs, colons and commas
    (read_config "$1" 2>/dev/null && printf '%s\n' "${LINE_TEXT[@]}") | words_of_lines
}

words_of_lines() { # of the lines on standard input
    local text
    while IFS= read -r text; do
        split_words "${text//|/ }" || read -r -a WORDS <<<"$text"
        printf '%s\n' "${WORDS[@]}" "${WORDS[@]#*:}" "${WORDS[@]#-c}" "${WORDS[@]//[=:,]/$'\n'}"
    done
}

resolved_config() { # CONFIG: print its lines with the values of this mode: number, section, key and value, between tabs
    local i
    if (read_config "$1") 2>/dev/null; then
        resolved_sections "$1"
    else # in a form of its own, whose lines the chain has read
        for i in "${!LINE_NUMBER[@]}"; do
            config_line "${LINE_NUMBER[i]}" '' "${LINE_KEY[i]}" "${LINE_VALUE[i]}"
        done
    fi
}

resolved_sections() { # CONFIG: the same of one that read_config reads; the chain's own variables stay as they are
    local b i section='' CONFIG_FILE LAST_LINE REPLY
    local -a BLOCK_TITLE BLOCK_FIRST BLOCK_LINES LINE_TEXT LINE_NUMBER LINE_KEY LINE_VALUE CONFIG_NOTES FIELDS ENTRIES
    read_config "$1"
    for b in "${!BLOCK_TITLE[@]}"; do
        section=${BLOCK_TITLE[b]:-$section}
        for ((i = BLOCK_FIRST[b]; i < BLOCK_FIRST[b] + BLOCK_LINES[b]; i++)); do
            take_mode "${LINE_VALUE[i]}" "${RUN[mode]}" || REPLY=null
            config_line "${LINE_NUMBER[i]}" "$section" "${LINE_KEY[i]}" "$REPLY"
        done
    done
}

config_line() { # NUMBER SECTION KEY VALUE: print them, with tabs between
    local IFS=$'\t'
    local -a cells=("${@//[[:cntrl:]]/ }")
    printf '%s\n' "${cells[*]}"
}

paths_of_config() { # LINES of resolved_config: print what their values name, a path per line
    cut -f 3- "$1" | tr '\t' ':' | words_of_lines | paths_of_words | tr '\0' '\n'
}

yaml_words() { # FILE...: their values, and the words of these, without comments, quotes and brackets
    local values
    values=$(sed 's/^[[:space:]]*#.*//; s/[[:space:]]#.*//; s/^[[:space:]-]*[A-Za-z_0-9]*:\([[:space:]]\|$\)//' "$@")
    # whole values: the name of a file may have blanks
    sed 's/^[[:space:]]*//; s/[[:space:]]*$//; s/^\(["'\'']\)\(.*\)\1$/\2/' <<<"$values"
    tr -s '"'\''[]{},: \t' '\n' <<<"$values"
}

paths_of() { # WORD...: print the files and folders that they name, seen from the root or from deploy; zero-terminated
    local word path
    local -a there=()
    for word in "$@"; do
        if is_address "$word"; then see_place "$word" && word=$REPLY; fi
        for path in "$word" "$word.pdparams" "deploy/$word" "${word/#ppcls\//ppcls_lite/}"; do
            [[ -z $word || ! -e $path ]] || there+=("$path")
        done
    done
    ((${#there[@]} > 0)) || return 0
    realpath -z --relative-base=. -- "${there[@]}" | LC_ALL=C sort -zu | while IFS= read -r -d '' path; do
        if [[ -f $path ]] || is_data_folder "$path"; then printf '%s\0' "$path"; fi
    done
}

is_data_folder() { # PATH without links, from the root if it is inside: no folder of runs, and none that holds this repository
    local name
    [[ -d $1 && $1 != . && $1 != / && $(pwd -P) != "$1"/* ]] || return
    for name in .git output inference log test_log test_tipc/output deploy/models; do
        [[ $1/ != "$name"/* ]] || return
    done
}

add_code_of() { # FOLDER: a link, or a repository inside this one: add its programs and settings to `files`, but no data
    local -a contents
    mapfile -d '' -t contents < <(find -L "$1" \( -name .git -o -samefile "${RUN[output_root]}" \) -prune \
        -o -type f -print0 2>/dev/null | keep_code "$PROGRAM_FILES" "$SETTING_FILES")
    # shellcheck disable=SC2031 # of list_inputs, which calls this
    files+=("${contents[@]}")
}

add_folder() { # FOLDER: add its files to `files`, or print their names, sizes and times where there are many of them
    # what a run itself leaves there: its output, and an INT8 model in the folder of the exported one
    local -a contents look=(find -L "$1" \( -samefile "${RUN[output_root]}" -o -name "${RUN[mode]}"
        -o -name quant_post_static_model \) -prune -o -type f)
    mapfile -d '' -t contents < <("${look[@]}" -print0 2>/dev/null)
    if ((${#contents[@]} <= MANY_FILES)); then
        files+=("${contents[@]}")
    else
        "${look[@]}" -printf '# data: %s %T@ %p\n' 2>/dev/null | LC_ALL=C sort
    fi
}
