"""Write what needs no person to decide."""

from script import atomic_write

OF_THE_FILE = ("line-end", "bom")  # kinds of findings that writing the text mends


def repair(config, findings):
    """Write the lines of the findings that have a `fixed` one, as UTF-8 text with LF; whether the file was changed.

    Of several findings of one line the first is mended: the next reading finds the others. A file that is not UTF-8 is
    left alone.
    """
    able = [finding for finding in findings if finding.fixed is not None]
    try:
        config.raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    if not able:
        return False
    lines, changed = config.text.split("\n"), set()
    for finding in able:
        if finding.check not in OF_THE_FILE and finding.line not in changed:
            lines[finding.line - 1] = finding.fixed
            changed.add(finding.line)
    with atomic_write(config.place.resolve(), "wb") as stream:
        stream.write("\n".join(lines).encode("utf-8"))
    return True
