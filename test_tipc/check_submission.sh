#!/usr/bin/env bash
# Audit evidence from its files alone: what a reviewer checks, without Paddle, without a network, in seconds.
#
#   bash test_tipc/check_submission.sh [BUNDLE... or REPOSITORY] [--json FILE] [--allow_stale] [--compare OTHER_BUNDLE]
#   bash test_tipc/check_submission.sh test_log/MobileNetV3_small_x1_0
#
# BUNDLE is a folder with a bundle.json: the output of a run (test_tipc/output/<model>/<mode>), or a folder of test_log.
# REPOSITORY is a folder with a test_tipc or a test_log, ours or another project's: all bundles in its test_log, and the
# repository as a whole. Default: the repository that holds test_tipc. Any other folder: the bundles below it.
# Prints one line a check: PASS, FAIL or SKIP, the bundle, the check, what was expected and what was found.
#   --json FILE             the same as JSON, with all faults of each check
#   --allow_stale           evidence of files that have changed since is a note (SKIP), not a failure
#   --compare OTHER_BUNDLE  compare the bundle with that of another run of the same work, such as the reviewer's own
#   --list                  print the checks and their rules
# Needs Python 3.9 or newer and nothing else: python3, or the interpreter that TIPC_PYTHON names.
# docs/check_submission.md has the rule of each check.
# Exit code: 0 no check failed, 1 one failed, or nothing was checked, 2 wrong usage.

set -uo pipefail
TIPC=$(unset CDPATH && cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

for word in "$@"; do
    if [[ $word == -h || $word == --help ]]; then
        sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit
    fi
done
PYTHON=${TIPC_PYTHON:-python3}
if ! command -v "$PYTHON" >/dev/null; then
    echo "error: $PYTHON: no such program; TIPC_PYTHON names another interpreter" >&2
    exit 2
elif ! "$PYTHON" -E -s -S -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
    echo "error: $PYTHON: expected Python 3.9 or newer; TIPC_PYTHON names another interpreter" >&2
    exit 2
fi
# -E -s -S: nothing of the environment is imported, and no package is needed
exec "$PYTHON" -E -s -S -B "$TIPC/lib/check_submission.py" "$@"
