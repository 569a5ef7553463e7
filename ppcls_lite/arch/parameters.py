"""`weight_attr` and `bias_attr` of a config: how a parameter begins and how it learns, as a plain table.

weight_attr: {initializer: {name: KaimingUniform, fan_in: 12288}, learning_rate: 0.1}
"""

from paddle import ParamAttr, nn, regularizer

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest

_INITIALIZERS = {
    "Constant": (nn.initializer.Constant, ("value",)),
    "Normal": (nn.initializer.Normal, ("mean", "std")),
    "XavierNormal": (nn.initializer.XavierNormal, ("fan_in", "fan_out")),
    "XavierUniform": (nn.initializer.XavierUniform, ("fan_in", "fan_out")),
    "KaimingNormal": (nn.initializer.KaimingNormal, ("fan_in", "negative_slope", "nonlinearity")),
    "KaimingUniform": (nn.initializer.KaimingUniform, ("fan_in", "negative_slope", "nonlinearity")),
}
_REGULARIZERS = {
    "L1Decay": (regularizer.L1Decay, ("coeff",)),
    "L2Decay": (regularizer.L2Decay, ("coeff",)),
}
_NONLINEARITIES = ("linear", "relu", "leaky_relu", "sigmoid", "tanh")
_PARTS = ("initializer", "learning_rate", "regularizer")


def param_attr(where, attr, initializer, may_miss=False):
    """The `paddle.ParamAttr` of the config's `attr`, or False for none of the parameter where it `may_miss`.

    `initializer` is the part's own, for an `attr` that is missing or has none. Raises UserError for an unknown key or
    name, with the nearest, and for a wrong value.
    """
    if attr is False and may_miss:
        return False
    if attr in (None, True):
        attr = {}
    if not isinstance(attr, dict):
        raise checks.wrong(where, "a mapping such as {initializer: {name: Constant, value: 0.0}}", attr)
    _check_known(where, attr, _PARTS)
    options = {"initializer": initializer}
    if attr.get("initializer") is not None:
        options["initializer"] = _build(f"{where}.initializer", attr["initializer"], _INITIALIZERS)
    if attr.get("regularizer") is not None:
        options["regularizer"] = _build(f"{where}.regularizer", attr["regularizer"], _REGULARIZERS)
    if attr.get("learning_rate") is not None:
        options["learning_rate"] = checks.real(f"{where}.learning_rate", attr["learning_rate"], 0)
    return ParamAttr(**options)


def _build(where, section, table):
    if not isinstance(section, dict) or section.get("name") not in table:
        name = section.get("name") if isinstance(section, dict) else section
        raise UserError(f"{where}.name: expected one of {', '.join(table)}, found {name!r:.80}{nearest(name, table)}")
    builder, known = table[section["name"]]
    options = {key: value for key, value in section.items() if key != "name"}
    _check_known(where, options, known)
    return builder(**{key: _value(f"{where}.{key}", value) for key, value in options.items() if value is not None})


def _value(where, value):
    if where.endswith(".nonlinearity"):
        return checks.choice(where, value, _NONLINEARITIES)
    return float(checks.positive(where, value)) if ".fan_" in where else float(checks.real(where, value))


def _check_known(where, options, known):
    for key in options:
        if key not in known:
            raise UserError(f"{where}: no option '{key}'{nearest(key, known)}; known: {', '.join(known)}")
