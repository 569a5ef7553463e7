#!/usr/bin/env bash
# What --dry_run replaces of the chain of Paddle Lite, besides what dry_run.sh does: no model, interpreter or device is
# needed. Sourced after lite_arm.sh and dry_run.sh.

declare -A RUN # see common_func.sh

plan_lite() { # after plan_only
    find_lite() { RUN[lite_python]=${TIPC_LITE_PYTHON:-.venv-lite/bin/python} RUN[no_lite]=''; }
    describe_lite() { :; }
    has_recipe() { :; }
    has_outputs() { :; }
    has_demo() { [[ -f $WRITE_DEMO ]]; }
    has_inputs() { has_demo; }
    find_device() {
        RUN[device]='' RUN[no_device]="with --dry_run, no device is looked for"
        return 1
    }
}
