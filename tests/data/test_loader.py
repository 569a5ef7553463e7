"""Lists, data set, sampler and loader: every fault of a list, and the same samples for any number of workers."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from ppcls_lite.data.batch import Batch, Mixed
from ppcls_lite.data.dataset import ImageNetDataset, list_images, read_list
from ppcls_lite.data.loader import Loader, build_loader
from ppcls_lite.data.sampler import EpochBatchSampler
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT
from tests.helpers.shell import wait_for

COUNT = 11
TRAIN_OPS = [
    {"DecodeImage": {"to_rgb": True, "channel_first": False}},
    {"RandCropImage": {"size": 16}},
    {"RandFlipImage": {"flip_code": 1}},
    {"NormalizeImage": {"scale": "1.0/255.0", "order": ""}},
]
EVAL_OPS = [{"DecodeImage": None}, {"ResizeImage": {"resize_short": 20}}, {"CropImage": {"size": 16}}]


@pytest.fixture
def folder(tmp_path):
    """`COUNT` JPEGs with a space in every name, label = number % 3, and `list.txt` with a blank line."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(COUNT):
        image = rng.integers(0, 256, (24 + number, 31, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"pic {number}.jpg"), image)
        lines.append(f"pic {number}.jpg {number % 3}\n")
    (tmp_path / "list.txt").write_text("\n" + "".join(lines))
    return tmp_path


def dataset(folder, ops=TRAIN_OPS, **options):
    return ImageNetDataset(folder, folder / "list.txt", ops, **options)


def section(folder, ops=TRAIN_OPS, batch_ops=None, workers=0, **sampler):
    return {
        "dataset": {
            "name": "ImageNetDataset",
            "image_root": str(folder),
            "cls_label_path": str(folder / "list.txt"),
            "transform_ops": ops,
            **({"batch_transform_ops": batch_ops} if batch_ops else {}),
        },
        "sampler": {"name": "DistributedBatchSampler", "batch_size": 4, "drop_last": False, "shuffle": True, **sampler},
        "loader": {"num_workers": workers, "use_shared_memory": True},
    }


def arrays(loader, epoch=0):
    loader.batch_sampler.set_epoch(epoch)
    found = []
    for images, target in loader:
        parts = target if isinstance(target, tuple) else (target,)
        found.append([part.numpy() for part in (images, *parts)])
    return found


def equal(first, second):
    assert len(first) == len(second)
    return all(
        len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two)) for one, two in zip(first, second)
    )


# ---------------------------------------------------------------- lists


def test_read_list_keeps_spaces_and_line_numbers(folder):
    entries = read_list(folder / "list.txt")
    assert len(entries) == COUNT
    assert entries[1] == ("pic 1.jpg", 1, 3, None)


def test_read_list_with_its_own_delimiter(tmp_path):
    (tmp_path / "l.csv").write_bytes("\ufeffa, b.jpg,7\r\n".encode())
    assert read_list(tmp_path / "l.csv", ",") == [("a, b.jpg", 7, 1, None)]


@pytest.mark.parametrize("delimiter", ["\t", "\\t"])  # of a YAML file, and of a command line
def test_a_tab_can_be_named(tmp_path, delimiter):
    (tmp_path / "l.txt").write_text("a b.jpg\t7\n")
    assert read_list(tmp_path / "l.txt", delimiter) == [("a b.jpg", 7, 1, None)]
    (tmp_path / "l.txt").write_text("a b.jpg 7\n")
    with pytest.raises(UserError, match=r"l\.txt:1: expected '<image path> <label>', with the delimiter '\\t' between"):
        read_list(tmp_path / "l.txt", delimiter)


LIST_FAULTS = [
    ("", r"list\.txt: the list file is empty"),
    ("\n  \n", r"list\.txt: the list file is empty"),
    ("pic 0.jpg 0\n\nlonely.jpg\n", r"list\.txt:3: expected '<image path> <label>', found 'lonely\.jpg'"),
    ("pic 0.jpg 0\npic 1.jpg one\n", r"list\.txt:2: expected a label of at least 0, found 'one'"),
    ("pic 0.jpg -1\n", r"list\.txt:1: expected a label of at least 0, found '-1'"),
    ("pic 0.jpg 1.5\n", r"list\.txt:1: expected a label of at least 0, found '1\.5'"),
    ("pic 0.jpg 0\npic 1.jpg 3\n", r"list\.txt:2: label 3 is not below class_num 3"),
    ("pic 0.jpg 0\ngone 1.jpg 1\ngone 2.jpg 1\n", r"list\.txt:2: 2 of 3 images are missing, .*gone 1\.jpg"),
    (b"pic \xff.jpg 0\n", r"list\.txt: expected a text file in UTF-8"),
    (None, r"list\.txt: no such list file"),
]


