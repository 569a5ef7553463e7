"""Batches of identities: what they are made of, that every run and every rank makes the same, and what is refused."""

from collections import Counter

import numpy as np
import pytest

from ppcls_lite.data.identity_samplers import SAMPLERS, DistributedRandomIdentitySampler, PKSampler
from ppcls_lite.data.loader import build_loader
from ppcls_lite.utils.errors import UserError

# 5, 1, 4, 9, 2 and 4 images of the identities 3, 4, 7, 8, 20 and 21, mixed
LABELS = np.random.default_rng(3).permutation(np.repeat([3, 4, 7, 8, 20, 21], [5, 1, 4, 9, 2, 4]))
KINDS = {
    "PKSampler": lambda labels=LABELS, **options: PKSampler(labels, 6, 2, **options),
    "DistributedRandomIdentitySampler": lambda labels=LABELS, **options: DistributedRandomIdentitySampler(
        labels, 6, 2, **options
    ),
}


def test_both_are_here():
    assert SAMPLERS.names() == sorted(KINDS)


@pytest.fixture(params=sorted(KINDS))
def build(request):
    return KINDS[request.param]


def on_ranks(build, world=1, seed=5, epoch=1, **options):
    """The batches of each rank, as lists of image numbers."""
    found = []
    for rank in range(world):
        sampler = build(**options)
        sampler.seed, sampler.rank, sampler.world_size = seed, rank, world
        sampler.set_epoch(epoch)
        batches = [list(batch) for batch in sampler]
        assert len(batches) == len(sampler)
        assert {number for batch in batches for number, _ in batch} == {epoch}
        batches = [[index for _, index in batch] for batch in batches]
        assert [index for batch in batches for index in batch] == sampler.indices()
        found.append(batches)
    return found


def assert_composed(batches, labels=LABELS, identities=3, per_identity=2):
    """Every batch has K images of each of P identities, an image twice only where there are not enough."""
    held = Counter(labels.tolist())
    for batch in batches:
        found = Counter(labels[batch].tolist())
        assert len(found) == identities
        assert set(found.values()) == {per_identity}
        for label in found:
            images = [index for index in batch if labels[index] == label]
            assert len(set(images)) == min(per_identity, held[label])


@pytest.mark.parametrize("epoch", [1, 2, 30])
def test_batches_are_composed_as_promised(build, epoch):
    (batches,) = on_ranks(build, epoch=epoch)
    assert_composed(batches)


@pytest.mark.parametrize("fault", ["one identity twice", "an image twice", "a smaller batch"])
def test_a_batch_of_another_composition_would_be_seen(build, fault):
    ((batch, *_),) = on_ranks(build)
    if fault == "one identity twice":
        other = next(index for index in range(len(LABELS)) if LABELS[index] == 8 and index not in batch)
        batch[next(place for place, index in enumerate(batch) if LABELS[index] != 8)] = other
    elif fault == "an image twice":
        first = next(place for place in (0, 2, 4) if LABELS[batch[place]] != 4)
        batch[first + 1] = batch[first]
    else:
        batch.pop()
    with pytest.raises(AssertionError):
        assert_composed([batch])


def test_batches_follow_from_seed_epoch_and_rank_alone(build):
    (first,) = on_ranks(build)
    np.random.seed(0)
    assert on_ranks(build) == [first]
    assert on_ranks(build, epoch=2) != [first]
    assert on_ranks(build, seed=6) != [first]
    resumed = build()
    resumed.seed = 5
    for epoch in (4, 2, 1):  # what was before does not count
        resumed.set_epoch(epoch)
        batches = [[index for _, index in batch] for batch in resumed]
    assert batches == first


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_have_equally_many_batches_and_others(build, world):
    ranks = on_ranks(build, world=world)
    assert len({len(batches) for batches in ranks}) == 1
    assert ranks[0]
    assert all(one != other for place, one in enumerate(ranks) for other in ranks[:place])
    for batches in ranks:
        assert_composed(batches)


# ---- PKSampler


