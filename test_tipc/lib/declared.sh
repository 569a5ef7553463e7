#!/usr/bin/env bash
# What a script of the project says of itself, in lines at its head such as
#   # test_tipc: predict=tools/infer.py compare=tools/compare_engines.py
# so that the chain knows by the file itself, never by its name, what it can do with it. Sourced by common_func.sh.
#
#   predict=FILE   of an evaluation script: FILE, with the same options, predicts with the training engine
#   compare=FILE   of an evaluation script: FILE compares a whole list; of an inference script: its log can be compared
#   int8=FILE      of a script that makes an INT8 model: FILE, with the same options, compares it with its network
#   outputs=embeddings   of an inference script: the rows of its model's outputs are embeddings of any length, no scores
#   engines=onnx   it needs Paddle2ONNX and what runs its files (prepare.sh installs them)
#   formats=any    it writes or reads the format of exported models that is usual for the Paddle at hand
#   skips=77       its exit code 77 says that what is requested would not be in effect here
#   modules=A,B    what must be installed
#   data=FILE      FILE makes its data
#   says=errors    of test_tipc/prepare_data.sh: where it fails, it says why in one line of its own

script_of_command() { # [FOLDER]: print the first word of COMMAND that is a Python file there
    local word
    for word in "${COMMAND[@]:1}"; do
        [[ $word == *.py && -f ${1:-.}/$word ]] && echo "$word" && return
    done
    return 1
}

declared() { # NAME FILE: print what the file declares under that name; fails where it declares nothing
    local line word number=0
    while IFS= read -r line && ((number++ < 60)); do
        [[ $line == '# test_tipc: '* ]] || continue
        read -r -a WORDS <<<"${line#*: }"
        for word in "${WORDS[@]}"; do
            [[ $word == "$1="* ]] && echo "${word#*=}" && return
        done
    done <"$2"
    return 1
}

field_declares() { # FIELD NAME [FOLDER]: the same of the script in that command of the config, which runs in the folder
    local script
    local -a COMMAND
    is_set "$1" && begin_command "$1" && script=$(script_of_command "${3:-.}") && declared "$2" "${3:-.}/$script"
}

config_declares() { # NAME: print what each script of the config declares under that name, a line per command; after read_config
    local value folder script
    local -a COMMAND folders=(.)
    ! folder=$(value_of serving_dir) || folders+=("$folder") # where a service and its clients are run
    for value in "${LINE_VALUE[@]}"; do
        if ! take_mode "$value" "${RUN[mode]}" || ! split_words "python $REPLY"; then continue; fi
        COMMAND=("${WORDS[@]}")
        for folder in "${folders[@]}"; do
            ! script=$(script_of_command "$folder") || declared "$1" "$folder/$script"
        done
    done
}
