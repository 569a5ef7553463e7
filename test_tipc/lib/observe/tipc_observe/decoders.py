"""Images that a script decodes, with TIPC_OBSERVE_DEEP=1: cv2.imread, cv2.imdecode and PIL.Image.open.

The pixels are those that the script gets: OpenCV's result in RGB order, and what PIL has once the script first needs
it, as PIL decodes no earlier (a size set by `draft` counts, and an image whose size alone is read does not). A palette
is looked up. What is decoded before Paddle is imported is not recorded.
"""

import functools
import os
import sys

IMAGES, MEGABYTES = 16, 256  # whose pixels are kept
MOST = 4096  # events of a process
_RGB = 256  # cv2.IMREAD_COLOR_RGB of newer releases

_now = []  # the Decoders of this process, once Paddle is observed


def begin(store):
    """Record from now on what the hooks see."""
    _now[:] = [Decoders(store)]


def observe(module):
    """Put the hooks into `cv2` or `PIL.Image`, wherever they are held already."""
    hooks = {"cv2": {"imread": _cv2, "imdecode": _cv2}, "PIL.Image": {"open": _pillow}}
    for name, hook in hooks[module.__name__].items():
        function = getattr(module, name)
        other = hook(name, function)
        setattr(module, name, other)
        _replace(name, function, other)


def _replace(name, function, other):
    """Put `other` where any module holds `function` as `name`."""
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(name) is function:
            setattr(module, name, other)


def _cv2(name, function):
    """`imread` or `imdecode`, whose result is noted."""

    @functools.wraps(function)
    def decode(*args, **kwargs):
        result = function(*args, **kwargs)
        if _now and result is not None and not _now[0].store.local.busy:
            _now[0].store.attempt(_now[0].note_cv2, name, result, args, kwargs)
        return result

    return decode


def _pillow(name, function):
    """`open`, which has the image noted when its pixels are loaded."""

    @functools.wraps(function)
    def open_and_watch(fp, *args, **kwargs):
        image = function(fp, *args, **kwargs)
        if _now and not _now[0].store.local.busy:
            _now[0].store.attempt(_now[0].watch, image, fp)
        return image

    return open_and_watch


def _loader(method):
    """`load` of a class of PIL, which has the pixels of an image noted when they are there."""

    @functools.wraps(method)
    def load(image, *args, **kwargs):
        head = _now[0].store.attempt(_now[0].taken, image)  # before: a class may call the `load` of the one above it
        result = method(image, *args, **kwargs)
        if head:
            _now[0].store.attempt(_now[0].note_pillow, head, image)
        return result

    load.tipc_method = method
    return load


class Decoders:
    """What was decoded in this process; `store` takes it."""

    def __init__(self, store):
        from .store import Known

        self.store, self.heads = store, Known()
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self):
        self.number, self.room, self.files = 0, MEGABYTES << 20, {}

    def note_cv2(self, call, pixels, args, kwargs):
        given = args[0] if args else kwargs["filename" if call == "imread" else "buf"]
        flags = kwargs.get("flags", next((value for value in args[1:] if isinstance(value, int)), 1))
        path = os.path.abspath(given) if call == "imread" else None
        data = _read(path) if path else bytes(given)
        mode = {3: "RGB", 4: "RGBA"}.get(pixels.shape[2], "") if pixels.ndim == 3 else "L"
        if mode and mode != "L" and not (flags > 0 and flags & _RGB):
            pixels = pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
        self.note({"library": "cv2", "call": call, "path": path, **_facts(data)}, pixels, mode)

    def watch(self, image, given):
        """Note the pixels of a PIL image when the script has them loaded."""
        if isinstance(given, (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsdecode(given))
            data = _read(path)
        else:
            path, data = None, _content(given if _is_seekable(given) else image.fp)
        self.heads.put(image, {"library": "PIL", "call": "open", "path": path, **_facts(data)})
        kind = type(image)  # an attribute of the image itself would be a cycle, which keeps its file open
        if not hasattr(kind.load, "tipc_method"):
            kind.load = _loader(kind.load)

    def taken(self, image):
        """What is known of a PIL image whose pixels were not noted; only once."""
        head = self.heads.get(image)
        if head:
            self.heads.put(image, None)
        return head

    def note_pillow(self, head, image):
        import numpy as np

        pixels = np.asarray(image)
        if image.mode == "P":
            palette = np.zeros((256, 3), np.uint8)
            colours = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
            palette[: len(colours)] = colours
            pixels = palette[pixels]
        elif image.mode == "1":
            pixels = pixels.astype(np.uint8) * 255
        self.note(head, pixels, image.mode)

    def note(self, head, pixels, mode):
        """Write the event, and the pixels of the first different images."""
        import numpy as np

        from .arrays import hash_of

        with self.store.lock:
            if self.number >= MOST:
                return
            pixels = np.ascontiguousarray(pixels)
            key = f"{hash_of(pixels)}{list(pixels.shape)}{pixels.dtype}"
            if key not in self.files and len(self.files) < IMAGES and pixels.nbytes <= self.room:
                self.files[key] = self.store.keep(f"d{self.number}", {"pixels": pixels})
                self.room -= pixels.nbytes
            about = {"shape": list(pixels.shape), "dtype": str(pixels.dtype), "mode": mode, "hash": hash_of(pixels)}
            event = {"event": "decoded", "number": self.number, **head, **about, "file": self.files.get(key)}
            self.store.write(event)
            self.number += 1


def _facts(data):
    """The hash of the encoded bytes, and how they say that the image lies."""
    import numpy as np

    from .arrays import hash_of
    from .exif import orientation

    return {"source": hash_of(np.frombuffer(data, np.uint8)), "orientation": orientation(data)}


def _read(path):
    with open(path, "rb") as stream:
        return stream.read()


def _is_seekable(stream):
    try:
        return stream.seekable()
    except (AttributeError, ValueError):
        return False


def _content(stream):
    """All bytes of a stream, whose place is as before."""
    place = stream.tell()
    try:
        stream.seek(0)
        return stream.read()
    finally:
        stream.seek(place)
