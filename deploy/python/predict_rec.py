"""Embeddings of images, or their nearest neighbours in a gallery, with an exported model; run from the folder `deploy`.

    python3 python/predict_rec.py -c configs/inference_rec.yaml \\
        -o Global.inference_model_dir=models/ArcFace_MobileFaceNet_infer -o Global.infer_imgs=../lite_data_rec/test

Global.infer_imgs is an image, a folder or a list file. Prints one line per image, `name:<TAB>[number, …]`: the
embedding, of length 1, with all digits of its float32 numbers. With -o IndexProcess.index_dir=FOLDER, a gallery of
build_gallery.py, it prints the names and scores of the best matches that reach IndexProcess.score_thres. Global.engine
chooses the engine, Global.save_file saves all results as JSON Lines, and processes of paddle.distributed.launch share
the images, as in predict_cls.py.
Exit code: 0 all predicted, 1 an image, the config, the model or the gallery cannot be used, 77 an engine that is
requested here or in the config would not be in effect (one line says why), 130 interrupted.
"""

# test_tipc: compare=tools/compare_engines.py formats=any skips=77

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import load_config, parse_args
from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.schema import RECOGNITION


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override, RECOGNITION)
    from ppcls_lite.infer.deployed import recognise  # imports NumPy and OpenCV, which a wrong config need not wait for

    return recognise(config, args.config, args.override)


if __name__ == "__main__":
    run_main(main)
