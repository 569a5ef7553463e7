"""Small copies of images, as parts of a page."""

import base64
import hashlib
import html
import io
import re
import warnings
from typing import NamedTuple, Optional

from page.images import LARGEST
from page.source import BUNDLE, read

SIZE = 160  # pixels of the longer side
_SMALL = 8 << 10  # bytes of a file that nothing makes much smaller
_NOT_LARGE = 64 << 10  # bytes of one that is taken as it is
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
_ARTICLE = re.compile(r'<article class="image [a-z]+"><div class="about"><h3>([^<]*)</h3>(.*?)</article>', re.DOTALL)
_EMBEDDED = re.compile(
    r'<(?:img src|image href)="(?P<uri>data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]+={0,2})"'
    r'(?: alt="[^"<>]*")? width="(?P<width>\d{1,6})" height="(?P<height>\d{1,6})"'
)


class Thumbnail(NamedTuple):
    """`uri` has the image; width and height, in pixels, are those of the original. `is_kept`: it was not made of it."""

    uri: str
    width: int
    height: int
    is_kept: bool = False


def thumbnail(path, kept=None) -> Optional[Thumbnail]:
    """The `Thumbnail` of an image file, or that which was `kept`; None where there is none.

    Without Pillow none can be made small: an image that is not large is taken as it is then.
    """
    try:
        content = path.read_bytes() if path and path.stat().st_size <= LARGEST else b""
    except OSError:
        content = b""
    return _shrunk(content) or _as_it_is(content) or kept


def kept_thumbnails(folder):
    """{name: Thumbnail} of the report that the folder has already, if it was drawn from the same bundle.json.

    So a report that is drawn again where there is no data set still shows them, and says that they are kept: that
    page may come from anybody. An address is only taken if it is that of an embedded image.
    """
    page = read(folder / "report.html")
    try:
        digest = hashlib.sha256((folder / BUNDLE).read_bytes()).hexdigest()
    except OSError:
        return {}
    found = {}
    for name, drawn in _ARTICLE.findall(page) if digest in page else ():
        image = _EMBEDDED.search(drawn)
        if image and len(image["uri"]) <= 2 * _NOT_LARGE:
            found[html.unescape(name)] = Thumbnail(image["uri"], int(image["width"]), int(image["height"]), True)
    return found


def _shrunk(content):
    try:
        from PIL import Image
    except ImportError:
        return None
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if max(width, height) <= SIZE and len(content) < _SMALL:
                    return _as_it_is(content)  # nothing to gain
                image.draft("RGB", (SIZE, SIZE))
                image = image.convert("RGB")
                image.thumbnail((SIZE, SIZE))
                image.save(stream, "JPEG", quality=78)
    except Exception:  # a damaged file may raise anything
        return None
    return Thumbnail(_uri("jpeg", stream.getvalue()), width, height)


def _as_it_is(content):
    kind = next((kind for begin, kind in _KINDS.items() if content.startswith(begin)), None)
    size = kind and (_png_size(content) if kind == "png" else _jpeg_size(content))
    return Thumbnail(_uri(kind, content), *size) if size and len(content) <= _NOT_LARGE else None


def _uri(kind, content):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _png_size(content):
    return tuple(int.from_bytes(content[at : at + 4], "big") for at in (16, 20)) if len(content) > 24 else None


def _jpeg_size(content):
    """(width, height) from the frame's header, None without one: segments are a marker and a length."""
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        if 0xC0 <= content[at + 1] <= 0xC3:
            height, width = (int.from_bytes(content[at + place : at + place + 2], "big") for place in (5, 7))
            return width, height
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
