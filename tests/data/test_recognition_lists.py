"""Lists of recognition sets: cameras, and the forms that PaddleClas's data sets have."""

import os

import pytest

from ppcls_lite.data.dataset import read_list
from ppcls_lite.data.loader import build_loader
from ppcls_lite.utils.errors import UserError


def test_a_list_with_cameras(tmp_path):
    """A line that ends in two numbers has a camera; without them the last number is a label."""
    path = tmp_path / "l.txt"
    path.write_text("a b.jpg 7 1\nc.jpg\t8\t0\n")
    assert read_list(path, cameras=True) == [("a b.jpg", 7, 1, 1), ("c.jpg", 8, 2, 0)]
    assert read_list(path)[0] == ("a b.jpg 7", 1, 1, None)
    path.write_text("a b.jpg 7\nc.jpg 8\n")
    assert read_list(path, cameras=True) == read_list(path)
    path.write_text("a.jpg 7 1\nc.jpg 8\n")
    with pytest.raises(UserError, match=r"l.txt:2: line 1 has a camera behind its label, and this one none"):
        read_list(path, cameras=True)
    path.write_text("a.jpg,7,1\n")
    assert read_list(path, ",", cameras=True) == [("a.jpg", 7, 1, 1)]


def build(folder, path, name, mode="Train", **options):
    dataset = {
        "name": name,
        "image_root": str(folder),
        "cls_label_path": str(path),
        "transform_ops": [{"ResizeImage": {"size": 8}}],
    }
    return build_loader({"dataset": dataset, "sampler": {"batch_size": 4}}, mode, 0, **options).dataset


LOGO = "image_id\tlabel\tclass\tpath\n"  # the first line of such a list


@pytest.mark.parametrize(
    ("name", "head", "form"),
    [
        ("VeriWild", "", "{0.path} {0.label}\n"),
        ("ICartoonDataset", "", "{0.path}\t{0.label}\n"),
        ("LogoDataset", LOGO, "{0.line}\t{1}\tlogo\t{0.path}\n"),
    ],
)
def test_lists_by_the_names_of_recognition_sets(tiny_data, tmp_path, name, head, form):
    listed = read_list(tiny_data / "train_list.txt")
    path = tmp_path / "list.txt"
    path.write_text(head + "".join(form.format(line, line.label + 1) for line in listed))
    found = build(tiny_data, path, name)
    assert found.labels.tolist() == [line.label for line in listed]
    assert [os.path.basename(path) for path in found.paths] == [line.path for line in listed]
    assert found.cameras is None


def test_cameras_of_an_evaluation_and_of_veri_wild(tiny_data, tmp_path):
    listed = read_list(tiny_data / "train_list.txt")
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{line.path} {line.label} {line.line % 2}\n" for line in listed))
    expected = [line.line % 2 for line in listed]
    assert build(tiny_data, path, "VeriWild").cameras.tolist() == expected
    assert build(tiny_data, path, "ImageNetDataset", "Eval", cameras=True).cameras.tolist() == expected
    with pytest.raises(UserError, match="14 of 14 images are missing"):
        build(tiny_data, path, "ImageNetDataset")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t2\tx", "list.txt:2: expected four columns by tabs"),
        ("1\t0\tx\ty", "list.txt:2: expected a label of at least 1"),
    ],
)
def test_faults_of_a_logo_list(tiny_data, tmp_path, line, message):
    (tmp_path / "list.txt").write_text(f"{LOGO}{line}\n")
    with pytest.raises(UserError, match=message):
        build(tiny_data, tmp_path / "list.txt", "LogoDataset")
