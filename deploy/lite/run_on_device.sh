#!/usr/bin/env bash
# Run the demo with an ARM model: on a device that adb sees, or here, emulated by qemu-aarch64 where this machine has
# another processor.
#
#   bash deploy/lite/run_on_device.sh adb PROGRAM LIBRARY.so FOLDER_ON_DEVICE MODEL.nb DEMO_FOLDER THREADS BATCH_SIZE \
#       SCORES
#   bash deploy/lite/run_on_device.sh qemu|here deploy/lite PADDLE_LITE_LIB RUN_FOLDER MODEL.nb DEMO_FOLDER THREADS \
#       BATCH_SIZE SCORES
#
# With qemu or here, the program is built first, in RUN_FOLDER, for the library. DEMO_FOLDER has config.txt, images.txt and
# what they name. The program's lines are printed; SCORES gets all scores of all images, as float32.
# Exit code: 0, that of the command that failed, or 1 for files that are missing.

set -uo pipefail

main() {
    (($# == 9)) || stop "expected 9 words (see the head of this script), found $#"
    local way=$1 fresh
    shift
    fresh=$(mktemp -d) || stop "no temporary folder can be made"
    # shellcheck disable=SC2064 # its name now
    trap "rm -rf '$fresh'" EXIT
    [[ -f $5/config.txt ]] || stop "$5/config.txt: missing; the step 'convert demo' writes it"
    cp -r "$5/." "$fresh" && cp "$4" "$fresh/" && rm -f "$fresh/inputs.npz" || exit
    sed -i "s/^num_threads .*/num_threads $6/; s/^batch_size .*/batch_size $7/" "$fresh/config.txt" || exit
    rm -f "$8"
    case $way in
        adb) run_on_device "$1" "$2" "${3%/}" "$fresh" "$8" ;;
        qemu | here) run_here "$way" "$1" "$2" "$3" "$fresh" "$8" ;;
        *) stop "expected adb, qemu or here, found '$way'" ;;
    esac
}

stop() { # MESSAGE
    printf 'error: %s\n' "$*" >&2
    exit 1
}

run_on_device() { # PROGRAM LIBRARY FOLDER FILES SCORES
    local name=${1##*/}
    cp "$1" "$2" "$4/" || exit
    adb shell "mkdir -p '$3' && rm -f '$3/scores.bin'" || stop "adb cannot make $3"
    adb push "$4/." "$3/" || stop "adb cannot copy to $3"
    adb shell "cd '$3' && chmod +x '$name' && LD_LIBRARY_PATH=. './$name' config.txt images.txt scores.bin" ||
        stop "$name ended with exit code $? on the device"
    adb pull "$3/scores.bin" "$5" || stop "the device has left no scores"
}

run_here() { # WAY SOURCES LIBRARY BUILD_FOLDER FILES SCORES
    local scores build library
    local -a tools=(CXX=aarch64-linux-gnu-g++) runner=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
    [[ $1 == qemu ]] || tools=() runner=()
    scores=$(realpath "$6") && mkdir -p "$4" && build=$(realpath "$4") && library=$(realpath "$3") || exit
    make -s -C "$2" linux "${tools[@]}" LITE_LIB="$library" BUILD="$build" >&2 || stop "the demo cannot be built for $3"
    cd "$5" || exit
    LD_LIBRARY_PATH=$library/cxx/lib "${runner[@]}" ${runner[0]+-E "LD_LIBRARY_PATH=$library/cxx/lib"} \
        "$build/clas_system_linux" config.txt images.txt "$scores"
}

main "$@"