@pytest.mark.parametrize(("text", "message"), LIST_FAULTS)
def test_faults_of_a_list(folder, text, message):
    path = folder / "list.txt"
    path.unlink()
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message) as caught:
        dataset(folder, class_num=3)
    assert "\n" not in str(caught.value)


def test_missing_root_is_reported(folder):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        ImageNetDataset(folder / "nowhere", folder / "list.txt")


def test_relabel_counts_from_zero(folder):
    (folder / "list.txt").write_text("pic 0.jpg 70\npic 1.jpg 5\npic 2.jpg 70\n")
    assert dataset(folder, relabel=True, class_num=2).labels.tolist() == [1, 0, 1]


def test_list_images(folder):
    (folder / "sub").mkdir()
    cv2.imwrite(str(folder / "sub" / "z.PNG"), np.zeros((4, 4, 3), np.uint8))
    found, skipped = list_images(folder)
    assert len(found) == COUNT + 1
    assert skipped == 1
    assert found == sorted(found)
    assert list_images(folder / "pic 0.jpg") == ([str(folder / "pic 0.jpg")], 0)
    os.rename(folder / "pic 0.jpg", folder / "no ending")
    assert list_images(folder / "no ending") == ([str(folder / "no ending")], 0)
    (folder / "some.txt").write_text("pic 1.jpg\npic 2.jpg 5\n")
    assert list_images(folder / "some.txt")[0] == [str(folder / "pic 1.jpg"), str(folder / "pic 2.jpg")]


def test_list_images_faults(tmp_path):
    for name, text, message in (
        ("gone", None, "gone: no such image, folder or list"),
        ("l.txt", "a.jpg 1\n", r"l\.txt:1: no such image: .*a\.jpg"),
        ("e.txt", "", "the list file is empty"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=message):
            list_images(tmp_path / name)
    (tmp_path / "dir").mkdir()
    with pytest.raises(UserError, match="no image among 0 files"):
        list_images(tmp_path / "dir")


# ---------------------------------------------------------------- data set


def test_sample_form_and_transposition(folder):
    image, label = dataset(folder)[1]
    assert (image.shape, image.dtype, label, label.dtype) == ((3, 16, 16), np.float32, 1, np.int64)
    twice = dataset(folder, [*EVAL_OPS, {"ToCHWImage": None}])[1][0]
    assert np.array_equal(twice, dataset(folder, EVAL_OPS)[1][0])
    assert dataset(folder, None)[1][0].shape == (3, 25, 31)


def test_sample_depends_on_seed_epoch_and_index_only(folder):
    first, second, other = dataset(folder), dataset(folder), dataset(folder, seed=1)
    second[2, 3], second[0, 0]
    assert np.array_equal(first[4, 5][0], second[4, 5][0])
    assert np.array_equal(first[5][0], first[0, 5][0])
    assert not np.array_equal(first[4, 5][0], first[5, 5][0])
    assert not np.array_equal(first[4, 5][0], other[4, 5][0])


def test_undecodable_file_is_named(folder):
    (folder / "pic 4.jpg").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"pic 4\.jpg: not a decodable image"):
        dataset(folder)[4]


def test_decoding_may_be_left_out(folder):
    assert np.array_equal(dataset(folder, EVAL_OPS[1:])[1][0], dataset(folder, EVAL_OPS)[1][0])


# ---------------------------------------------------------------- sampler


def test_shuffling_differs_between_epochs_and_is_the_same_between_runs():
    one, two = (EpochBatchSampler(50, 8, shuffle=True, seed=3) for _ in range(2))
    first = list(one)
    one.set_epoch(1)
    assert list(one) != first
    one.set_epoch(0)
    assert list(one) == first == list(two)
    assert first != list(EpochBatchSampler(50, 8, shuffle=True, seed=4))
    assert sorted(pair for batch in first for pair in batch) == [(0, index) for index in range(50)]