def test_an_epoch_of_pk_has_as_many_batches_as_the_images_fill():
    assert len(PKSampler(LABELS, 6, 2)) == 25 // 6
    assert len(PKSampler(LABELS, 6, 2, drop_last=False)) == 25 // 6 + 1
    sampler = PKSampler(LABELS, 6, 2)
    sampler.world_size = 2
    assert len(sampler) == 13 // 6


def shares(repeats=400, **options):
    """{label: in what part of the batches with one identity each it is}."""
    sampler = PKSampler(LABELS, 2, 2, **options)
    seen = Counter()
    for epoch in range(repeats):
        sampler.set_epoch(epoch)
        seen.update(int(LABELS[batch[0][1]]) for batch in sampler)
    return {label: count / sum(seen.values()) for label, count in sorted(seen.items())}


def test_probabilities_of_identities():
    even = dict.fromkeys([3, 4, 7, 8, 20, 21], 1 / 6)
    by_images = {3: 5 / 25, 4: 1 / 25, 7: 4 / 25, 8: 9 / 25, 20: 2 / 25, 21: 4 / 25}
    assert shares(sample_method="id_avg_prob") == pytest.approx(even, abs=0.03)
    assert shares(sample_method="sample_avg_prob") == pytest.approx(by_images, abs=0.03)
    assert shares() == pytest.approx(by_images, abs=0.03)
    assert shares(sample_method="id_avg_prob") != pytest.approx(by_images, abs=0.03)
    # 4 and 7 come three times as often, and 20 as seldom again
    wanted = {3: 1, 4: 3, 7: 3, 8: 1, 20: 0.5, 21: 1}
    total = sum(wanted.values())
    found = shares(sample_method="id_avg_prob", id_list=[4, 7, 20, 20], ratio=[3, 0.5])
    assert found == pytest.approx({label: weight / total for label, weight in wanted.items()}, abs=0.03)


# ---- DistributedRandomIdentitySampler


def test_every_identity_and_every_group_come_once():
    """In groups of 2: 2, 1 (filled up), 2, 4, 1 and 2: 12 groups, of which 8 has 4: four batches of 3."""
    for epoch in range(20):
        (batches,) = on_ranks(KINDS["DistributedRandomIdentitySampler"], epoch=epoch)
        assert len(batches) == 4
        seen = Counter(LABELS[[index for batch in batches for index in batch]].tolist())
        assert seen == {3: 4, 4: 2, 7: 4, 8: 8, 20: 2, 21: 4}
        images = Counter(index for batch in batches for index in batch)
        assert max(count for index, count in images.items() if LABELS[index] != 4) == 1


