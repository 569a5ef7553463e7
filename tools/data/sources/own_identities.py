"""Which images of a user's folder train a recogniser, which are queries, and which are the gallery; and a config."""

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO
from tools.data.sources.own_set import draw, from_template, keep_config, set_size, write_new_config

TEMPLATE = REPO / "ppcls_lite/configs/recognition/arcface_lite.yaml"
LISTS = ("train", "query", "gallery")
_LEAST = 2  # identities of a training, and images of an identity that is searched for


def split_identities(root, entries, names, test, seed):
    """(lists, names, problems): {list: [`Entry`]} of `LISTS`, and the identities in the order of their labels.

    No identity is in training and test. Without a split of the user's, an identity of two images or more is for the
    test when the number that its name and the seed make is below the share `test`; at least one is, and two are not.
    In the test, each second image in the order of their contents is a query, the others are the gallery. UserError
    when there are too few.
    """
    members = {name: [] for name in names}
    for entry in entries:
        members[entry.name].append(entry)
    tested = _tested(members, test, seed)
    trained = [name for name in names if name not in tested]
    if len(trained) < _LEAST or not any(len(members[name]) >= _LEAST for name in tested):
        raise UserError(
            f"{root}: expected two identities for the training, and one with two images for the test; found "
            f"{len(trained)} for the training, and {len(tested)} for the test"
        )
    problems = [
        (entry.path, "not used: its identity is in the training")
        for name in trained
        for entry in members[name]
        if entry.split == "val"
    ]
    lists = {"train": [entry for name in trained for entry in members[name] if entry.split != "val"]}
    drawn = {name: sorted(members[name], key=lambda entry: (draw(entry.digest, seed), entry)) for name in tested}
    lists["query"] = sorted(entry for name in tested for entry in drawn[name][1::2])
    lists["gallery"] = sorted(entry for name in tested for entry in drawn[name][::2])
    return lists, [*trained, *(name for name in names if name in tested)], problems


def _tested(members, test, seed):
    """The names of the identities for the test."""
    if any(entry.split for entries in members.values() for entry in entries):
        return {name for name, entries in members.items() if all(entry.split == "val" for entry in entries)}
    numbers = {name: draw(name, seed) for name, entries in members.items() if len(entries) >= _LEAST}
    order = sorted(numbers, key=numbers.get)
    count = min(max(sum(number < test for number in numbers.values()), 1), max(len(members) - _LEAST, 0))
    return set(order[:count])


def identities_text(lists):
    """How many images and identities each list has."""
    sizes = [f"{len(lists[name])} images of {len({entry.name for entry in lists[name]})} identities" for name in LISTS]
    return "total: {} for training, {} as queries, {} in the gallery\n".format(*sizes)


def write_rec_config(output, fresh, trained, size):
    """`fresh/config.yaml`: that of the folder `output`, which the user may have changed, or a new one for the lists."""
    if keep_config(output, fresh, "Arch.Head.class_num", trained, "identities for training"):
        return
    config = from_template(TEMPLATE, output, size)
    config["Arch"]["Head"]["class_num"] = trained
    loaders = config["DataLoader"]
    parts = {"train": loaders["Train"], "query": loaders["Eval"]["Query"], "gallery": loaders["Eval"]["Gallery"]}
    for name, part in parts.items():
        part["dataset"].update(image_root=str(output), cls_label_path=str(output / f"{name}_list.txt"))
        set_size(part["dataset"]["transform_ops"], size)
    set_size(config["Infer"]["transforms"], size)
    config["Infer"]["infer_imgs"] = str(output / "query_list.txt")
    write_new_config(
        fresh, config, f"The identities in {output}, for any backbone: -o Arch.Backbone.name=MobileNetV3_small_x1_0."
    )
