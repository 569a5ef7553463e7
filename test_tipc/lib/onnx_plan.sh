#!/usr/bin/env bash
# What --dry_run replaces of the chain of ONNX, besides what dry_run.sh does. Sourced after onnx.sh and dry_run.sh.

declare -A RUN VALUE # see common_func.sh and config.sh

plan_conversion() { # after plan_only: no model and no script has to be there
    place_onnx() { RUN[onnx]=${VALUE[save_file]}; }
    script_is_here() { :; }
    exported_fact() { :; }
    onnx_fact() { :; }
    images_here() { echo "$1"; }
    base_recordings() { :; }
}
