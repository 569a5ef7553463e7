#!/usr/bin/env bash
# The gallery of a recogniser's service: a config of the serving chain may have a line `gallery:COMMAND` behind that of the
# images. COMMAND makes a gallery with the exported model, as deploy/python/build_gallery.py does; then each device has a
# second variant, whose service answers names and scores from it.
# Sourced after serving_config.sh. More names of RUN and VARIANT:
#   RUN[gallery]           the gallery's folder
#   VARIANT[gallery]       the same where the variant answers from it, or empty

declare -A RUN VALUE VARIANT STEP # see common_func.sh, config.sh, serving_config.sh and record.sh
declare -a COMMAND VARIANTS       # see command.sh and serving_config.sh

GALLERY_DIR=IndexProcess.index_dir # the key of its folder: of COMMAND, of the service's operator and of the comparison

add_gallery_variants() { # to VARIANTS, where the config has the line
    local name
    is_set gallery || return 0
    for name in "${DEVICES[@]}"; do VARIANTS+=("gallery_$name"); done
}

choose_gallery() { # NAME of VARIANTS: sets VARIANT[gallery]
    RUN[gallery]=${RUN[output_dir]}/gallery
    VARIANT[gallery]=''
    [[ $1 != gallery_* ]] || VARIANT[gallery]=${RUN[gallery]}
}

make_gallery() { # of the exported model
    is_set gallery && in_stage 2 || return 0
    choose_gallery ''
    begin_command gallery
    COMMAND+=(-o "Global.inference_model_dir=${RUN[model_dir]}" -o "$GALLERY_DIR=${RUN[gallery]}")
    FACTS=$(model_fact) EXPECT=new_gallery run_step gallery "${RUN[output_dir]}/gallery.log" . "${COMMAND[@]}"
}

leave_out_gallery() { # what needs it
    local name
    for name in "${DEVICES[@]}"; do
        not_run "server gallery_$name" "client gallery_$name" "agree gallery_$name" "the gallery was not made"
    done
    VARIANTS=("${DEVICES[@]}")
}

new_gallery() { # EXPECT of gallery
    if is_new "${RUN[gallery]}"; then
        STEP[facts]+=" $(gallery_fact)"
        return
    fi
    STEP[reason]="it wrote nothing to ${RUN[gallery]}"
    return 1
}

served_fact() { # print what a step notes that asks the service: the converted model, and the gallery that it searches
    echo "$(service_fact)${VARIANT[gallery]:+ $(gallery_fact)}"
}

gallery_fact() { # print what a step that searches the gallery notes
    echo "gallery=$(hash_of "${RUN[gallery]}")"
}
