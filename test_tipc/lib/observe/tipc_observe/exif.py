"""How a file says that its image lies: the orientation of EXIF, a number from 1 to 8 (TIFF's tag 0x0112)."""

import struct

_HEADS = (b"Exif\0\0", b"eXIf", b"EXIF")  # of JPEG, PNG and WebP; the last is followed by a length
_SEARCHED = 1 << 18  # bytes at both ends of a file
_TAG, _SHORT = 0x0112, 3


def orientation(data):
    """The orientation in the bytes of an encoded image; 1, upright, where none is stated."""
    ends = data if len(data) <= 2 * _SEARCHED else data[:_SEARCHED] + data[-_SEARCHED:]
    for head in _HEADS:
        at = ends.find(head)
        while at >= 0:
            for skip in (0, 4, 10):  # the length of a WebP chunk, and JPEG's head within it
                found = _of_tiff(ends, at + len(head) + skip)
                if found:
                    return found
            at = ends.find(head, at + 1)
    return _of_tiff(data, 0) or 1  # a TIFF file has its tags at its start


def _of_tiff(data, start):
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[start : start + 4])
    if order is None:
        return None
    try:
        at = start + struct.unpack_from(f"{order}I", data, start + 4)[0]
        (count,) = struct.unpack_from(f"{order}H", data, at)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", data, at + 2 + 12 * entry)
            if tag == _TAG and kind == _SHORT and 1 <= value <= 8:
                return value
    except struct.error:  # its end is missing
        pass
    return None
