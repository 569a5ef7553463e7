"""Export a face recogniser with InsightFace's options of arcface_paddle/tools/export.py.

    python tools/insightface/export.py --is_static=False --export_type=paddle --backbone=MobileFaceNet_128 \\
        --embedding_size=128 --checkpoint_dir=output/faces/MobileFaceNet_128/0 --output_dir=output/faces/inference

--checkpoint_dir is as in validation.py. The exported model has the names of every model here (inference.pdmodel or
inference.json, inference.pdiparams, and inference.yml with the preprocessing), and its embeddings have length 1, where
InsightFace's have the length that the network gives them: the cosines are the same. --export_type=onnx writes
inference.onnx beside it.
Exit code: 0 exported, 1 the options or the checkpoint cannot be used, 2 wrong options, 130 interrupted.
"""

# test_tipc: formats=any

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import logger, setup_logging
from tools.insightface.options import Parser, truth
from tools.insightface.translate import model_config, refuse


def parse(arguments):
    parser = Parser(__doc__)
    parser.add_argument("--is_static", type=truth, default=False, help="False")
    parser.add_argument("--export_type", default="paddle", help="paddle or onnx; default: paddle")
    parser.add_argument("--backbone", default="FresResNet50", help="MobileFaceNet_128")
    parser.add_argument("--embedding_size", type=checks.argument(), default=512, help="default: 512")
    parser.add_argument("--checkpoint_dir", default="MS1M_v3_arcface/FresResNet50/24/", help="folder of an epoch")
    parser.add_argument("--output_dir", default="MS1M_v3_arcface/FresResNet50/exported_model", help="folder to write")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    refuse(options)
    config = model_config(options.backbone, options.embedding_size)
    setup_logging()
    chosen = choose_export_format(None)
    with quick_import():
        from ppcls_lite.infer.export import export
        from tools.insightface.checkpoint import as_weights_file, build_backbone

    with as_weights_file(build_backbone(config, options.checkpoint_dir)) as weights:
        config["Global"].update(pretrained_model=weights, save_inference_dir=options.output_dir)
        folder = export(config, chosen=chosen)
    if options.export_type == "onnx":
        write_onnx(folder)
    logger.info(f"Load checkpoint from '{options.checkpoint_dir}'.")
    logger.info(f"Save exported model to '{folder}'.")


def write_onnx(folder):
    """Write inference.onnx, of the model in `folder`, beside it."""
    from ppcls_lite.infer.engines.to_onnx import missing_packages, onnx_content
    from ppcls_lite.infer.model.files import ONNX, find_model

    if reason := missing_packages():
        raise UserError(f"--export_type=onnx: {reason}")
    with atomic_write(folder / ONNX, "wb") as stream:
        stream.write(onnx_content(find_model(folder)))


if __name__ == "__main__":
    run_main(main)
