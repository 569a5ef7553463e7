"""A gallery on the disk: what is saved is loaded, what is damaged is refused, and a kill leaves a whole one."""

import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from ppcls_lite.infer.gallery import Gallery, approximate, files
from ppcls_lite.infer.gallery.approximate import METHODS
from ppcls_lite.infer.gallery.exact import IP, L2
from ppcls_lite.infer.gallery.files import CONTENT, INDEX, WAITING
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT, with_library
from tests.infer.test_gallery import MODEL, build, embeddings


@pytest.fixture
def folder(tmp_path):
    """The folder of a gallery of 60 images."""
    build(embeddings(60, 8)).save(tmp_path / "index")
    return tmp_path / "index"


def change_content(folder, change, signed=True):
    """Change the content of gallery.json, with the sha256 that belongs to it."""
    content = json.loads((folder / CONTENT).read_text())
    change(content)
    if signed:
        content.pop("sha256", None)
        content["sha256"] = files._checksum(content)
    (folder / CONTENT).write_text(json.dumps(content))


def plant_index(folder, content):
    """Another index, with the sha256 and the number of bytes that belong to it."""
    (folder / INDEX).write_bytes(content)

    def change(stated):
        stated["index"] = {"sha256": files.hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    change_content(folder, change)


def refused(folder, *expected, model=MODEL):
    with pytest.raises(UserError) as caught:
        Gallery.load(folder, model)
    assert "\n" not in str(caught.value)
    for text in expected:
        assert text in str(caught.value)


# ---- what is saved is loaded


@pytest.mark.parametrize("dist_type", [IP, L2])
@pytest.mark.parametrize("method", METHODS)
def test_a_loaded_gallery_finds_the_same(tmp_path, method, dist_type):
    vectors = embeddings(300, 8)
    gallery = build(vectors, method, dist_type)
    gallery.save(tmp_path)
    loaded = Gallery.load(tmp_path, MODEL)
    assert (loaded.docs, loaded.paths, loaded.model) == (gallery.docs, gallery.paths, MODEL)
    assert np.array_equal(loaded.vectors, vectors)
    for one, other in zip(loaded.search(vectors[:20], 5), gallery.search(vectors[:20], 5)):
        assert np.array_equal(one, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONTENT, INDEX]


@pytest.mark.parametrize("method", METHODS)
def test_a_loaded_gallery_can_be_added_to(tmp_path, method):
    vectors = embeddings(300, 8)
    build(vectors[:200], method).save(tmp_path)
    gallery = Gallery.load(tmp_path)
    gallery.add(vectors[200:], ["late"] * 100, [f"late/{number}" for number in range(100)])
    gallery.save(tmp_path)
    assert Gallery.load(tmp_path).matches(vectors[250:251], 1)[0][0]["rec_docs"] == "late"


def test_names_of_any_language_and_with_quotes(tmp_path):
    names = ['he said "no"', "东方红", "a\tb"]
    Gallery.build(embeddings(3, 4), names, names, MODEL).save(tmp_path)
    assert Gallery.load(tmp_path).docs == names


# ---- what is damaged, or another's, is refused


def test_a_missing_gallery(tmp_path):
    refused(tmp_path / "no", "no gallery there (gallery.json): build_gallery.py makes one")


def test_a_pickle_is_never_opened(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (folder / CONTENT).write_bytes(pickle.dumps(Bomb()))
    refused(folder, "gallery.json: not JSON, or cut")
    (folder / CONTENT).unlink()
    (folder / "id_map.pkl").write_bytes(pickle.dumps(Bomb()))
    refused(folder, "id_map.pkl is a pickle, which is not read here")
    shutil.copy(folder / "id_map.pkl", folder / INDEX)
    refused(folder, "pickle")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_a_cut_json(folder, left):
    (folder / CONTENT).write_bytes((folder / CONTENT).read_bytes()[:left] if left >= 0 else b"[1]")
    refused(folder, "gallery.json: ")


@pytest.mark.parametrize("place", [0, 7, 60, -1])
def test_a_changed_bit_of_the_index(folder, place):
    content = bytearray((folder / INDEX).read_bytes())
    content[place] ^= 4
    (folder / INDEX).write_bytes(content)
    refused(folder, "vector.index: not the index of gallery.json: another content (sha256)")


def test_a_cut_a_missing_and_a_swapped_index(folder, tmp_path):
    content = (folder / INDEX).read_bytes()
    (folder / INDEX).write_bytes(content[:-8])
    refused(folder, f"{len(content) - 8} bytes, expected {len(content)}: it is damaged or of another gallery")
    (folder / INDEX).unlink()
    refused(folder, "vector.index: no such file")
    build(embeddings(60, 8, seed=1)).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / INDEX, folder)
    refused(folder, "another content (sha256)")


def swap_names(content):
    content["entries"][0][1], content["entries"][9][1] = "x", "y"


def test_a_name_that_was_changed(folder):
    change_content(folder, swap_names, signed=False)
    refused(folder, "gallery.json: damaged: its content is not that of its sha256")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "ppcls_lite gallery 9", "expected the format 'ppcls_lite gallery 1', found 'ppcls_lite gallery 9'"),
        ("index_method", "PQ", "index_method: expected one of Flat, HNSW32, IVF, found 'PQ'"),
        ("index_method", ["Flat"], "index_method: expected str, found ['Flat']"),
        ("dist_type", "hamming", "dist_type: expected one of IP, L2, found 'hamming'"),
        ("dist_type", L2, "expected an index Flat L2, found another kind (IndexFlatIP)"),
        ("index_method", "HNSW32", "expected an index HNSW32 IP, found another kind (IndexFlatIP)"),
        ("embedding_size", 16, "vector.index: expected 60 vectors of 16 numbers, found 60 of 8"),
        ("embedding_size", True, "embedding_size: expected int, found True"),
        ("count", 61, "entries: expected 61 of different paths, found 60"),
        ("count", "60", "count: expected int, found '60'"),
        ("entries", [], "entries: expected 60 of different paths, found 0"),
        ("entries", [["a", 1]] * 60, "entries: expected pairs of texts"),
        ("entries", [["a", "b"]] * 60, "entries: expected 60 of different paths"),
        ("model", {"name": "a"}, "model: expected texts name, weights, processing, found others"),
        ("model", None, "model: expected dict, found None"),
        ("index", {"sha256": "a"}, "damaged"),
        ("index", None, "damaged"),
    ],
)
def test_content_of_another_kind(folder, key, value, message):
    change_content(folder, lambda content: content.update({key: value}))
    refused(folder, message)


