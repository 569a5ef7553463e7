"""What a bundle's result depends on: configuration, versions, machine, seeds, the chain of hashes, its files."""

from page.element import el
from page.frame import breakable, definitions, details, section, table
from page.overview import commit
from page.source import listing, mapping, text

_SHORT = 16  # digits of a hash that a table shows; bundle.json has all
_MOST_FILES = 300


def draw_origin(source):
    """The section; what the bundle does not say is not in it."""
    content = source.content
    config, tool, machine = (mapping(content.get(key)) for key in ("config", "tool", "machine"))
    gpus = ", ".join(map(text, listing(machine.get("gpus"))))
    facts = definitions(
        [
            ("Config", text(config.get("path"))),
            ("Project", commit(source)),
            ("Tool", text(tool.get("words")) or _tool(tool)),
            ("Started", text(content.get("started"))),
            ("Ended", text(content.get("ended"))),
            ("Processor", text(machine.get("processor"))),
            ("Cores", text(machine.get("cores"))),
            ("Memory", f"{machine['memory_gib']} GiB" if machine.get("memory_gib") is not None else ""),
            ("GPUs", gpus),
            ("Driver", text(machine.get("driver"))),
            ("System", text(machine.get("system"))),
            ("Inputs", text(mapping(content.get("inputs")).get("hash"))),
        ]
    )
    parts = [_pairs("Versions", content.get("versions")), _pairs("Seeds", content.get("seeds"))]
    parts.append(_pairs("Environment", machine.get("environment")))
    parts += [_config(config), _lineage(content), _compared(content), _sources(content), _files(content)]
    return section("origin", "Where it comes from", "来源与环境", facts, parts)


def _tool(tool):
    words = [text(tool.get("commit"))[:12], "" if tool.get("clean") is not False else "(tree with changes)"]
    files = text(tool.get("files"))[:12]
    return " ".join(filter(None, [*words, f"files {files}" if files else ""]))


def _pairs(title, content):
    rows = [[breakable(key), text(value)] for key, value in mapping(content).items()]
    return details(f"{title} ({len(rows)})", table(title, ["name", "value"], rows)) if rows else None


def _config(config):
    lines = [mapping(line) for line in listing(config.get("lines"))]
    rows = [[text(line.get(key)) for key in ("line", "section", "key", "value")] for line in lines]
    title = "The config as this mode uses it"
    return details(title, table(title, ["line", "section", "key", "value"], rows)) if rows else None


def _lineage(content):
    rows = []
    for one in map(mapping, listing(content.get("lineage"))):
        parents = ", ".join(map(text, listing(one.get("of")))) or "-"
        name = breakable(text(one.get("name") or one.get("path") or one.get("id")))
        rows.append(
            [
                text(one.get("id")),
                text(one.get("kind")),
                name,
                _hash(one.get("sha256")),
                parents,
                _hash(one.get("link")),
            ]
        )
    title = "Chain of hashes, from data to predictions"
    columns = ["id", "kind", "name", "SHA-256", "made of", "link"]
    return details(f"{title} ({len(rows)})", table(title, columns, rows)) if rows else None


def _compared(content):
    rows = []
    for one in map(mapping, listing(content.get("predictions"))):
        limit = "within rounding" if one.get("limit") is None else text(one.get("limit"))
        against = breakable(text(one.get("against")) or "-")
        exact = "all digits" if one.get("exact") is True else "as printed"
        cells = [text(one.get("engine")), text(one.get("images")), exact, against, limit if one.get("against") else "-"]
        rows.append([breakable(text(one.get("file"))), *cells])
    title = "Files of predictions"
    columns = ["file", "engine", "images", "numbers", "equals", "within"]
    return details(f"{title} ({len(rows)})", table(title, columns, rows)) if rows else None


def _sources(content):
    rows = [
        [breakable(text(one.get("path"))), _hash(one.get("sha256"))]
        for one in map(mapping, listing(content.get("sources")))
    ]
    return details("Sources of the data", table("Sources of the data", ["file", "SHA-256"], rows)) if rows else None


def _files(content):
    files = list(mapping(content.get("files")).items())
    rows = [
        [breakable(name), text(mapping(one).get("bytes")), _hash(mapping(one).get("sha256"))]
        for name, one in files[:_MOST_FILES]
    ]
    more = el("p", f"and {len(files) - _MOST_FILES} more") if len(files) > _MOST_FILES else None
    columns = ["file", "bytes", "SHA-256"]
    return (
        details(f"Files of the bundle ({len(files)})", table("Files of the bundle", columns, rows), more)
        if rows
        else None
    )


def _hash(value):
    written = text(value)
    return el("td", f"{written[:_SHORT]}{'…' if len(written) > _SHORT else ''}" or "-", class_="hash")
