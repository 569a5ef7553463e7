"""The table of ArcFace's backbones: retrieval by each training, cost of each network, and the evidence of both.

    python tools/tables/rec_table.py --measure output/rec --weights pretrain_models \\
        --update docs/recognition.md docs/recognition_ch.md

--measure evaluates the best weights of every finished training in that folder (tools/tables/train_arcface.sh makes
it), exports them, times them on this CPU, writes log, history, curves and an image of neighbours to
test_log/ArcFace_<Backbone>/, and keeps the figures in docs/measured/recognisers.json. Without it, the table is made
from the kept figures.
--weights FOLDER keeps the weights too, and evaluates what was kept: a file that is larger than 25 MB becomes a folder
with one file per variable, stored as float16.
--update FILE... puts the table between its two markers in each FILE; otherwise it is printed.
Exit code: 0, or 1 for a training or a file that cannot be used.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.files import REPO
from tools.tables.trainings import COST, DIFFERS, Table


def _measuring():
    from tools.tables import rec_measure

    return rec_measure.measure_training


TABLE = Table(
    prefix="ArcFace",
    script="tools/tables/train_arcface.sh",
    kept=REPO / "docs/measured/recognisers.json",
    config=REPO / "ppcls_lite/configs/recognition/arcface_stamps.yaml",
    begin="<!-- recogniser table: begin -->",
    end="<!-- recogniser table: end -->",
    columns=(
        ("recall1", "Recall@1", "{:.3f}"),
        ("recall5", "Recall@5", "{:.3f}"),
        ("mAP", "mAP", "{:.3f}"),
        DIFFERS,
        ("features", "features", "{}"),
        *COST,
    ),
    picture=("neighbours.jpg", "neighbours"),
    note="Parameters are all numbers of the exported network (neither the head nor its margin); FLOPs those of "
    "`paddle.flops` for one image, a multiply-add counted once; CPU is the median time of the exported network for one "
    "image with Paddle Inference, oneDNN and 2 threads: compare the rows. The weights have the head, too.",
    measuring=_measuring,
)


def main():
    TABLE.main(__doc__)


if __name__ == "__main__":
    run_main(main)
