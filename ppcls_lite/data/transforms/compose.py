"""From a config's `transform_ops` to one callable."""

import inspect

from ppcls_lite.data.transforms.decoding import decode
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.registry import Registry

TRANSFORMS = Registry("transform")


class RandomTransform:
    """Base of the transforms that draw numbers: they use the generator they are called with, and no other."""

    def __call__(self, image, rng=None):
        """`image` after `apply`; raises ValueError without a generator, since a hidden one cannot be repeated."""
        if rng is None:
            raise ValueError(f"{type(self).__name__} draws random numbers: call it with a numpy Generator")
        return self.apply(image, rng)


class Compose:
    """The transforms of a config in their order.

    `transforms(image, rng=None)` takes the bytes of an image file or an HWC uint8 RGB array and returns what
    the last transform returns. `rng` is a `numpy.random.Generator`; only random transforms need it. Bytes are
    decoded to RGB when the list does not begin with DecodeImage, which some configs leave out.
    """

    def __init__(self, ops):
        self.ops = list(ops)

    def __call__(self, image, rng=None):
        if isinstance(image, (bytes, bytearray, memoryview)) and not (self.ops and getattr(self.ops[0], "decodes", 0)):
            image = decode(image)
        for op in self.ops:
            image = op(image, rng)
        return image

    @property
    def makes_chw(self):
        """True when the channels end up first, and must not be transposed a second time."""
        return any(getattr(op, "makes_chw", False) for op in self.ops)


def build_transforms(ops, where="transforms"):
    """A Compose from a list of one-key mappings such as `{"ResizeImage": {"resize_short": 256}}`.

    Raises UserError, one line that opens with `where[index] Name.option`, for a name or an option that does
    not exist, for an option that is missing, and for a value of the wrong kind.
    """
    if not isinstance(ops, (list, tuple)):
        raise UserError(f"{where}: expected a list of transforms, found {ops!r:.80}")
    return Compose(build_op(TRANSFORMS, entry, f"{where}[{index}]") for index, entry in enumerate(ops))


def build_op(registry, entry, place):
    """One object of `registry` from a one-key mapping {name: options or None}; errors open with `place`."""
    if isinstance(entry, str):
        entry = {entry: None}
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UserError(f"{place}: expected one `Name: options`, found {entry!r:.120}")
    ((name, options),) = entry.items()
    builder = registry.get(name, place)
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise UserError(f"{place} {name}: expected a mapping of options, found {options!r:.80}")
    check_options(builder, options, f"{place} {name}")
    try:
        return builder(**options)
    except UserError as error:
        raise UserError(f"{place} {name}.{error}") from error


def check_options(builder, options, place):
    """Raise UserError when `builder` has no such option or one that it needs is missing in `options`."""
    known = {
        name: parameter
        for name, parameter in inspect.signature(builder).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    if len(known) == len(inspect.signature(builder).parameters):
        for option in options:
            if option not in known:
                listed = ", ".join(known) or "none"
                raise UserError(f"{place}.{option}: no such option{nearest(option, known)}; it has {listed}")
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            raise UserError(f"{place}.{name}: this option is required")
