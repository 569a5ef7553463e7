"""The test images with the predictions of every engine side by side; the boxes of a detector are drawn over them."""

import math
from collections import Counter

from page.answers import TOP, best, sets_of_images
from page.element import el
from page.frame import breakable, section, table
from page.images import find_images
from page.neighbours import NEIGHBOURS
from page.thumbnails import thumbnail
from script import counted

SHOWN, OF_OTHERS = 6, 2  # images of the first set, and of each further one
_MOST_ENGINES = 12
_KEPT = "kept from the page before: the image is not here"
_SCORES = " Scores are those that the files have, rounded or not."
_COSINES = " Of embeddings, the nearest of the other images and their cosines are shown."
_FIRST = "training engine"  # what all others are compared with


def draw_predictions(source, predicted, kept):
    """The section of what `read_answers` found, None where no engine predicted images of known names.

    `kept` are the thumbnails of before, by name, for images that are not here or cannot be made small here.
    """
    answers, labels = predicted
    if not answers:
        return None
    parts, chosen = [], choose(answers)
    near = {name: _nearest(name, engines) for engines, names in chosen for name in names}
    paths = find_images(source, [*near, *(other for others in near.values() for other in others)])
    for engines, names in chosen:
        for name in names:
            picture = thumbnail(paths.get(name), kept.get(name))
            others = [(other, thumbnail(paths.get(other))) for other in near[name]]
            parts.append(_image(name, engines, labels, picture, others))
    shown, total = sum(len(names) for _, names in chosen), len({name for one in answers for name in one.images})
    note = f"{shown} of {counted(total, 'image')}; {counted(len(answers), 'file')} with predictions."
    hidden = {one.engine for one in answers} - {one.engine for engines, _ in chosen for one in engines}
    if hidden:
        note += f" Not shown, as there are many: {', '.join(sorted(hidden))}."
    lead = el("p", note, _COSINES if any(near.values()) else _SCORES, class_="note")
    return section("predictions", "Predictions of every engine", "各引擎的预测", lead, parts)


def choose(answers):
    """[(the Answers to show, the names of the images to show)] of each set of images."""
    sets = sets_of_images(answers)
    return [_choose(same, OF_OTHERS if place else SHOWN) for place, same in enumerate(sets)]


def _choose(answers, count):
    by_engine = {}
    for one in answers:  # of an engine with several files, that with all digits
        if one.engine not in by_engine or one.exact > by_engine[one.engine].exact:
            by_engine[one.engine] = one
    shown = sorted(by_engine.values(), key=lambda one: one.engine != _FIRST)[:_MOST_ENGINES]
    frequency = Counter(name for one in shown for name in one.images)
    order = list(frequency)
    names = sorted(order, key=lambda name: (-frequency[name], order.index(name)))[:count]
    return shown, sorted(names, key=order.index)


def _nearest(name, engines):
    """The names of the nearest images by the first engine that has the image; [] where it is no recogniser."""
    predicted = next(one.images[name] for one in engines if name in one.images)
    return [row[0] for row in best(predicted)] if predicted.kind == NEIGHBOURS else []


def _image(name, engines, labels, picture, others):
    having = [one for one in engines if name in one.images]
    boxes = having[0].images[name].kind == "boxes"
    shown = picture and (_detections(name, picture, having) if boxes else _plain(name, picture, others))
    rows = [[str(rank + 1), *_row(name, rank, having, labels)] for rank in range(TOP)]
    rows = [row for row in rows if any(cell != "" for cell in row[1:])]
    columns = ["rank", *(breakable(one.engine) for one in having)]
    title = f"The {TOP} nearest to {name}" if others else f"The best {TOP} of {name}"
    listed = table(title, columns, rows, "answers") if rows else el("p", "nothing was found in it")
    words = agreement(name, having, labels)
    about = el("div", el("h3", name), el("p", words, class_="note") if words else None, class_="about")
    return el("article", about, shown, listed, class_=f"image {'bare' if not shown else 'seen' if boxes else 'plain'}")


