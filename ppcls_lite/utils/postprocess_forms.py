"""The two forms of a prediction config's `PostProcess` in PaddleClas's releases, read as one.

Until June 2021 it was flat, `{name: Topk, topk: 5}`. Since then it names functions, and the one whose result counts:
`{main_indicator: Topk, Topk: {topk: 5}, SavePreLabel: {save_dir: ./pre_label/}}`. The library knows the flat form only.
"""

from ppcls_lite.utils.errors import UserError, nearest

_SECTION = "PostProcess"
_MAIN = f"{_SECTION}.main_indicator"


def flatten_postprocess(config, path):
    """Bring `config["PostProcess"]` into the flat form, in place; returns the names of its functions, [] where it had
    that form already.

    Functions beside the main one are left out: PaddleClas's predict_cls.py does not use their results either, and gives
    `SavePreLabel` nothing to save. UserError, which names the file `path`, where it is not clear which one counts.
    """
    section = config.get(_SECTION)
    functions = [key for key in section if str(key)[:1].isupper()] if isinstance(section, dict) else []
    if not functions:
        return []
    main = section.get("main_indicator") or section.get("name") or (functions[0] if len(functions) == 1 else None)
    if main not in functions:
        hint = nearest(main, functions)
        raise UserError(f"{path}: {_MAIN}: expected one of {', '.join(functions)}, found {main}{hint}")
    options = section[main] if section[main] is not None else {}
    if not isinstance(options, dict):
        raise UserError(f"{path}: {_SECTION}.{main}: expected a mapping of options, found {options!r:.80}")
    own = {key: value for key, value in section.items() if key not in (*functions, "main_indicator")}
    config[_SECTION] = {**own, "name": main, **options}
    return functions


def flatten_overrides(overrides, config, functions):
    """The `-o` texts with the keys of the flat form: `PostProcess.Topk.topk=3` is `PostProcess.topk=3`.

    `config` is flat already, and had these `functions`. UserError for a function that is not the main one.
    """
    main = (config.get(_SECTION) or {}).get("name") or "Topk"
    return [_flat(text, main, functions) for text in overrides]


def _flat(text, main, functions):
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if parts[0] != _SECTION or len(parts) < 2:
        return text
    if parts[1] == main and len(parts) == 3:
        return f"{_SECTION}.{parts[2]}{equals}{value}"
    if parts[1] == "main_indicator" and value.strip() == main:
        return f"{_SECTION}.name{equals}{value}"
    if parts[1] == "main_indicator" or parts[1] in functions:
        raise UserError(f"-o {text}: only {main}, the main_indicator of the config, is run")
    return text
