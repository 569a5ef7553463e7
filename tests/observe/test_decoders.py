"""Images that a script decodes, with TIPC_OBSERVE_DEEP=1: seen as the script gets them, and nothing else is changed."""

import hashlib
import io
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.helpers.scripts import ROOT
from tests.observe.conftest import OBSERVER, run_script

sys.path.insert(0, str(OBSERVER / "tipc_observe"))
from exif import orientation

sys.path.pop(0)

DEEP = {"TIPC_OBSERVE_DEEP": "1"}
QUIET = {"OPENCV_LOG_LEVEL": "OFF"}  # its warnings have the time in them
PHOTO = ROOT / "test_images/chelsea.jpg"
HEAD = "import io, os, sys\nimport numpy as np\n"
CV2 = f"""
import cv2
from cv2 import imread
import paddle

def show(image):
    print(image is None or (image.shape, str(image.dtype), int(image.astype(int).sum())))

path = {str(PHOTO)!r}
data = open(path, "rb").read()
show(cv2.imread(path))
show(imread(filename=path, flags=cv2.IMREAD_GRAYSCALE))
show(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
show(cv2.imread("not_there.jpg"))
show(cv2.imread("alpha.png", cv2.IMREAD_UNCHANGED))
show(cv2.imread("deep.png", -1))
show(cv2.imread(path, cv2.IMREAD_REDUCED_COLOR_2))
try:
    cv2.imdecode(None, 1)
except cv2.error:
    print("error")
"""
PIL = f"""
import paddle
from PIL import Image
from PIL.Image import open as open_image

def show(image):
    print(image.mode, np.asarray(image).shape, int(np.asarray(image).astype(int).sum()), "load" in vars(image))

path = {str(PHOTO)!r}
print(Image.open(path).size)  # never decoded
show(open_image(path))
stream = open(path, "rb")
image = Image.open(stream)
print(stream.tell())
show(image.convert("L"))
print(stream.tell(), stream.closed)
show(Image.open(io.BytesIO(stream.read() or open(path, "rb").read())))
image = Image.open(path)
image.draft("RGB", (100, 100))
show(image)
show(Image.open("palette.png"))
show(Image.open("turned.jpg"))
show(Image.open("deep.png"))
with Image.open("alpha.png") as image:
    show(image.convert("RGB"))
try:
    Image.open(io.BytesIO(b"no image"))
except Exception as error:
    print(type(error).__name__)
try:
    Image.open("cut.jpg").load()
except OSError as error:
    print(error)
copied = __import__("pickle").loads(__import__("pickle").dumps(Image.open(path)))
show(copied)
"""
WORKERS = f"""
import paddle
from PIL import Image

class Images(paddle.io.Dataset):
    def __getitem__(self, number):
        return np.asarray(Image.open({str(PHOTO)!r}).resize((8, 8 + number - number))).astype("float32")

    def __len__(self):
        return 4

for batch in paddle.io.DataLoader(Images(), batch_size=2, num_workers=2, use_shared_memory=False):
    print(batch.shape if hasattr(batch, "shape") else batch[0].shape)
"""


