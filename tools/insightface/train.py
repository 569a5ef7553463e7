"""Train a face recogniser with InsightFace's options of arcface_paddle/tools/train.py.

    python tools/insightface/train.py --config_file=configs/ms1mv2_mobileface.py --fp16=False --data_dir=faces \\
        --label_file=faces/label.txt --num_classes=40 --batch_size=32 --train_num=20 --output=output/faces

--config_file is read as data, nothing in it is run. Options that cannot mean the same here are refused: --is_static,
--fp16, --sample_ratio below 1, and --model_parallel with several processes (translate.py says what the others become).
Leaves <output>/<backbone>/<epoch>, counted from 0, in InsightFace's form, and beside these what every training here
leaves, with config.yaml for the other commands; --resume=True goes on from such an epoch. With
--do_validation_while_train, the pairs of --val_targets that are there are verified at the end.
Exit code: 0 trained, 1 the options or the data cannot be used, 2 wrong options, 130 interrupted.
"""

# test_tipc: data=test_tipc/prepare_data.sh modules=paddle,cv2,numpy,yaml,matplotlib,tqdm

import copy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import yaml

from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.machine import use_cores
from tools.insightface.options import parse_training
from tools.insightface.translate import output_dir, refuse


def main(arguments=None):
    settings = parse_training(arguments, __doc__)
    refuse(settings)
    use_cores()
    from tools.insightface.translate import training_config

    config = training_config(settings)
    with quick_import():  # of Paddle, which wrong options need not wait for
        from ppcls_lite.train.curves import write_curves
        from ppcls_lite.train.loop import train
    train(config)
    write_curves(config)
    import paddle

    if paddle.distributed.get_rank() == 0:
        leave_checkpoints(settings, config)


def leave_checkpoints(settings, config):
    """Write the last epochs in InsightFace's form, and what is needed to use them with the other commands."""
    from ppcls_lite.utils.safe_load import load_arrays
    from tools.insightface.checkpoint import write_checkpoint

    folder, epochs = Path(output_dir(settings)), config["Global"]["epochs"]
    kept = settings.max_num_last_checkpoint if settings.max_num_last_checkpoint > 0 else epochs
    for epoch in range(max(0, epochs - kept), epochs):
        if (folder / f"epoch_{epoch + 1}.pdparams").is_file():
            write_checkpoint(folder / str(epoch), load_arrays(folder / f"epoch_{epoch + 1}"), epoch)
            logger.info(f"Save model to {folder / str(epoch)}.")
    with atomic_write(folder / "config.yaml") as stream:
        yaml.safe_dump(copy.deepcopy(config), stream, sort_keys=False)
    if settings.do_validation_while_train:
        verify_targets(settings, config, folder / str(epochs - 1))


def verify_targets(settings, config, checkpoint):
    """Verify the pairs that are there; the training is done, so a fault of theirs is a warning."""
    from tools.insightface.checkpoint import build_backbone
    from tools.insightface.translate import model_config
    from tools.insightface.validation import find_targets, validate

    targets = find_targets(settings.data_dir, settings.val_targets)
    if not targets:
        return
    network = build_backbone(model_config(settings.backbone, settings.embedding_size), checkpoint)
    for name, path in targets:
        try:
            validate(network, name, path, settings.batch_size)
        except UserError as error:
            logger.warning(f"{name}: not verified: {error}")


if __name__ == "__main__":
    run_main(main, trains=True)
