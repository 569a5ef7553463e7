"""Deep recordings of two scripts that decode, resize, crop and normalise images, each in its own way."""

import hashlib

import numpy as np
from PIL import Image

from agreement.exported import Exported
from agreement.recording import Recording
from diagnosis.subject import Subject
from tests.helpers.scripts import ROOT

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PHOTOS = [ROOT / "test_images" / f"{name}.jpg" for name in ("chelsea", "coffee", "rocket")]


def pillow(path):
    return np.asarray(Image.open(path))


def opencv(path, flags=1):
    import cv2

    pixels = cv2.imread(str(path), flags)
    return pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]])


def rough(path):
    """As a decoder with another arithmetic."""
    pixels = pillow(path)
    noise = np.random.default_rng(0).integers(-2, 3, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def resized(pixels, short=36, library="PIL", way=2):
    """The image with a short side of that length; `way` is the library's own number of an interpolation."""
    import cv2

    scale = short / min(pixels.shape[:2])
    height, width = (round(side * scale) for side in pixels.shape[:2])
    if library == "cv2":
        return cv2.resize(np.ascontiguousarray(pixels), (width, height), interpolation=way)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), way))


def cropped(pixels, size=32, down=0, right=0):
    top, left = ((side - size) // 2 for side in pixels.shape[:2])
    return pixels[top + down : top + down + size, left + right : left + right + size]


def normalised(pixels, mean=MEAN, std=STD, scale=1 / 255):
    """[C, H, W] float32."""
    image = (pixels.astype(np.float32) * np.float32(scale) - np.float32(mean)) / np.float32(std)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def usual(pixels):
    return normalised(cropped(resized(pixels)))


class Scripts:
    """What predict and infer did, each recorded; images given to one of them come with the path of their file."""

    def __init__(self, project, layer, name="x"):
        self.project, self.layer, self.name, self._kept = project, layer, name, {}

    def decoded(self, step, path, pixels, library="PIL", mode="RGB", orientation=1):
        """A step decoded an image."""
        recorder = self.project.recorder(step)
        number = self._kept[step] = self._kept.get(step, -1) + 1
        pixels = np.ascontiguousarray(pixels)
        np.savez(recorder.folder / f"1_d{number}.npz", pixels=pixels)
        call = "imread" if library == "cv2" else "open"
        recorder.write(
            event="decoded", number=number, library=library, call=call, path=str(path), source=_hash(path.read_bytes()),
            shape=list(pixels.shape), dtype=str(pixels.dtype), mode=mode, orientation=orientation,
            hash=_hash(pixels.tobytes()), file=f"1_d{number}.npz",
        )  # fmt: skip

    def predict(self, *images, step="predict"):
        for image in images:
            self.project.layer(step, self.layer, {self.name: image[None]})

    def infer(self, *images):
        for image in images:
            self.project.infer(image[None])

    def subject(self):
        project = self.project
        folder = project.folder
        references = {step: Recording(folder / step) for step in ("evaluate", "predict") if (folder / step).is_dir()}
        inferred = [Recording(folder / setting) for setting in ("infer",) if (folder / setting).is_dir()]
        return Subject(Exported(project.model.files[0]), references, inferred, progress=lambda line: None)


def ran(scripts, own, other, paths=PHOTOS, decoders=(pillow, pillow), libraries=("PIL", "PIL"), orientation=1, **kinds):
    """Both scripts ran on images: `own` and `other` make their inputs [C, H, W] of decoded pixels."""
    for path in paths:
        for step, decode, make, library in (
            ("predict", decoders[0], own, libraries[0]), ("infer", decoders[1], other, libraries[1]),
        ):  # fmt: skip
            pixels = decode(path)
            mode = kinds.get(step, "RGB")
            scripts.decoded(step, path, pixels, library, mode, orientation)
            getattr(scripts, step)(make(pixels))
    return scripts.subject()


def _hash(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()