def test_a_gallery_of_fewer_vectors_than_names(folder):
    plant_index(folder, approximate.to_bytes(approximate.build_index(embeddings(59, 8), "Flat", IP)))
    refused(folder, "expected 60 vectors of 8 numbers, found 59 of 8")


def test_vectors_that_are_not_finite(folder):
    vectors = embeddings(60, 8)
    vectors[5, 3] = np.nan
    plant_index(folder, approximate.to_bytes(approximate.build_index(vectors, "Flat", IP)))
    refused(folder, "vector.index: embeddings hold numbers that are nan")


def test_bytes_that_are_no_index(folder):
    plant_index(folder, b"no index of faiss")
    refused(folder, "vector.index: faiss cannot read it: ")


def test_a_gallery_of_another_model_or_preparation(folder):
    refused(
        folder,
        "another model (RecModel, sha256 of the weights weights…) than this one (Net, sha256 of the weights w…)",
        model=MODEL._replace(weights="w", name="Net"),
    )
    refused(folder, "prepared in another way", model=MODEL._replace(processing="p"))
    assert len(Gallery.load(folder)) == 60


# ---- indexes that would make faiss run for ever, or read foreign memory


def graph_with(change):
    """A graph of 300 vectors with a fault that `change(arrays)` makes in it."""
    faiss = approximate.import_faiss()
    index = approximate.build_index(embeddings(300, 8), "HNSW32", IP)
    for name, array in change(index.hnsw, faiss.vector_to_array).items():
        if isinstance(array, np.ndarray):
            faiss.copy_array_to_vector(array, getattr(index.hnsw, name))
        else:
            setattr(index.hnsw, name, array)
    return approximate.to_bytes(index)


def one_changed(name, place, value, graph, arrays):
    array = arrays(getattr(graph, name)).copy()
    array[place] = value
    return {name: array}


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ("neighbors", partial(one_changed, "neighbors", 5, 300)),
        ("neighbors", partial(one_changed, "neighbors", 5, -7)),
        ("levels", partial(one_changed, "levels", 5, 99)),
        ("offsets", partial(one_changed, "offsets", 5, 7)),
        ("entry_point or max_level", lambda graph, arrays: {"entry_point": 300}),
        ("entry_point or max_level", lambda graph, arrays: {"max_level": 7}),
        ("entry_point has no neighbours", lambda graph, arrays: {"entry_point": int(arrays(graph.levels).argmin())}),
        ("cum_nneighbor_per_level", partial(one_changed, "cum_nneighbor_per_level", 1, 63)),
        ("assign_probas", partial(one_changed, "assign_probas", 0, 0.5)),
    ],
)
def test_a_graph_that_does_not_hold_together(fault, change):
    """The newer faiss sees some of it by itself."""
    with pytest.raises(UserError, match=f"path: (damaged: {fault}|faiss cannot read it: .*HNSW)"):
        approximate.from_bytes(graph_with(change), "HNSW32", IP, 300, 8, "path")


