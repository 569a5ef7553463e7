"""Compare the checkpoints of two trainings, bit by bit."""

from pathlib import Path

from ppcls_lite.train.optimizer_scopes import Optimizers, Scope
from ppcls_lite.utils.safe_load import load_plain


def alone(optimizer, model):
    """The `Optimizers` of a training whose one optimizer changes all of `model`."""
    return Optimizers([Scope(optimizer, model.parameters(), None)])


def assert_same_checkpoint(first, second):
    losses = [Path(f"{prefix}.pdloss").exists() for prefix in (first, second)]
    assert losses[0] == losses[1]
    for suffix in (".pdparams", ".pdopt", *[".pdloss"][: losses[0]]):
        one, two = load_plain(f"{first}{suffix}"), load_plain(f"{second}{suffix}")
        assert list(one) == list(two)
        for name in one:
            if name != "StructuredToParameterName@@":
                a, b = (value[1] if isinstance(value, tuple) else value for value in (one[name], two[name]))
                assert a.tobytes() == b.tobytes(), f"{suffix} {name}"
    assert str(load_plain(f"{first}.pdstates")) == str(load_plain(f"{second}.pdstates"))  # a loss may be nan