def _plain(name, picture, others):
    image = el("img", src=picture.uri, alt=f"Test image {name}", width=picture.width, height=picture.height)
    near = [
        el("img", src=one.uri, alt=f"Nearest image {rank}, {other}", width=one.width, height=one.height)
        for rank, (other, one) in enumerate(others, 1) if one
    ]  # fmt: skip
    strip = el("div", near, class_="near") if near else None
    caption = "and its nearest images, the nearest first" if near else _KEPT if picture.is_kept else None
    return el("figure", image, strip, el("figcaption", caption) if caption else None)


def _detections(name, picture, having):
    """The image with the best boxes of the first engine."""
    rows = best(having[0].images[name])
    shapes = []
    for rank, row in enumerate(rows, 1):
        left, top, right, bottom = (float(side) for side in row[2:])
        if not all(map(math.isfinite, (left, top, right, bottom))):
            continue
        place = {"x": f"{left:.1f}", "y": f"{top:.1f}"}
        place.update(width=f"{max(right - left, 0):.1f}", height=f"{max(bottom - top, 0):.1f}")
        shapes += [el("rect", class_="under", **place), el("rect", **place), _number(rank, left, top, picture)]
    words = "; ".join(f"{row[0]} {score(row[1])}" for row in rows)
    drawing = el(
        "svg",
        el("image", href=picture.uri, width=picture.width, height=picture.height),
        shapes,
        viewBox=f"0 0 {picture.width} {picture.height}",
        role="img",
        aria_label=f"Test image {name} with {len(rows)} box(es): {words}",
        class_="boxes wide",
    )
    kept = f"; {_KEPT}" if picture.is_kept else ""
    return el("figure", drawing, el("figcaption", f"boxes of: {having[0].engine}{kept}"))


def _number(rank, left, top, picture):
    """The rank of a box, in its corner."""
    size = max(picture.width, picture.height) / 13
    place = {"x": f"{max(left, 0) + size / 4:.1f}", "y": f"{max(top, 0) + size:.1f}"}
    return el("text", rank, font_size=f"{size:.1f}", stroke_width=f"{size / 5:.1f}", **place)


def _row(name, rank, having, labels):
    cells, first = [], None
    for one in having:
        rows = best(one.images[name])
        if rank >= len(rows):
            cells.append("")
            continue
        label = _named(rows[rank], labels)
        first = label if first is None else first
        other = el("span", "≠ ", class_="other", title="not as the first engine") if _differ(first, label) else None
        cells.append(el("td", other, label_of(rows[rank], labels), el("span", score(rows[rank][1]), class_="score")))
    return cells


def label_of(row, labels):
    """The name of the class of a row; its number, where no log tells the name."""
    label = _named(row, labels)
    return f"class {label}" if isinstance(label, int) else label


def _named(row, labels):
    """The name of the class as a str, or its number as an int."""
    return labels.get(row[0], row[0]) if isinstance(row[0], int) else str(row[0])


def _differ(one, other):
    """Whether the two are not the same class; of a name and a number nobody knows."""
    return type(one) is type(other) and one != other


def score(value):
    """A score with the decimals that its text had; five of one that is not rounded."""
    half = getattr(value, "half", 0.0)
    return f"{value:.{min(max(round(-math.log10(2 * half)), 0), 8) if half else 5}f}"


def agreement(name, having, labels):
    """What the engines' predictions of an image have in common, in words; "" of one engine."""
    if len(having) < 2:
        return ""
    rows = [best(one.images[name]) for one in having]
    are_near = having[0].images[name].kind == NEIGHBOURS
    words = f"{len(rows[0])} nearest images" if are_near else f"best {len(rows[0])}"
    tops = [[_named(row, labels) for row in one] for one in rows]
    if len({len(top) for top in tops}) > 1 or any(_differ(*pair) for top in tops for pair in zip(tops[0], top)):
        return f"Not the same {words} in all {len(having)}."
    if len({type(label) for top in tops for label in top}) > 1:
        return "Some have names and some have numbers of classes, which no log relates."
    scores = zip(*([float(row[1]) for row in one] for one in rows))  # corners no: printed ones end where the image does
    apart = max((max(ranked) - min(ranked) for ranked in scores), default=0.0)
    least = "are the same" if apart == 0 else f"differ by at most {apart:.2g}"
    return f"The same {words} in all {len(having)}; the {'cosines' if are_near else 'scores as written'} {least}."
