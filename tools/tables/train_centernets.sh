#!/usr/bin/env bash
# Train CenterNet with every backbone of the table on the whole set; called again, it goes on where it was.
#
#   bash tools/tables/train_centernets.sh [--jobs N] [--epochs N] [BACKBONE...]
#   nohup nice -n 19 bash tools/tables/train_centernets.sh --jobs 2 >output/centernets.log 2>&1 &
#
# --jobs N trains N at a time (1 unless given; a training keeps one CPU core busy), --epochs N for N epochs (those of
# the config unless given). BACKBONE: any network of the registry. TIPC_PYTHON=/path/to/python uses that interpreter
# instead of .venv's.
# Leaves checkpoints and log_train.txt in output/det/CenterNet_<Backbone>/, and `trained` there when all epochs are
# done. tools/tables/det_table.py makes the table of them.
# A second call waits until the first has ended.
# Exit code: 0 all trained, 1 one failed, 130 or 143 interrupted.

set -uo pipefail
# shellcheck source=tools/tables/trainings.sh
source "$(dirname "${BASH_SOURCE[0]}")/trainings.sh"

CONFIG=ppcls_lite/configs/detection/centernet_stamps.yaml
MAKER=tools/data/make_det_data.py
DATA=dataset/det_stamps # as the config names it
OUT=output/det
PREFIX=CenterNet
BACKBONES=(MobileNetV3_small_x1_0 ShuffleNetV2_x1_0 MobileNetV3_large_x1_0 MobileNetV1_x1_0 ResNet50_vd)

train_all "$@"
