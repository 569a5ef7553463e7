"""Compare the checkpoints of two trainings, bit by bit."""

from ppcls_lite.utils.safe_load import load_plain


def assert_same_checkpoint(first, second):
    for suffix in (".pdparams", ".pdopt"):
        one, two = load_plain(f"{first}{suffix}"), load_plain(f"{second}{suffix}")
        assert list(one) == list(two)
        for name in one:
            if name != "StructuredToParameterName@@":
                a, b = (value[1] if isinstance(value, tuple) else value for value in (one[name], two[name]))
                assert a.tobytes() == b.tobytes(), f"{suffix} {name}"
    assert str(load_plain(f"{first}.pdstates")) == str(load_plain(f"{second}.pdstates"))  # a loss may be nan
