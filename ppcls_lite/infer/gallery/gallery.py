"""Embeddings with the names of their images: made, changed, searched, saved and loaded."""

import numpy as np

from ppcls_lite.infer.gallery import approximate, files
from ppcls_lite.infer.gallery.approximate import DIST_TYPES, FLAT, HNSW, METHODS
from ppcls_lite.infer.gallery.exact import IP, ExactSearch, best_of
from ppcls_lite.infer.gallery.fingerprint import Fingerprint, fingerprint
from ppcls_lite.infer.model.embedding import shortest
from ppcls_lite.utils.errors import UserError

_LONGEST = 1e9  # of an embedding: the square of it is far from float32's largest number
_KINDS = {"index_method": str, "dist_type": str, "embedding_size": int, "count": int, "model": dict, "entries": list}
NOBODY = -1  # the number of a match that an approximate search has not found


class Gallery:
    """N images: `docs`, their names, and `paths`, which nobody has twice; `vectors` [N, D] float32.

    `method` is Flat (exact), HNSW32 or IVF (approximate, for larger galleries); `dist_type` is IP, the inner product,
    which is the cosine for embeddings of length 1 (the largest score is the best), or L2, the square of the distance
    (the smallest is the best). `model` is the `Fingerprint` of the model that the embeddings are from.
    """

    def __init__(self, vectors, docs, paths, model, method, dist_type, index=None):
        self.docs, self.paths, self.model = list(docs), list(paths), model
        self.method, self.dist_type = method, dist_type
        self.vectors, self._index, self._exact = vectors, index, None

    @classmethod
    def build(cls, features, docs, paths, model, method=FLAT, dist_type=IP):
        """A gallery of the embeddings [N, D] float32 of the images `paths`, whose names are `docs`.

        `model` is the folder of the exported model, or its `Fingerprint`. UserError for features that are not such
        numbers, another number of names or paths, a path that occurs twice, and an unknown method or dist_type.
        """
        for option, value, known in (("index_method", method, METHODS), ("dist_type", dist_type, DIST_TYPES)):
            if value not in known:
                raise UserError(f"{option}: expected one of {', '.join(known)}, found {value!r}")
        features = _checked(features)
        _check_entries(len(features), docs, paths)
        model = model if isinstance(model, Fingerprint) else fingerprint(model)
        index = None if method == FLAT else approximate.build_index(features, method, dist_type)
        return cls(features, docs, paths, model, method, dist_type, index)

    def __len__(self):
        return len(self.docs)

    @property
    def embedding_size(self):
        return self.vectors.shape[1]

    def add(self, features, docs, paths):
        """Add embeddings of further images, as `build` takes them; UserError too for a path that is there already."""
        features = _checked(features, self.embedding_size)
        _check_entries(len(features), docs, [*self.paths, *paths], len(self))
        if self._index is not None:
            approximate.import_faiss()
            self._index.add(features)
        self.vectors, self._exact = np.concatenate([self.vectors, features]), None
        self.docs += docs
        self.paths += paths

    def remove(self, paths):
        """Remove the images `paths`. UserError, and nothing is changed, for one that is not there, for all of them, and
        for HNSW32, whose graph nothing can be taken out of."""
        if self.method == HNSW:
            raise UserError("HNSW32 cannot remove: build the gallery again, or use index_method Flat")
        gone = set(paths)
        if missing := sorted(gone.difference(self.paths)):
            raise UserError(f"{missing[0]}: not in the gallery ({len(missing)} of {len(gone)} are not)")
        kept = [number for number, path in enumerate(self.paths) if path not in gone]
        if not kept:
            raise UserError("nothing would be left in the gallery: delete its folder, or build another")
        self.vectors, self._exact = self.vectors[kept], None
        if self._index is not None:
            approximate.import_faiss()
            self._index.reset()  # the lists of k-means stay
            self._index.add(self.vectors)
        self.docs, self.paths = [self.docs[number] for number in kept], [self.paths[number] for number in kept]

    def search(self, features, k):
        """(scores [N, k] float32, numbers [N, k] int64 of `docs` and `paths`) of the best matches, best first.

        Of equal scores, the lower number comes first. There are fewer columns where the gallery has fewer images. An
        approximate search may find fewer: their numbers are NOBODY. UserError for embeddings of another size.
        """
        features = _checked(features, self.embedding_size)
        k = min(k, len(self))
        if self.method == FLAT:
            self._exact = self._exact or ExactSearch(self.vectors, self.dist_type)
            return self._exact.search(features, k)
        scores = np.full((len(features), k), -np.inf if self.dist_type == IP else np.inf, np.float32)
        numbers = np.full((len(features), k), NOBODY, np.int64)
        for at, (query, row) in enumerate(zip(features, approximate.candidates(self._index, features, k))):
            found = best_of(query, self.vectors, np.sort(row[row >= 0]), k, self.dist_type)
            scores[at, : len(found[0])], numbers[at, : len(found[0])] = found
        return scores, numbers

    def matches(self, features, k, score_thres=None):
        """For each embedding, a list of {"rec_docs": name, "rec_scores": score}, best first.

        `score_thres` is the least score, with L2 the largest; None: any. Scores are those of `shortest`.
        """
        found = []
        for scores, numbers in zip(*self.search(features, k)):
            kept = numbers != NOBODY
            if score_thres is not None:
                kept &= scores >= score_thres if self.dist_type == IP else scores <= score_thres
            names = [self.docs[number] for number in numbers[kept]]
            found.append([{"rec_docs": doc, "rec_scores": one} for doc, one in zip(names, shortest(scores[kept]))])
        return found

    def save(self, folder):
        """Write the gallery to the folder, in the place of the one that may be there. UserError when another process is
        writing it, or it cannot be written: the former one is then as it was."""
        index = self._index
        if index is None:
            index = approximate.build_index(self.vectors, self.method, self.dist_type)
        content = {
            "index_method": self.method,
            "dist_type": self.dist_type,
            "embedding_size": self.embedding_size,
            "count": len(self),
            "model": self.model._asdict(),
            "entries": [list(pair) for pair in zip(self.paths, self.docs)],
        }
        with files.writing(folder):
            files.write(folder, content, approximate.to_bytes(index))

    @classmethod
    def load(cls, folder, model=None):
        """The gallery in a folder. `model` is the folder of the exported model that it has to be of, or its
        `Fingerprint`; None: of any. UserError for a gallery that is missing, damaged, or of another model."""
        content, index = files.read(folder)
        path = f"{folder}/{files.CONTENT}"
        _check_content(content, path)
        made_by = Fingerprint(**content["model"])
        if model is not None:
            _check_model(folder, made_by, model if isinstance(model, Fingerprint) else fingerprint(model))
        method, dist_type, size, count = (
            content[key] for key in ("index_method", "dist_type", "embedding_size", "count")
        )
        index = approximate.from_bytes(index, method, dist_type, count, size, f"{folder}/{files.INDEX}")
        vectors = _checked(approximate.vectors_of(index), size, f"{folder}/{files.INDEX}: ")
        paths, docs = zip(*content["entries"])
        return cls(vectors, docs, paths, made_by, method, dist_type, None if method == FLAT else index)


