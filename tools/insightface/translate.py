"""What InsightFace's options mean here: its settings to a config of PaddleClas's schema, or one line why not.

The backbone is MobileFaceNet_128, its output goes to the head as it is, and the margin softmax is ArcFace (m 0.5, s 64)
or CosFace (m 0.35, s 64). Preprocessing: RGB, (x - 127.5) / 127.5, 112 x 112, every second image of a training
flipped; images of another size, with which InsightFace fails, are resized. The learning rate is that of 512 images:
times the images of all processes over 512. Where an angle is within the margin of 180 degrees, PaddleClas's ArcMargin
goes on as a straight line, and InsightFace's cosine rises again.
"""

import os

from ppcls_lite.data.image_lists import read_list
from ppcls_lite.utils.errors import UserError

SIZE = 112
BACKBONES = ("MobileFaceNet_128",)
_MARGINS = {"ArcFace": ("ArcMargin", 0.5), "CosFace": ("CosMargin", 0.35)}
_SCALE = 64.0
_IMAGES_OF_LR = 512
_DECODE = [{"DecodeImage": {"to_rgb": True, "channel_first": False}}, {"ResizeImage": {"size": SIZE}}]
_NORMALIZE = [{"NormalizeImage": {"scale": 1.0, "mean": [127.5] * 3, "std": [127.5] * 3, "order": ""}}]
TRAIN_TRANSFORMS = [*_DECODE, {"RandFlipImage": {"flip_code": 1}}, *_NORMALIZE]
TRANSFORMS = [*_DECODE, *_NORMALIZE, {"ToCHWImage": None}]


def training_config(settings):
    """The config of a training with InsightFace's `settings` (see options.DEFAULTS). Raises UserError for what cannot
    mean the same here."""
    refuse(settings)
    world = int(os.environ.get("PADDLE_TRAINERS_NUM") or 1)
    if settings.model_parallel and world > 1:
        raise UserError("--model_parallel=True: the head is not split over processes here: use --model_parallel=False")
    config = model_config(settings.backbone, settings.embedding_size)
    head, margin = _MARGINS[settings.loss]
    config["Arch"]["Head"] = {
        "name": head,
        "embedding_size": settings.embedding_size,
        "class_num": settings.num_classes,
        "margin": margin,
        "scale": _SCALE,
    }
    images = settings.batch_size * world
    per_epoch = len(read_list(settings.label_file, "\t" if _has_tabs(settings.label_file) else None)) // images
    epochs = _epochs(settings, per_epoch)
    config["Global"].update(
        output_dir=output_dir(settings),
        epochs=epochs,
        print_batch_step=settings.log_interval_step,
        save_interval=epochs if settings.max_num_last_checkpoint == 1 else 1,
        eval_during_train=False,
        eval_mode="retrieval",
        checkpoints=_checkpoint(settings) if settings.resume else None,
    )
    config["Loss"] = {"Train": [{"CELoss": {"weight": 1.0}}]}
    config["Optimizer"] = {
        "name": "Momentum",
        "momentum": settings.momentum,
        "lr": _schedule(settings, settings.lr * images / _IMAGES_OF_LR, per_epoch),
        "regularizer": {"name": "L2", "coeff": settings.weight_decay},
    }
    config["DataLoader"] = {"Train": _loader(settings)}
    return config


def model_config(backbone, embedding_size):
    """The config of the network alone, for validation and export."""
    if backbone not in BACKBONES:
        raise UserError(f"--backbone: expected {' or '.join(BACKBONES)}, found {backbone!r:.60}")
    return {
        "Global": {"image_shape": [3, SIZE, SIZE], "feature_normalize": True},
        "Arch": {
            "name": "RecModel",
            "infer_output_key": "features",
            "Backbone": {"name": backbone, "num_features": embedding_size, "input_size": SIZE},
        },
        "Infer": {"transforms": TRANSFORMS, "PostProcess": {"name": "Embedding"}},
    }


def refuse(settings):
    """UserError for settings that cannot mean the same here."""
    given = vars(settings)
    wrong = [
        ("is_static", given.get("is_static"), "networks are trained in dynamic mode: use --is_static=False"),
        ("fp16", given.get("fp16"), "weights are trained as float32: use --fp16=False"),
        ("sample_ratio", given.get("sample_ratio", 1) < 1, "the head has all classes: use --sample_ratio=1.0"),
        ("use_synthetic_dataset", given.get("use_synthetic_dataset"), "trainings are of images: use =False"),
        ("is_bin", given.get("is_bin"), "images are read from their own files: use --is_bin=False"),
    ]
    for name, is_wrong, why in wrong:
        if is_wrong:
            raise UserError(f"--{name}={given[name]}: {why}")
    for name, known in (
        ("classifier", ["LargeScaleClassifier"]),
        ("loss", list(_MARGINS)),
        ("train_unit", ["step", "epoch"]),
        ("export_type", ["paddle", "onnx"]),
    ):
        if name in given and given[name] not in known:
            raise UserError(f"--{name}: expected {' or '.join(known)}, found {given[name]!r:.60}")


def output_dir(settings):
    """Where InsightFace leaves the folders 0, 1, … of its checkpoints, one for each epoch."""
    return os.path.join(settings.output, settings.backbone)


def _has_tabs(path):
    """Whether the list is in InsightFace's form `path<TAB>label`; others have blanks."""
    try:
        with open(path, "rb") as stream:
            return b"\t" in stream.readline()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _loader(settings):
    dataset = {
        "name": "ImageNetDataset",
        "image_root": settings.data_dir,
        "cls_label_path": settings.label_file,
        "transform_ops": TRAIN_TRANSFORMS,
    }
    if _has_tabs(settings.label_file):
        dataset["delimiter"] = "\t"
    sampler = {"name": "DistributedBatchSampler", "batch_size": settings.batch_size, "shuffle": True, "drop_last": True}
    return {"dataset": dataset, "sampler": sampler, "loader": {"num_workers": settings.num_workers}}


def _epochs(settings, per_epoch):
    if settings.train_unit == "epoch":
        return settings.train_num
    if not per_epoch or settings.train_num % per_epoch:
        raise UserError(
            f"--train_num={settings.train_num}: trainings end with an epoch, of {per_epoch} steps here: "
            "use a multiple, or --train_unit=epoch"
        )
    return settings.train_num // per_epoch


def _schedule(settings, rate, per_epoch):
    values = [rate * settings.lr_decay**number for number in range(len(settings.decay_boundaries) + 1)]
    boundaries, warmup = settings.decay_boundaries, settings.warmup_num
    if settings.train_unit == "step":
        # a step's own number is reached half a step after that, so that no rounding moves it
        boundaries, warmup = [(step - 0.5) / per_epoch for step in boundaries], warmup / per_epoch
    lr = {"name": "Piecewise", "learning_rate": rate, "decay_epochs": boundaries, "values": values}
    return {**lr, "warmup_epoch": warmup, "warmup_start_lr": 0.0}


def _checkpoint(settings):
    """`Global.checkpoints` of --resume: a checkpoint of a training here, which has the optimizer's state."""
    path = settings.checkpoint_dir
    if not path:
        raise UserError("--resume=True: needs --checkpoint_dir, the folder of an epoch")
    folder, name = os.path.split(os.path.normpath(path))
    beside = os.path.join(folder, f"epoch_{int(name) + 1}") if name.isdecimal() else path
    if not os.path.isfile(beside + ".pdopt"):
        raise UserError(
            f"--resume=True: {path}: expected an epoch of a training of this repository, with {beside}.pdopt beside it"
        )
    return beside
