"""The chain of hashes of a bundle: data lists -> config and code -> training -> weights -> exported model -> predictions.

Each entry has an `id`, its `kind`, the `sha256` of what it is, `of`, the ids of what it was made of, and a `link`:

    link = SHA-256 of "<kind>\\n<sha256>\\n" and the links of its parents, sorted, each with "\\n"

so that the link of a prediction changes with every byte that it depends on. Everything here works from a bundle alone.
"""

import hashlib

KINDS = ("data", "config", "code", "weights", "model", "predictions", "answers", "training")


def entry(identity, kind, sha256, of=(), **more):
    """One entry, without its link. `more`: name (words), path (in the project), file (of the bundle), files (of a model)."""
    return {"id": identity, "kind": kind, **more, "sha256": sha256, "of": list(of), "link": None}


def link_of(one, links):
    """The link of an entry, where `links` are those of its parents; None where its hash or a parent's link is unknown."""
    if not one["sha256"] or None in links:
        return None
    text = f"{one['kind']}\n{one['sha256']}\n" + "".join(f"{link}\n" for link in sorted(links))
    return hashlib.sha256(text.encode()).hexdigest()


def add_links(entries):
    """Fill in the links; parents come before what is made of them."""
    known = {}
    for one in entries:
        one["link"] = known[one["id"]] = link_of(one, [known[parent] for parent in one["of"]])
    return entries


def faults(bundle):
    """[(id, what is wrong, expected, found)] of the lineage of a bundle: links, parents, and hashes of its own files."""
    found, known, files = [], {}, bundle.get("files") or {}
    for one in bundle.get("lineage") or []:
        lost = [parent for parent in one["of"] if parent not in known]
        if one["id"] in known:
            found.append((one["id"], "is there twice", "one entry", "two"))
        elif lost:
            found.append((one["id"], "is made of what is not listed before it", "its parents", ", ".join(lost)))
        else:
            link = link_of(one, [known[parent] for parent in one["of"]])
            if link != one["link"]:
                found.append((one["id"], "has another link", link, one["link"]))
        known[one["id"]] = one["link"]
        if one.get("file") and one["kind"] != "code":
            listed = (files.get(one["file"]) or {}).get("sha256")
            if listed != one["sha256"]:
                found.append((one["id"], f"is not the file {one['file']}", one["sha256"], listed))
        if one.get("files") and folder_hash(one["files"]) != one["sha256"]:
            found.append((one["id"], "is not the hash of its files", folder_hash(one["files"]), one["sha256"]))
    return found


def folder_hash(files):
    """The hash of a model's folder, {name: SHA-256}: of the lines that `sha256sum` prints of ./NAME in their order.

    Its first twelve digits are the fact `model=` of the steps.
    """
    lines = sorted((f"./{name}".encode(), hashed) for name, hashed in files.items())
    text = b"".join(f"{hashed}  ".encode() + name + b"\n" for name, hashed in lines)
    return hashlib.sha256(text).hexdigest()
