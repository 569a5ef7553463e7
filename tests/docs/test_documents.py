"""All documents: links, anchors, paths and scripts exist, and one word is used for one thing."""

import re

import pytest

from tests.helpers.scripts import ROOT

FOLDERS_OF_DOCUMENTS = ("docs", "docs/models", "docs/models/own", "test_tipc", "test_tipc/docs", "deploy/*")
FOLDERS_OF_DOCUMENTS += ("pretrain_models",)
PATTERNS = ("README*.md", *(f"{folder}/*.md" for folder in FOLDERS_OF_DOCUMENTS))
NAMES = sorted(str(path.relative_to(ROOT)) for pattern in PATTERNS for path in ROOT.glob(pattern))
FOLDERS = "ppcls_lite|tools|test_tipc|deploy|lite_data|test_images|pretrain_models|docs|tests"
MADE_BY_A_RUN = ("deploy/models/", "test_tipc/output", "deploy/paddleserving/digits_")
MADE_BY_THE_READER = ("my_data.yaml", "my_net.py", "MyNet")  # the examples of docs/own_model.md
AVOIDED = re.compile(
    r"\b(pictures?|photos?|photographs?|lacks|lacking|anew|asked for|stands? (?:in|beside)|told apart)\b", re.IGNORECASE
)


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def prose_of(name):
    """The text without code, and without the blocks that scripts write between markers."""
    text = re.sub(r"<!-- [\w ]+: begin -->.*?<!-- [\w ]+: end -->", "", text_of(name), flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`|```.*?```", "", text, flags=re.DOTALL)


def anchors_of(name):
    """The anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", text_of(name), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    prose = re.sub(r"^```.*?^```", "", text_of(name), flags=re.DOTALL | re.MULTILINE)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors_of(target.relative_to(ROOT))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_are_named_exist(name):
    text = text_of(name)
    named = re.findall(rf"`((?:{FOLDERS})/[^`*…<\s{{}}$]*)`", text)
    started = re.findall(r"(?:python3?|bash) ((?:\./|\.\./)?(?:tools|deploy|test_tipc|tests)/[\w./]+)", text)
    missing = [
        path
        for path in named + [re.sub(r"^\.{1,2}/", "", path) for path in started]
        if not (ROOT / path).exists()
        and not path.startswith(MADE_BY_A_RUN)
        and not any(part in path for part in MADE_BY_THE_READER)
    ]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_one_word_for_one_thing(name):
    assert AVOIDED.findall(prose_of(name)) == []


def test_an_avoided_word_would_be_seen():
    assert AVOIDED.findall("A picture stands beside the photograph.") == ["picture", "stands beside", "photograph"]


def test_every_document_is_reached_from_the_readme():
    for first in ("README.md", "README_ch.md"):
        reached, waiting = set(), [first]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                links = re.findall(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)", text_of(name))
                paths = (((ROOT / name).parent / link).resolve() for link in links if not link.startswith("http"))
                waiting += [str(path.relative_to(ROOT)) for path in paths]
        assert set(NAMES) - reached == set()
