"""A look at a body or a message before it is parsed: how many values there are in it.

Both parsers hold up the whole service while they work, for a time that depends on the number of values: 16 MB of `[],`
take JSON's 5 seconds, and 16 MB of empty tensors take protobuf's a minute where it is written in Python. A look takes
milliseconds.
"""

from google.protobuf.message import DecodeError

from ppcls_lite.serving.request import Code, RequestError

_MOST_LISTS, _MOST_VALUES = 100_000, 100_000
_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5  # how a field is written


def check_json(text, numbers=0):
    """Raise RequestError for a JSON text (bytes) of too many values; `numbers` of them may come on top."""
    lists, values = text.count(b"[") + text.count(b"{"), text.count(b",") + 1
    if lists > _MOST_LISTS:
        raise RequestError(Code.LIMIT, f"{lists} lists and objects in the JSON text; expected at most {_MOST_LISTS}")
    if values > _MOST_VALUES + numbers:
        raise RequestError(Code.LIMIT, f"{values} values in the JSON text; expected at most {_MOST_VALUES + numbers}")


def read_message(kind, data, most, refused=()):
    """The protobuf message of a class in bytes.

    Args:
        most: fields in it.
        refused: names of fields that it may not have.
    Raises RequestError for more fields, for one of `refused`, and for bytes that are no such message.
    """
    numbers = _field_numbers(data, most)
    for name in refused:
        if kind.DESCRIPTOR.fields_by_name[name].number in numbers:
            raise RequestError(Code.FORM, f"{name} are not accepted")
    try:
        return kind.FromString(data)
    except (DecodeError, ValueError):  # ValueError: a text that is not Unicode
        raise _no_message(data) from None


def _field_numbers(data, most):
    found, at, count = set(), 0, 0
    while at < len(data):
        count += 1
        if count > most:
            raise RequestError(Code.LIMIT, f"more than {most} fields in the message")
        tag, at = _number(data, at)
        written = tag & 7
        if written == _VARINT:
            _, at = _number(data, at)
        elif written == _SIZED:
            size, at = _number(data, at)
            at += size
        elif written in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if written == _EIGHT_BYTES else 4
        else:
            raise _no_message(data)
        found.add(tag >> 3)
    if at > len(data):
        raise _no_message(data)
    return found


def _number(data, start):
    """(a number of seven bits a byte, the place behind it)."""
    value = 0
    for index, byte in enumerate(data[start : start + 10]):
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, start + index + 1
    raise _no_message(data)


def _no_message(data):
    return RequestError(Code.FORM, f"expected a message of the service, found {len(data)} bytes of something else")
