"""InsightFace's options of a training: their names, kinds and defaults, its config files, and its command line.

A config file of InsightFace is Python. Here it is read as data: assignments of plain values, and nothing is run.
"""

import argparse
import ast
from pathlib import Path

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest

_TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}

# name: default, as in InsightFace's configs/config.py; the kind of the default is that of the option
DEFAULTS = {
    "is_static": True,
    "backbone": "FresResNet100",
    "classifier": "LargeScaleClassifier",
    "embedding_size": 512,
    "model_parallel": True,
    "sample_ratio": 0.1,
    "loss": "ArcFace",
    "dropout": 0.0,
    "fp16": True,
    "init_loss_scaling": 128.0,
    "max_loss_scaling": 128.0,
    "incr_every_n_steps": 2000,
    "decr_every_n_nan_or_inf": 1,
    "incr_ratio": 2.0,
    "decr_ratio": 0.5,
    "use_dynamic_loss_scaling": True,
    "custom_white_list": [],
    "custom_black_list": [],
    "lr": 0.1,
    "lr_decay": 0.1,
    "weight_decay": 5e-4,
    "momentum": 0.9,
    "train_unit": "step",
    "warmup_num": 1000,
    "train_num": 180000,
    "decay_boundaries": [100000, 140000, 160000],
    "use_synthetic_dataset": False,
    "dataset": "MS1M_v3",
    "data_dir": "./MS1M_v3",
    "label_file": "./MS1M_v3/label.txt",
    "is_bin": False,
    "num_classes": 93431,
    "batch_size": 64,
    "num_workers": 8,
    "do_validation_while_train": True,
    "validation_interval_step": 2000,
    "val_targets": ["lfw", "cfp_fp", "agedb_30"],
    "logdir": "./log",
    "log_interval_step": 10,
    "output": "./MS1M_v3_arcface",
    "resume": False,
    "checkpoint_dir": None,
    "max_num_last_checkpoint": 3,
}


# what a training can do with each; the others may have any value of their kind, or translate.py refuses some
_LEAST = {
    "embedding_size": 1,
    "num_classes": 2,
    "batch_size": 1,
    "train_num": 1,
    "warmup_num": 0,
    "log_interval_step": 1,
    "num_workers": 0,
}
_WITHIN = {"lr_decay": (0, None), "weight_decay": (0, None), "momentum": (0, 1)}


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with an option; the usage, of a screen's length here, is for --help."""

    def __init__(self, description):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message):
        self.exit(2, f"error: {message.removeprefix('argument ')}\n")


def truth(text):
    """A type for argparse: True or False as InsightFace spells them; a misspelt one is an error."""
    if text.lower() not in _TRUTH:
        raise argparse.ArgumentTypeError(f"expected True or False, found {text!r}{nearest(text, ('True', 'False'))}")
    return _TRUTH[text.lower()]


def texts(text):
    """A type for argparse: words between commas."""
    return [word.strip() for word in text.split(",")]


def _wholes(text):
    if not all(word.isdecimal() for word in texts(text)):
        raise argparse.ArgumentTypeError(f"expected whole numbers between commas, found {text!r}")
    return [int(word) for word in texts(text)]


def _number(kind, words):
    """A type for argparse: an int or a float, as `words` say."""

    def convert(text):
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {words}, found {text!r:.80}") from None

    return convert


_NUMBERS = {int: _number(int, "a whole number"), float: _number(float, "a number")}


def kind_of(name):
    """The type for argparse of the option `name`."""
    default = DEFAULTS[name]
    if isinstance(default, bool):
        return truth
    if isinstance(default, list):
        return _wholes if name == "decay_boundaries" else texts
    return _NUMBERS.get(type(default), str)


def check_range(name, value, where):
    """UserError that begins with `where` for a value of the option `name` that no training can have."""
    if name in _LEAST:
        checks.whole(where, value, _LEAST[name])
    elif name in _WITHIN:
        checks.real(where, value, *_WITHIN[name])
    elif name == "lr":
        checks.positive(where, value)
    elif name == "decay_boundaries" and (any(type(one) is not int for one in value) or value != sorted(value)):
        raise checks.wrong(where, "whole numbers in rising order", value)


def parse_training(arguments, description):
    """The settings of a training: DEFAULTS, then those of --config_file, then those of the command line."""
    parser = Parser(description)
    parser.add_argument("--config_file", required=True, help="a config file of InsightFace's form")
    for name in DEFAULTS:
        parser.add_argument(f"--{name}", type=kind_of(name), default=argparse.SUPPRESS)
    given = vars(parser.parse_args(arguments))
    for name, value in given.items():
        try:
            check_range(name, value, f"--{name}")
        except UserError as error:
            parser.error(str(error))
    stated = read_config_file(given.pop("config_file"))
    return argparse.Namespace(**{**DEFAULTS, **stated, **given})


def find_config_file(path):
    """`path`, or the file of that name beside this module: InsightFace's commands say `configs/….py`."""
    own = Path(__file__).parent / path
    return own if not Path(path).exists() and own.is_file() else Path(path)


def read_config_file(path):
    """{name: value} of the lines `config.name = value` in a Python file, of which nothing is run.

    Raises UserError with file and line for a file that is missing or not Python, for anything but imports, texts and
    assignments of plain values, for an unknown name, and for a value of another kind than the default's or out of its
    range.
    """
    path = find_config_file(path)
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path}:{getattr(error, 'lineno', None) or 1}: not a Python file ({error})") from None
    values = {}
    for statement in tree.body:
        if not _is_idle(statement):
            name, value = _assignment(statement, path)
            values[name] = value
    return values


def _is_idle(statement):
    """An import, a text, or the line that makes an empty `config`."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
        call = statement.value
        return _is_config(statement.targets[0]) and not call.args and not call.keywords
    return isinstance(statement, (ast.Import, ast.ImportFrom))


def _is_config(node):
    return isinstance(node, ast.Name) and node.id == "config"


def _assignment(statement, path):
    place = f"{path}:{statement.lineno}"
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if not isinstance(target, ast.Attribute) or not _is_config(target.value):
        raise UserError(f"{place}: expected 'config.name = value': a config is read, not run")
    name = target.attr
    if name not in DEFAULTS:
        raise UserError(f"{place}: unknown option '{name}'{nearest(name, DEFAULTS)}")
    try:
        value = ast.literal_eval(statement.value)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise UserError(f"{place}: config.{name}: expected a plain value, since nothing is run") from None
    value = _typed(value, DEFAULTS[name], f"{place}: config.{name}")
    check_range(name, value, f"{place}: config.{name}")
    return name, value


def _typed(value, default, where):
    kind = str if default is None else type(default)
    if value is None and default is None:
        return None
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UserError(f"{where}: expected {kind.__name__}, such as {default!r}, found {value!r:.60}")
    return value
