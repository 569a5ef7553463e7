"""The documents that PaddleClas wants of a new network: a page in each language, and its rows in their lists.

Only facts that the network, its config and its evidence have; a figure that nobody has measured is `-`.
"""

import re
from pathlib import Path
from typing import NamedTuple

_URL = re.compile(r"https?://[^\s),]+")
_NONE = "-"
_TEMPLATES = Path(__file__).with_name("templates")


class Measured(NamedTuple):
    """A network in a table: parameters and FLOPs in millions, image size, accuracies on ImageNet or None, weights."""

    name: str
    params_m: float
    flops_m: float
    size: int
    top1: float
    top5: float
    url: str


def family_anchor(family):
    """The name that a family's section has in their list of models."""
    return re.sub(r"\W", "", family)


def chinese_page(family, networks, docstring, file, configs):
    """docs/zh_CN/models/ImageNet1k/<family>.md: `file` is the architecture, `configs` the folder of the YAML."""
    paper = _URL.search(docstring)
    return _filled(
        "zh_CN.md",
        family=family,
        count=len(networks),
        names=", ".join(network.name for network in networks),
        paper=f"[{paper[0]}]({paper[0]})" if paper else _NONE,
        first=networks[0].name,
        table=_table(networks),
        file=file,
        configs=configs,
    )


def english_page(family, networks, docstring, file, configs):
    """docs/en/models/<family>_en.md, with the same arguments."""
    return _filled(
        "en.md",
        family=family,
        about=" ".join(docstring.split()) or f"{family} is a family of image classifiers.",
        first=networks[0].name,
        table=_table(networks),
        file=file,
        configs=configs,
    )


def _filled(template, **values):
    return (_TEMPLATES / template).read_text(encoding="utf-8").format(**values)


def _table(networks):
    rows = [
        f"| {network.name} | {_accuracy(network.top1)} | {_accuracy(network.top5)} | {network.size} | "
        f"{network.flops_m:.3f} | {network.params_m:.3f} |\n"
        for network in networks
    ]
    head = "| Models | Top1 | Top5 | Size | FLOPs<br>(M) | Params<br>(M) |\n|:--:|:--:|:--:|:--:|:--:|:--:|\n"
    return head + "".join(rows)


def _accuracy(value):
    return _NONE if value is None else f"{value:.4f}"


# ------------------------------------------------------------------------------------------------- lines of their lists


def add_to_list(text, family, networks):
    """docs/zh_CN/models/ImageNet1k/README.md with an entry and a section for the family; None where it has no place."""
    anchor = family_anchor(family)
    entry, place = f"    - [{family}](#{anchor})\n", "    - [其他模型](#Others)\n"
    section = '<a name="Others"></a>\n'
    if text.count(place) != 1 or text.count(section) != 1:
        return None
    text = text.replace(place, entry + place)
    return text.replace(section, list_section(family, networks) + "\n" + section)


def list_section(family, networks):
    """The section of a family in their list of models, with a table in the columns of that list."""
    rows = "".join(
        f"| {network.name} | {_accuracy(network.top1)} | {_accuracy(network.top5)} | - | - | - | "
        f"{network.flops_m / 1000:.3f} | {network.params_m:.3f} | {_link(network.url)} | - |\n"
        for network in networks
    )
    return _filled("list.md", family=family, anchor=family_anchor(family), rows=rows)


def _link(url):
    return f"[下载链接]({url})" if url else _NONE


def add_to_index(text, family):
    """docs/en/models/index.rst with the family's page; None where its list has no end."""
    entries = re.findall(r"^   \w\S*_en\.md$", text, re.MULTILINE)
    if not entries:
        return None
    before, last, after = text.rpartition(entries[-1])
    return f"{before}{last}\n   {family}_en.md{after}"
