"""The images of a report: those that the run saw, small, and kept where they cannot be made."""

import hashlib
import re
import shutil

import pytest

from page import thumbnails
from page.report import write_report
from tests.helpers.scripts import ROOT
from tests.page.checker import Page

SMALL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
OTHER = SMALL + b"\0"


@pytest.fixture
def project(tmp_path):
    """A project with the folder that the commands of the bundle name."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/dog.png").write_bytes(b"no image")
    return tmp_path


@pytest.fixture
def listed(bundle, change):
    """A function that gives the bundle a list of inputs of {path: content}."""

    def write(files):
        lines = [f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in files.items()]
        (bundle / "inputs.sha256").write_text("# mode: lite_train_lite_infer\n" + "".join(lines))
        change(inputs={"hash": "", "file": "inputs.sha256"})

    return write


def images_of(bundle, root):
    write_report(bundle, root)
    page = Page((bundle / "report.html").read_text())
    assert page.faults == []
    return page.every("img")


def test_images_are_shown_where_the_project_has_them(bundle, project):
    assert not images_of(bundle, project)
    (project / "images/cat.png").write_bytes(SMALL)
    (image,) = images_of(bundle, project)
    assert image["alt"] == "Test image cat.png"
    assert image["src"].startswith("data:image/png;base64,")
    assert (image["width"], image["height"]) == ("1", "1")


def test_no_image_is_shown_where_nobody_knows_which_was_predicted(bundle, project):
    (project / "images/more").mkdir()
    (project / "images/cat.png").write_bytes(SMALL)
    (project / "images/more/cat.png").write_bytes(OTHER)
    assert not images_of(bundle, project)
    (project / "images/more/cat.png").write_bytes(SMALL)
    assert len(images_of(bundle, project)) == 1, "the same file twice"


def test_the_list_of_inputs_leads_to_images_that_no_command_names(bundle, project, listed):
    (project / "data").mkdir()
    (project / "data/cat.png").write_bytes(SMALL)
    assert not images_of(bundle, project)
    listed({"data/cat.png": SMALL, "copy/cat.png": SMALL})
    assert len(images_of(bundle, project)) == 1
    (bundle / "report.html").unlink()
    listed({"data/cat.png": SMALL, "copy/cat.png": OTHER})
    assert not images_of(bundle, project), "one of two that differ"


def test_an_image_that_was_exchanged_after_the_run_is_not_shown(bundle, project, listed):
    (project / "images/cat.png").write_bytes(SMALL)
    listed({"images/cat.png": SMALL})
    assert len(images_of(bundle, project)) == 1
    (bundle / "report.html").unlink()
    (project / "images/cat.png").write_bytes(OTHER)
    assert not images_of(bundle, project)


def test_no_file_outside_the_project_is_shown(bundle, project, listed):
    inner = project / "inner"
    inner.mkdir()
    (project / "cat.png").write_bytes(SMALL)
    listed({"../cat.png": SMALL, f"{project}/cat.png": SMALL})
    assert not images_of(bundle, inner)


@pytest.mark.parametrize("shape", ["classes", "boxes"])
def test_a_thumbnail_is_kept_where_the_image_is_not_and_said_to_be(bundle, project, shape):
    image = pytest.importorskip("PIL.Image")
    image.frombytes("RGB", (400, 256), bytes(range(256)) * 12 * 100).save(project / "images/cat.png")
    if shape == "boxes":
        (bundle / "predict_training_engine.log").write_text("cat.png: 1 box(es): tool 0.90 [1.0, 2.0, 101.0, 52.0]\n")
    write_report(bundle, project)
    path = bundle / "report.html"
    page, content = path.read_text(), (project / "images/cat.png").read_bytes()
    assert "data:image/jpeg;base64," in page
    assert "kept from the page before" not in page
    (project / "images/cat.png").unlink()
    for _ in range(2):
        write_report(bundle, project)
        assert re.findall('data:[^"]*', path.read_text()) == re.findall('data:[^"]*', page)
        assert "kept from the page before: the image is not here" in path.read_text()
    (project / "images/cat.png").write_bytes(content)
    write_report(bundle, project)
    assert path.read_text() == page


def test_an_image_that_is_here_comes_before_a_kept_one(bundle, project, monkeypatch):
    """A page may come from anybody, with whatever images."""
    (project / "images/cat.png").write_bytes(SMALL)
    (image,) = images_of(bundle, project)
    path = bundle / "report.html"
    monkeypatch.setattr(thumbnails, "_shrunk", lambda content: None)
    path.write_text(path.read_text().replace(image["src"], "data:image/png;base64,AAAA"))
    assert images_of(bundle, project) == [image]


def test_a_thumbnail_of_another_run_is_not_kept(bundle, project, change):
    (project / "images/cat.png").write_bytes(SMALL)
    assert len(images_of(bundle, project)) == 1
    (project / "images/cat.png").unlink()
    assert len(images_of(bundle, project)) == 1
    change(started="2026-11-27T00:00:00+00:00")
    assert not images_of(bundle, project)


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:text/html;base64,PGI+",
        "javascript:alert(1)",
        "https://example.org/a.png",
        'data:image/png;base64,AA" onerror="alert(1)',
        "data:image/png;base64," + "A" * (1 << 20),
    ],
)
def test_nothing_but_an_embedded_image_is_kept_of_a_page(bundle, project, uri):
    (project / "images/cat.png").write_bytes(SMALL)
    (image,) = images_of(bundle, project)
    (project / "images/cat.png").unlink()
    path = bundle / "report.html"
    path.write_text(path.read_text().replace(image["src"], uri))
    assert not images_of(bundle, project)


def test_without_pillow_an_image_that_is_not_large_is_taken_as_it_is(bundle, project, monkeypatch):
    monkeypatch.setattr(thumbnails, "_shrunk", lambda content: None)
    (project / "images/cat.png").write_bytes(SMALL + bytes((64 << 10) - len(SMALL)))
    assert len(images_of(bundle, project)) == 1
    (bundle / "report.html").unlink()
    (project / "images/cat.png").write_bytes(SMALL + bytes(64 << 10))
    assert not images_of(bundle, project)


def test_every_image_of_a_network_s_evidence_has_a_thumbnail(tmp_path):
    """Those of the validation set, too, which the YAML names and no command does."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "test_log/MobileNetV3_small_x1_0", copy, ignore=shutil.ignore_patterns("report.*"))
    images = images_of(copy, ROOT)
    assert len(images) == len(re.findall('<article class="image ', (copy / "report.html").read_text())) > 5
