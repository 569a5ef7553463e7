"""The tables of networks by name, and how to build a classifier from the first; see also `backbone.py`."""

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

ARCH = Registry("network")
DETECTORS = Registry("detector")  # networks that are built around one of the first table
BACKBONES = Registry("backbone")  # networks without a classifier
RECOGNIZERS = Registry("recognizer")  # networks that are built around one of the first table, or of the backbones
NECKS = Registry("neck")  # the parts of a recognizer: features to features,
HEADS = Registry("head")  # and features to scores of the identities of a training

# PaddleClas has no suffix here; configs written for it use "MobileNetV1".
_ALIASES = {"MobileNetV1": "MobileNetV1_x1_0"}
_RATES = 5  # one for the stem, one for each of the four stages


def canonical_name(name):
    """The registered name for `name`, which may be PaddleClas's."""
    return _ALIASES.get(name, name)


def build_model(name, class_num=1000, pretrained=False, use_ssld=False, **options):
    """The classifier `name`: images [N, 3, H, W] to logits [N, class_num].

    Args:
        pretrained: False; True for the official ImageNet weights, fetched once into a cache;
            or the path of a .pdparams file. A head with another class count stays as initialised.
        use_ssld: with `pretrained=True`, the weights distilled with SSLD.
        options: further options of the family's class, e.g. `dropout_prob`.

    Raises UserError for an unknown name (naming the nearest), a wrong option, or weights that
    cannot be fetched, read or fitted.
    """
    name = canonical_name(name)
    _check_ranges(options)
    model = ARCH.build(name, {"class_num": class_num, **options}, where="Arch")
    begin_with(model, name, pretrained, use_ssld)
    return model


def begin_with(model, name, pretrained, use_ssld, where="Arch"):
    """Fill the network `name` with the weights that `pretrained` asks for, if any; see `build_model`.

    `where` is the section of the config that says so, for the messages.
    """
    if pretrained:
        from ppcls_lite.arch.pretrained import load_pretrained  # most uses never need it

        load_pretrained(model, name, pretrained, use_ssld, where)


def _check_ranges(options):
    """Check the options that the families share: Paddle notices a wrong value late, or never."""
    if "dropout_prob" in options:
        options["dropout_prob"] = checks.real("Arch.dropout_prob", options["dropout_prob"], 0, 1)
    if options.get("stem_act") is not None:
        checks.choice("Arch.stem_act", options["stem_act"], ("relu",))
    rates = options.get("lr_mult_list", [1.0] * _RATES)
    if not isinstance(rates, (list, tuple)) or len(rates) != _RATES or not all(map(_is_number, rates)):
        raise UserError(f"Arch.lr_mult_list: expected {_RATES} numbers, for the stem and four stages, found {rates!r}")


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
