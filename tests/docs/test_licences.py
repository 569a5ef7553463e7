"""LICENSE is Apache's own text, and NOTICE names every folder of data with the licences of its SOURCES.md."""

import hashlib
import re
import subprocess

import pytest

from tests.helpers.scripts import ROOT

NOTICE = (ROOT / "NOTICE").read_text(encoding="utf-8")
DATA = re.compile(r"\.(jpe?g|png|webp|bmp|gif|npy|npz|tar|zip|wav|mp4)$", re.IGNORECASE)
# what programs of this repository draw or compute: no work of others is in it
OURS = re.compile(r"^(docs/measured/|tests/fixtures/arch/|test_log/.*/curves\.png$)")
# a section of NOTICE is for them
SHOWN = re.compile(r"^test_log/(CenterNet_\w+/predictions|ArcFace_\w+/neighbours)\.jpg$")
LICENCE = re.compile(r"GPL-\d or later|CC BY(?:-SA)? \d\.\d|CC BY(?:-SA)?(?! \d)\b|CC0|public domain")


def files_of_git():
    return subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def paragraph_of(folder, notice):
    """What NOTICE says of a folder: the lines below the one that begins with its name."""
    found = re.search(
        rf"^  {re.escape(folder)} \({re.escape(folder)}/SOURCES\.md\)\n((?:      .*\n)+)", notice, re.MULTILINE
    )
    return found[1] if found else None


def faults(files, sources, notice):
    """What is wrong with the data `files`: no SOURCES.md above, one that NOTICE does not name, a licence left out."""
    folders = [path.rpartition("/")[0] for path in sources]
    found = [
        f"{path}: no SOURCES.md in its folder or above"
        for path in files
        if DATA.search(path)
        and not OURS.search(path)
        and not SHOWN.search(path)
        and not any(path.startswith(f"{folder}/") for folder in folders)
    ]
    for path, text in sources.items():
        folder = path.rpartition("/")[0]
        told = paragraph_of(folder, notice)
        if told is None:
            found.append(f"NOTICE: expected a paragraph '  {folder} ({path})'")
            continue
        words = " ".join(told.split())
        found += [
            f"NOTICE: {folder}: {name} is missing" for name in dict.fromkeys(LICENCE.findall(text)) if name not in words
        ]
    return found


@pytest.fixture(scope="module")
def tracked():
    files = files_of_git()
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in files if path.endswith("SOURCES.md")}
    return files, sources


def test_every_folder_of_data_has_its_sources_in_the_notice(tracked):
    files, sources = tracked
    assert len(sources) >= 4
    assert faults(files, sources, NOTICE) == []


def test_planted_faults_are_found(tracked):
    files, sources = tracked

    def new(files=files, sources=sources, notice=NOTICE):
        return [fault for fault in faults(files, sources, notice) if fault not in faults(*tracked, NOTICE)]

    assert new(files=[*files, "more/cat.jpg"]) == ["more/cat.jpg: no SOURCES.md in its folder or above"]
    added = {**sources, "more/SOURCES.md": "CC BY-SA 4.0"}
    assert new(sources=added) == ["NOTICE: expected a paragraph '  more (more/SOURCES.md)'"]
    changed = {**sources, "test_images/SOURCES.md": "CC BY-SA 4.0"}
    assert new(sources=changed) == ["NOTICE: test_images: CC BY-SA 4.0 is missing"]
    assert "NOTICE: lite_data: GPL-2 or later is missing" in new(notice=NOTICE.replace("GPL-2", "GPL"))


def test_every_path_in_the_notice_exists():
    named = re.findall(
        r"\b((?:lite_data|lite_data_det|tools|test_images|pretrain_models|tests|ppcls_lite|LICENSE)[\w./]*)", NOTICE
    )
    assert [path for path in named if not (ROOT / path.rstrip(".")).exists()] == []


def test_the_licence_is_the_official_text():
    # https://www.apache.org/licenses/LICENSE-2.0.txt, which packages of Linux carry as they are
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


@pytest.mark.parametrize("name", ["README.md", "README_ch.md"])
def test_the_readmes_name_both(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "(LICENSE)" in text
    assert "(NOTICE)" in text
