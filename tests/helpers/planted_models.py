"""Faults of networks of ours, in what was exported of them: an operator, a weight, preprocessing, what is printed."""

from tests.helpers.planted import Planted, edit, option

YAML = "MODEL/inference.yml"


def attribute(kind, nth, name, value):
    """Another attribute of the n-th operator of a kind in the exported program."""

    def plant(trial):
        from paddle.base import core

        program = core.ProgramDesc(trial.structure.read_bytes())
        block = program.block(0)
        operators = [block.op(number) for number in range(block.op_size())]
        operator = [one for one in operators if one.type() == kind][nth]
        assert operator.attr(name) != value
        operator._set_attr(name, value)
        before = trial.structure.stat().st_size
        trial.structure.write_bytes(program.serialize_to_string())
        after = trial.structure.stat().st_size  # which the export notes, so that another model is refused
        trial.edit(YAML, f"{trial.structure.name}: {before}", f"{trial.structure.name}: {after}")
        return "infer"

    return plant


def one_number(trial):
    """Another last number of the exported weights."""
    path = trial.structure.with_suffix(".pdiparams")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the sign's byte: about twice, or half of it
    path.write_bytes(content)
    return "infer"


MEAN = "- 0.485\n      - 0.456\n      - 0.406"
LABELS = "MODEL/label_list.txt"
_EPSILON = "the epsilon of batch_norm"
CLASSIFIERS = [
    # (network, what was done, how, stage, cause, words)
    ("MobileNetV3_small_x0_35", "another slope of a hard sigmoid in the export",
     attribute("hard_sigmoid", 4, "slope", 1 / 6), "network", "attribute", "the slope of hard_sigmoid"),
    ("MobileNetV3_small_x0_35", "another epsilon of a batch norm in the export",
     attribute("batch_norm", 17, "epsilon", 1e-3), "network", "attribute", _EPSILON),
    ("MobileNetV3_small_x0_35", "one number changed in the exported weights", one_number,
     "weights", "one_changed", "was changed: largest difference"),
    ("MobileNetV3_small_x0_35", "BGR in inference.yml", edit(YAML, "to_rgb: true", "to_rgb: false"),
     "network input", "bgr", "the channels are in reverse order (BGR for RGB)"),
    ("MobileNetV3_small_x0_35", "another mean in inference.yml", edit(YAML, MEAN, MEAN.replace("0.485", "0.5")),
     "network input", "mean_std", "0.5, 0.456, 0.406"),
    ("MobileNetV3_small_x0_35", "another short side in inference.yml",
     edit(YAML, "resize_short: 36", "resize_short: 34"),
     "network input", "resize", "infer resizes the short side to 34"),
    ("MobileNetV3_small_x0_35", "another interpolation in inference.yml",
     edit(YAML, "resize_short: 36", "resize_short: 36\n      interpolation: nearest"),
     "network input", "interpolation", "with cv2 nearest"),
    ("MobileNetV3_small_x0_35", "another top-k in infer", option("infer", "-o", "PostProcess.topk=3"),
     "post-processing", "top_k", "3"),
    ("MobileNetV3_small_x0_35", "labels in another order beside the export",
     edit(LABELS, "0 bird\n1 flower\n", "0 flower\n1 bird\n"),
     "post-processing", "labels", "the label file has another order"),
    ("ShuffleNetV2_x0_25", "another epsilon of a batch norm in the export",
     attribute("batch_norm", 20, "epsilon", 1e-3), "network", "attribute", _EPSILON),
    ("MixNet_S", "another epsilon of a batch norm in the export",
     attribute("batch_norm", 30, "epsilon", 1e-3), "network", "attribute", _EPSILON),
    ("PPHGNetV2_B0", "another epsilon of a batch norm in the export",
     attribute("batch_norm", 10, "epsilon", 1e-3), "network", "attribute", _EPSILON),
    ("ResNet50_vd", "one number changed in the exported weights", one_number,
     "weights", "one_changed", "was changed: largest difference"),
]  # fmt: skip
DETECTORS = [
    ("CenterNet", "another epsilon of a batch norm in the export",
     attribute("batch_norm", 12, "epsilon", 1e-3), "network", "attribute", _EPSILON),
    ("CenterNet", "one number changed in the exported weights", one_number,
     "weights", "one_changed", "was changed: largest difference"),
]  # fmt: skip
MODELS = [Planted(*one) for one in (*CLASSIFIERS, *DETECTORS)]
