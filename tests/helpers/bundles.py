"""Read a bundle as a stranger does: with its files alone, and no Paddle and NumPy."""

import hashlib
import json
import math
import struct

import bundle_lineage


def read_bundle(folder):
    """The content of bundle.json; every hash in it is right."""
    content = json.loads((folder / "bundle.json").read_text(encoding="utf-8"), parse_constant=_refuse)
    found = bundle_lineage.faults(content, folder)
    assert not found, found
    return content


def _refuse(word):
    raise ValueError(f"{word} in JSON")


def exact_entries(content, folder):
    """{file: (its entry in `predictions`, its content)} of those of full precision."""
    return {
        one["file"]: (one, json.loads((folder / one["file"]).read_text(encoding="utf-8"), parse_constant=_refuse))
        for one in content["predictions"]
        if one["exact"]
    }


def differences(content, folder):
    """{file: (the largest difference from the file that it must equal, its limit, how many rows were compared)}."""
    entries = exact_entries(content, folder)
    found = {}
    for file, (one, saved) in entries.items():
        if one["against"]:
            expected = entries[one["against"]][1]
            if "rows" in saved:
                pairs = _row_pairs(expected, saved)
            else:
                pairs = _image_pairs(expected["images"], saved["images"])
            found[file] = max(map(_apart, pairs), default=0.0), one["limit"], len(pairs)
    return found


def _row_pairs(expected, saved):
    """Rows of the same input; what is behind the network in the export is applied to those of a network."""
    behind = softmax if (expected.get("behind"), saved.get("behind")) == ("softmax", "") else list
    same = saved.get("same_image") or {}
    pairs = [(row, expected["rows"].get(same.get(key, key))) for key, row in saved["rows"].items()]
    return [(behind(other), row) for row, other in pairs if other]


def _image_pairs(expected, saved):
    return [(_flat(expected[name]["rows"]), _flat(one["rows"])) for name, one in saved.items()]


def _flat(rows):
    """The numbers of rows, or of an embedding, which has none."""
    return [number for row in rows for number in (row if isinstance(row, list) else [row])]


def _apart(pair):
    assert len(pair[0]) == len(pair[1]) > 0
    return max(abs(a - b) for a, b in zip(*pair))


def softmax(row):
    parts = [math.exp(number - max(row)) for number in row]
    return [part / sum(parts) for part in parts]


def bits_hash(rows):
    """The SHA-256 of the float32 numbers of an image's classes, as its entry says it."""
    return hashlib.sha256(b"".join(struct.pack("<f", score) for _, score in rows)).hexdigest()
