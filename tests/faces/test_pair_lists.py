"""Lists of pairs: LFW's, CFP's and plain ones; InsightFace's list of labelled images; pairs of one's own images."""

import numpy as np
import pytest

from ppcls_lite.data.dataset import ImageNetDataset
from ppcls_lite.data.faces import load_pairs, read_bin
from ppcls_lite.data.transforms.decoding import decode
from ppcls_lite.utils.errors import UserError
from tests.faces.helpers import encoded, write_images
from tools.data import make_insightface_set, make_pairs

PEOPLE = [f"Ann/Ann_{n:04d}.jpg" for n in (1, 2)] + [f"Bo_Li/Bo_Li_{n:04d}.jpg" for n in (1, 2, 3)]


def named_pairs(pairs, root):
    """[(first, second, same)] with the paths below `root`."""
    names = [name.removeprefix(f"{root}/") for name in pairs.names]
    return [(names[a], names[b], same) for a, b, same in zip(pairs.first, pairs.second, pairs.same.tolist())]


def error_of(path, *options):
    with pytest.raises(UserError) as found:
        load_pairs(path, *options)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_insightface_list_is_read_by_the_one_list_reader(tmp_path):
    names = ["images/0.jpg", "images/1 of Ann.jpg"]
    write_images(tmp_path, names)
    (tmp_path / "label.txt").write_text("".join(f"{name}\t{label}\n" for label, name in enumerate(names)))
    for delimiter in (None, "\t"):
        dataset = ImageNetDataset(tmp_path, tmp_path / "label.txt", delimiter=delimiter)
        assert dataset.paths == [str(tmp_path / name) for name in names]
        assert dataset.labels.tolist() == [0, 1]
    (tmp_path / "label.txt").write_text("images/1 of Ann.jpg 0\n")  # no tab: with that delimiter there is no label
    with pytest.raises(UserError, match=r"label\.txt:1: expected '<image path> <label>'"):
        ImageNetDataset(tmp_path, tmp_path / "label.txt", delimiter="\t")


def test_lfw_pairs(tmp_path):
    write_images(tmp_path / "lfw", PEOPLE)
    body = "Ann\t1\t2\nBo_Li\t1\t3\nAnn\t1\tBo_Li\t2\nBo_Li\t3\tAnn\t2\n"
    expected = [
        ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", True),
        ("Bo_Li/Bo_Li_0001.jpg", "Bo_Li/Bo_Li_0003.jpg", True),
        ("Ann/Ann_0001.jpg", "Bo_Li/Bo_Li_0002.jpg", False),
        ("Bo_Li/Bo_Li_0003.jpg", "Ann/Ann_0002.jpg", False),
    ]
    path = tmp_path / "pairs.txt"
    for header in ("1\t2", "2", "2 1"):  # sets and pairs of each, or one set
        path.write_text(f"{header}\n{body}")
        pairs = load_pairs(path, tmp_path / "lfw")
        assert named_pairs(pairs, tmp_path / "lfw") == expected
        assert len(pairs.sources) == 5  # each image once
    path.write_text("1\t2\n" + body.replace("\t", " "))
    assert named_pairs(load_pairs(path, tmp_path / "lfw"), tmp_path / "lfw") == expected
    path.write_text("10\t300\n" + body)
    assert "pairs.txt:1: '10\t300' means 6000 pairs, found 4 lines below it" in error_of(path)
    path.write_text("1\t2\n" + body.replace("Ann\t1\t2", "Ann\t1\tx"))
    assert "pairs.txt:2: expected 'name i j' or 'name1 i name2 j'" in error_of(path, tmp_path / "lfw")
    path.write_text("1\t2\n" + body.replace("Ann\t1\t2", "Ann\t1\t9"))
    assert f"pairs.txt:2: no such image: {tmp_path}/lfw/Ann/Ann_0009.jpg" in error_of(path, tmp_path / "lfw")


def cfp(root, folds=2):
    """CFP's protocol of two folds, with three images of each kind."""
    lists = root / "Protocol"
    (lists / "Split").mkdir(parents=True)
    for kind, name in (("F", "frontal"), ("P", "profile")):
        paths = [f"Data/Images/00{n}/{name}/01.jpg" for n in (1, 2, 3)]
        write_images(root, paths)
        lines = [f"{number} ../{path}\n" for number, path in enumerate(paths, start=1)]
        (lists / f"Pair_list_{kind}.txt").write_text("".join(lines))
    for kind in ("FF", "FP"):
        for fold in range(1, folds + 1):
            folder = lists / f"Split/{kind}/{fold:02d}"
            folder.mkdir(parents=True)
            (folder / "same.txt").write_text(f"{fold},1\n")
            (folder / "diff.txt").write_text(f"{fold},3\n")
    return lists / "Split/FP"


def test_cfp_protocol(tmp_path):
    folder = cfp(tmp_path)
    frontal, profile = "Data/Images/00{}/frontal/01.jpg".format, "Data/Images/00{}/profile/01.jpg".format
    expected = [
        (frontal(1), profile(1), True),
        (frontal(1), profile(3), False),
        (frontal(2), profile(1), True),
        (frontal(2), profile(3), False),
    ]
    assert named_pairs(load_pairs(folder), tmp_path) == expected
    ff = [(first, second.replace("profile", "frontal"), same) for first, second, same in expected]
    assert named_pairs(load_pairs(folder.parent / "FF"), tmp_path) == ff
    (folder / "02/same.txt").write_text("2,9\n")
    assert "02/same.txt:1: expected two numbers of images, found '2,9'" in error_of(folder)
    assert "Protocol/Split/FP or Protocol/Split/FF" in error_of(folder.parent)