def test_a_neighbour_on_a_level_that_it_does_not_have():
    def change(graph, arrays):
        levels, offsets, neighbours = (
            arrays(getattr(graph, name)).copy() for name in ("levels", "offsets", "neighbors")
        )
        high, low = int(levels.argmax()), int(levels.argmin())
        neighbours[int(offsets[high]) + 64] = low
        return {"neighbors": neighbours}

    with pytest.raises(UserError, match="damaged: a neighbour is not on its level"):
        approximate.from_bytes(graph_with(change), "HNSW32", IP, 300, 8, "path")


def test_lists_that_do_not_hold_together():
    faiss = approximate.import_faiss()
    index = approximate.build_index(embeddings(300, 8), "IVF", IP)
    assert approximate.from_bytes(approximate.to_bytes(index), "IVF", IP, 300, 8, "path").ntotal == 300
    number = int(faiss.rev_swig_ptr(index.invlists.get_ids(0), 1)[0])
    content = bytearray(approximate.to_bytes(index))
    place = content.index(np.array([number], np.int64).tobytes(), len(content) - 300 * (8 + 32))
    content[place : place + 8] = np.array([2**40], np.int64).tobytes()
    with pytest.raises(UserError, match="damaged: numbers of the rows"):
        approximate.from_bytes(bytes(content), "IVF", IP, 300, 8, "path")


# ---- writers

WRITER = """
import os, sys
from ppcls_lite.infer.gallery import Gallery
from tests.infer.test_gallery import build, embeddings
folder, end_at = sys.argv[1], int(sys.argv[2])
replace, calls = os.replace, []
def replace_or_end(*paths):
    calls.append(paths)
    if len(calls) == end_at:
        os.kill(os.getpid(), 9)
    replace(*paths)
os.replace = replace_or_end
build(embeddings(90, 4, seed=7)).save(folder)
print(len(calls))
"""


def start_writer(folder, end_at=0, **more):
    words = [sys.executable, "-c", WRITER, str(folder), str(end_at)]
    return subprocess.run(words, env=with_library(), capture_output=True, text=True, timeout=LIMIT, **more)


@pytest.mark.parametrize(("end_at", "count"), [(1, 60), (2, 60), (3, 90)])
def test_a_killed_writer_leaves_a_whole_gallery(folder, end_at, count):
    """Before each of its three renamings: the index waits, gallery.json, the index."""
    assert start_writer(folder, end_at).returncode == -9
    assert len(Gallery.load(folder, MODEL)) == count
    assert len(list(folder.iterdir())) > 2  # it could not tidy up
    gallery = Gallery.load(folder, MODEL)  # the next writer goes on from there
    gallery.add(embeddings(1, gallery.embedding_size, seed=9), ["next"], ["next"])
    gallery.save(folder)
    assert len(Gallery.load(folder, MODEL)) == count + 1
    assert sorted(path.name for path in folder.iterdir()) == [CONTENT, INDEX]


def test_a_writer_renames_three_times(folder):
    assert start_writer(folder).stdout == "3\n"


@pytest.mark.parametrize(("limit", "file"), [(1000, WAITING), (2000, CONTENT)])
def test_a_full_disk_leaves_the_former_gallery(folder, limit, file):
    """The index of the new gallery has 1485 bytes, its gallery.json more than 2000."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = start_writer(folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert f"{folder / file}: cannot be written (File too large)" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/index: cannot be a gallery's folder"):
        build(embeddings(3, 4)).save(tmp_path / "file/index")


def test_a_second_writer_is_refused(folder):
    with files.writing(folder):
        done = start_writer(folder)
        build(embeddings(61, 8)).save(folder)  # the writer itself may
    assert "another process is writing this gallery" in done.stderr
    assert len(Gallery.load(folder)) == 61
    assert start_writer(folder).returncode == 0


def test_a_writer_that_fails_leaves_no_empty_folder(tmp_path):
    with pytest.raises(UserError), files.writing(tmp_path / "new/index"):
        raise UserError("no image")
    assert not (tmp_path / "new/index").exists()


def test_a_reader_meets_a_writer(folder, monkeypatch):
    """gallery.json was read, and then both files were replaced."""
    read, reads = files._read_bytes, []

    def slow(path, name):
        content = read(path, name)
        reads.append(name)
        if len(reads) == 1:
            build(embeddings(61, 8)).save(folder)
        return content

    monkeypatch.setattr(files, "_read_bytes", slow)
    assert len(Gallery.load(folder)) == 61


def test_the_waiting_index_counts_only_with_its_content(folder):
    (folder / WAITING).write_bytes(b"half of an index")
    assert len(Gallery.load(folder)) == 60
    with files.writing(folder):
        assert not (folder / WAITING).exists()
