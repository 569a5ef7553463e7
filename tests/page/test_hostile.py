"""Bundles come from strangers: nothing in one runs in a reader's browser, leads outside the folder, or stops the page."""

import json
import random

import pytest

from page.report import write_report
from tests.page.bundles import content, steps
from tests.page.checker import Page

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)></code></pre></details>--><!--&lt;b&gt;`|\u202e\x00](javascript:alert(1))"
ODD = [None, True, 5, -1.5, "x", "", [], {}, [None], [[]], {"a": None}, [1, "a", {}], {"a": [1]}, "x" * 3000]


def page_of(folder):
    write_report(folder, folder)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def poisoned(value):
    """The same JSON value with the hostile text in the place of every text, and behind every name that is free."""
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, list):
        return [poisoned(one) for one in value]
    return {key: poisoned(one) for key, one in value.items()} if isinstance(value, dict) else value


def texts_of_poisoned():
    """The content of a bundle, all texts of which are hostile but those that choose what is drawn."""
    made = poisoned(content())
    for step, plain in zip(made["steps"], steps()):
        step.update(result=plain["result"], log=plain["log"])
    for key in ("versions", "seeds", "files"):
        made[key] = {f"{name}{HOSTILE}": value for name, value in made[key].items()}
    for one, plain in zip(made["predictions"], content()["predictions"]):
        one["file"] = plain["file"]
    return made


def test_no_text_of_a_bundle_becomes_a_part_of_the_page(bundle):
    names = {path: path.read_text() for path in bundle.glob("*.log")}
    for path, text in names.items():
        path.write_text(text.replace("cat", HOSTILE.replace("\x00", "")).replace("usual_onednn", "usual" + HOSTILE) + HOSTILE)
    plain = page_of(bundle)
    assert plain.faults == []
    (bundle / "bundle.json").write_text(json.dumps(texts_of_poisoned()))
    page = page_of(bundle)
    assert page.faults == []
    assert not [tag for tag, attributes, *_ in page.tags if "onerror" in attributes]
    assert "<script>alert(1)</script>" in page.text, "it is shown as the text that it is"
    assert "\u202e" not in page.text and "\x00" not in page.text
    markdown = (bundle / "report.md").read_text()
    outside = "".join(markdown.split("```")[::2])  # what is not in a block of code
    assert "<script" not in outside and "<img" not in outside and "](javascript" not in outside.replace("\\]", "")


def test_a_page_that_escapes_nothing_would_be_seen(bundle, monkeypatch):
    (bundle / "bundle.json").write_text(json.dumps(texts_of_poisoned()))
    monkeypatch.setattr("page.element.html.escape", lambda text, quote: text)
    assert any("scripts" in fault for fault in page_of(bundle).faults)


@pytest.mark.parametrize("key", [key for key in content() if key != "format"])
def test_no_value_stops_the_page(bundle, change, key):
    for value in ODD:
        change(**{key: value})
        assert page_of(bundle).faults == [], value


def test_no_value_in_a_step_stops_the_page(bundle, change):
    chance = random.Random(7)
    plain = content()
    for _ in range(60):
        made = json.loads(json.dumps(plain))
        for _ in range(3):
            part = made[chance.choice(["steps", "predictions", "lineage", "figures", "machine", "files"])]
            part = chance.choice(part) if isinstance(part, list) else part
            part[chance.choice(list(part))] = chance.choice(ODD)
        change(**made)
        assert page_of(bundle).faults == [], made


@pytest.mark.parametrize("name", ["../secret.log", "/etc/hostname", "link.log", "predictions", "\0", "x" * 5000, "loop"])
def test_no_file_outside_is_read(bundle, change, name):
    (bundle.parent / "secret.log").write_text("SECRET class id(s): [1], score(s): [0.5]")
    (bundle / "link.log").symlink_to(bundle.parent / "secret.log")
    (bundle / "loop").symlink_to(bundle / "loop")
    made = content()
    made["steps"][4]["log"] = name
    made["predictions"][0]["file"] = name
    change(**made)
    text = page_of(bundle).text
    assert "SECRET" not in text and open("/etc/hostname").read().strip() not in text


def test_numbers_that_python_writes_and_json_does_not_have(bundle):
    path = bundle / "bundle.json"
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": NaN').replace('"top1": 0.35417', '"top1": Infinity'))
    assert page_of(bundle).faults == []


@pytest.mark.parametrize("damage", ["[[1e999", "{'class_ids': [" * 300, "[{'class_ids': [1], 'scores': ['a'], 'file_name': 3}]", "\xff"])
def test_damaged_predictions_are_none(bundle, damage):
    (bundle / "predict_training_engine.log").write_bytes(damage.encode("latin-1"))
    (bundle / "predictions/onednn.json").write_bytes(b'{"images": {"cat.png": {"kind": "classes", "rows": [[1, "a"]]}, "b": 5}}')
    assert page_of(bundle).faults == []