@pytest.fixture
def images(tmp_path):
    """A folder with images of several kinds."""
    place = tmp_path / "run"
    place.mkdir()
    photo = Image.open(PHOTO).convert("RGB").resize((40, 30))
    rng = np.random.default_rng(0)
    cv2.imwrite(str(place / "alpha.png"), rng.integers(0, 256, (6, 5, 4), np.uint8))
    cv2.imwrite(str(place / "deep.png"), rng.integers(0, 65536, (6, 5), np.uint16))
    photo.quantize(9).save(place / "palette.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(place / "turned.jpg", exif=exif)
    (place / "cut.jpg").write_bytes(PHOTO.read_bytes()[:5000])
    return place


def observed(place, script, **environment):
    """The recording of a script, which prints as without the observer."""
    plain = run_script(place, HEAD + script, flags=["-W", "ignore"], observed=False, **QUIET)
    seen = run_script(place, HEAD + script, flags=["-W", "ignore"], **QUIET, **environment)
    assert plain.status == 0, plain.err.decode()
    assert (seen.status, seen.out, seen.err) == (plain.status, plain.out, plain.err)
    return seen


def pixels_of(recording, event):
    with np.load(recording.folder / event["file"], allow_pickle=False) as stored:
        return stored["pixels"]


def digest(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def test_opencv(images):
    seen = observed(images, CV2, **DEEP)
    events = seen.of("decoded")
    assert seen.lost == []
    assert [(event["call"], event["mode"], event["dtype"]) for event in events] == [
        ("imread", "RGB", "uint8"),
        ("imread", "L", "uint8"),
        ("imdecode", "RGB", "uint8"),
        ("imread", "RGBA", "uint8"),
        ("imread", "L", "uint16"),
        ("imread", "RGB", "uint8"),
    ]
    assert [event["path"] for event in events[:3]] == [str(PHOTO), str(PHOTO), None]
    assert {event["source"] for event in events[:3]} == {digest(PHOTO.read_bytes())}
    assert events[2]["file"] == events[0]["file"]  # not kept twice
    assert [event["number"] for event in events] == list(range(6))
    bgr = cv2.imread(str(PHOTO))
    assert np.array_equal(pixels_of(seen, events[0]), bgr[:, :, ::-1])
    assert digest(pixels_of(seen, events[0]).tobytes()) == events[0]["hash"]
    alpha = cv2.imread(str(images / "alpha.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(pixels_of(seen, events[3]), alpha[:, :, [2, 1, 0, 3]])
    assert events[5]["shape"] == [-(-side // 2) for side in bgr.shape[:2]] + [3]


def test_pillow(images):
    seen = observed(images, PIL, **DEEP)
    events = seen.of("decoded")
    assert seen.lost == []
    photo = np.asarray(Image.open(PHOTO))
    assert [(event["mode"], event["orientation"]) for event in events] == [
        ("RGB", 1), ("RGB", 1), ("RGB", 1), ("RGB", 1), ("P", 1), ("RGB", 6), ("I;16", 1), ("RGBA", 1), ("RGB", 1),
    ]  # fmt: skip
    assert {event["source"] for event in events[:4]} == {digest(PHOTO.read_bytes())}
    assert [event["path"] is None for event in events[:4]] == [False, True, True, False]
    assert events[0]["file"] == events[1]["file"] == events[2]["file"]
    assert np.array_equal(pixels_of(seen, events[0]), photo)
    assert events[3]["shape"][0] < photo.shape[0]  # the reduced size that the script gets
    assert np.array_equal(pixels_of(seen, events[4]), np.asarray(Image.open(images / "palette.png").convert("RGB")))
    assert events[6]["dtype"] == "uint16"


def test_processes_that_read_data(images):
    seen = observed(images, WORKERS, **DEEP)
    assert len(seen.of("decoded")) == 4
    assert all((seen.folder / event["file"]).is_file() for event in seen.of("decoded"))
    names = {path.name.partition("_")[0].removesuffix(".npz") for path in seen.folder.glob("*_d*.npz")}
    pids = {str(event["pid"]) for event in seen.of("process")}
    assert names < pids
    assert len(pids) == len(names) + 1 > 1  # the script's own process


@pytest.mark.parametrize("first", ["paddle", "cv2"])
def test_whatever_is_imported_first(images, first):
    imports = ["import paddle", "import cv2\nfrom PIL import Image"]
    imports = imports if first == "paddle" else imports[::-1]
    seen = observed(images, "\n".join([*imports, f"cv2.imread({str(PHOTO)!r}); Image.open('deep.png').load()"]), **DEEP)
    assert [event["library"] for event in seen.of("decoded")] == ["cv2", "PIL"]


def test_the_first_different_images_are_kept(images):
    script = """
import cv2, paddle
for number in range(40):
    _, data = cv2.imencode(".png", np.full((4, 4, 3), number // 2, np.uint8))
    cv2.imdecode(data, 1)
"""
    seen = observed(images, script, **DEEP)
    events = seen.of("decoded")
    assert len(events) == 40
    assert len({event["file"] for event in events} - {None}) == len(list(seen.folder.glob("*.npz"))) == 16
    assert all(event["file"] is None for event in events[32:])


@pytest.mark.parametrize("deep", [{}, {"TIPC_OBSERVE_DEEP": "0"}])
def test_only_with_the_variable(images, deep):
    seen = observed(images, "import cv2, paddle\nprint(type(cv2.imread).__name__)\ncv2.imread('alpha.png')\n", **deep)
    assert b"builtin" in seen.out
    assert seen.of("process")
    assert not seen.of("decoded")


def test_a_folder_that_cannot_be_written_does_no_harm(images):
    script = CV2.replace("show(cv2.imread(path))", "import shutil; shutil.rmtree('recorded', True)\nshow(imread(path))")
    observed(images, script, **DEEP)


@pytest.mark.parametrize("name", ["cv2", "PIL.Image"])
def test_another_package_of_that_name(images, tmp_path, name):
    top, _, part = name.partition(".")
    folder = tmp_path / "other"
    (folder / top).mkdir(parents=True)
    (folder / top / "__init__.py").write_text("")
    (folder / top / (f"{part}.py" if part else "__init__.py")).write_text("value = 3\n")
    script = f"import {name}\nprint({name}.value)\n"
    plain = run_script(images, script, observed=False, path=[folder])
    seen = run_script(images, script, path=[folder], **DEEP)
    assert (seen.status, seen.out, seen.err) == (plain.status, plain.out, plain.err) == (0, b"3\n", b"")


def encoded(kind, number, endian="<"):
    exif = Image.Exif()
    exif.endian = endian
    if number:
        exif[0x0112] = number
    stream = io.BytesIO()
    Image.open(PHOTO).resize((9, 7)).save(stream, kind, **({"exif": exif} if number else {}))
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_how_an_image_lies(kind):
    for number in (0, 1, 3, 6, 8):
        for endian in "<>":
            data = encoded(kind, number, endian)
            assert orientation(data) == (number or 1)
            assert orientation(data[: len(data) // 3]) in (number or 1, 1)  # no error


def test_what_is_no_orientation():
    data = encoded("JPEG", 6)
    at = data.index(b"Exif") + 6
    assert orientation(data[:at] + data[at:].replace(b"\x06\0\0\0", b"\x09\0\0\0", 1)) == 1
    assert [orientation(some) for some in (b"", b"Exif\0\0", b"II*\0\xff\xff\xff\xff", data[:30])] == [1] * 4
