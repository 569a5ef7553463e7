"""Is the evidence that of the files as they are now?"""

from audit.registry import BUNDLE, check, judged, skipped
from script import counted

_NAMED = 6  # files in a line


@check("fresh", BUNDLE)
def check_fresh(bundle):
    """no file that the run depended on has changed since (inputs.sha256); with --allow_stale a note"""
    if bundle.repository is None:
        return skipped("no repository around the bundle")
    if not bundle.inputs:
        return judged("a list of what the run depended on", "", ["inputs.sha256: missing or empty"])
    now = {path: bundle.hashes.now(bundle.repository, path) for path in bundle.inputs}
    changed = [path for path, digest in bundle.inputs.items() if now[path] not in (None, digest)]
    elsewhere = sum(digest is None for digest in now.values())
    words = counted(len(bundle.inputs) - elsewhere, "file")
    words += f"; {elsewhere} are not here" if elsewhere else ""
    if not changed:
        return judged("the files as the run saw them", words, [])
    named = ", ".join(changed[:_NAMED]) + (", ..." if len(changed) > _NAMED else "")
    stale = f"stale: {counted(len(changed), 'file')}: {named}"
    if bundle.allow_stale:
        return skipped(stale)
    return judged("the files as the run saw them", "", [f"{stale} changed since"])
