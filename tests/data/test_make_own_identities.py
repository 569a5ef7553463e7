"""tools/data/make_dataset.py --recognition: from folders of identities to lists that share none, and to a training."""

import pytest
import yaml
from PIL import Image

from ppcls_lite.data.image_lists import read_list
from tests.data.test_make_dataset import save
from tests.helpers.scripts import assert_one_line
from tools.data.sources.own_identities import split_identities
from tools.data.sources.own_set import Entry

NAMES = [f"thing {letter}" for letter in "abcdefgh"]


@pytest.fixture
def folder(tmp_path):
    """`tmp_path/images` with eight identities of four images."""
    for name in NAMES:
        for number in range(4):
            save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def make(run_here, tmp_path, folder):
    def run(*options):
        places = ["--images", folder, "--output", tmp_path / "set", "--workers", 1, "--recognition", "--size", 32]
        return run_here("tools/data/make_dataset.py", *places, *options)

    return run


def lists_of(target):
    """{list: {identity: [file name]}}"""
    found = {}
    for name in ("train", "query", "gallery"):
        for path, *_ in read_list(target / f"{name}_list.txt"):
            _, identity, image = path.split("/")
            found.setdefault(name, {}).setdefault(identity, []).append(image)
    return found


def test_no_identity_is_on_both_sides_and_no_image_is_lost(make, tmp_path):
    outcome = make("--val", 0.4)
    assert outcome.status == 0, outcome.err
    lists = lists_of(tmp_path / "set")
    assert set(lists["query"]) == set(lists["gallery"])
    assert sorted([*lists["train"], *lists["query"]]) == NAMES
    for identity in lists["query"]:
        assert sorted(lists["query"][identity] + lists["gallery"][identity]) == [f"{n}.png" for n in range(4)]
        assert len(lists["query"][identity]) == 2
    assert all(len(images) == 4 for images in lists["train"].values())
    trained, tested = len(lists["train"]), len(lists["query"])
    assert outcome.out.splitlines()[-2] == (
        f"total: {4 * trained} images of {trained} identities for training, {2 * tested} images of {tested} identities "
        f"as queries, {2 * tested} images of {tested} identities in the gallery"
    )
    names = [line.split(" ", 1) for line in (tmp_path / "set/label_list.txt").read_text().splitlines()]
    assert [int(number) for number, _ in names] == list(range(8))
    assert {name for _, name in names[:trained]} == set(lists["train"])  # labels of a training begin at 0
    rows = [line.split("\t") for line in (tmp_path / "set/gallery_names.txt").read_text().splitlines()]
    assert all(path.split("/")[1] == name and (tmp_path / "set" / path).is_file() for path, name in rows)
    assert len(rows) == 2 * tested


def test_the_config_trains(make, tmp_path, run_here):
    make("--val", 0.3)
    config = yaml.safe_load((tmp_path / "set/config.yaml").read_text())
    assert config["Arch"]["Head"]["class_num"] == len(lists_of(tmp_path / "set")["train"])
    options = ["Global.epochs=1", f"Global.output_dir={tmp_path / 'out'}", "DataLoader.Train.sampler.batch_size=8"]
    words = [word for option in options for word in ("-o", option)]
    outcome = run_here("tools/train.py", "-c", tmp_path / "set/config.yaml", *words)
    assert outcome.status == 0, outcome.err
    assert "recall1: " in (tmp_path / "out/log_train.txt").read_text()


def test_made_again_the_users_config_stays_and_a_new_number_is_said(make, folder, tmp_path):
    make("--val", 0.3)
    (tmp_path / "set/config.yaml").write_text("Arch: {Head: {class_num: 77}}\n")
    outcome = make("--val", 0.3)
    assert "its Arch.Head.class_num is 77, and there are " in outcome.out
    assert (tmp_path / "set/config.yaml").read_text() == "Arch: {Head: {class_num: 77}}\n"


def entries(images, split=None):
    return [Entry(f"{name}/{at}", name, split, f"{name}{at}") for name, count in images.items() for at in range(count)]


def split(images, test=0.5):
    return split_identities("root", entries(images), list(images), test, 0)


def test_identities_of_one_image_are_for_the_training():
    lists, _, _ = split({"a": 1, "b": 1, "c": 2, "d": 3}, 0.99)
    assert {entry.name for entry in lists["train"]} >= {"a", "b"}
    assert {entry.name for entry in lists["query"]} <= {"c", "d"}


def test_new_identities_move_no_others():
    before, _, _ = split(dict.fromkeys("abcdefgh", 3))
    after, _, _ = split(dict.fromkeys("abcdefghij", 3))
    for name in ("train", "query", "gallery"):
        assert set(before[name]) <= set(after[name])


@pytest.mark.parametrize("images", [{"a": 4, "b": 4}, {"a": 1, "b": 1, "c": 1}])
def test_too_few_are_refused(tmp_path, run_here, images):
    for name, count in images.items():
        for number in range(count):
            save(tmp_path / "few" / name / f"{number}.png")
    outcome = run_here(
        "tools/data/make_dataset.py", "--images", tmp_path / "few", "--output", tmp_path / "set", "--recognition"
    )
    assert_one_line(outcome, "few: expected two identities for the training, and one with two images for the test")
    assert not (tmp_path / "set").exists()


def test_a_split_of_the_users_is_kept_and_what_is_on_both_sides_is_named(tmp_path, run_here):
    for place in ("train/a", "train/b", "val/b", "val/c"):
        for number in range(2):
            save(tmp_path / "own" / place / f"{number}.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "own/val/c/third.png")
    outcome = run_here(
        "tools/data/make_dataset.py", "--images", tmp_path / "own", "--output", tmp_path / "set", "--recognition"
    )
    assert outcome.status == 0, outcome.err
    assert outcome.out.count("not used: its identity is in the training") == 2
    lists = {
        name: {path.split("/", 2)[2].split("/")[0] for path, *_ in read_list(tmp_path / f"set/{name}_list.txt")}
        for name in ("train", "query", "gallery")
    }
    assert lists == {"train": {"a", "b"}, "query": {"c"}, "gallery": {"c"}}
