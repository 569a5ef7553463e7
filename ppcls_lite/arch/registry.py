"""The table of networks by name, and the two ways to build from it: a classifier or a backbone."""

from ppcls_lite.utils.registry import Registry

ARCH = Registry("network")

# PaddleClas has no suffix here; configs written for it say "MobileNetV1".
_ALIASES = {"MobileNetV1": "MobileNetV1_x1_0"}


def canonical_name(name):
    """The registered name for `name`, which may be PaddleClas's."""
    return _ALIASES.get(name, name)


def build_model(name, class_num=1000, pretrained=False, use_ssld=False, **options):
    """The classifier `name`: images [N, 3, H, W] to logits [N, class_num].

    Args:
        pretrained: False; True for the official ImageNet weights, fetched once into a cache;
            or the path of a .pdparams file. A head with another class count stays as initialised.
        use_ssld: with `pretrained=True`, the weights distilled with SSLD.
        options: what the family's class takes besides, e.g. `dropout_prob`.

    Raises UserError for an unknown name (naming the nearest), a wrong option, or weights that
    cannot be fetched, read or fitted.
    """
    name = canonical_name(name)
    model = ARCH.build(name, {"class_num": class_num, **options}, where="Arch")
    if pretrained:
        from ppcls_lite.arch.pretrained import load_pretrained  # most uses never need it

        load_pretrained(model, name, pretrained, use_ssld)
    return model
