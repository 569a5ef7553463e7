"""From scores to readable predictions: the only top-k and the only result formats of this project."""

import inspect
from pathlib import Path

import numpy as np

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.files import find_file
from ppcls_lite.utils.registry import Registry

POSTPROCESS = Registry("post-processing")


class Named:
    """What gives predictions their class names; `names` is {class id: name}, empty without a `class_id_map_file`."""

    def __init__(self, class_id_map_file):
        self.source = class_id_map_file
        self.names = read_label_names(class_id_map_file) if class_id_map_file else {}

    def check_classes(self, count):
        """UserError unless the names, where there are any, are those of the classes 0 to `count` - 1."""
        if self.names and self.names.keys() != set(range(count)):
            wrong = min(self.names.keys() ^ set(range(count)))
            found = f"{len(self.names)} names, {'none' if wrong < count else 'one'} of class {wrong}"
            raise UserError(
                f"{self.source}: class_id_map_file: expected names of the network's {count} classes, 0 to {count - 1}, "
                f"found {found}"
            )

    def name(self, label):
        """The name of a class; UserError for one without a name."""
        if label not in self.names:
            raise UserError(f"{self.source}: class_id_map_file: no name of class {label}, which the model predicts")
        return self.names[label]


@POSTPROCESS.register
class Topk(Named):
    """The k best classes of each row of scores [N, C], best first; equal scores keep the order of their ids.

    `class_id_map_file` has a line `<id> <name>` for each class; without it no names are given.
    """

    def __init__(self, topk=5, class_id_map_file=None):
        super().__init__(class_id_map_file)
        self.topk = checks.whole("PostProcess.topk", topk)

    def __call__(self, scores):
        """One dict per row: class_ids, scores (5 decimals) and label_names.

        UserError for scores that are not finite, and for names that are not those of the C classes.
        """
        check_outputs(scores, "scores")
        self.check_classes(scores.shape[1])
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.topk]
        return [
            {
                "class_ids": ids.tolist(),
                "scores": np.around(row[ids].astype(np.float64), 5).tolist(),
                "label_names": [self.names[i] for i in ids.tolist()] if self.names else [],
            }
            for row, ids in zip(scores, order)
        ]


def check_outputs(outputs, kind):
    """UserError when the model's `outputs` [N, ...] hold numbers that are nan or infinite."""
    finite = np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
    if not finite.all():
        raise UserError(
            f"the model's {kind} are nan or infinite for {int((~finite).sum())} of {len(finite)} images: are its "
            "weights damaged, or the images not prepared as it needs?"
        )


def build_postprocess(section):
    """What a config's `PostProcess` section names: `Topk` for classifiers, `DetectionBoxes` for detectors.

    Keys set to null keep their default. UserError for an unknown name or key, with the nearest one.
    """
    params = dict(section or {})
    name = params.pop("name", "Topk")
    builder = POSTPROCESS.get(str(name), "PostProcess.name")
    known = sorted([*inspect.signature(builder).parameters, "name"])
    for key in params:
        if key not in known:
            raise UserError(f"PostProcess: unknown key '{key}'{nearest(key, known)}; known: {', '.join(known)}")
    return builder(**{key: value for key, value in params.items() if value is not None})


def read_label_names(path):
    """{class id: name} from lines `<id> <name>`; UserError names the line that is not one."""
    path = find_file(Path(path))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: class_id_map_file cannot be read ({error})") from None
    names = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            label, _, name = line.strip().partition(" ")
            if not label.isdecimal():
                raise UserError(f"{path}:{number}: expected '<id> <name>', found {line!r:.80}")
            if int(label) in names:
                raise UserError(f"{path}:{number}: class {label} has a name already: {names[int(label)]!r}")
            names[int(label)] = name.strip()
    if not names:
        raise UserError(f"{path}: expected lines '<id> <name>', found none")
    return names


def format_record(result, path):
    """A prediction as the training engine's script prints it (a dict), with the full path of the file."""
    return {
        "class_ids": result["class_ids"],
        "scores": result["scores"],
        "file_name": str(path),
        "label_names": result["label_names"],
    }


def format_line(result, path):
    """A prediction as `predict_cls.py` prints it, one line per image."""
    scores = ", ".join(f"{score:.2f}" for score in result["scores"])
    return (
        f"{Path(path).name}: class id(s): {result['class_ids']}, score(s): [{scores}], "
        f"label_name(s): {result['label_names']}"
    )


def format_fields(result):
    """A prediction as the command `ppcls_lite` prints it, one line per image: `class_ids: […], scores: […], …`."""
    return ", ".join(f"{key}: {value}" for key, value in result.items())