def _checked(features, size=None, where=""):
    """`features` as [N, D] float32; UserError for another form, another size, and numbers that cannot be compared."""
    features = np.ascontiguousarray(features)
    if features.ndim != 2 or features.dtype != np.float32 or not features.size:
        found = f"{list(features.shape)} {features.dtype}"
        raise UserError(f"{where}expected embeddings [N, D] float32, found {found}")
    if size is not None and features.shape[1] != size:
        raise UserError(f"{where}expected embeddings of {size} numbers, the gallery's, found {features.shape[1]}")
    if not (np.abs(features).max() <= _LONGEST):  # nan is not
        raise UserError(f"{where}embeddings hold numbers that are nan, infinite or above {_LONGEST:g}")
    return features


def _check_entries(count, docs, paths, before=0):
    if len(docs) != count or len(paths) - before != count:
        raise UserError(f"expected {count} names and paths, found {len(docs)} and {len(paths) - before}")
    if not _are_texts([*docs, *paths]):
        raise UserError("expected names and paths to be texts, found something else among them")
    if len(set(paths)) < len(paths):
        seen = set()
        twice = next(path for path in paths if path in seen or seen.add(path))
        raise UserError(f"{twice}: is in the gallery twice")


def _check_content(content, path):
    """UserError unless what `gallery.json` says is of the right kind and fits together."""
    for key, kind in _KINDS.items():
        if type(content.get(key)) is not kind:
            raise UserError(f"{path}: {key}: expected {kind.__name__}, found {content.get(key)!r:.80}")
    for key, known in (("index_method", METHODS), ("dist_type", DIST_TYPES)):
        if content[key] not in known:
            raise UserError(f"{path}: {key}: expected one of {', '.join(known)}, found {content[key]!r:.80}")
    if {*content["model"]} != {*Fingerprint._fields} or not _are_texts(content["model"].values()):
        raise UserError(f"{path}: model: expected texts {', '.join(Fingerprint._fields)}, found others")
    entries = content["entries"]
    if not all(isinstance(entry, list) and len(entry) == 2 and _are_texts(entry) for entry in entries):
        raise UserError(f"{path}: entries: expected pairs of texts, [path, name]")
    if not entries or len(entries) != content["count"] or len({entry[0] for entry in entries}) != len(entries):
        raise UserError(f"{path}: entries: expected {content['count']} of different paths, found {len(entries)}")


def _are_texts(values):
    return all(isinstance(value, str) for value in values)


def _shown(model):
    """Two models of one name differ in their weights: in the sha256 of `inference.pdiparams`."""
    return f"{model.name}, sha256 of the weights {model.weights:.12}…"


def _check_model(folder, made_by, model):
    if made_by.weights != model.weights:
        raise UserError(
            f"{folder}: a gallery of another model ({_shown(made_by)}) than this one ({_shown(model)}); build the "
            "gallery again"
        )
    if made_by.processing != model.processing:
        raise UserError(
            f"{folder}: a gallery of images that were prepared in another way (PreProcess or feature_normalize) than "
            "those of this model are; build the gallery again"
        )
