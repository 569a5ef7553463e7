"""Does what faiss has read from a file hold together? faiss itself follows whatever numbers are in it.

A wrong neighbour in a graph, or a wrong list, would make a search run for ever, or read memory that is not the index's.
"""

import numpy as np

_NEIGHBOURS = 32
_BREADTH = 40  # faiss's default for adding to a graph (efConstruction)


def graph_fault(faiss, index):
    """What is wrong with the graph of an HNSW index that was read from a file, or ""."""
    graph, count = index.hnsw, index.ntotal
    empty = faiss.IndexHNSWFlat(index.d, _NEIGHBOURS, index.metric_type)  # its graph lives as long as this
    proper = empty.hnsw
    graph.efConstruction = _BREADTH
    if hasattr(graph, "search_method"):  # of the newer faiss
        graph.search_method = proper.search_method
    for name in ("cum_nneighbor_per_level", "assign_probas"):
        if not np.array_equal(*(faiss.vector_to_array(getattr(one, name)) for one in (graph, proper))):
            return f"{name} is not that of a graph of {_NEIGHBOURS} neighbours"
    widths = faiss.vector_to_array(graph.cum_nneighbor_per_level).astype(np.int64)
    levels, offsets, neighbours = (
        faiss.vector_to_array(getattr(graph, name)).astype(np.int64) for name in ("levels", "offsets", "neighbors")
    )
    if len(levels) != count or levels.min() < 1 or levels.max() >= len(widths):
        return "levels"
    if graph.max_level != levels.max() - 1 or not 0 <= graph.entry_point < count:
        return "entry_point or max_level"
    if levels[graph.entry_point] != levels.max():
        return "entry_point has no neighbours on the highest level"
    if not np.array_equal(offsets, np.concatenate([[0], np.cumsum(widths[levels])])) or len(neighbours) != offsets[-1]:
        return "offsets"
    if neighbours.min() < -1 or neighbours.max() >= count:
        return "neighbors"
    places = np.arange(len(neighbours)) - np.repeat(offsets[:-1], widths[levels])
    heights = np.searchsorted(widths, places, side="right")  # the level, from 1, of each place for a neighbour
    if (levels[neighbours[neighbours >= 0]] < heights[neighbours >= 0]).any():
        return "a neighbour is not on its level"
    return ""


def lists_fault(faiss, index):
    """What is wrong with the lists of an IVF index that was read from a file, or ""."""
    lists, quantizer = index.invlists, index.quantizer
    if not isinstance(faiss.downcast_index(quantizer), faiss.IndexFlat) or quantizer.d != index.d:
        return "quantizer"
    if not quantizer.ntotal == lists.nlist == index.nlist >= 1 or lists.code_size != 4 * index.d:
        return "numbers of lists"
    sizes = [lists.list_size(number) for number in range(lists.nlist)]
    if sum(sizes) != index.ntotal:
        return "sizes of the lists"
    found = [np.array(faiss.rev_swig_ptr(lists.get_ids(number), size)) for number, size in enumerate(sizes) if size]
    if not np.array_equal(np.sort(np.concatenate(found)), np.arange(index.ntotal)):
        return "numbers of the rows"
    return ""
