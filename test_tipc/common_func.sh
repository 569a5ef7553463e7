#!/usr/bin/env bash
# The one file that every script of test_tipc/ sources: what they share is in lib/, one file per subject; the functions
# that official scripts expect here are in lib/official.sh. Shell options and traps stay those of the script that sources
# it, which may be an official one: our own say `set -uo pipefail` themselves. Needs bash 4.4 and Linux.
#
# The facts of a run are in one array, RUN, under these names; reading a name that was not set ends the script:
#   config mode model              the config's path, the mode, and the model that the config names
#   stage stop_stage evidence …    the options of the command line, without their dashes
#   output_root output_dir         the folder of all runs, and that of this run
#   results lock                   the record of this run in the official form, and its lock
#   python versions gpus           the interpreter, what it has, and how many GPUs can be used
#   commit tool                    the commit of the project, and that of this tool
#   inputs facts                   the hash of all that the run depends on; what every step notes: that, and the commit
#   infer_folder                   where the config's inference command is run
#   gpu autocast tag training_dir  the current training, the name of its logs, and its folder
#   train_field train_options export_field weights    the fields of its commands, and its weights

unset CDPATH # it makes `cd` go elsewhere and print the folder

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    echo "error: bash 4.4 or newer is needed, this is $BASH_VERSION" >&2
    exit 1
fi

set +o posix # which POSIXLY_CORRECT turns on
unset POSIXLY_CORRECT
# in a hook of git, or by hand: they make git speak of another repository
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_PREFIX GIT_NAMESPACE
TIPC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) # the tool: this folder
ROOT=${TIPC%/*}                                    # the project under test; --project names another one
MODES=(lite_train_lite_infer lite_train_whole_infer whole_infer whole_train_whole_infer)
# the chains that begin with an exported model have a mode each
DEPLOYMENTS=(serving_infer serving_infer_cpp paddle2onnx_infer lite_arm_cpu_cpp cpp_infer)
declare -A RUN

if [[ ! -e /dev/fd/1 ]]; then
    echo "error: standard output is closed: nobody would see what happened" >&2
    exit 1
fi

die() { # MESSAGE: print one line on standard error and exit
    printf 'error: %s\n' "$*" >&2
    exit 1
}

cannot_here() { # REASON: print one line and exit as what this machine cannot do
    printf 'skipped: %s\n' "$*"
    exit 77
}

# shellcheck source=test_tipc/lib/config.sh
source "$TIPC/lib/config.sh"
# shellcheck source=test_tipc/lib/addresses.sh
source "$TIPC/lib/addresses.sh"
# shellcheck source=test_tipc/lib/official.sh
source "$TIPC/lib/official.sh"
# shellcheck source=test_tipc/lib/dialects.sh
source "$TIPC/lib/dialects.sh"
# shellcheck source=test_tipc/lib/command.sh
source "$TIPC/lib/command.sh"
# shellcheck source=test_tipc/lib/declared.sh
source "$TIPC/lib/declared.sh"
# shellcheck source=test_tipc/lib/options.sh
source "$TIPC/lib/options.sh"
# shellcheck source=test_tipc/lib/lock.sh
source "$TIPC/lib/lock.sh"
# shellcheck source=test_tipc/lib/live.sh
source "$TIPC/lib/live.sh"
# shellcheck source=test_tipc/lib/process.sh
source "$TIPC/lib/process.sh"
# shellcheck source=test_tipc/lib/record.sh
source "$TIPC/lib/record.sh"
# shellcheck source=test_tipc/lib/inputs.sh
source "$TIPC/lib/inputs.sh"
# shellcheck source=test_tipc/lib/environment.sh
source "$TIPC/lib/environment.sh"
# shellcheck source=test_tipc/lib/chain.sh
source "$TIPC/lib/chain.sh"
