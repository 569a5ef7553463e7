"""The table of CenterNet's backbones: accuracy of each training, cost of each network, and the evidence of both.

    python tools/tables/det_table.py --measure output/det --weights pretrain_models \\
        --update docs/lightweight_backbone.md

--measure evaluates the best weights of every finished training in that folder (tools/tables/train_centernets.sh makes
it), exports them, times them on this CPU, writes log, history, curves and an image of predictions to
test_log/CenterNet_<Backbone>/, and keeps the figures in docs/measured/backbones.json. Without it, the table is made
from the kept figures.
--weights FOLDER keeps the weights too, and evaluates what was kept: a file that is larger than 25 MB becomes a folder
with one file per variable, stored as float16.
--update FILE puts the table between its two markers in FILE; otherwise it is printed.
Exit code: 0, or 1 for a training or a file that cannot be used.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.files import REPO
from tools.tables.trainings import COST, DIFFERS, Table


def _measuring():
    from tools.tables import det_measure

    return det_measure.measure_training


TABLE = Table(
    prefix="CenterNet",
    script="tools/tables/train_centernets.sh",
    kept=REPO / "docs/measured/backbones.json",
    config=REPO / "ppcls_lite/configs/detection/centernet_stamps.yaml",
    begin="<!-- backbone table: begin -->",
    end="<!-- backbone table: end -->",
    columns=(("AP", "AP", "{:.3f}"), ("AP50", "AP50", "{:.3f}"), ("AP75", "AP75", "{:.3f}"), DIFFERS, *COST),
    picture=("predictions.jpg", "images"),
    note="Parameters are all numbers of the state dict; FLOPs those of `paddle.flops` for one image, a multiply-add "
    "counted once; CPU is the median time of the exported detector, decoding included, for one image with Paddle "
    "Inference, oneDNN and 2 threads: compare the rows.",
    measuring=_measuring,
)


def main():
    TABLE.main(__doc__)


if __name__ == "__main__":
    run_main(main)
