"""What is wrong with the characters of a file, whatever its lines mean."""

import re

from lint.findings import ERROR, WARNING, Finding, check

# characters of Chinese keyboards for those that have a meaning here
FULL_WIDTH = {"\uff1a": ":", "\uff5c": "|", "\uff1d": "=", "\uff0c": ",", "\u2018": "'", "\u2019": "'"}
FULL_WIDTH.update({"\u201c": '"', "\u201d": '"', "\u3000": " ", "\xa0": " "})
_WIDE = re.compile("[" + "".join(FULL_WIDTH) + "]")


@check
def ends_of_lines(config):
    """CR LF, or CR alone: the readers refuse the file, so one finding says it for all lines."""
    count = config.raw.count(b"\r")
    if count:
        first = config.raw[: config.raw.index(b"\r")].count(b"\n") + 1
        found = f"{count} line{'s' if count > 1 else ''} with the end of Windows (CR LF)"
        suggestion = "--fix writes it so"
        yield Finding(first, "", ERROR, "line-end", found, "LF alone", suggestion, "")


@check
def byte_order_mark(config):
    if config.raw.startswith(b"\xef\xbb\xbf"):
        found = "a byte-order mark before the first line"
        yield Finding(1, "", WARNING, "bom", found, "UTF-8 without it", "--fix takes it away", "")


@check
def encoding(config):
    try:
        config.raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = config.raw[: error.start].count(b"\n") + 1
        yield Finding(line, "", ERROR, "encoding", f"byte 0x{config.raw[error.start]:02x}", "UTF-8", "save it as UTF-8")
    if b"\x00" in config.raw:
        line = config.raw[: config.raw.index(b"\x00")].count(b"\n") + 1
        yield Finding(line, "", ERROR, "encoding", "a zero byte", "text")


@check
def tabs(config):
    for line in config.lines:
        if "\t" in line.text and not config.plain:  # there, a tab is a blank between name and value
            fixed = re.sub(r"\t+", " ", line.text).rstrip()
            yield Finding(line.number, line.key, WARNING, "tab", "a tab", "a blank", "--fix replaces it", fixed)


@check
def trailing_blanks(config):
    for line in config.lines:
        if line.text != line.text.rstrip() and "\t" not in line.text:
            found, fixed = "blanks behind the value", line.text.rstrip()
            yield Finding(line.number, line.key, WARNING, "blank", found, "none", "--fix takes them away", fixed)


@check
def full_width(config):
    for line in config.lines:
        found = sorted(set(_WIDE.findall(line.text)))
        if found:
            meant = ", ".join(f"{FULL_WIDTH[one]!r}" for one in found)
            shown = ", ".join(f"'{one}' (U+{ord(one):04X})" for one in found)
            fixed = _WIDE.sub(lambda one: FULL_WIDTH[one[0]], line.text)
            level = WARNING if line.has_colon else ERROR
            yield Finding(line.number, line.key, level, "full-width", shown, meant, "--fix replaces it", fixed)
