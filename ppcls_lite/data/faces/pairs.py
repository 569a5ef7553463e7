"""The pairs of a verification: which images there are, which two of them make a pair, and which pairs are the same."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcls_lite.data.faces.bin_file import read_bin
from ppcls_lite.data.faces.pair_lists import read_pair_list
from ppcls_lite.utils.errors import UserError


class PairSet(NamedTuple):
    """N pairs of M images."""

    names: list  # of the M images, for messages and logs
    sources: list  # M paths, or the bytes of encoded images
    first: np.ndarray  # [N] int64: the image of each pair that comes first
    second: np.ndarray  # [N] int64
    same: np.ndarray  # [N] bool: whether both show one identity

    def content(self, index):
        """The bytes of the encoded image `index`; UserError when its file cannot be read."""
        source = self.sources[index]
        if isinstance(source, bytes):
            return source
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise UserError(f"{source}: cannot be read ({error.strerror})") from None


def load_pairs(path, image_root=None, delimiter=None):
    """The `PairSet` of a `.bin` file, or of a pair list (see `read_pair_list`), whose order decides the folds.

    A list's paths are relative to `image_root`, or else to the list's folder (for CFP's protocol: to the folder that
    holds `Protocol`); an image that occurs in several pairs is there once. Raises UserError as `read_bin` and
    `read_pair_list` do, and for images that are missing, with the number of them and the first place.
    """
    path = Path(path)
    if path.suffix == ".bin":
        images, same = read_bin(path)
        return _of_images(path, images, same)
    if not path.exists():
        raise UserError(f"{path}: no such pair file")
    pairs = read_pair_list(path, delimiter)
    root = Path(image_root) if image_root else path.parents[2] if path.is_dir() else path.parent
    indices, missing = {}, []
    for pair in pairs:
        for name in (pair.first, pair.second):
            if name not in indices:
                indices[name] = len(indices)
                if not (root / name).is_file():
                    missing.append(f"{pair.place}: no such image: {root / name}")
    if missing:
        more = f" (and {len(missing) - 1} of {len(indices)} images more)" if len(missing) > 1 else ""
        raise UserError(f"{missing[0]}{more}")
    paths = [str(root / name) for name in indices]
    first, second = (np.array([indices[pair[side]] for pair in pairs], np.int64) for side in (0, 1))
    return PairSet(paths, paths, first, second, np.array([pair.same for pair in pairs], bool))


def _of_images(path, images, same):
    numbers = {}
    order = np.array([numbers.setdefault(image, len(numbers)) for image in images], np.int64)
    _, firsts = np.unique(order, return_index=True)
    names = [f"{path}[{first}]" for first in firsts]
    return PairSet(names, list(numbers), order[0::2], order[1::2], np.array(same, bool))