def test_plain_lists(tmp_path):
    names = ["a.png", "b c.png", "d.png"]
    write_images(tmp_path / "images", names)
    path = tmp_path / "images/pairs.txt"
    path.write_text("a.png\tb c.png\t1\nb c.png\td.png\t0\n")
    expected = [("a.png", "b c.png", True), ("b c.png", "d.png", False)]
    assert named_pairs(load_pairs(path), tmp_path / "images") == expected
    path.write_text("a.png,b c.png,1\nb c.png,d.png,0\n")
    assert named_pairs(load_pairs(path, None, ","), tmp_path / "images") == expected
    path.write_text("a.png d.png 0\n")
    assert named_pairs(load_pairs(path), tmp_path / "images") == [("a.png", "d.png", False)]
    path.write_text("a.png d.png 2\n")
    assert "pairs.txt:1: expected '<path> <path> <0 or 1>', found 'a.png d.png 2'" in error_of(path)
    path.write_text("a.png none.png 1\nnone.png other.png 1\n")
    message = error_of(path)
    assert f"pairs.txt:1: no such image: {tmp_path}/images/none.png (and 1 of 3 images more)" in message
    path.write_text("\n")
    assert "the list file is empty" in error_of(path)
    assert "no such pair file" in error_of(tmp_path / "none.txt")


# ------------------------------------------------------------------------------------------------ pairs of own images


@pytest.fixture
def own(tmp_path):
    """A list of 5 identities with 5 images each."""
    names = [f"images/{person} {view}.png" for person in range(5) for view in range(5)]
    write_images(tmp_path, names, size=8)
    (tmp_path / "label.txt").write_text("".join(f"{name}\t{name.split(' ')[0][-1]}\n" for name in names))
    return tmp_path


def test_pairs_of_own_images(own):
    options = ["--list", str(own / "label.txt"), "--pairs", "80", "--output", str(own / "out/pairs.txt")]
    make_pairs.main([*options, "--bin", str(own / "out/own.bin"), "--size", "12"])
    pairs = load_pairs(own / "out/pairs.txt")
    found = named_pairs(pairs, own / "out")
    assert len(found) == len({frozenset(pair[:2]) for pair in found}) == 80
    person = [[name.partition("images/")[2].split(" ")[0] for name in pair[:2]] for pair in found]
    assert [one == other for one, other in person] == pairs.same.tolist()
    for fold in pairs.same.reshape(10, 8):
        assert fold.sum() == 4
    images, same = read_bin(own / "out/own.bin")
    assert same == pairs.same.tolist()
    assert all(decode(image).shape == (12, 12, 3) for image in images)
    first = (own / "out/pairs.txt").read_bytes()
    make_pairs.main(options)
    assert (own / "out/pairs.txt").read_bytes() == first
    make_pairs.main([*options, "--seed", "1"])
    assert (own / "out/pairs.txt").read_bytes() != first


def test_images_of_the_right_size_stay_as_they_are(own):
    options = ["--list", str(own / "label.txt"), "--pairs", "20", "--output", str(own / "pairs.txt")]
    make_pairs.main([*options, "--bin", str(own / "own.bin"), "--size", "8"])
    files = {path.read_bytes() for path in (own / "images").iterdir()}
    assert set(read_bin(own / "own.bin")[0]) <= files


def test_too_many_pairs_are_refused(own):
    with pytest.raises(UserError, match="expected 60 pairs of one identity, found 50"):
        make_pairs.main(["--list", str(own / "label.txt"), "--pairs", "120", "--output", str(own / "pairs.txt")])
    with pytest.raises(SystemExit):
        make_pairs.main(["--list", str(own / "label.txt"), "--pairs", "30", "--output", str(own / "pairs.txt")])


def test_the_set_in_insightfaces_form(tmp_path):
    folder = tmp_path / "set"
    make_insightface_set.main(["--output", str(folder)])
    dataset = ImageNetDataset(folder, folder / "label.txt", delimiter="\t")
    assert len(dataset) == 500
    assert set(dataset.labels) == set(range(100))
    assert dataset[0][0].shape == (3, 112, 112)
    pairs = load_pairs(folder / "objects.bin")
    assert len(pairs.same) == 400
    assert pairs.same.sum() == 200
    assert decode(pairs.content(0)).shape == (112, 112, 3)
    made = (folder / "manifest.json").stat().st_mtime_ns
    make_insightface_set.main(["--output", str(folder)])
    assert (folder / "manifest.json").stat().st_mtime_ns == made  # a complete set is left alone
    (folder / "images/00000001.png").write_bytes(encoded(1))
    make_insightface_set.main(["--output", str(folder)])
    assert decode((folder / "images/00000001.png").read_bytes()).shape == (112, 112, 3)
    assert np.array_equal(load_pairs(folder / "objects.bin").first, pairs.first)
