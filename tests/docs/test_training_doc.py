"""docs/training.md: every option of its tables exists, every option that exists is there, and so are the defaults."""

import inspect
import re

import pytest

from ppcls_lite.data.batch_ops import BATCH_OPS
from ppcls_lite.data.transforms.compose import TRANSFORMS
from ppcls_lite.train.optimizer import OPTIMIZERS, SCHEDULES
from ppcls_lite.utils.ignored import IGNORED
from ppcls_lite.utils.schema import TRAIN
from tests.helpers.scripts import ROOT

TEXT = (ROOT / "docs/training.md").read_text()
ELSEWHERE = {  # what other documents are about: exporting, detectors, other forms of the same
    "Global": {"image_shape", "save_inference_dir", "export_format", "class_num", "use_dali"},
    "Optimizer": {"lr", "lazy_mode"},
}


def _rows(heading, first):
    """The rows of the table whose first cell of the head is `first`, below `heading`: lists of cells."""
    table = TEXT.partition(heading)[2].split(f"| {first} |", 1)[1] if heading else TEXT.split(f"| {first} |", 1)[1]
    lines = table.split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"\s*\|\s*", line[1:-1].strip())] for line in lines]


def _options():
    """Section.key of the first table; `.key` belongs to the section before it."""
    section, found = "", []
    for cell, *_ in _rows("", "option"):
        for name in re.findall(r"`([\w.]+)`", cell):
            section = section if name.startswith(".") else name.rpartition(".")[0]
            found.append(section + "." + name.rpartition(".")[2])
    return found


def test_every_option_exists():
    for option in _options():
        section, _, key = option.rpartition(".")
        assert key in TRAIN[section], option


@pytest.mark.parametrize("section", ["Global", "AMP", "EMA", "Optimizer", "Loss", "Metric"])
def test_every_option_is_there(section):
    documented = {option.rpartition(".")[2] for option in _options() if option.rpartition(".")[0] == section}
    assert set(TRAIN[section]) - ELSEWHERE.get(section, set()) == documented


def test_what_changes_nothing_is_said():
    for key in IGNORED["Global"]:
        assert key not in TRAIN["Global"] or f"`Global.{key}` changes nothing" in TEXT


@pytest.mark.parametrize(("first", "registry"), [("`transform_ops`", TRANSFORMS), ("`batch_transform_ops`", BATCH_OPS)])
def test_defaults_of_the_augmentation(first, registry):
    for name, options in _rows("", first):
        parameters = inspect.signature(registry.get(name.strip("`"))).parameters
        for option, default in re.findall(r"`(\w+)` (-?[\w.-]+|`[\w.-]+`)", options):
            found = parameters[option].default
            assert default.strip("`") in (str(found), f"{found:g}" if isinstance(found, float) else ""), (name, option)
        for option in re.findall(r"`([A-Za-z_0-9]+)`", options):
            assert option in parameters, (name, option)


def test_schedules():
    rows = _rows("## Learning rate", "`Optimizer.lr.name`")
    assert sorted(name for cell, *_ in rows for name in re.findall(r"`(\w+)`", cell)) == SCHEDULES.names()
    for cell, options, _ in rows:
        parameters = inspect.signature(SCHEDULES.get(re.findall(r"`(\w+)`", cell)[0])).parameters
        for option, default in re.findall(r"`(\w+)`(?: \(([\d.]+)\))?", options):
            assert not default or float(default) == parameters[option].default, option


def test_optimizers_and_their_defaults():
    (cell,) = [row[2] for row in _rows("", "option") if row[0] == "`Optimizer.name`"]
    assert sorted(re.findall(r"`(\w+)`", cell)) == OPTIMIZERS.names()
    values = {name: inspect.signature(OPTIMIZERS.get(name)).parameters for name in OPTIMIZERS.names()}
    shown = {row[0]: row[1] for row in _rows("", "option")}
    for name in ("Adam", "AdamW"):
        expected = ", ".join(f"{values[name][key].default:g}" for key in ("beta1", "beta2", "epsilon"))
        assert shown["`Optimizer.beta1`, `.beta2`, `.epsilon`"].replace("1e-8", "1e-08") == expected
    assert shown["`Optimizer.rho`, `.epsilon`"] == "0.95, 1e-6"
    assert (values["RMSProp"]["rho"].default, values["RMSProp"]["epsilon"].default) == (0.95, 1e-6)
    assert shown["`Optimizer.momentum`, `.use_nesterov`"] == "0.9 (RMSProp: 0), False"
    assert (values["Momentum"]["momentum"].default, values["RMSProp"]["momentum"].default) == (0.9, 0)
    assert f"AdamW: {values['AdamW']['weight_decay'].default}" in shown["`Optimizer.weight_decay`"]
