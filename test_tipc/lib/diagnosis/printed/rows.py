"""What a step printed of each image: classes or boxes with their scores, ids and names, in the forms of many projects.

    [{'class_ids': [3, 1], 'scores': [0.93, 0.05], 'file_name': 'a.jpg', 'label_names': ['cat', 'dog']}]
    a.jpg: class id(s): [3, 1], score(s): [0.93, 0.05], label_name(s): ['cat', 'dog']
    filename: a.jpg; class id: 3, 1; scores: 0.93, 0.05; label: cat, dog
    image_name: a.jpg, class_id: 3, prob: 0.93
    a.jpg: 1 box(es): bird 0.93 [1.0, 2.0, 30.0, 40.0]
    a.jpg: 1 boxes                and then lines of boxes:
      class_id:0, bird, confidence:0.93, box:[1.0, 2.0, 30.0, 40.0]
      bird 0.93 1.0 2.0 30.0 40.0

Anything else is passed over. Nothing in a log is executed.
"""

import re
from pathlib import Path
from typing import NamedTuple, Optional

from script import UserError

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_IDS = r"class[_ ]?ids?(?:\(s\))?|category_ids?|top-\d+ class"
_SCORES = r"scores?(?:\(s\))?|prob(?:s|ability|abilities)?|confidences?|top-\d+ score"
_LABELS = r"label_?names?(?:\(s\))?|class_?names?|labels?"
_FILES = r"file_?name|image_?name|img_?name|image_?path|img_?path|image_?file"
_VALUE = r"""["']?\s*[:=]\s*(?P<value>\[[^\]]*\]|"[^"]*"|'[^']*'|[^,;{}]*(?:,[^;:{}]*(?=;|$))?)"""
_FIELDS = {
    kind: re.compile(rf"""(?:^|[\s,;{{"'])(?:{keys}){_VALUE}""", re.IGNORECASE)
    for kind, keys in (("ids", _IDS), ("scores", _SCORES), ("names", _LABELS), ("file", _FILES))
}
_ENDINGS = r"\.(?:jpe?g|png|bmp|webp|tiff?|gif)"
_HEADS = (
    re.compile(rf"^(?P<name>[^:;,'\"\[\]{{}}\t]+{_ENDINGS}):", re.IGNORECASE),  # with spaces in it
    re.compile(rf"(?:^|\s)(?P<name>[^\s:;,='\"\[\]{{}}]+{_ENDINGS}):?(?=[\s,;]|$)", re.IGNORECASE),
)
_LONGEST = 10_000  # characters of a line, or of one of its dictionaries: embeddings are longer
_OWN_BOX = re.compile(rf"(?:^|: |; )(?P<name>[^;:\[\]]+?) (?P<score>\d\.\d+) (?P<box>\[(?:{_NUMBER}(?:, )?){{4}}\])")
_BOX_LINE = re.compile(rf"^\s*(?P<name>[^\d\s].*?) (?P<score>[01]\.\d+)(?P<box>(?: {_NUMBER}){{4}})$")
_BOX_FIELD = re.compile(r"(?:box|bbox|left_top|right_bottom)[\"']?\s*[:=]\s*(\[[^\]]*\])", re.IGNORECASE)
_WRAPPED = re.compile(r"(?:np|numpy)\.\w+\(([^()]*)\)|array\((\[[^\]]*\])(?:, dtype=[\w.]+)?\)")
_WORD = re.compile(r"""(?<!\w)"([^"]*)"|(?<!\w)'([^']*)'""")


class Number(NamedTuple):
    """A printed number, and half a unit of its last digit."""

    value: float
    half: float


class Row(NamedTuple):
    """A class or a box: what was not printed of it is None."""

    label: Optional[int]
    score: Optional[Number]
    name: Optional[str]
    box: Optional[tuple] = None


class Image(NamedTuple):
    """The rows of one image, in their order; `file` is "" where the log names none."""

    file: str
    rows: tuple

    @property
    def has_boxes(self):
        return any(row.box for row in self.rows)


def read_rows(path):
    """[Image] of a log. UserError when it cannot be read."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    images, file = [], ""
    for line in lines:
        if line.startswith("#"):  # the head of a log names images, too
            continue
        head = next(filter(None, (pattern.search(line[:_LONGEST]) for pattern in _HEADS)), None)
        for part in re.findall(r"\{[^{}]*\}", line) or [line]:
            if len(part) > _LONGEST:
                continue
            part = _WRAPPED.sub(lambda match: match[1] or match[2], part)
            rows, named = _rows_of(part), _file_of(part)
            if named is None and head:
                named = head["name"]
            if not rows and named:
                file = named  # what follows is about it
                images.append(Image(file, ()))
            elif rows and named:
                images.append(Image(named, rows))
            elif rows and file:
                images[-1] = Image(file, images[-1].rows + rows)
            elif rows:
                images.append(Image("", rows))
            if rows and named:
                file = ""
    return [image for image in images if image.rows or image.file]


def _file_of(part):
    match = _FIELDS["file"].search(part)
    name = match["value"].strip(" '\"\t") if match else ""
    return name or None


def _rows_of(part):
    """The rows of a line, or of one of its dictionaries."""
    boxes = list(_OWN_BOX.finditer(part)) if "box" in part else [*filter(None, [_BOX_LINE.match(part)])]
    if boxes:
        return tuple(Row(None, number(one["score"]), one["name"].strip(), _box(one["box"])) for one in boxes)
    ids, scores, names = (_values(part, kind) for kind in ("ids", "scores", "names"))
    ids = [int(one) for one in ids if re.fullmatch(r"\d+", one)] if ids else []
    scores = [number(one) for one in scores or () if re.fullmatch(rf"{_NUMBER}%?", one)]
    if not ids:
        return ()
    scores = scores if len(scores) == len(ids) else [None] * len(ids)
    names = names if names and len(names) == len(ids) else [_bare_name(part) if len(ids) == 1 else None] * len(ids)
    corners = [one for text in _BOX_FIELD.findall(part) for one in _box(text)]
    box = tuple(corners) if len(ids) == 1 and len(corners) == 4 else None
    return tuple(Row(*row, box) for row in zip(ids, scores, (name or None for name in names)))


def _values(part, kind):
    """The texts of the values of a field; None where the line has none."""
    found = [match["value"].strip() for match in _FIELDS[kind].finditer(part)]
    if not found:
        return None
    text = found[0]
    if kind == "names" and text[:1] == "[":
        return [first or second for first, second in _WORD.findall(text)]
    return [one.strip(" '\"") for one in text.strip("[]").split("," if "," in text else None)] if text else []


def _bare_name(part):
    """A field of a line that is only a word: `class_id: 3, bird, confidence: 0.9`."""
    fields = [one.strip() for one in re.sub(r"\[[^\]]*\]", "", part).split(",")[1:]]
    words = [one for one in fields if re.fullmatch(r"[^\W\d][\w \-']*", one)]
    return words[0] if len(words) == 1 else None


def number(text):
    """The `Number` of a printed one; a share where it has a percent sign."""
    share = 0.01 if text.endswith("%") else 1.0
    mantissa, _, exponent = text.rstrip("%").lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return Number(float(text.rstrip("%")) * share, 0.5 * 10.0 ** (int(exponent or 0) - decimals) * share)


def _box(text):
    return tuple(float(one) for one in re.findall(_NUMBER, text))
