"""From scores to readable predictions: the only top-k and the only result formats of this project."""

import inspect
from pathlib import Path

import numpy as np

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.files import find_file
from ppcls_lite.utils.registry import Registry

POSTPROCESS = Registry("post-processing")
DECIMALS = 5  # of a printed score, as PaddleClas prints it


class Named:
    """What gives predictions their class names; `names` is {class id: name}, empty where none are given.

    They come from lines `<id> <name>` of the `class_id_map_file`, with another `delimiter` where that is given, or from
    a `label_list` in the order of the ids, as PaddleX writes it into an `inference.yml`.
    """

    def __init__(self, class_id_map_file=None, delimiter=None, label_list=None):
        self.source = class_id_map_file or "PostProcess.label_list"
        self.names = read_label_names(class_id_map_file, delimiter) if class_id_map_file else {}
        if label_list and not class_id_map_file:
            self.names = dict(enumerate(map(str, label_list)))

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

    Without a `class_id_map_file` or a `label_list` (see `Named`) no names are given.
    """

    def __init__(self, topk=5, class_id_map_file=None, delimiter=None, label_list=None):
        super().__init__(class_id_map_file, delimiter, label_list)
        self.topk = checks.whole("PostProcess.topk", topk)

    def __call__(self, scores, decimals=DECIMALS):
        """One dict per row: class_ids, scores and label_names.

        Scores are rounded for people and their logs; with `decimals` None they are the float32 numbers themselves.
        UserError for scores that are not finite, and for names that are not those of the C classes.
        """
        check_outputs(scores, "scores")
        self.check_classes(scores.shape[1])
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.topk]
        return [result(self, ids.tolist(), row[ids], decimals) for row, ids in zip(scores, order)]


def result(named, ids, scores, decimals=DECIMALS):
    """The prediction of one image: its classes, their float32 scores, rounded unless `decimals` is None, and names."""
    return {
        "class_ids": ids,
        "scores": (scores if decimals is None else np.around(scores.astype(np.float64), decimals)).tolist(),
        "label_names": [named.names[label] for label in ids] if named.names else [],
    }


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


def read_label_names(path, delimiter=None):
    """{class id: name} from lines `<id> <name>`, with `delimiter` or a blank between the two; UserError names the line
    that is not one."""
    path = find_file(Path(path))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: class_id_map_file cannot be read ({error})") from None
    names = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            label, _, name = line.strip().partition(delimiter or " ")
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
