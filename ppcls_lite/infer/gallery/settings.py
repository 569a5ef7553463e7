"""The section `IndexProcess` of a prediction config: where a gallery is, how it is made, and how it is searched."""

from dataclasses import dataclass, fields
from typing import Optional

from ppcls_lite.data.image_lists import from_command_line
from ppcls_lite.infer.gallery.approximate import DIST_TYPES, METHODS
from ppcls_lite.utils import checks
from ppcls_lite.utils.config import require, without_nulls
from ppcls_lite.utils.errors import UserError, nearest

NEW, APPEND, REMOVE = OPERATIONS = ("new", "append", "remove")
_SECTION = "IndexProcess"
_HAMMING = "hamming_radius"  # PaddleClas's key of an index of bits


@dataclass(frozen=True)
class IndexSettings:
    """PaddleClas's keys. What is None is the gallery's own, or of no account.

    index_dir: the gallery's folder. index_method, dist_type, embedding_size: see `Gallery`.
    data_file: lines `path<delimiter>name` of images below image_root, for index_operation: new, append or remove.
    batch_size: of the images whose embeddings are computed; None: that of `Global`.
    return_k: the number of matches of an image at most. score_thres: the least score of one, with L2 the largest.
    """

    index_dir: str
    index_method: Optional[str] = None
    image_root: str = "."
    data_file: Optional[str] = None
    index_operation: str = NEW
    delimiter: str = "\t"
    dist_type: Optional[str] = None
    embedding_size: Optional[int] = None
    batch_size: Optional[int] = None
    return_k: int = 5
    score_thres: Optional[float] = None

    @classmethod
    def from_config(cls, config, path):
        """The settings of a config, which the file `path` has; UserError for a key or a value that is none."""
        require(config, f"{_SECTION}.index_dir", path)
        known = [field.name for field in fields(cls)]
        for key in config[_SECTION]:
            if key not in (*known, _HAMMING):
                hint = nearest(key, known) or f"; known: {', '.join(known)}"
                raise UserError(f"{path}: {_SECTION}: unknown key '{key}'{hint}")
        values = without_nulls(config[_SECTION])
        values.pop(_HAMMING, None)
        if str(values.get("dist_type")).lower() == "hamming":
            raise UserError(
                f"{_SECTION}.dist_type: expected IP or L2, found 'hamming': embeddings of bits are not made"
            )
        for key, allowed in (("index_method", METHODS), ("dist_type", DIST_TYPES), ("index_operation", OPERATIONS)):
            if key in values:
                values[key] = checks.choice(f"{_SECTION}.{key}", values[key], allowed)
        for key in ("embedding_size", "batch_size", "return_k"):
            if key in values:
                checks.whole(f"{_SECTION}.{key}", values[key])
        values["delimiter"] = from_command_line(values.get("delimiter", "\t"))
        if not values["delimiter"]:
            raise checks.wrong(f"{_SECTION}.delimiter", "what is between path and name", "")
        return cls(**values)

    def check(self, gallery):
        """UserError unless a gallery is as the settings say, where they say it."""
        for key, found in (("dist_type", gallery.dist_type), ("embedding_size", gallery.embedding_size)):
            self._check(key, found)

    def check_method(self, gallery):
        """`check`, and the index_method too: what is changed stays as it was made."""
        self.check(gallery)
        self._check("index_method", gallery.method)

    def _check(self, key, found):
        stated = getattr(self, key)
        if stated is not None and stated != found:
            raise UserError(f"{self.index_dir}: its {key} is {found}, and {_SECTION}.{key} is {stated}")
