"""A checker of pages: well-formed, readable without a mouse and by a screen reader, one file that loads nothing."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

VOID = {"br", "col", "img", "input", "link", "meta", "wbr"}
TAKES_NO_TEXT = {"table", "thead", "tbody", "tr", "ul", "dl"}


class Page(HTMLParser):
    """`faults` are what is wrong with the page; `text` what a reader sees of it."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.faults, self.open, self.tags, self.texts = [], [], [], []
        self.feed(source)
        self.close()
        if self.open:
            self.faults.append(f"not closed: {self.open}")
        if not source.startswith("<!DOCTYPE html>"):
            self.faults.append("no doctype")
        self._judge()

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(set(names)) != len(names):
            self.faults.append(f"<{tag}> has an attribute twice")
        self.tags.append((tag, dict(attributes), list(self.open), len(self.texts)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if data.strip() and self.open and self.open[-1] in TAKES_NO_TEXT:
            self.faults.append(f"text in <{self.open[-1]}>: {data!r:.40}")
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)
        elif self.open:
            self.faults += [f"<{self.open[-1]}> loads something"] if re.search(r"url\(|@import|https?:", data) else []
            if self.open[-1] == "script":
                self.script = data

    @property
    def text(self):
        return "".join(self.texts)

    def every(self, tag):
        return [attributes for name, attributes, *_ in self.tags if name == tag]

    def _judge(self):
        ids = Counter(attributes["id"] for _, attributes, *_ in self.tags if "id" in attributes)
        self._report(f"id {name!r} is there twice" for name, count in ids.items() if count > 1)
        if len(self.every("h1")) != 1:
            self.faults.append(f"{len(self.every('h1'))} h1")
        self._headings()
        for tag, attributes, parents, _ in self.tags:
            self._element(tag, attributes, parents, ids)
        for name in ("title", "main", "header"):
            count = sum(tag == name and "svg" not in parents for tag, _, parents, _ in self.tags)
            self._report([f"{count} <{name}>"] if count != 1 else [])
        if [tag.get("lang") for tag in self.every("html")] != ["en"]:
            self.faults.append("no language")
        self._policy()

    def _report(self, faults):
        self.faults += faults

    def _headings(self):
        level = 0
        for tag, *_ in self.tags:
            if re.fullmatch("h[1-6]", tag):
                if int(tag[1]) > level + 1:
                    self.faults.append(f"{tag} follows h{level}")
                level = int(tag[1])

    def _element(self, tag, attributes, parents, ids):
        words = f"<{tag} {attributes}>"[:120]
        self._report(f"{words}: {name}" for name in attributes if name.startswith("on"))
        for name in ("href", "src", "action", "xlink:href", "srcset", "poster", "data"):
            value = attributes.get(name) or ""
            if re.match(r"(?i)\s*(?!data:image/)([a-z][a-z0-9+.-]*:|//|/)", value):
                self.faults.append(f"{words}: leads elsewhere")
            if value.startswith("#") and value[1:] not in ids:
                self.faults.append(f"{words}: leads nowhere")
        for name in ("aria-labelledby", "aria-describedby", "data-copy"):
            self._report(f"{words}: no {one}" for one in (attributes.get(name) or "").split() if one not in ids)
        if tag == "img" and not attributes.get("alt"):
            self.faults.append(f"{words}: no alt")
        if tag == "svg" and not (attributes.get("aria-label") or attributes.get("aria-labelledby")):
            self.faults.append(f"{words}: no label")
        if tag == "th" and attributes.get("scope") not in ("col", "row"):
            self.faults.append(f"{words}: no scope")
        if tag == "section" and not attributes.get("aria-labelledby"):
            self.faults.append(f"{words}: no label")
        if tag in ("iframe", "object", "embed", "base", "form", "link"):
            self.faults.append(f"{words}: not in such a page")
        if attributes.get("tabindex") not in (None, "0"):
            self.faults.append(f"{words}: changes the order of the tab key")
        if tag == "summary" and parents[-1:] != ["details"]:
            self.faults.append(f"{words}: outside details")
        if "url(" in (attributes.get("style") or ""):
            self.faults.append(f"{words}: loads something")

    def _policy(self):
        policies = [meta["content"] for meta in self.every("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
        digest = base64.b64encode(hashlib.sha256(getattr(self, "script", "").encode()).digest()).decode()
        if len(policies) != 1 or "default-src 'none'" not in policies[0] or f"script-src 'sha256-{digest}'" not in policies[0]:
            self.faults.append("the policy does not name the script")
        if len(self.every("script")) != 1:
            self.faults.append(f"{len(self.every('script'))} scripts")


def faults_of(path):
    """What is wrong with the page in a file."""
    return Page(path.read_text(encoding="utf-8")).faults
