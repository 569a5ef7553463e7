"""A name-to-builder table that is filled by a decorator, so that a test can iterate over all of it."""

import inspect

from ppcls_lite.utils.errors import UserError, nearest


class Registry:
    """Builders of one kind ("network", "transform", ...), each under its own Python name unless given another."""

    def __init__(self, kind):
        self.kind = kind
        self._entries = {}

    def register(self, builder, name=None):
        """Decorator. Raises ValueError when the name is taken: two things must not share one."""
        name = name or builder.__name__
        if name in self._entries:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._entries[name] = builder
        return builder

    def __contains__(self, name):
        return name in self._entries

    def names(self):
        """All registered names, sorted."""
        return sorted(self._entries)

    def get(self, name, where=""):
        """The builder called `name`; raises UserError with the nearest name. `where` is the place in the config."""
        if name not in self._entries:
            place = f"{where}: " if where else ""
            raise UserError(
                f"{place}unknown {self.kind} '{name}'{nearest(name, self._entries)}; known: {', '.join(self.names())}"
            )
        return self._entries[name]

    def build(self, name, params=None, where=""):
        """Call the builder with `params` (a dict or None); wrong parameters raise UserError."""
        builder = self.get(name, where)
        if params is not None and not isinstance(params, dict):
            raise UserError(f"{where or self.kind}: {name} takes a mapping of options, found {params!r}")
        _check_options(builder, name, params or {}, where or self.kind)
        try:
            return builder(**(params or {}))
        except TypeError as error:
            raise UserError(f"{where or self.kind}: {name}: {error}") from error

    def build_at(self, name, params, where):
        """As `build`, for the parts of a config: what a part says of its own option (`topk`, or `Recallk.topk`) gets
        the place in front."""
        try:
            return self.build(name, params, where)
        except UserError as error:
            message = str(error)
            raise UserError(message if message.startswith(where) else f"{where}.{message}") from None


def options_of(builder):
    """The parameters of a builder by name, as `inspect` has them; None where it takes any (`**options`)."""
    parameters = inspect.signature(builder).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return parameters


def _check_options(builder, name, params, where):
    """UserError for a parameter that the builder does not have, with the nearest of those that it has."""
    known = options_of(builder)
    for option in params if known is not None else ():
        if option not in known:
            hint = nearest(option, known) or f"; its options: {', '.join(known) or 'none'}"
            raise UserError(f"{where}: {name}: no option '{option}'{hint}")
