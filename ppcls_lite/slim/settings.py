"""The section `Slim` of a training config, checked."""

from dataclasses import dataclass

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest

QUANTERS = ("pact",)
PRUNERS = ("fpgm",)
METHODS = ("minmax", "entropy", "percentile")


@dataclass(frozen=True)
class Calibration:
    """How the ranges of the activations are found after training: the keys of `Slim.ptq`.

    Attributes:
        images: how many of the training list's images are read, chosen with `seed`; all of a shorter list.
        method: `minmax`, the whole range; `entropy` (Kullback-Leibler), or `percentile` (99.99 %), which cut outliers.
        per_channel: one scale for each output channel of a weight, instead of one for all of it.
        reduce_range: weights of 7 bits, -64 to 64. Processors without VNNI add two products of 8 bits in 16 bits,
            which overflow with 8-bit weights; this can be False for others.
        float_first, float_last: leave the first convolution, or the classifier, in FP32.
    """

    images: int = 256
    seed: int = 0
    method: str = "minmax"
    per_channel: bool = True
    reduce_range: bool = True
    float_first: bool = False
    float_last: bool = False

    @classmethod
    def from_config(cls, config):
        """The values of `Slim.ptq`; what it leaves out has its default. UserError for a wrong key or value."""
        section = (config.get("Slim") or {}).get("ptq") or {}
        for key in section:
            if key not in cls.__dataclass_fields__:
                raise UserError(f"Slim.ptq.{key}: no such option{nearest(key, cls.__dataclass_fields__)}")
        found = cls(**{key: value for key, value in section.items() if value is not None})
        checks.whole("Slim.ptq.images", found.images)
        checks.whole("Slim.ptq.seed", found.seed, low=0)
        if found.method not in METHODS:
            raise UserError(f"Slim.ptq.method: expected {', '.join(METHODS)}, found {found.method!r}")
        return found

    def __str__(self):
        weights = f"{'per channel' if self.per_channel else 'per tensor'}, {7 if self.reduce_range else 8} bits"
        kept = [name for name, is_kept in (("first", self.float_first), ("last", self.float_last)) if is_kept]
        kept = f", {' and '.join(kept)} layer in FP32" if kept else ""
        return f"{self.method}, weights {weights}{kept}"


def quanter_of(config):
    """`pact`, or None where the config has no `Slim.quant`; UserError for another name."""
    return _name_in(config, "quant", QUANTERS)


def pruner_of(config):
    """(`fpgm`, ratio of the filters to remove), or (None, 0.0); UserError for another name or ratio."""
    name = _name_in(config, "prune", PRUNERS)
    if not name:
        return None, 0.0
    ratio = config["Slim"]["prune"].get("pruned_ratio", 0.3)
    ratio = checks.real("Slim.prune.pruned_ratio", ratio, low=0)
    if not 0 < ratio < 1:
        raise UserError(f"Slim.prune.pruned_ratio: expected a number between 0 and 1, found {ratio}")
    return name, ratio


def _name_in(config, key, known):
    section = (config.get("Slim") or {}).get(key) or {}
    name = section.get("name")
    if name is None:
        return None
    if str(name).lower() not in known:
        raise UserError(f"Slim.{key}.name: expected {' or '.join(known)}, found {name!r}{nearest(name, known)}")
    return str(name).lower()
