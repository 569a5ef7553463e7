"""Values: modes, booleans, lists, placeholders."""

import re

from lint.findings import ERROR, WARNING, Finding, check, did_you_mean, nearest

MODES = ("lite_train_lite_infer", "lite_train_whole_infer", "whole_infer", "whole_train_whole_infer")
SHORT = ("lite_train", "whole_train", "whole")
_NAMED = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)=(.*)", re.DOTALL)
BOOLEAN = {"infer_quant", "enable_mkldnn", "use_tensorrt", "use_mkldnn", "use_trt", "enable_onnx_checker", "use_onnx"}
# fields that may also have a precision or a device
PARTLY_BOOLEAN = {"use_gpu", "use_fp16", "device"}
_WORD = re.compile(r"(?:(?<=[|=:\s])|^)[A-Za-z]{2,7}(?=$|[|\s])")
_MEANT = {"True": ("yes", "on"), "False": ("no", "off")}
PLACEHOLDERS = (
    (re.compile(r"(?<![\w/])_template_\w+"), "the name of a file"),
    (re.compile(r"(?<![\w.])[a-z]{2}(?:\.[xyz]{2}){2,}(?![\w.])"), "an address"),
    (re.compile(r"(?<!\w)x{3,}(?!\w)", re.IGNORECASE), "a value"),
    (re.compile(r"<[A-Za-z][\w ]*>"), "a value"),
    (re.compile(r"(?<!\w)/?path/to/\S*"), "a path"),
    (re.compile(r"(?<![A-Za-z])your_\w+", re.IGNORECASE), "a name"),
    (re.compile(r"(?<!\w)(?:TODO|FIXME)(?!\w)"), "a value"),
)


def parts_of(line):
    """[(name, value)] of a `mode=value|mode=value` list, None for any other value; the name is None where none is."""
    found = [_NAMED.fullmatch(part) for part in line.value.split("|")]
    names = [match[1] if match else None for match in found]
    if not any(name in MODES + SHORT or (name and nearest(name, MODES, 0.85)) for name in names):
        return None
    return [(name, match[2].strip() if match else "") for name, match in zip(names, found)]


@check
def modes(config):
    """Names of modes, and their values."""
    for line in config.lines:
        seen = set()
        for name, value in parts_of(line) or ():
            if name is None:
                finding = ("mode", "an entry without a mode", "mode=value in every entry", "")
            elif name not in MODES + SHORT:
                near = nearest(name, MODES + SHORT)
                fixed = line.text.rstrip().replace(f"{name}=", f"{near}=", 1) if near else None
                expected = f"one of {', '.join(MODES)}"
                suggestion = did_you_mean(name, MODES + SHORT)
                yield Finding(
                    line.number, line.key, ERROR, "mode", f"unknown mode '{name}'", expected, suggestion, fixed
                )
                continue
            elif not value:
                finding = ("mode", f"the mode {name} has no value", "mode=value", "")
            elif name in seen:
                finding = ("mode", f"the mode {name} twice", "every mode once", "the first is used")
            else:
                seen.add(name)
                continue
            yield Finding(line.number, line.key, ERROR, *finding)


def _has_wrong_mode(line):
    return any(name not in MODES + SHORT for name, _ in parts_of(line) or ())


@check
def refused_in_modes(config):
    """What the chain says of the values in the modes that the file is for."""
    usable = [mode for mode, said in config.modes.items() if not said]
    named = {name for line in config.lines for name, value in parts_of(line) or () if value}
    told = set()
    for mode, said in config.modes.items():
        missing = {place for place, text in map(_placed, said) if "has no value" in text}
        for place, text in map(_placed, said):
            if (place, text) in told or _is_of_no_fault(text, mode, named, usable):
                continue
            line = config.line_at(place)
            if place in missing and "has no value" not in text:
                continue  # what follows from it
            if line and (is_typing_error(config, line, text) or _has_wrong_mode(line)):
                continue  # said by the checks for these
            told.add((place, text))
            key = line.key if line else ""
            found = re.sub(rf"^'{re.escape(key)}'(: | )", "", text) if key else text
            yield Finding(place, key, ERROR, "value", found, "", _meant(text))


def _placed(said):
    number, _, text = said.partition(": ")
    return (int(number), text) if number.isdecimal() else (1, said)


def _is_of_no_fault(text, mode, named, usable):
    """Whether it only says that a file is not for that mode."""
    if "no value for the mode" in text:
        return mode not in named
    only = ("has only the mode whole_infer", "has trainings only", "has no value; it names the weights")
    only += ("'trainer' has no value", "'inference' has no value")
    return bool(usable) and any(words in text for words in only)