def largest_by_trial(labels, identities, per_identity):
    """How many batches there can be, by taking the identities with most groups left first, again and again."""
    groups = [max(count // per_identity, 1) for count in Counter(labels.tolist()).values()]
    batches = 0
    while sum(count > 0 for count in groups) >= identities:
        for place in sorted(range(len(groups)), key=lambda place: -groups[place])[:identities]:
            groups[place] -= 1
        batches += 1
    return batches


@pytest.mark.parametrize("trial", range(30))
def test_no_epoch_could_have_more_batches(trial):
    rng = np.random.default_rng(trial)
    labels = np.repeat(np.arange(12), rng.integers(1, 20, 12) ** rng.integers(1, 3))
    identities, per_identity = int(rng.integers(2, 9)), int(rng.integers(1, 5))
    sampler = DistributedRandomIdentitySampler(labels, identities * per_identity, per_identity)
    assert len(sampler) == largest_by_trial(labels, identities, per_identity)
    batches = [[index for _, index in batch] for batch in sampler]
    assert_composed(batches, labels, identities, per_identity)
    if len(batches) * identities >= 12:
        assert set(labels[np.concatenate(batches)]) == set(range(12))


def test_identities_left_over_are_others_in_every_epoch():
    """Seven identities with one group each, two batches of three: one of them is left out."""
    labels = np.repeat(np.arange(7), 2)
    missing = set()
    for epoch in range(40):
        (batches,) = on_ranks(lambda: DistributedRandomIdentitySampler(labels, 6, 2), epoch=epoch)
        assert len(batches) == 2
        missing |= set(range(7)) - set(labels[np.concatenate(batches)].tolist())
    assert missing == set(range(7))


def test_max_iters_is_the_number_of_batches():
    build = KINDS["DistributedRandomIdentitySampler"]
    for world in (1, 2):
        ranks = on_ranks(build, world=world, max_iters=11)
        assert [len(batches) for batches in ranks] == [11] * world
        assert len({tuple(batch) for batches in ranks for batch in batches}) > 8
        for batches in ranks:
            assert_composed(batches)
    (batches,) = on_ranks(build, max_iters=2)
    assert len(batches) == 2


# ---- in a config


def section(folder, **sampler):
    return {
        "dataset": {
            "image_root": str(folder),
            "cls_label_path": str(folder / "train_list.txt"),
            "transform_ops": [{"ResizeImage": {"size": 8}}],
        },
        "sampler": sampler,
    }


def test_a_loader_gives_these_batches(tiny_data):
    options = {"name": "DistributedRandomIdentitySampler", "batch_size": 4, "num_instances": 2, "drop_last": False}
    loader = build_loader(section(tiny_data, **options), "Train", 3)
    loader.batch_sampler.set_epoch(2)
    batches = [sorted(batch.target.numpy().tolist()) for batch in loader]
    assert len(batches) == len(loader) == 3  # 5, 5 and 4 images: two groups of each
    assert all(len(set(batch)) == 2 and batch[::2] == batch[1::2] for batch in batches)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "PKSampler"}, r"^W\.sampler\.batch_size: this option is required"),
        ({"name": "PKSampler", "batch_size": 4}, r"^W\.sampler\.sample_per_id: this option is required"),
        (
            {"name": "PKSampler", "batch_size": 4, "sample_per_id": 3},
            "batch_size 4 is not a multiple of sample_per_id 3",
        ),
        ({"name": "PKSampler", "batch_size": 8, "sample_per_id": 2}, "needs 4 identities, and the list has 3"),
        ({"name": "PKSampler", "batch_size": 4, "sample_per_id": 2, "shuffle": False}, r"shuffle: expected True"),
        ({"name": "PKSampler", "batch_size": 4, "sample_per_id": 2, "sample_methd": 1}, "'sample_method'"),
        (
            {"name": "PKSampler", "batch_size": 4, "sample_per_id": 2, "sample_method": "id"},
            "expected one of 'id_avg_prob'",
        ),
        ({"name": "PKSampler", "batch_size": 4, "sample_per_id": 2, "id_list": [1, 2]}, "2 labels and 0 ratios"),
        (
            {"name": "PKSampler", "batch_size": 4, "sample_per_id": 2, "id_list": [1, 2], "ratio": [0]},
            r"PKSampler\.ratio: expected a number above 0",
        ),
        (
            {"name": "DistributedRandomIdentitySampler", "batch_size": 4, "num_instances": 2, "max_iters": 0},
            r"max_iters: expected a whole number of at least 1, found 0",
        ),
        ({"name": "DistributedRandomIdentitySampler", "batch_size": 4, "num_instances": 3}, "is not a multiple of"),
    ],
)
def test_faults_of_a_section(tiny_data, options, message):
    with pytest.raises(UserError, match=message):
        build_loader(section(tiny_data, **options), "Train", 0, where="W")


def test_an_evaluation_takes_every_image(tiny_data):
    options = {"name": "PKSampler", "batch_size": 4, "sample_per_id": 2}
    with pytest.raises(UserError, match="PKSampler is for a training"):
        build_loader(section(tiny_data, **options), "Eval", 0)


def test_more_ranks_than_batches(tiny_data):
    options = {"name": "DistributedRandomIdentitySampler", "batch_size": 6, "num_instances": 2}
    with pytest.raises(UserError, match="14 images do not fill one batch of 6"):
        build_loader(section(tiny_data, **options), "Train", 0, rank=0, world_size=4)
