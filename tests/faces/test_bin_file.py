"""`.bin` files of pairs: every spelling of bytes and booleans is read, and nothing else is, let alone run."""

import contextlib
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest

from ppcls_lite.data.faces import bin_file, load_pairs, read_bin, write_bin
from ppcls_lite.utils.errors import UserError
from tests.faces.helpers import encoded
from tests.helpers.scripts import assert_one_line

IMAGES = [encoded(seed, ending=".jpg" if seed % 2 else ".png") for seed in range(6)] + [b"", bytes(range(256))]
SAME = [True, False, False, True]


def as_arrays(images):
    return [np.frombuffer(image, np.uint8) for image in images]


FORMS = {
    "bytes": (IMAGES, SAME),
    "list of lists": [IMAGES, SAME],
    "tuples": (tuple(IMAGES), tuple(SAME)),
    "arrays of bytes": (as_arrays(IMAGES), SAME),
    "columns": ([array.reshape(-1, 1) for array in as_arrays(IMAGES)], SAME),
    "NumPy's booleans": (IMAGES, [np.bool_(item) for item in SAME]),
    "an array of booleans": (as_arrays(IMAGES), np.array(SAME)),
    "0 and 1": (IMAGES, [int(item) for item in SAME]),
    "bytearrays": ([bytearray(image) for image in IMAGES], SAME),
}


# a bytearray is a call of its own before protocol 5, which no pair file has
SPELLINGS = [(form, protocol) for form in FORMS for protocol in range(6) if form != "bytearrays" or protocol == 5]


@pytest.mark.parametrize(("form", "protocol"), SPELLINGS)
def test_every_spelling_is_read(form, protocol, tmp_path):
    path = tmp_path / "pairs.bin"
    path.write_bytes(pickle.dumps(FORMS[form], protocol))
    assert read_bin(path) == (IMAGES, SAME)


def python2(images, same, protocol):
    """The pickle of Python 2, whose `str` are bytes: by text in protocol 0, with lengths in protocol 2."""
    if protocol == 0:
        rows = [b"S" + repr(image)[1:].encode() + b"\n" for image in images]
        truth = [b"I01\n" if item else b"I00\n" for item in same]
        return b"((l" + b"".join(b"%sa" % row for row in rows) + b"(l" + b"".join(b"%sa" % one for one in truth) + b"t."
    rows = [b"T" + struct.pack("<i", len(image)) + image for image in images]
    truth = [b"\x88" if item else b"\x89" for item in same]
    return b"\x80\x02](" + b"".join(rows) + b"e](" + b"".join(truth) + b"e\x86."


@pytest.mark.parametrize("protocol", [0, 2])
def test_python_2_is_read(protocol, tmp_path):
    path = tmp_path / "pairs.bin"
    path.write_bytes(python2(IMAGES, SAME, protocol))
    assert pickle.loads(path.read_bytes(), encoding="bytes") == (IMAGES, SAME)  # it is what Python takes it for
    assert read_bin(path) == (IMAGES, SAME)


def test_what_is_written_is_read_here_and_by_pickle(tmp_path):
    write_bin(tmp_path / "a.bin", IMAGES, SAME)
    assert read_bin(tmp_path / "a.bin") == (IMAGES, SAME)
    assert pickle.loads((tmp_path / "a.bin").read_bytes(), encoding="bytes") == (IMAGES, SAME)
    with pytest.raises(ValueError, match="7 images for 4 pairs"):
        write_bin(tmp_path / "b.bin", IMAGES[1:], SAME)


