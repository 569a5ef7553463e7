#!/usr/bin/env bash
# How long the base chain takes on the work that the official script was measured with: MobileNetV3_small_x1_0 at
# 224 px, 16 images, 2 epochs, evaluate, export, infer one image. Ours predicts and compares on top of that.
#
#   bash tests/benchmarks/chain.sh [RUNS]
#
# Prints the seconds of each run after the set-up and their median, and its ratio to the official script's 30 seconds
# (measured on a 2-core machine, 15 of them fixed sleeps). For people, not for tests.
# Exit code: 0 all runs passed, 1 one did not.

set -uo pipefail
unset CDPATH # it makes `cd` go elsewhere
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

OFFICIAL_SECONDS=30
YAML=ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml

main() {
    local runs=${1:-5} work run start
    local -a seconds=()
    work=$(mktemp -d) || exit 1
    # shellcheck disable=SC2064 # the folder is known now
    trap "rm -rf '$work'" EXIT
    write_config "$work" >"$work/config.txt"
    bash test_tipc/prepare.sh "$work/config.txt" lite_train_lite_infer || exit 1
    for ((run = 1; run <= runs; run++)); do
        start=$(date +%s%N)
        TIPC_OUTPUT=$work/output bash test_tipc/test_train_inference_python.sh "$work/config.txt" \
            lite_train_lite_infer >"$work/screen.log" 2>&1 || { tail -n 40 "$work/screen.log" && exit 1; }
        seconds+=("$((($(date +%s%N) - start) / 1000000))")
        echo "run $run: $((seconds[-1] / 1000)).$(printf '%03d' $((seconds[-1] % 1000))) s"
    done
    tail -n 12 "$work/screen.log"
    printf '%s\n' "${seconds[@]}" | sort -n | awk -v official=$OFFICIAL_SECONDS '
        { value[NR] = $1 / 1000 }
        END { median = value[int((NR + 1) / 2)]
              printf "median of %d runs: %.1f s, %.2f of the official script'\''s %d s\n", NR, median, median / official, official }'
}

write_config() { # FOLDER: two lists of 16 images in it, and the config on standard output
    # every ninth line of the 144: all classes
    awk 'NR % 9 == 0' lite_data/train_list.txt >"$1/train_list.txt"
    awk 'NR % 3 == 0' lite_data/val_list.txt >"$1/val_list.txt"
    local lists="-o DataLoader.Train.dataset.image_root=lite_data -o DataLoader.Train.dataset.cls_label_path=$1/train_list.txt"
    lists+=" -o DataLoader.Eval.dataset.image_root=lite_data -o DataLoader.Eval.dataset.cls_label_path=$1/val_list.txt"
    cat <<EOF
===========================train_params===========================
model_name:benchmark
python:python3
gpu_list:-1
-o Global.device:cpu
-o Global.auto_cast:null
-o Global.epochs:2
-o Global.output_dir:./output/
-o DataLoader.Train.sampler.batch_size:8
-o Global.pretrained_model:null
train_model_name:latest
train_infer_img_dir:null
null:null
##
trainer:norm_train
norm_train:tools/train.py -c $YAML $lists -o Global.seed=1234 -o Global.eval_during_train=False -o Global.save_interval=2
pact_train:null
fpgm_train:null
distill_train:null
null:null
null:null
##
===========================eval_params===========================
eval:tools/eval.py -c $YAML $lists
null:null
##
===========================infer_params===========================
-o Global.save_inference_dir:./inference
-o Global.pretrained_model:
norm_export:tools/export_model.py -c $YAML
quant_export:null
fpgm_export:null
distill_export:null
kl_quant:null
export2:null
pretrained_model_url:null
infer_model:null
infer_export:True
infer_quant:False
inference:python/predict_cls.py -c configs/inference_cls.yaml
-o Global.use_gpu:False
-o Global.enable_mkldnn:False
-o Global.cpu_num_threads:1
-o Global.batch_size:1
-o Global.use_tensorrt:False
-o Global.use_fp16:False
-o Global.inference_model_dir:../inference
-o Global.infer_imgs:../test_images/chelsea.jpg
-o Global.save_log_path:null
-o Global.benchmark:False
null:null
EOF
}

main "$@"
