"""Make a gallery of images with their names for predict_rec.py, add to it, or remove; run from the folder `deploy`.

    python3 python/build_gallery.py -c configs/build_gallery.yaml \\
        -o Global.inference_model_dir=models/ArcFace_MobileFaceNet_infer \\
        -o IndexProcess.image_root=../lite_data_rec -o IndexProcess.data_file=../lite_data_rec/gallery_names.txt \\
        -o IndexProcess.index_dir=../output/gallery

IndexProcess.data_file has a line `path<delimiter>name` for each image below IndexProcess.image_root.
IndexProcess.index_operation is new (make the gallery, or replace it), append (add the images) or remove (take them
out). The folder IndexProcess.index_dir then holds vector.index, an index of faiss, and gallery.json; a run that fails,
or is ended at any moment, leaves the former gallery.
Exit code: 0 the gallery is written, 1 an image, the config, the model or the gallery cannot be used, 77 an engine that
is requested here or in the config would not be in effect (one line says why), 130 interrupted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import load_config, parse_args
from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.schema import RECOGNITION


def main():
    args = parse_args(__doc__)
    config = load_config(args.config, args.override, RECOGNITION)
    from ppcls_lite.infer.gallery_build import build_gallery  # imports NumPy and OpenCV, as in predict_rec.py

    build_gallery(config, args.config, args.override)


if __name__ == "__main__":
    run_main(main)
