"""Colours that can be read, charts that show what is there."""

import math
import re

import pytest

from page.charts import line_chart, log_share, nice_ticks, share, thinned
from page.element import el, join, link
from page.steps_part import HEAD, TAIL, cut
from page.thumbnails import _jpeg_size, _png_size
from tests.helpers.scripts import ROOT

STYLE = (ROOT / "test_tipc/lib/page/page.css").read_text(encoding="utf-8")
SCHEMES = dict(zip(("light", "dark", "dark by choice"), re.findall(r"(--back:.*?)\}", STYLE, re.DOTALL)))
PAIRS = [(text, back) for text in ("text", "soft", "link") for back in ("back", "panel")]
PAIRS += [(name, f"{name}-back") for name in ("passed", "failed", "skipped", "notrun")]
PAIRS += [(f"series{number}", back) for number in range(3) for back in ("back", "panel")] + [("failed", "back")]


def luminance(colour):
    """Of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_contrast_is_enough(scheme):
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", SCHEMES[scheme]))
    for text, back in PAIRS:
        light, dark = sorted((luminance(colours[text]), luminance(colours[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, back)


def test_dark_by_choice_is_dark():
    assert len(SCHEMES) == 3
    assert SCHEMES["dark"].split() == SCHEMES["dark by choice"].split()


@pytest.mark.parametrize("span", [(0, 1), (0, 144), (-0.3, 0.7), (5, 5), (0, 1e-7), (0, 3e9), (1.1, 1.9)])
def test_ticks_are_round_and_cover_the_span(span):
    ticks = nice_ticks(*span)
    assert ticks[0] <= span[0]
    assert ticks[-1] >= span[1]
    assert 2 <= len(ticks) <= 8
    assert all(len(f"{tick:.6g}") < 9 for tick in ticks)


def test_no_peak_is_lost_of_many_points():
    points = [(x, float(x == 7777)) for x in range(20_000)]
    assert len(thinned(points)) <= 310
    assert (7777, 1.0) in thinned(points)


def test_a_curve_has_a_gap_where_it_is_not_finite():
    drawn = line_chart(
        "a", "title", "summary", [("a", [(1, 2.0), (2, math.nan), (3, 1.0), (4, math.inf), (5, 0.5)], False)]
    )
    (path,) = re.findall(r'<path d="([^"]*)"', drawn)
    assert re.findall("[ML]", path) == ["M", "M", "M"]
    assert line_chart("a", "t", "s", [("a", [(1, math.nan)], False)]) is None


def test_bars():
    assert [log_share(value) for value in (0.0, 1e-9, 1.0, 50.0, math.nan)] == [0.0, 1.5, 100.0, 100.0, 100.0]
    assert abs(log_share(1e-6) - 100 / 3) < 1e-9
    assert share(1, 4) == 25
    assert share(math.nan, 4) == share(1, 0) == 0


def test_elements_escape_what_is_no_markup():
    assert el("p", "a<b", el("br"), ["&", None, 1], title='"') == '<p title="&quot;">a&lt;b<br>&amp;1</p>'
    assert el("button", "a", hidden=True, disabled=False) == "<button hidden>a</button>"
    assert join(["\x00a\u202eb\r\nc"]) == "\ufffda\ufffdb\nc"
    assert link("a b/javascript:c?d#e", "x") == '<a href="a%20b/javascript%3Ac%3Fd%23e">x</a>'


def test_a_short_log_is_whole_and_a_long_one_has_both_ends():
    assert cut("x" * (HEAD + TAIL)) == "x" * (HEAD + TAIL)
    long = cut("a" * HEAD + "lost" + "z" * TAIL)
    assert long.startswith("a" * HEAD)
    assert long.endswith("z" * TAIL)
    assert "4 characters" in long
    assert "lost" not in long


def test_sizes_of_images_are_read_without_a_library():
    png = bytes.fromhex("89504e470d0a1a0a0000000d49484452000001900000012c0806000000")
    assert _png_size(png) == (400, 300)
    jpeg = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0001108012c019003012200021101031101")
    assert _jpeg_size(jpeg) == (400, 300)
    assert _jpeg_size(jpeg[:20]) is None
    assert _png_size(b"") is None
