#!/usr/bin/env bash
# The images that a chain of C++ inference predicts and compares. Sourced after common_func.sh.

declare -A RUN VALUE # see common_func.sh and config.sh

MOST_IMAGES=64 # what each of them goes through is kept and compared; more of a folder would only take longer

find_cpp_images() { # sets RUN[images]: what the config names, several images in any case; fails where there are none
    local place=${VALUE[images]:-test_images}
    local -a found
    if [[ ! -e $place ]]; then
        echo "note: there is no $place; predicting test_images"
        place=test_images
    fi
    RUN[images]=$place
    if [[ -d $place ]]; then
        images_below "$place"
        ((${#found[@]} > MOST_IMAGES)) || { ((${#found[@]} > 0)) && return; }
        ((${#found[@]} > 0)) || { echo "error: there are no images in $place" && return 1; }
        echo "note: of the ${#found[@]} images in $place, $MOST_IMAGES are predicted, in equal steps"
    elif is_image "$place"; then
        images_below "$(dirname -- "$place")"
        echo "note: one image cannot show whether the answers depend on the image: those beside $place are predicted, too"
    else
        return 0 # a list file
    fi
    write_image_list "$place"
}

images_below() { # FOLDER: sets `found` of the caller
    mapfile -t found < <(find -L "$1" -type f -print 2>/dev/null |
        grep -i -E '\.(jpe?g|png|bmp|webp|tiff?|p[pg]m)$' | LC_ALL=C sort)
}

is_image() { # PATH
    [[ -f $1 && ${1,,} =~ \.(jpe?g|png|bmp|webp|tiff?|p[pg]m)$ ]]
}

write_image_list() { # FIRST, and `found` of the caller: at most MOST_IMAGES, in equal steps
    local list=${RUN[output_dir]}/images.txt i
    local step=$(((${#found[@]} + MOST_IMAGES - 1) / MOST_IMAGES))
    {
        ! is_image "$1" || realpath -- "$1"
        for ((i = 0; i < ${#found[@]}; i += step)); do
            [[ ${found[i]} -ef $1 ]] || realpath -- "${found[i]}"
        done
    } >"$list" || die "$list: cannot be written"
    RUN[images]=$list
}
