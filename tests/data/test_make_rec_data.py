"""The recognition sets that tools/data/make_rec_data.py makes: lite_data_rec, identities, views and their materials."""

import json

import cv2
import numpy as np
import pytest

from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import ROOT
from tools.data import collect_rec_materials as collect
from tools.data import make_rec_data as rec
from tools.data.make_det_data import read_materials as read_detection_materials
from tools.data.sources import likeness, stamp_views

LITE = ROOT / "lite_data_rec"


def rows_of(folder, kind):
    """[(path, label)] of one list of a set."""
    lines = (folder / f"{kind}_list.txt").read_text().splitlines()
    return [(line.split(" ")[0], int(line.split(" ")[1])) for line in lines]


@pytest.fixture(scope="module")
def identities():
    return json.loads((rec.MATERIALS / "materials_rec/identities.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cutouts(identities):
    return {row["name"]: rec._read_cutout(rec.MATERIALS / row["file"]) for row in identities}


def materials_of(folder, stamps):
    """Materials below `folder`: {(split, name): cut-out}, and one background for each split."""
    rows = []
    for (split, name), image in stamps.items():
        file = folder / f"materials_rec/{split}/{name}.webp"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), image)
        row = {"name": name, "split": split, "file": f"materials_rec/{split}/{name}.webp", "mirror": True}
        rows.append({**row, "source": f"{name}.png", "licence": "GPL-2 or later"})
    (folder / "materials_rec/identities.json").write_text(json.dumps(rows))
    for split in ("train", "val"):
        for kind in ("stamps/any", "backgrounds"):
            (folder / "materials" / split / kind).mkdir(parents=True)
        cv2.imwrite(str(folder / "materials" / split / "stamps/any/one.webp"), next(iter(stamps.values())))
        cv2.imwrite(str(folder / "materials" / split / "backgrounds/one.jpg"), np.full((80, 80, 3), 90, np.uint8))
    return folder


# -------------------------------------------------------------------------------------------------- lite_data_rec


def test_lite_set_is_whole_and_small():
    assert sum(path.stat().st_size for path in LITE.rglob("*") if path.is_file()) < 2_000_000
    names = [line.split(" ", 1) for line in (LITE / "label_list.txt").read_text().splitlines()]
    assert [int(number) for number, _ in names] == list(range(124))
    training, query, gallery = (rows_of(LITE, kind) for kind in ("train", "query", "gallery"))
    assert (len(training), len(query), len(gallery)) == (500, 72, 72)
    assert {label for _, label in training} == set(range(100))
    assert {label for _, label in query} == {label for _, label in gallery} == set(range(100, 124))
    for path, label in training + query + gallery:
        assert path.split("/")[1] == names[label][1]
        assert cv2.imread(str(LITE / path)).shape == (stamp_views.SIDE, stamp_views.SIDE, 3)
    listed = {path for path, _ in training + query + gallery}
    assert listed == {path.relative_to(LITE).as_posix() for path in LITE.rglob("*.jpg")}


def test_lite_set_is_made_again_byte_for_byte():
    """Where this fails after a change of the code, raise VERSION in make_rec_data.py and make the lite set again."""
    manifest = json.loads((LITE / "manifest.json").read_text())
    recipe = {**rec.SMALL, "seed": rec.SEED, "source": rec.source_of()}
    assert manifest["recipe"] == recipe
    assert rec.is_complete(LITE, recipe)
    chosen = rec.read_identities(rec.MATERIALS, recipe)
    assert (LITE / "SOURCES.md").read_text(encoding="utf-8") == rec.sources(chosen, recipe)
    for split, ours in (("train", "train"), ("test", "val")):
        _, backgrounds = read_detection_materials(rec.MATERIALS / "materials", ours)
        for identity in chosen[split][::8]:
            for _, path in rec.views(split, identity["name"], recipe):
                assert rec.draw(identity, path, rec.SEED, backgrounds) == (LITE / path).read_bytes()


# ------------------------------------------------------------------------------------------------------ materials


def test_the_materials_are_what_the_tables_say(identities):
    for split in ("train", "test"):
        stamps = [f"{stamp}.png" for stamp in collect.all_stamps(split)]
        assert [row["source"] for row in identities if row["split"] == split] == stamps
    assert len({row["name"] for row in identities}) == len(identities) == 288
    assert not any("cartoon" in row["source"] for row in identities)
    folder = rec.MATERIALS / "materials_rec"
    assert (folder / "SOURCES.md").read_text(encoding="utf-8") == collect.sources(identities)
    own = {row["file"].partition("/")[2] for row in identities if row["file"].startswith("materials_rec/")}
    assert own == {path.relative_to(folder).as_posix() for path in folder.rglob("*.webp")}
    mirrored = {row["name"]: row["mirror"] for row in identities}
    assert mirrored["crow"]
    assert not mirrored["firetruck"]  # lettering
    assert not mirrored["wheelie_bin"]  # the package says so


def test_no_photograph_is_two_identities(cutouts):
    likeness.refuse_alike(cutouts)


