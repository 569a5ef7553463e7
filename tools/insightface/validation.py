"""Verify pairs of faces with InsightFace's options of arcface_paddle/tools/validation.py.

    python tools/insightface/validation.py --is_static=False --backbone=MobileFaceNet_128 --embedding_size=128 \\
        --checkpoint_dir=output/faces/MobileFaceNet_128/0 --data_dir=faces --val_targets=lfw,agedb_30 --batch_size=32

--checkpoint_dir is a folder of InsightFace's training or of train.py here, or a .pdparams file of a RecModel. The pairs
are <data_dir>/<target>.bin, nothing of which is executed, or a list <data_dir>/<target>.txt. The features of an image
and of its mirror image are added before they are normalised. Prints XNorm, the mean length of the features, and
Accuracy-Flip, the ten-fold accuracy, as InsightFace does, and the true accept rates (tools/verify_pairs.py).
Exit code: 0 verified, 1 the checkpoint or the pairs cannot be used, 2 wrong options, 130 interrupted.
"""

# test_tipc: modules=paddle,cv2,numpy,yaml

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.log import logger, setup_logging
from tools.insightface.options import Parser, texts, truth
from tools.insightface.translate import TRANSFORMS, model_config, refuse


def parse(arguments):
    parser = Parser(__doc__)
    parser.add_argument("--is_static", type=truth, default=False, help="False")
    parser.add_argument("--backbone", default="FresResNet50", help="MobileFaceNet_128")
    parser.add_argument("--embedding_size", type=checks.argument(), default=512, help="default: 512")
    parser.add_argument("--checkpoint_dir", default="MS1M_v3_arcface/FresResNet50/24/", help="folder of an epoch")
    parser.add_argument("--data_dir", default="./MS1M_v3_bin", help="folder of the pair files")
    parser.add_argument("--val_targets", type=texts, default=["lfw", "cfp_fp", "agedb_30"], help="names, by commas")
    parser.add_argument("--batch_size", type=checks.argument(), default=128, help="default: 128")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    refuse(options)
    config = model_config(options.backbone, options.embedding_size)
    setup_logging()
    targets = find_targets(options.data_dir, options.val_targets)
    if not targets:
        names = ", ".join(f"{name}.bin" for name in options.val_targets)
        raise UserError(f"--val_targets: {options.data_dir}: expected {names}, found none of them")
    with quick_import():
        from tools.insightface.checkpoint import build_backbone
    network = build_backbone(config, options.checkpoint_dir)
    for name, path in targets:
        validate(network, name, path, options.batch_size)


def find_targets(folder, names):
    """[(name, path)] of the pair files that are there; of the others the log says that they are not."""
    found = []
    for name in names:
        paths = [Path(folder, name + suffix) for suffix in (".bin", ".txt")]
        there = [path for path in paths if path.is_file()]
        found += [(name, there[0])] if there else []
        if not there:
            logger.info(f"[{name}] left out: there is no {paths[0]}")
    return found


def validate(network, name, path, batch_size):
    """Log the figures of the pairs at `path`, called `name`, with a RecModel; returns the `Verification`."""
    import paddle

    from ppcls_lite.data.faces import load_pairs
    from ppcls_lite.data.transforms import build_transforms
    from ppcls_lite.infer.embed_pairs import embed_pairs
    from ppcls_lite.train.verification import check_pairs, describe, verify

    lengths = []

    def compute(images):
        with paddle.no_grad():
            features = network(paddle.to_tensor(images))["features"].numpy()
        lengths.extend(np.linalg.norm(features, axis=1))
        return features

    pairs = load_pairs(path)
    check_pairs(pairs.same)
    embeddings = embed_pairs(compute, build_transforms(TRANSFORMS), pairs, batch_size, flip=True)
    result = verify(embeddings, pairs.first, pairs.second, pairs.same)
    logger.info(f"[{name}][1]XNorm: {np.mean(lengths):f}")
    logger.info(f"[{name}][1]Accuracy-Flip: {result.accuracy:1.5f}+-{result.std:1.5f}")
    for line in describe(result, len(pairs.sources)):
        logger.info(f"[{name}] {line}")
    return result


if __name__ == "__main__":
    run_main(main)
