"""The files of a pull request to PaddleClas, and what its author is told: what was proven, changed and left to do."""

import difflib
from pathlib import Path
from typing import NamedTuple, Optional

import yaml

from ppcls_lite.arch import build_model, summarize
from ppcls_lite.arch.pretrained import weights_url
from ppcls_lite.utils.config import read_yaml
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO
from tools.suite import checkout, documents
from tools.suite.architecture import write_architecture
from tools.suite.chains import NAMES, write_chains
from tools.suite.recipe import CLASSES, differences, image_size, read_recipe, write_recipe
from tools.suite.verify import compare

CONFIGS = "ppcls_lite/configs/ImageNet"
_OFFICIAL = {"MobileNetV1_x1_0": "MobileNetV1"}  # PaddleClas has no suffix here
LIST, RST = "docs/zh_CN/models/ImageNet1k/README.md", "docs/en/models/index.rst"


class Wish(NamedTuple):
    """What the user wants: networks of one file, with what is known of them. Lists are in the order of `names`."""

    names: tuple
    config: Optional[str] = None  # the YAML; None: that of ppcls_lite/configs/ImageNet
    overrides: tuple = ()
    tipc: Optional[str] = None  # the folder of the chain configs; None: test_tipc/configs/<name>
    family: Optional[str] = None  # None: the folder of the YAML, or the name up to its first _
    top1: tuple = ()
    top5: tuple = ()
    urls: tuple = ()
    into: Optional[str] = None  # a checkout


class PullRequest(NamedTuple):
    """What is to be written.

    Attributes:
        files: {path: text}, all new; edits: {path: text}, of a checkout's own lists.
        lines: {path: lines} to add by hand where there is no checkout, or where it has no place for them.
        known: {name: file} of the networks that PaddleClas has already.
        proven, told: lines for the author.
    """

    files: dict
    edits: dict
    lines: dict
    known: dict
    proven: list
    told: list


def make(wish):
    """The PullRequest of a Wish. Raises UserError for whatever cannot be turned."""
    there = checkout.known_networks(wish.into)
    known = {name: there[official(name)] for name in wish.names if official(name) in there}
    if known and len(known) != len(wish.names):
        other = next(name for name in wish.names if name not in known)
        raise UserError(f"-m: PaddleClas has {next(iter(known))} already and {other} not: turn one kind at a time")
    made = PullRequest({}, {}, {}, known, [], [])
    urls = _addresses(wish)
    architecture = write_architecture(urls)
    family = wish.family or _family(wish)
    measured = []
    for number, name in enumerate(wish.names):
        config = _add_configs(made, wish, name, family, urls[name])
        size = image_size(config)
        entries = compare(architecture.text, name, config["Arch"], size)
        made.proven.append(
            f"{name}: {entries} entries have the same names, shapes and initial values, parameters are trained alike, "
            f"and the logits of images of {size} pixels are equal bit by bit"
        )
        summary = summarize(name, size)
        top1, top5 = (values[number] if values else None for values in (wish.top1, wish.top5))
        measured.append(
            documents.Measured(official(name), summary.params_m, summary.flops_m, size, top1, top5, urls[name])
        )
    made.told.extend(architecture.notes)
    if not (known and wish.into):
        _add_architecture(made, wish, architecture, family, measured)
    _tell_what_is_missing(made, wish, urls, known)
    return made


def official(name):
    """PaddleClas's name of a network of this repository."""
    return _OFFICIAL.get(name, name)


def _addresses(wish):
    """{name: address of the weights}: what the user says, that of PaddleClas's own networks, or ""."""
    if wish.urls:
        return dict(zip(wish.names, wish.urls))
    published = checkout.known_networks()
    return {name: weights_url(build_model(name), name) if official(name) in published else "" for name in wish.names}


def _recipe_path(wish, name):
    if wish.config:
        return wish.config
    found = sorted(REPO.glob(f"{CONFIGS}/*/{name}.yaml"))
    if not found:
        raise UserError(
            f"-c: there is no {CONFIGS}/*/{name}.yaml: name the YAML to take the training from, such as "
            f"{CONFIGS}/MobileNetV3/MobileNetV3_small_x1_0.yaml"
        )
    return str(found[0].relative_to(REPO))


def _family(wish):
    found = sorted(REPO.glob(f"{CONFIGS}/*/{wish.names[0]}.yaml"))
    return found[0].parent.name if found else wish.names[0].partition("_")[0]


def _add_configs(made, wish, name, family, url):
    """Add the YAML and the chain configs of `name`; the config as PaddleClas has it."""
    source = _recipe_path(wish, name)
    config, changes = read_recipe(source, official(name), bool(url), wish.overrides)
    path = f"ppcls/configs/ImageNet/{family}/{official(name)}.yaml"
    made.files[path] = write_recipe(config)
    made.told.extend(f"{path}: {change}" for change in changes)
    folder = wish.tipc or REPO / "test_tipc/configs" / name
    epochs = config["Global"]["epochs"]
    chains, notes = write_chains(folder, official(name), path, epochs, image_size(config), url)
    made.files.update({f"test_tipc/configs/{family}/{file}": text for file, text in chains.items()})
    made.told.extend(note.replace(f"{REPO}/", "") for note in notes)
    return config