def copied(image):
    """The same photograph, mirrored, smaller, bluer, darker, framed otherwise and recompressed."""
    copy = image.copy()
    copy[..., :3] = np.clip(copy[..., :3] * (1.0, 0.8, 0.6), 0, 255)
    copy = cv2.resize(np.pad(copy, ((9, 0), (0, 5), (0, 0))), None, fx=0.7, fy=0.8, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".webp", copy, [cv2.IMWRITE_WEBP_QUALITY, 60])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[:, ::-1])


def test_photographs_that_are_there_twice_are_found(cutouts):
    """One copy planted of each: nearly all are found, and little else. Those missed are pale or of one colour."""
    planted = {f"{name} again": copied(image) for name, image in cutouts.items()}
    found = likeness.alike({**cutouts, **planted})
    crossed = [(one, two) for _, one, two in found if "again" in two and "again" not in one]
    right = sum(two == f"{one} again" for one, two in crossed)
    assert right >= 0.98 * len(cutouts)
    assert len(crossed) - right <= 0.01 * len(cutouts)  # two dark round fruits are alike in their outline


def test_a_likeness_is_an_error_that_names_both(cutouts):
    with pytest.raises(UserError, match="duck and other: nearly the same photograph"):
        likeness.refuse_alike({**cutouts, "other": copied(cutouts["duck"])})


def test_a_photograph_in_both_splits_makes_no_set(tmp_path, cutouts):
    both = {("train", "duck"): cutouts["duck"], ("test", "other"): cutouts["duck"][:, ::-1]}
    materials = materials_of(tmp_path / "materials", both)
    with pytest.raises(UserError, match="duck and other: nearly the same photograph"):
        rec.main(["--output", str(tmp_path / "set"), "--materials", str(materials)])
    assert not (tmp_path / "set").exists()


# ---------------------------------------------------------------------------------------------------------- views


def test_a_view_is_mirrored_only_where_it_may_be():
    """A cut-out that is red on the left and blue on the right: where red is in the views."""
    stamp = np.full((40, 60, 4), 255, np.uint8)
    stamp[:, :30, :3], stamp[:, 30:, :3] = (0, 0, 255), (255, 0, 0)

    def red_is_left(seed, mirror):
        ground = [np.full((80, 80, 3), 90, np.uint8)]
        data = stamp_views.render_view(np.random.RandomState(seed), stamp, ground, mirror, varied=False)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
        redness = image[..., 2] - image[..., 0]
        red, blue = ((mask * np.arange(stamp_views.SIDE)).sum() / mask.sum() for mask in (redness > 40, redness < -40))
        return red < blue

    assert all(red_is_left(seed, mirror=False) for seed in range(30))
    assert 5 < sum(red_is_left(seed, mirror=True) for seed in range(30)) < 25


def test_the_same_seed_gives_the_same_set_and_another_one_does_not(tmp_path, monkeypatch):
    for name, value in {"views": 2, "gallery": 1, "query": 1, "train": 3, "test": 2}.items():
        monkeypatch.setitem(rec.SMALL, name, value)
    sets = [tmp_path / name for name in ("one", "again", "other")]
    for folder, seed in zip(sets, ("5", "5", "6")):
        rec.main(["--output", str(folder), "--small", "--seed", seed])
    one, again, other = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in sets
    )
    assert one == again
    assert len(one) == 3 * 2 + 2 * 2 + 7
    assert set(one.values()) & set(other.values()) == set()


def test_a_complete_set_is_left_alone_and_a_damaged_one_is_made_again(tmp_path, monkeypatch, capsys):
    for name, value in {"views": 2, "gallery": 1, "query": 1, "train": 2, "test": 2}.items():
        monkeypatch.setitem(rec.SMALL, name, value)
    target = tmp_path / "set"
    arguments = ["--output", str(target), "--small"]
    rec.main(arguments)
    kept = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    image = next(target.rglob("*.jpg"))
    stamp = image.stat().st_mtime_ns
    rec.main(arguments)
    assert "complete, left alone" in capsys.readouterr().out
    assert image.stat().st_mtime_ns == stamp
    for damage in (image.unlink, lambda: (target / "query_list.txt").write_text("")):
        damage()
        rec.main(arguments)
        assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == kept


def test_faults_of_the_materials_are_one_line(tmp_path, cutouts):
    arguments = ["--output", str(tmp_path / "set"), "--materials"]
    with pytest.raises(UserError, match=r"identities\.json: not found; tools/data/collect_rec_materials\.py makes it"):
        rec.main([*arguments, str(tmp_path)])
    materials = materials_of(tmp_path / "made", {("train", "duck"): cutouts["duck"]})
    with pytest.raises(UserError, match="0 identities for test, expected at least 1"):
        rec.main([*arguments, str(materials)])
    with pytest.raises(UserError, match="1 identities for train, expected at least 100"):
        rec.main([*arguments, str(materials), "--small"])
    (materials / "materials_rec/train/duck.webp").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"duck\.webp: expected an image of 4 channels"):
        rec.main([*arguments, str(materials)])
    with pytest.raises(UserError, match=r"--seed: expected a whole number of at least 0, found -1"):
        rec.main([*arguments, str(materials), "--seed", "-1"])
    assert not (tmp_path / "set").exists()
