"""A gallery: embeddings of known images with their names, searched for the neighbours of others.

On the disk it is a folder with `vector.index`, a faiss file, and `gallery.json`, which says what the index is and of
which model. Both are data: neither is ever executed.
"""

from ppcls_lite.infer.gallery.fingerprint import fingerprint
from ppcls_lite.infer.gallery.gallery import Gallery

__all__ = ["Gallery", "fingerprint"]
