"""The recognition set of digits that tools/data/make_rec_digits.py makes: no digit in both training and test."""

import pytest

from tools.data import make_digits, make_rec_digits


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "rec_digits"
    make_rec_digits.main(["--output", str(folder)])
    return folder


def rows_of(folder, kind):
    lines = (folder / f"{kind}_list.txt").read_text().splitlines()
    return [(path, int(label)) for path, label in (line.split(" ") for line in lines)]


def test_every_image_is_in_one_list_and_no_digit_in_both_parts(made):
    rows = {kind: rows_of(made, kind) for kind in ("train", "query", "gallery")}
    assert {label for _, label in rows["train"]} == set(range(6))
    assert {label for _, label in rows["query"]} == {label for _, label in rows["gallery"]} == set(range(6, 10))
    paths = [path for found in rows.values() for path, _ in found]
    assert len(paths) == len(set(paths)) == make_digits.IMAGES
    assert set(paths) == {path.relative_to(made).as_posix() for path in made.rglob("*.png")}
    for path, label in [row for found in rows.values() for row in found]:
        assert path.split("/")[1] == make_digits.NAMES[label]


def test_a_complete_set_is_left_alone_and_a_damaged_one_is_made_again(made, capsys):
    arguments = ["--output", str(made)]
    kept = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    make_rec_digits.main(arguments)
    assert "complete, left alone" in capsys.readouterr().out
    next(made.rglob("test/*/*.png")).unlink()
    make_rec_digits.main(arguments)
    assert "1083 training images, 358 in the gallery, 356 queries" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == kept
