#!/usr/bin/env bash
# On a terminal, a running step has one line, `train  ⠋ 12 s  loss: 1.52  [Train][Epoch 2/16]…`: its name, the time, and
# the last line that it printed, the loss first, cut to the width. At its end another one stays, `passed   train  83.5 s
# norm_train.log`. All that it prints is in its log. In a pipe or a file, where CI is set, on a terminal without cursor
# movement (TERM=dumb) and with --verbose, all output is shown as it comes.
# The cursor is never hidden, and the process that draws ends with the script, also after a kill that no trap catches.

declare -A RUN STEP # see common_func.sh and record.sh

SCREEN=1    # the file descriptor of what only matters where all output is shown; see choose_screen
NOWHERE=''  # that of /dev/null, once it is needed
LIVE_PID='' # the process that draws the line
LIVE_PAUSE=0.3
ESCAPE=$'^(.*)\033\\[[0-9;?]*[[:alpha:]](.*)$'
STAMP='^\[[0-9/ :]+\] [A-Za-z_]+ INFO: (.*)$' # the time is in the line already
LOSS='(^|[^[:alnum:]_])(loss: [-+.0-9e]+)'

choose_screen() { # sets SCREEN: standard output, or a way to nowhere while one line stands for a step
    SCREEN=1
    [[ -t 1 && -z ${RUN[verbose]:-} && ${CI:-false} == false && ${TERM:-dumb} != dumb ]] || return 0
    [[ -n $NOWHERE ]] || exec {NOWHERE}>/dev/null
    SCREEN=$NOWHERE
}

start_live() { # LOG: draw the line of the running step until stop_live
    ((SCREEN != 1)) || return 0
    draw_live "$1" 2>/dev/null & # it may be ended in the middle of anything
    LIVE_PID=$!
    disown "$LIVE_PID" # nobody waits for it
}

stop_live() { # remove the line
    local tries
    [[ -n $LIVE_PID ]] || return 0
    kill "$LIVE_PID" 2>/dev/null
    # in a trap that came while bash waits for the step, another `wait` may never return
    for tries in {1..100}; do
        process_identity "$LIVE_PID" >/dev/null || break
        ((tries < 50)) || kill -KILL "$LIVE_PID" 2>/dev/null
        sleep 0.01
    done
    LIVE_PID=''
    printf '\r\033[K'
}

say_ended() { # RESULT NAME SECONDS LOG REASON: the line that stays, where the step had a live one
    local colour=33 off=$'\033[0m'
    ((SCREEN != 1)) || return 0
    case $1 in
        passed) colour=32 ;;
        failed) colour=31 ;;
    esac
    if [[ -n ${NO_COLOR:-} ]]; then colour='' off=''; else colour=$'\033['${colour}m; fi
    printf '%s%-7s%s  %s  %s s%s%s\n' "$colour" "$1" "$off" "$2" "$3" "${4:+  ${4##*/}}" "${5:+  $5}"
}

draw_live() { # LOG
    local columns signs sign=0 idle
    trap - EXIT INT TERM HUP
    trap measure_screen WINCH
    measure_screen
    signs='|/-\'
    [[ ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} != *[Uu][Tt][Ff]* ]] || signs=⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏
    exec {idle}<> <(:) # never has anything to read: a pause without a process
    while process_identity "$$" >/dev/null; do
        last_printed "$1"
        cut_to $((columns - 1)) "${STEP[name]}  ${signs:sign++ % ${#signs}:1} $(whole_seconds) s  $REPLY"
        printf '\r\033[K%s' "$REPLY" || return
        read -r -t "$LIVE_PAUSE" -u "$idle"
    done
}

measure_screen() { # sets columns
    { read -r _ columns < <(stty size <&3); } 3>&1
    ((columns > 0)) || columns=80
}

whole_seconds() { # since the step began
    local seconds
    seconds=$(elapsed "${STEP[start]}")
    echo "${seconds%.*}"
}

last_printed() { # LOG: sets REPLY to the last line that the step printed, without what a terminal would obey
    local -a lines
    local i
    REPLY=''
    mapfile -t lines < <(tail -c 2000 -- "$1" 2>/dev/null | tr '\r\000' '\n')
    for ((i = ${#lines[@]} - 1; i >= 0; i--)); do
        REPLY=${lines[i]}
        while [[ $REPLY =~ $ESCAPE ]]; do REPLY=${BASH_REMATCH[1]}${BASH_REMATCH[2]}; done
        REPLY=${REPLY//[[:cntrl:]]/}
        [[ ! $REPLY =~ $STAMP ]] || REPLY=${BASH_REMATCH[1]}
        [[ $REPLY == '# '* || ! $REPLY =~ [^[:space:]] ]] || break
        REPLY=''
    done
    # of a training this is what one looks for, and it may be far to the right
    [[ ! $REPLY =~ $LOSS ]] || REPLY="${BASH_REMATCH[2]}  $REPLY"
}

cut_to() { # COLUMNS TEXT: sets REPLY to its beginning that fits; what is not ASCII may take two columns
    local wide
    REPLY=${2:0:$1}
    wide=${REPLY//[[:ascii:]]/}
    while ((${#REPLY} + ${#wide} > $1 && ${#REPLY} > 0)); do
        REPLY=${REPLY%?}
        wide=${REPLY//[[:ascii:]]/}
    done
}