def _add_architecture(made, wish, architecture, family, measured):
    """Add the network's file, its documents, and the lines of the lists that name it."""
    file = f"{checkout.BACKBONE}/model_zoo/{architecture.file}"
    made.files[file] = architecture.text
    words = (family, measured, architecture.docstring, file, f"ppcls/configs/ImageNet/{family}")
    pages = {
        f"docs/zh_CN/models/ImageNet1k/{family}.md": documents.chinese_page(*words),
        f"docs/en/models/{family}_en.md": documents.english_page(*words),
    }
    for path, text in pages.items():
        if wish.into and Path(wish.into, path).exists():
            made.told.append(f"{path}: the family has this page already: add {', '.join(wish.names)} to its tables")
        else:
            made.files[path] = text
    line = checkout.import_line(architecture.file, wish.names)
    section = documents.list_section(family, measured)
    wanted = {
        checkout.INDEX: (line + "\n", line, lambda text: checkout.add_import(text, line)),
        LIST: (
            section,
            f'<a name="{documents.family_anchor(family)}"></a>',
            lambda text: documents.add_to_list(text, family, measured),
        ),
        RST: (f"   {family}_en.md\n", f"   {family}_en.md\n", lambda text: documents.add_to_index(text, family)),
    }
    for path, (lines, mark, change) in wanted.items():
        changed = _changed(wish.into, path, mark, change)
        if changed is None:
            made.lines[path] = lines
        else:
            made.edits[path] = changed


def _changed(into, path, mark, change):
    """The text of a list of the checkout with the lines in it; None where they must be added by hand."""
    if not into or not Path(into, path).is_file():
        return None
    text = Path(into, path).read_bytes().decode("utf-8", "replace")
    if "\r" in text or "\ufffd" in text:  # it would be written with other ends of lines, or with other letters
        return None
    return text if mark in text else change(text)


def _tell_what_is_missing(made, wish, urls, known):
    without = [name for name, url in urls.items() if not url]
    if without:
        made.told.append(
            f"MODEL_URLS: no address of weights for {', '.join(without)}: give --weights_url, or let the reviewers of "
            "PaddleClas upload the file that you hand them"
        )
    if not wish.top1 and not known:
        made.told.append(f"documents: no accuracy on ImageNet ({CLASSES} classes): give --top1 and --top5")


def conflicts(made, into):
    """Paths of a new network that a checkout has already with another content."""
    return [
        path
        for path, text in made.files.items()
        if Path(into, path).exists() and Path(into, path).read_text(encoding="utf-8", errors="replace") != text
    ]


# --------------------------------------------------------------------------------------- a network that PaddleClas has


def compare_with_theirs(made, wish):
    """Lines that say in what the networks, YAMLs and configs of a checkout differ from those here."""
    for name, file in made.known.items():
        yield from _entries_line(wish, name, file)
    for path, text in made.files.items():
        theirs = Path(wish.into, path)
        if not theirs.is_file():
            yield f"{path}: PaddleClas has no such file"
        elif path.endswith(".yaml"):
            found = differences(yaml.safe_load(text), read_yaml(theirs))
            yield f"{path}: {len(found)} values differ" + "".join(
                f"\n    {key}: {here} here, {there} there" for key, here, there in found
            )
        else:
            found = _different_lines(text, theirs.read_text(encoding="utf-8", errors="replace"))
            yield f"{path}: {len(found)} lines differ (- there, + here)" + "".join(f"\n    {line}" for line in found)


def _different_lines(here, there):
    """The lines of a difference without context; titles and spaces at the end of a line do not count."""
    texts = [[line.rstrip() for line in text.splitlines() if not line.startswith("==")] for text in (there, here)]
    found = difflib.unified_diff(*texts, n=0, lineterm="")
    return [line for line in list(found)[2:] if not line.startswith("@@")]  # the first two name the files


def _entries_line(wish, name, file):
    theirs, why = checkout.entries_of(wish.into, file, official(name), {"class_num": CLASSES})
    place = f"{checkout.BACKBONE}/{file}"
    if theirs is None:
        yield f"{place}: its {official(name)} could not be built here to compare entries ({why})"
        return
    ours = {key: list(tensor.shape) for key, tensor in build_model(name, class_num=CLASSES).state_dict().items()}
    other = [key for key in [*ours, *theirs] if ours.get(key) != theirs.get(key)]
    if other:
        yield f"{place}: {len(other)} of {len(ours)} entries differ, the first is {other[0]}"
    else:
        yield f"{place}: all {len(ours)} entries have the same names and shapes: weights of one load into the other"


# ----------------------------------------------------------------------------------------------------- the description


def describe(made, wish):
    """PULL_REQUEST.md: for the author, and to copy from for the pull request's own text."""
    parts = [f"# {', '.join(official(name) for name in wish.names)}\n"]
    if made.known:
        parts.append(
            "PaddleClas has these networks already: "
            + ", ".join(f"{name} in {checkout.BACKBONE}/{file}" for name, file in made.known.items())
            + ".\n"
        )
    parts.append("## New files\n\n" + "".join(f"- `{path}`\n" for path in made.files))
    if made.lines:
        parts.append("## Lines to add\n")
        parts += [f"`{path}`\n\n```text\n{lines}```\n" for path, lines in made.lines.items()]
    parts.append("## Proven\n\n" + "".join(f"- {line}\n" for line in made.proven))
    if made.told:
        parts.append("## To know and to do\n\n" + "".join(f"- {line}\n" for line in made.told))
    base = next(path for path in made.files if path.endswith(NAMES["train_infer_python.txt"]))
    parts.append(
        "## PaddleClas's own chain\n\n```bash\n"
        f"bash test_tipc/prepare.sh {base} lite_train_lite_infer\n"
        f"bash test_tipc/test_train_inference_python.sh {base} lite_train_lite_infer\n```\n"
    )
    return "\n".join(parts)