def _meant(text):
    found = re.search(r"found '([^']*)'", text)
    words = re.findall(r"\b[A-Za-z_]\w+\b", text.partition("expected ")[2].partition(", found")[0])
    trainer = re.search(r"no line '(\w+):…' follows; there are: (.*)", text)
    if trainer:
        return did_you_mean(trainer[1], trainer[2].split(), 0.6)
    return did_you_mean(found[1], [word for word in words if word not in ("or", "such", "as")], 0.6) if found else ""


@check
def booleans(config):
    """`Fasle`, `Ture`, and, where True and False are words to compare, `FALSE`; an error where the chain refuses it."""
    said = [config.refused, *(text for texts in config.modes.values() for text in texts)]
    for line in config.lines:
        for word, meant in typing_errors(config, line).items():
            fixed = line.with_value(re.sub(rf"(?:(?<=[|=:\s])|^){word}(?=$|[|\s])", meant, line.value))
            level = ERROR if any(f"found '{word}'" in text for text in said) else WARNING
            expected = "null" if meant == "null" else "True or False"
            suggestion = f"did you mean {meant}?"
            yield Finding(line.number, line.key, level, "typing", f"'{word}'", expected, suggestion, fixed)


def typing_errors(config, line):
    """{word: the boolean, or null, that is meant} of a line."""
    if line.title == "expected_params":
        return {}
    is_boolean = config.field_of(line) in BOOLEAN | PARTLY_BOOLEAN
    found = {word: _boolean_of(word, is_boolean) for word in _WORD.findall(line.value)}
    entries = [entry.rpartition("=")[2].strip() for entry in line.value.split("|")]
    found.update({word: "null" for word in entries if word != "null" and _swaps_or_drops(word.lower(), "null")})
    return {word: meant for word, meant in found.items() if meant}


def is_typing_error(config, line, text):
    """Whether what a reader says of a line is what the check of booleans says."""
    return any(f"found '{word}'" in text for word in typing_errors(config, line))


def _boolean_of(word, in_boolean_field):
    """The boolean that a word was meant to be; "" for a boolean, and for a word that is none."""
    for right in ("True", "False"):
        if word == right:
            return ""
        if in_boolean_field and word.lower() in _MEANT[right]:
            return right
        if word.lower() == right.lower():
            return right if word not in ("true", "false") and in_boolean_field else ""
        distance = _swaps_or_drops(word.lower(), right.lower())
        if distance == "swap" or (distance and (in_boolean_field or right == "False")):
            return right
    return ""


def is_swapped(word, right):
    """Whether only two neighbouring letters are exchanged."""
    return word[:1].isalpha() and _swaps_or_drops(word, right) == "swap"


def _swaps_or_drops(word, right):
    """`swap` where two neighbours are exchanged, `other` where one letter is missing, added or another; or ""."""
    if len(word) == len(right):
        differ = [at for at in range(len(word)) if word[at] != right[at]]
        if len(differ) == 2 and differ[1] == differ[0] + 1 and sorted(word) == sorted(right):
            return "swap"
        return "other" if len(differ) == 1 and word[0] == right[0] and word not in ("tree", "trie") else ""
    if abs(len(word) - len(right)) == 1 and word[0] == right[0]:
        short, long = sorted((word, right), key=len)
        return "other" if any(long[:at] + long[at + 1 :] == short for at in range(len(long))) else ""
    return ""


@check
def empty_entries(config):
    for line in config.lines:
        if "|" in line.value and not all(map(str.strip, line.value.split("|"))):
            found = f"an empty entry in '{line.value}'"
            meant = "|".join(entry for entry in line.value.split("|") if entry.strip())
            yield Finding(
                line.number, line.key, WARNING, "list", found, "a value on both sides of |", f"did you mean {meant}?"
            )


@check
def placeholders(config):
    for line in config.lines:
        for pattern, what in PLACEHOLDERS:
            for found in dict.fromkeys(pattern.findall(line.value)):
                yield Finding(line.number, line.key, WARNING, "placeholder", f"'{found}', a placeholder", what)


@check
def one_yaml(config):
    """A training and its evaluation without a common YAML file: a line that was copied from another model."""
    named = {}
    for line in config.lines:
        paths = re.findall(r"(?:^|\s)(?:-c|--config(?:-file)?)[ =](\S+\.ya?ml)", line.value)
        if paths:
            named.setdefault(line.key, (line, paths))
    if "norm_train" in named and "eval" in named:
        (line, paths), expected = named["eval"], named["norm_train"][1]
        if not set(paths) & set(expected):
            found, expected = " and ".join(paths), f"that of norm_train, {' and '.join(expected)}"
            yield Finding(line.number, line.key, WARNING, "another-yaml", found, expected)
