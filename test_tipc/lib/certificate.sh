#!/usr/bin/env bash
# A hash of everything that the result of a chain depends on. Sourced after common_func.sh.

declare -A RUN # see common_func.sh

# Files that no result depends on: documents, evidence, tests; and files that count only if the model's own config names
# them. All other files count, so that a new or moved file cannot be forgotten here.
NOT_CODE=(docs test_log tests test_tipc/docs test_tipc/configs test_tipc/output ppcls_lite/configs pretrain_models
    tools/tables deploy/paddleserving deploy/models dataset output inference nohup.out)

certificate() { # CONFIG
    {
        printf '%s\n' "${RUN[mode]}" "${RUN[versions]}" "${RUN[gpus]}"
        cat "$1"
        { code_files && named_files "$1"; } | LC_ALL=C sort -zu | xargs -0 sha256sum
    } 2>&1 | sha256sum
}

code_files() { # print all files but NOT_CODE, Markdown and logs, committed or not; zero-terminated
    local path
    local -a not_code=("${NOT_CODE[@]}")
    [[ ${RUN[output_root]} != "$ROOT"/* ]] || not_code+=("${RUN[output_root]#"$ROOT/"}")
    if [[ $(git rev-parse --show-toplevel 2>/dev/null) == "$ROOT" ]]; then
        git ls-files -z --cached --others --exclude-standard -- . ':!*.md' ':!*.log' "${not_code[@]/#/:!}"
    else
        local -a skipped=(-name .git -o -name '.venv*' -o -name __pycache__)
        for path in "${not_code[@]}"; do skipped+=(-o -path "./$path"); done
        find . \( "${skipped[@]}" \) -prune -o -type f ! -name '*.md' ! -name '*.log' -print0
    fi
}

named_files() { # CONFIG: print the files that its words name, such as scripts, YAML and weights; zero-terminated
    local word path
    config_words "$1" | LC_ALL=C sort -u | while IFS= read -r word; do
        for path in "$word" "deploy/$word" "${word/#ppcls\//ppcls_lite/}" "$(provided_path "$word")"; do
            [[ ! -f $path ]] || printf '%s\0' "$path"
        done
    done
}

config_words() { # CONFIG: the parts of its lines between blanks, colons, bars and equals signs, one a line
    (read_config "$1" 2>/dev/null && printf '%s\n' "${LINE_TEXT[@]}") | tr -s '|=: \t' '\n'
}

provided_path() { # WORD of a config: print the path of the weights of an address
    [[ $1 != //* ]] || echo "pretrain_models/${1##*/}"
}