@pytest.mark.parametrize(("size", "world"), [(11, 2), (12, 2), (3, 4), (1, 3), (10, 3)])
@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks(size, world, drop_last):
    def ranks(pad):
        return [
            EpochBatchSampler(size, 2, shuffle=True, drop_last=drop_last, rank=r, world_size=world, pad=pad)
            for r in range(world)
        ]

    training, evaluation = ranks(True), ranks(False)
    assert len({len(sampler) for sampler in training}) == 1
    for sampler in training + evaluation:
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert not drop_last or all(len(batch) == 2 for batch in batches)
    once = [index for sampler in evaluation for index in sampler.indices()]
    assert sorted(once) == list(range(size))
    padded = [index for sampler in training for index in sampler.indices()]
    assert set(padded) == set(range(size))
    assert len(padded) == -(-size // world) * world


# ---------------------------------------------------------------- loader


def test_batches_are_tensors_of_the_documented_form(folder):
    loader = build_loader(section(folder), "Train", seed=0)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert all(isinstance(batch, Batch) for batch in batches)
    assert [tuple(batch.images.shape) for batch in batches] == [(4, 3, 16, 16), (4, 3, 16, 16), (3, 3, 16, 16)]
    assert str(batches[0].images.dtype) == "paddle.float32"
    assert str(batches[0].target.dtype) == "paddle.int64"
    assert tuple(batches[0].target.shape) == (4,)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_target_of_a_mixed_batch_has_names(folder, workers):
    built = build_loader(section(folder, batch_ops=[{"MixupOperator": {"alpha": 0.2}}]), "Train", seed=5)
    loader = Loader(built.dataset, built.batch_sampler, built._loader.collate_fn.batch_op, workers)
    (labels, others, share), *_ = (batch.target for batch in loader if isinstance(batch.target, Mixed))
    assert sorted(labels.tolist()) == sorted(others.tolist())
    assert share.shape == [1]
    assert 0 <= share.item() <= 1


@pytest.mark.parametrize("batch_ops", [None, [{"MixupOperator": {"alpha": 0.2}}]])
def test_any_number_of_workers_gives_the_same_batches(folder, batch_ops):
    built = build_loader(section(folder, batch_ops=batch_ops), "Train", seed=5)
    collate = built._loader.collate_fn
    results = []
    for workers in (0, 1, 2):
        loader = Loader(built.dataset, built.batch_sampler, collate.batch_op, workers)
        results.append([arrays(loader, epoch) for epoch in (0, 1)])
    assert equal(results[0][0], results[1][0])
    assert equal(results[0][0], results[2][0])
    assert equal(results[0][1], results[2][1])
    assert not equal(results[0][0], results[0][1])
    assert {len(batch) for batch in results[0][0]} == {2 if batch_ops is None else 4}
    if batch_ops:
        share = results[0][0][0][3]
        assert (share.shape, share.dtype) == ((1,), np.float32)
        assert share != results[0][0][1][3]


def test_a_loop_left_early_starts_afresh(folder):
    loader = build_loader(section(folder), "Train", seed=0)
    loader = Loader(loader.dataset, loader.batch_sampler, None, 2)
    for _ in loader:
        break
    assert equal(arrays(loader), arrays(build_loader(section(folder), "Train", seed=0)))


def test_two_ranks_evaluate_every_image_once(folder):
    labels = []
    for rank in range(2):
        loader = build_loader(section(folder, EVAL_OPS, shuffle=False), "Eval", 0, rank, 2)
        labels += [label for batch in arrays(loader) for label in batch[1].tolist()]
    assert sorted(labels) == sorted(number % 3 for number in range(COUNT))


def test_a_rank_without_images_has_no_batches(folder):
    (folder / "list.txt").write_text("pic 0.jpg 0\n")
    loader = build_loader(section(folder, EVAL_OPS), "Eval", 0, rank=1, world_size=2)
    assert list(loader) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_in_a_worker_reaches_the_main_process(folder, workers):
    (folder / "pic 7.jpg").write_bytes(b"broken")
    built = build_loader(section(folder), "Train", seed=0)
    with pytest.raises(UserError, match=r"pic 7\.jpg: not a decodable image") as caught:
        arrays(Loader(built.dataset, built.batch_sampler, None, workers))
    assert "\n" not in str(caught.value)


def test_images_of_different_shapes_are_reported(folder):
    with pytest.raises(UserError, match=r"images of one batch differ in shape, \(3, 2\d, 31\)"):
        arrays(build_loader(section(folder, EVAL_OPS[:1]), "Train", seed=0))


def test_workers_are_limited_and_the_log_says_so(folder, caplog, monkeypatch):
    monkeypatch.setattr("ppcls_lite.data.loader.logger.propagate", True)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    with caplog.at_level("INFO", "ppcls_lite"):
        assert build_loader(section(folder, workers=16, batch_size=1), "Train", 0).num_workers == 8
    assert "8 data workers instead of 16 workers: 8 processors" in caplog.text
    assert build_loader(section(folder, workers=16), "Train", 0).num_workers == 3  # three batches
    assert build_loader(section(folder, workers=16), "Train", 0, world_size=2).num_workers == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2), raising=False)
    assert build_loader(section(folder, workers=4), "Train", 0).num_workers == 0


