"""The indexes of faiss: how they are made, kept in a file, and searched.

faiss computes in one thread here. Its OpenMP is another one than Paddle's: two pools of threads on the same cores
wait for each other, and an index that several threads have made is another one each time.
"""

import numpy as np

from ppcls_lite.infer.gallery.exact import IP, L2
from ppcls_lite.infer.gallery.well_formed import graph_fault, lists_fault
from ppcls_lite.utils.errors import UserError

FLAT, HNSW, IVF = METHODS = ("Flat", "HNSW32", "IVF")  # exact; a graph of 32 neighbours each; lists of k-means
DIST_TYPES = (IP, L2)
_SEARCHED = 128  # of HNSW, how many rows a search keeps in mind (efSearch)
_LISTS = 16  # of IVF, how many lists a search reads (nprobe)


def import_faiss():
    """faiss, with one thread for the thread that calls; UserError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise UserError(f"a gallery needs faiss ({error}): pip install faiss-cpu") from None
    faiss.omp_set_num_threads(1)
    return faiss


def build_index(vectors, method, dist_type):
    """An index of the vectors [M, D] float32 by one of METHODS."""
    faiss = import_faiss()
    metric = _metric(faiss, dist_type)
    size = vectors.shape[1]
    if method == FLAT:
        index = faiss.IndexFlat(size, metric)
    elif method == HNSW:
        index = faiss.IndexHNSWFlat(size, 32, metric)
    else:
        lists = max(1, min(len(vectors) // 8, int(4 * len(vectors) ** 0.5)))
        index = faiss.index_factory(size, f"IVF{lists},Flat", metric)
        index.cp.min_points_per_centroid = 1  # fewer points are no fault of a small gallery
        index.train(vectors)
    index.add(vectors)
    return index


def to_bytes(index):
    """The content of the index's file."""
    return import_faiss().serialize_index(index).tobytes()


def from_bytes(content, method, dist_type, count, size, path):
    """The index whose file, at `path`, has this content: of `count` vectors of this size; UserError for another."""
    faiss = import_faiss()
    kind = _kinds(faiss, dist_type)[method]
    try:
        index = faiss.deserialize_index(np.frombuffer(content, np.uint8))
    except Exception as error:  # faiss has one type for all its faults
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise UserError(f"{path}: faiss cannot read it: {reason[-160:]}") from None
    if not isinstance(index, kind) or index.metric_type != _metric(faiss, dist_type):
        raise UserError(f"{path}: expected an index {method} {dist_type}, found another kind ({type(index).__name__})")
    if (index.ntotal, index.d) != (count, size):
        raise UserError(f"{path}: expected {count} vectors of {size} numbers, found {index.ntotal} of {index.d}")
    fault = graph_fault(faiss, index) if method == HNSW else lists_fault(faiss, index) if method == IVF else ""
    if fault:
        raise UserError(f"{path}: damaged: {fault}")
    return index


def vectors_of(index):
    """The vectors [M, D] float32 that an index holds, in the order in which they were added."""
    if hasattr(index, "make_direct_map"):  # IVF knows only by it where a vector is
        index.make_direct_map()
    return index.reconstruct_n(0, index.ntotal)


def candidates(index, queries, count):
    """Numbers of rows [N, count] that may be the nearest of each query; -1 where the index finds fewer."""
    import_faiss()
    if hasattr(index, "hnsw"):
        index.hnsw.efSearch = max(_SEARCHED, 2 * count)
    elif hasattr(index, "nprobe"):
        index.nprobe = min(_LISTS, index.nlist)
    return index.search(np.ascontiguousarray(queries), count)[1]


def _metric(faiss, dist_type):
    return faiss.METRIC_INNER_PRODUCT if dist_type == IP else faiss.METRIC_L2


def _kinds(faiss, dist_type):
    flat = faiss.IndexFlatIP if dist_type == IP else faiss.IndexFlatL2
    return {FLAT: flat, HNSW: faiss.IndexHNSWFlat, IVF: faiss.IndexIVFFlat}