# ---------------------------------------------------------------------------------------------------- hostile files


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def refusal(content, tmp_path):
    """The one line that the file ends with."""
    path = tmp_path / "hostile.bin"
    path.write_bytes(content)
    with pytest.raises(UserError) as found:
        read_bin(path)
    message = str(found.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize("protocol", range(6))
def test_calls_are_never_made(protocol, tmp_path):
    made = tmp_path / "made"
    content = pickle.dumps(([Call(os.system, f"touch {made}")], [True]), protocol)
    assert "refused" in refusal(content, tmp_path)
    assert "posix.system" in refusal(content, tmp_path)
    assert not made.exists()
    pickle.loads(content)
    assert made.exists()  # the file does what it says, where it is unpickled


@pytest.mark.parametrize("call", [(eval, "1"), (bytes, 10**12), (np.zeros, 10**9), (np.dtype, "O"), (np.dtype, "f4")])
def test_other_calls_are_refused(call, tmp_path):
    assert "refused" in refusal(pickle.dumps(([Call(*call)], [True])), tmp_path)


def test_instructions_that_build_objects_are_refused(tmp_path):
    for content in (
        b"(ios\nsystem\n.",
        b"(cos\nsystem\nS'x'\no.",
        b"cos\nsystem\n.",
        b"\x80\x04}.",
        b"\x80\x02\x82\x01.",
    ):
        assert "refused" in refusal(content, tmp_path)
    assert "EXT1" in refusal(b"\x80\x02\x82\x01.", tmp_path)


def test_objects_in_arrays_are_refused(tmp_path):
    plain = pickle.dumps((as_arrays(IMAGES), SAME), 2)
    assert b"X\x02\x00\x00\x00u1" in plain
    assert "refused" in refusal(plain.replace(b"X\x02\x00\x00\x00u1", b"X\x02\x00\x00\x00O8"), tmp_path)


def test_shapes_and_states_of_arrays_are_not_believed(tmp_path):
    plain = pickle.dumps((as_arrays([b"abc", b"de"]), [True]), 2)
    for right, wrong in (
        (b"K\x03\x85", b"K\x04\x85"),
        (b"NNNJ", b"NN)J"),
        (b"X\x01\x00\x00\x00|", b"X\x01\x00\x00\x00x"),
    ):
        assert right in plain
        refusal(plain.replace(right, wrong, 1), tmp_path)
    assert read_bin_of(plain, tmp_path) == ([b"abc", b"de"], [True])


def read_bin_of(content, tmp_path):
    (tmp_path / "a.bin").write_bytes(content)
    return read_bin(tmp_path / "a.bin")


def test_values_that_wait_are_limited(tmp_path):
    assert "has more than 1,000,000 loose values" in refusal(b"N" * 1_100_000 + b".", tmp_path)


def test_lengths_are_not_believed(tmp_path):
    for code, form in ((b"B", "<I"), (b"\x8e", "<Q"), (b"X", "<I"), (b"\x8d", "<Q"), (b"\x96", "<Q"), (b"\x95", "<Q")):
        huge = 2 ** (8 * struct.calcsize(form) - 1) - 1
        assert "damaged" in refusal(b"\x80\x05](" + code + struct.pack(form, huge) + b"abc", tmp_path)
    assert "damaged" in refusal(b"\x80\x05T" + struct.pack("<i", -1) + b"abc.", tmp_path)
    assert "damaged" in refusal(b"\x80\x02]r\xff\xff\xff\x7f.", tmp_path)  # kept under a number that needs no room
    assert "damaged" in refusal(b"I" + b"9" * 10_000 + b"\n.", tmp_path)


def test_bombs_stay_small(tmp_path):
    """Each would take gigabytes or hours in Python's unpickler; here a process with little memory refuses them."""
    text = b"X" + struct.pack("<I", 50_000) + b"x" * 50_000 + b"q\x010"
    encode = b"c_codecs\nencode\nq\x020X\x06\x00\x00\x00latin1q\x030"
    again = b"h\x02h\x01h\x03\x86R" * 20_000
    laughs = b"]q\x00" + b"".join(b"](" + b"h%c" % n * 250 + b"eq" + bytes([n + 1]) for n in range(250)) + b"."
    bombs = {
        "encode": b"\x80\x02" + text + encode + again + b".",
        "laughs": b"\x80\x02" + laughs,
        "deep": b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
        "deep tuples": b"\x80\x02N" + b"\x85" * 300_000 + b".",
        "marks": b"(" * 1_100_000,
        "loose": b"N" * 1_100_000,
        "itself": b"\x80\x02]q\x00h\x00a].",
    }
    paths = []
    for name, content in bombs.items():
        paths.append(tmp_path / f"{name}.bin")
        paths[-1].write_bytes(content)
    program = (
        "import resource, sys\n"
        "from ppcls_lite.data.faces.bin_file import read_bin\n"
        "from ppcls_lite.utils.errors import UserError\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + (400 << 20), now + (400 << 20)))\n"
        "for path in sys.argv[1:]:\n"
        "    try: read_bin(path)\n"
        "    except UserError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [str(path) for path in paths]


def test_files_cut_anywhere_are_refused(tmp_path):
    whole = pickle.dumps((as_arrays(IMAGES[:2]), [True]), 2)
    for end in range(len(whole)):
        refusal(whole[:end], tmp_path)
    assert "1 bytes after its end" in refusal(whole + b"N", tmp_path)


def test_files_with_flipped_bytes_end_in_one_line_or_are_read(tmp_path):
    rng = np.random.default_rng(5)
    whole = pickle.dumps((IMAGES, [np.bool_(item) for item in SAME]), 2)
    path = tmp_path / "flipped.bin"
    for _ in range(300):
        content = bytearray(whole)
        for at in rng.integers(len(content), size=3):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        with contextlib.suppress(UserError):  # anything else fails the test
            read_bin(path)


def test_other_content_is_named(tmp_path):
    cases = {
        "two images for each of the 1 pairs, found 1": ([b"a"], [True]),
        "not a row of bytes": ([1, 2], [True]),
        "True or False": ([b"a", b"b"], ["x"]),
        "two lists": ([b"a", b"b"], [True], [False]),
        "of images and of booleans": (b"ab", [True]),
    }
    for expected, value in cases.items():
        assert expected in refusal(pickle.dumps(value), tmp_path)
    assert "0xff" in refusal(encoded(0, ending=".jpg"), tmp_path)
    assert "cannot be read" in refusal_of_missing(tmp_path)


def refusal_of_missing(tmp_path):
    with pytest.raises(UserError) as found:
        read_bin(tmp_path / "none.bin")
    return str(found.value)


def test_size_is_limited(tmp_path, monkeypatch):
    write_bin(tmp_path / "a.bin", IMAGES, SAME)
    monkeypatch.setattr(bin_file, "MAX_BYTES", 1 << 10)
    with pytest.raises(UserError, match="of at most 0 GiB"):
        read_bin(tmp_path / "a.bin")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (([], []), "expected at least 10 pairs, one for each fold, found 0"),
        ((IMAGES[:1] * 24, [True] * 12), "expected pairs of both kinds, found 12"),
    ],
)
def test_a_file_that_cannot_be_verified_is_named(pairs, message, tmp_path, run_here):
    write_bin(tmp_path / "few.bin", *pairs)
    outcome = run_here("tools/verify_pairs.py", "--inference_model_dir", "none", "--pairs", tmp_path / "few.bin")
    assert_one_line(outcome, f"error: {tmp_path}/few.bin: verification: {message}")


def test_an_image_of_several_pairs_is_there_once(tmp_path):
    a, b, c = IMAGES[:3]
    write_bin(tmp_path / "a.bin", [a, b, c, a, b, a], [True, False, True])
    pairs = load_pairs(tmp_path / "a.bin")
    assert pairs.sources == [a, b, c]
    assert pairs.content(1) == b
    assert pairs.first.tolist() == [0, 2, 1]
    assert pairs.second.tolist() == [1, 0, 0]
    assert [name.rpartition("/")[2] for name in pairs.names] == ["a.bin[0]", "a.bin[1]", "a.bin[2]"]
    assert pairs.same.tolist() == [True, False, True]