def test_small_shared_memory_is_not_used(folder, monkeypatch):
    built = build_loader(section(folder), "Train", seed=0)
    full = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr("ppcls_lite.data.loader.shutil.disk_usage", lambda _: full)
    loader = Loader(built.dataset, built.batch_sampler, None, 1)
    assert equal(arrays(loader), arrays(built))
    assert loader._loader.use_shared_memory is False


def changed(folder, part, **options):
    result = section(folder)
    result[part].update(options)
    return result


@pytest.mark.parametrize(
    ("part", "options", "message"),
    [
        ("dataset", {"backend": "pil"}, r"^W\.dataset\.backend: expected one of 'cv2'"),
        ("dataset", {"name": "Market1501"}, r"^W\.dataset\.name: expected one of 'imagenetdataset'"),
        ("dataset", {"image_rot": "x"}, r"^W\.dataset\.image_rot: no such option .*'image_root'"),
        ("dataset", {"seed": 1}, r"^W\.dataset\.seed: no such option"),
        ("dataset", {"transform_ops": [{"Crop": None}]}, r"^W\.dataset\.transform_ops\[0\]: unknown transform 'Crop'"),
        ("dataset", {"batch_transform_ops": [{"Mix": None}]}, r"^W\.dataset\.batch_transform_ops\[0\]: unknown"),
        ("dataset", {"relabel": "yes"}, r"^W\.dataset\.relabel: expected True or False"),
        ("dataset", {"delimiter": 5}, r"^W\.dataset\.delimiter: expected text"),
        ("sampler", {"name": "RASampler"}, r"^W\.sampler\.name: expected one of"),
        ("sampler", {"batch_size": 0}, r"^W\.sampler\.batch_size: expected a whole number of at least 1"),
        ("sampler", {"batchsize": 2}, r"^W\.sampler\.batchsize: no such option .*'batch_size'"),
        ("sampler", {"shuffle": "Fasle"}, r"^W\.sampler\.shuffle: expected True or False"),
        ("sampler", {"batch_size": 99, "drop_last": True}, r"^W\.sampler: 11 images do not fill one batch of 99"),
        ("loader", {"num_workers": -1}, r"^W\.loader\.num_workers: expected a whole number of at least 0"),
        ("loader", {"workers": 1}, r"^W\.loader\.workers: no such option"),
    ],
)
def test_faults_of_a_section(folder, part, options, message):
    with pytest.raises(UserError, match=message) as caught:
        build_loader(changed(folder, part, **options), "Train", 0, where="W")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="reads the process table under /proc")
def test_killing_the_parent_ends_the_workers(folder):
    code = f"""
        import os, signal, subprocess
        from ppcls_lite.data.dataset import ImageNetDataset
        from ppcls_lite.data.loader import Loader
        from ppcls_lite.data.sampler import EpochBatchSampler
        data = ImageNetDataset({str(folder)!r}, {str(folder / "list.txt")!r}, {EVAL_OPS!r})
        batches = iter(Loader(data, EpochBatchSampler(len(data), 1), None, 2))
        next(batches)
        print(*open(f"/proc/self/task/{{os.getpid()}}/children").read().split(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    # stdout reaches its end only when the last process that holds it has gone: waiting for it is the test
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=LIMIT
    )
    workers = done.stdout.split()
    assert len(workers) >= 2, done.stderr
    assert wait_for(lambda: not any(map(runs, workers)))  # a process that ends closes its files before it is gone


def runs(pid):
    """Whether the process is there, and not only waits for its parent to notice that it has ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
